"""What all pages share: escaping, the policy of a page, charts inside it, and colours on dark paper."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from autoqec.reporting.pages.chart_svg import ChartSheet
from autoqec.reporting.pages.page_colours import DARK, LIGHT, TEXT_CONTRAST, contrast, on_dark
from autoqec.reporting.pages.page_writer import render_page, shown
from autoqec.views.line_styles import COLOURS, plot_style, svg_text

TEMPLATES = files("autoqec.reporting") / "templates"

EMPTY = {
    "title": "t", "svg": "", "rate_heads": [], "rate_rows": [], "factor_heads": [], "factor_rows": [], "left_out": [],
}  # fmt: skip


def chart(label="x"):
    from matplotlib.figure import Figure

    with plot_style():
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.set_xlabel(label)
        axes.plot([1, 2], [1, 2], marker="o", color=COLOURS[1])[0].set_gid("point-0")
        return svg_text(figure)


def test_wcag_says_the_same_of_contrast():
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the figure that its authors give


@pytest.mark.parametrize("colour", [*COLOURS, "#262626", "#404040", "#123456", "#ff0000"])
def test_what_is_drawn_on_light_paper_can_be_read_on_dark_paper(colour):
    turned = on_dark(colour)
    assert contrast(turned, DARK) >= TEXT_CONTRAST - 0.05
    assert on_dark(turned) is not None


def test_a_grid_is_as_faint_on_dark_paper():
    assert contrast(on_dark("#e5e5e5"), DARK) == pytest.approx(contrast("#e5e5e5", LIGHT), abs=0.1)


@pytest.mark.parametrize("opacity", [0.13, 0.45])
def test_what_is_seen_through_on_light_paper_is_denser_on_dark_paper(opacity):
    sheet = ChartSheet()
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path style="stroke-opacity: {opacity}"/></svg>'
    sheet.inline(svg, "a-")
    light, dark = (float(re.search(r"stroke-opacity:([\d.]+)", each)[1]) for each in sheet.css.split("@media"))
    assert light == opacity
    assert 1.4 * light < dark <= 1


def test_the_styles_of_a_page_have_the_papers_that_colours_are_made_for():
    css = (TEMPLATES / "page.css").read_text()
    assert re.findall(r"--paper: (#\w+)", css) == [LIGHT, DARK]


@pytest.mark.parametrize("ground", ["paper", "shade"])
def test_every_ink_can_be_read_on_every_ground(ground):
    css = (TEMPLATES / "page.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL):
        colours = dict(re.findall(r"--(\w+): (#\w+)", block))
        for ink in ("ink", "quiet", "link", "good", "warn", "bad"):
            assert contrast(colours[ink], colours[ground]) >= TEXT_CONTRAST, (ink, colours)


def test_a_chart_in_a_page_has_classes_for_styles_and_ids_of_its_own():
    sheet = ChartSheet()
    one, two = (str(sheet.inline(chart(), prefix, {"point-0": "said <b>"})) for prefix in ("a-", "b-"))
    assert "style=" not in one + two
    assert "<metadata" not in one
    assert "<style" not in one
    assert "<title>said &lt;b&gt;</title>" in one
    ids, others = (set(re.findall(r' id="([^"]+)"', each)) for each in (one, two))
    assert ids
    assert not ids & others
    named = set(re.findall(r'href="#([^"]+)"', one)) | set(re.findall(r"url\(#([^)]+)\)", one))
    assert named <= ids
    assert one.replace('"a-', '"b-').replace("#a-", "#b-") == two
    light, dark = sheet.css.split("@media")
    used = set(re.findall(r'class="(k\d+)"', one))
    assert used <= set(re.findall(r"\.(k\d+)\{", light))
    assert COLOURS[1] in light
    assert on_dark(COLOURS[1]) in dark
    assert COLOURS[1] not in dark


def test_what_a_chart_says_is_text():
    evil = "</svg><script>alert(1)</script>\x1b\x00\u202e\ufffe"
    inlined = ChartSheet().inline(chart(evil), "a-", {"point-0": evil})
    assert "<script" not in inlined
    assert inlined.count("alert(1)&lt;/script&gt;\\x1b\\x00\\x202e\\xfffe<") == 2


@pytest.mark.parametrize(
    "inside",
    [
        "<script>x</script>",
        "<foreignObject/>",
        '<image href="https://example.org/a.png"/>',
        '<use href="https://example.org/a.svg#b"/>',
        '<use xlink:href="javascript:x"/>',
        "<animate/>",
        "<a/>",
    ],
)
def test_an_svg_with_what_no_chart_has_is_refused(inside):
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
        f"{inside}</svg>"
    )
    with pytest.raises(ValueError, match="a chart"):
        ChartSheet().inline(svg, "a-")


def test_attributes_that_do_not_draw_are_left_out():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
        '<g onclick="x()" style="fill:url(evil);stroke:#ff0000"/></svg>'
    )
    sheet = ChartSheet()
    assert "onclick" not in sheet.inline(svg, "a-")
    assert "evil" not in sheet.css
    assert "stroke:#ff0000" in sheet.css


def test_the_policy_of_a_page_names_its_script_and_its_style_and_nothing_else():
    page = render_page("sweep.html", css=".k0{fill:none}", **EMPTY)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    directives = dict(each.strip().split(" ", 1) for each in policy.replace("&#39;", "'").split(";"))
    assert directives["default-src"] == "'none'"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert directives[name] == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
    assert "unsafe" not in policy
    assert "http" not in policy


def test_control_and_bidirectional_characters_are_shown_as_codes():
    assert shown("a\u202eb\x1b[31m\x00") == "a\\x202eb\\x1b[31m\\x00"
    assert shown("plain ✓ Λ\nnext") == "plain ✓ Λ\nnext"
    page = render_page("sweep.html", **EMPTY | {"title": "\u202e\x07<b>", "left_out": ["\x00]]>"]})
    assert "<title>\\x202e\\x07&lt;b&gt;</title>" in page
    assert "\\x00]]&gt;" in page


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir(), key=str), ids=lambda path: path.name)
def test_no_template_lets_text_become_markup(path):
    """Autoescaping holds where a value stands in text or in a quoted attribute; nothing turns it off."""
    text = path.read_text()
    assert not re.search(
        r"\|\s*safe|autoescape|Markup|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text
    )
    assert not re.search(r"=\s*\{\{", text)  # an attribute without quotes
    assert not re.search(r"\son\w+=|javascript:|https?://", text)
    for inside in re.findall(r"<(?:script|style)[^>]*>(.*?)</", text, re.DOTALL):
        assert inside in ("{{ script }}", "{{ style }}", "{{ data }}", "{{ packed_data }}", "{{ parcel.text }}")


class Reader(HTMLParser):
    """Which elements stay open."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "br", "input", "hr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_element_of_a_page_is_closed():
    reader = Reader()
    reader.feed(render_page("sweep.html", **EMPTY | {"rate_heads": ["a"], "rate_rows": [["b"]], "left_out": ["c"]}))
    assert reader.open == []
