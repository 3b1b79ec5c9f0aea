"""A report as HTML: whatever a record says is text there, no round is missing, and each figure of the prose is the record's."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from markupsafe import Markup

from autoqec import history
from autoqec.cli.main import run as run_command
from autoqec.config import load_settings
from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.reporting import report_prose
from autoqec.reporting.lab_diagnoses import NO_DIAGNOSES, Diagnoses, read_diagnoses
from autoqec.reporting.pages import report_page as report_page_module
from autoqec.reporting.pages.data_islands import json_text, packed, unpacked
from autoqec.reporting.pages.report_charts import ChartRoom
from autoqec.reporting.pages.report_page import report_page
from autoqec.reporting.pages.rounds_in_full import Shelved, chosen_first, rounds_in_full
from autoqec.reporting.recorded_lab import read_lab
from autoqec.results.diagnosis_finding import DiagnosisFinding
from autoqec.results.quoted_figures import field_of, shows
from autoqec.testing import figures, make_tiny_lab, record_round, record_run

sys.path.insert(0, str(Path(__file__).parents[1]))
import old_lab

#: What tries to end where it stands, to run, to load, to style, to reorder, to be a template, or to be very long.
EVIL = [
    "<script>window.evil=1</script>",
    "\"'><img src=https://evil.example/x onerror=window.evil=1>",
    "</script></style></title></textarea></details></section><script>window.evil=1</script>",
    "]]><!-- --!>",
    "<svg onload=window.evil=1><use href=https://evil.example/a.svg#b></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.evil=1>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example/a.css>",
    "javascript:window.evil=1",
    "{{ 7*7 }}{% raw %}${7*7}",
    "\u202eevil\u2066\u200b\x1b[31m\x00\x07\u2028\u2029",
    "a" * 60_000,
]
ALL_EVIL = " ".join(EVIL)

#: The elements that a report consists of, and their attributes.
ELEMENTS = {
    "html", "head", "meta", "title", "link", "style", "script", "body", "a", "main", "header", "nav", "section", "div", "h1",
    "h2", "h3", "h4", "p", "ul", "li", "b", "code", "strong", "data", "figure",
    "figcaption", "table", "thead", "tbody", "tr", "th", "td",
    "details",
    "summary", "pre", "span", "blockquote", "form", "label", "input", "select", "option", "output", "button", "noscript",
    "svg", "g", "defs", "clippath", "path", "use", "text", "tspan", "rect",
}  # fmt: skip


class Page(HTMLParser):
    """The elements of a page with their attributes, the text of all, and which stay open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.texts, self.data, self.islands = [], [], [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input"):
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        tag, attrs = self.open[-1] if self.open else ("", {})
        if tag == "script":
            self.islands[attrs.get("id") or attrs.get("class") or "script"] = text
        elif tag != "style":
            self.texts.append(text)
        if tag == "data":
            self.data.append((attrs, text))

    def handle_comment(self, text):
        raise AssertionError(f"a comment: {text[:80]}")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A lab in which every field that somebody else writes is hostile."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("hostile") / "lab")
    run = record_run(ledger, "tiny-abcd")
    told = figures(delta_ler=0.006, delta_ler_ci=[0.0059, 0.0061], flops_per_shot=2000, params=20)
    told |= {"references": {name[:200]: 2048 / 200_704 for name in EVIL}}
    checks = [{"check": evil[:300], "result": "passed", "says": evil} for evil in EVIL]
    files = {
        "output.yaml": b"mode: weights\n",
        "stages/x/module.py": ("x = '''\n" + "\n".join(EVIL) + "'''\n").encode(),
    }
    verdict = {"verdict": "VERIFIED", "reason": "better", "verifier": ALL_EVIL, **told}
    commit = record_round(ledger, run, files, hypothesis=ALL_EVIL[:3000], metrics=told, verdict=verdict)
    attempt = next(each.identity.attempt for each in history.read_history(ledger))
    analysis = {"id": attempt, "decision": "candidate", "summary": ALL_EVIL, "next_seed": ALL_EVIL}
    history.append_note(ledger, run.name, "analysis", commit, analysis)
    failed = {"verdict": "FAILED", "reason": "not_better", "checks": checks, **figures()}
    record_round(
        ledger, run, {"output.yaml": b"mode: weights\n"}, hypothesis=EVIL[2], verdict=failed, parents=(commit,)
    )
    claim = history.claim_round(ledger, run.name)
    history.close_claim(ledger, claim, status="agent_error", reason=ALL_EVIL)
    return ledger


@pytest.fixture(scope="module")
def lab(hostile):
    return read_lab(hostile)


_FINDING = DiagnosisFinding("tiny-abcd", 2, ALL_EVIL, "error", tuple(EVIL), ALL_EVIL, ALL_EVIL, ALL_EVIL)
DIAGNOSES = Diagnoses({"tiny-abcd/2": (_FINDING,), "tiny-abcd": (_FINDING,)}, {"tiny-abcd": ALL_EVIL})


@pytest.fixture(scope="module")
def text(lab):
    return report_page(lab, DIAGNOSES)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_whatever_a_record_says_is_text(page, text):
    assert page.open == []
    assert {tag for tag, _ in page.found} <= ELEMENTS
    for tag, attrs in page.found:
        assert not [name for name in attrs if name.startswith("on") or name in ("style", "src", "srcset", "action")], (
            tag,
            attrs,
        )
        for name in ("href", "xlink:href"):
            assert attrs.get(name, "#") == "data:," or attrs.get(name, "#").startswith("#"), (tag, attrs)
    scripts = [attrs for tag, attrs in page.found if tag == "script"]
    assert [attrs for attrs in scripts if attrs.get("type") not in ("application/json", "text/plain")] == [{}]
    shown = "".join(page.texts)
    for evil in EVIL[:-2]:
        assert evil in shown
    assert "{{ 7*7 }}" in shown
    assert not set("\u202e\u2066\u200b\x1b\x00\x07\u2028\u2029") & set(text)
    assert "\\x202eevil\\x2066" in shown


def test_long_texts_are_cut_with_their_length(page, text):
    assert len(text) < 900_000
    assert any("more characters" in each for each in page.texts)


def test_the_data_of_a_page_are_what_log_prints(page, lab):
    told = json.loads(page.islands["data"])
    assert told["schema"] == "autoqec.report_data/1"
    assert told["rounds"] == json.loads(json.dumps([each.row.to_json() for each in lab.rounds]))
    assert [each["env"] for each in told["environments"]] == ["tiny"]


def test_every_figure_of_the_prose_is_in_the_data_of_the_page(page, lab):
    told = json.loads(page.islands["data"])
    rounds = {f"{row['run']}/{row['round']}": row for row in told["rounds"]}
    looked_up = 0
    assert len(page.data) > 15
    for attrs, shown in page.data:
        assert attrs["value"] == shown
        if attrs["data-about"] in rounds and attrs["data-field"].startswith("holdout."):
            value = field_of(rounds[attrs["data-about"]], attrs["data-field"])
            looked_up += value is not None
            assert value is None or shows(shown, value), (attrs, value)
    assert looked_up >= 5


def test_a_figure_that_the_record_does_not_say_is_not_written(lab, monkeypatch):
    honest = report_prose.facts_of(lab.environments[0])
    name = next(name for name in honest if "/" in name)
    lied = honest | {name: honest[name] | {"holdout": honest[name]["holdout"] | {"ler_ratio": 0.123}}}
    monkeypatch.setattr(report_page_module, "facts_of", lambda environment: lied)
    with pytest.raises(AutoQECError) as raised:
        report_page(lab, NO_DIAGNOSES)
    assert raised.value.code == "unfounded_figure"


def test_no_round_is_hidden(text, lab):
    rows = re.search(r'<table class="sortable rounds">.*?</table>', text, re.DOTALL)[0]
    assert re.findall(r'<tr data-round="([^"]+)">', rows) == [each.name for each in lab.rounds]
    lost = text[text.index('<h2 id="lost">') : text.index('<h2 id="took">')]
    for each in lab.rounds:
        assert (f">{each.name}</a>" in lost) == (each.outcome != "VERIFIED"), each.name
    assert len(re.findall(r"<details class=\"round\"", text)) == len(lab.rounds)


def test_the_same_record_gives_the_same_page(hostile, text):
    assert report_page(read_lab(hostile), DIAGNOSES) == text


def test_an_empty_lab_has_a_page(tmp_path):
    text = report_page(read_lab(make_tiny_lab(tmp_path / "lab")), NO_DIAGNOSES)
    assert "There are no rounds yet." in text
    assert Page(text).open == []


def test_charts_that_do_not_fit_are_named(lab):
    room = ChartRoom(SimpleNamespace(inline=lambda svg, prefix: Markup("x" * 10)), most=5)
    charts = room.draw(lab.environments[0], 0)
    drawn = [each for each in charts if each.svg is not None]
    assert [each.heading for each in drawn] == ["Pareto front"]
    assert any(f"autoqec report --env {lab.environments[0].key}" in each.why for each in charts)


def shelved(count):
    return [Shelved(f"r/{number}", number in (3, 7), number % 2 == 1) for number in range(1, count + 1)]


def test_what_a_reader_wants_most_stands_in_full():
    names = [name.removeprefix("r/") for name in chosen_first(shelved(30))]
    assert names[:12] == ["7", "3", "30", "29", "28", "27", "26", "25", "24", "23", "22", "21"]
    assert names[12:16] == ["19", "17", "15", "13"]
    assert sorted(names, key=int) == [str(number) for number in range(1, 31)]


def test_rounds_stand_in_full_or_are_packed_or_are_named():
    rounds, drawn = shelved(300), []

    def render(name):
        drawn.append(name)
        return Markup(f"<p>{name}{'é' * 50}</p>")

    found = rounds_in_full(rounds, render, full_bytes=1200, parcel_bytes=1500)
    full = [name for name, _ in found.full]
    assert "r/7" in full
    assert sum(len(markup.encode()) for _, markup in found.full) <= 1200
    assert full == sorted(full, key=lambda name: int(name[2:]))
    assert 0 < sum(len(parcel.text) for parcel in found.parcels) <= 1500
    inside = {name: markup for parcel in found.parcels for name, markup in json.loads(unpacked(parcel.text)).items()}
    assert [*inside] == [name for parcel in found.parcels for name in parcel.names]
    assert inside["r/290"] == render("r/290")
    assert sorted([*full, *inside, *found.missing]) == sorted(each.name for each in rounds)
    assert found.missing


def test_what_is_packed_gives_way_to_the_rest():
    found = rounds_in_full(shelved(300), lambda name: Markup(f"<p>{name}</p>"), full_bytes=0, parcel_bytes=10_000)
    assert not found.missing
    last = found.parcels[-1]
    less = found.smaller(len(last.text) + 1)
    assert less.parcels == found.parcels[:-2]
    assert set(less.missing) == set(found.parcels[-2].names) | set(last.names)
    assert not found.smaller(10_000_000).parcels


def test_a_report_stays_below_its_size_whatever_is_in_it(lab, monkeypatch):
    """Rounds that are packed give way first, and the report says how many did not fit."""
    monkeypatch.setattr(report_page_module, "ChartRoom", lambda sheet: ChartRoom(sheet, most=0))
    for name, value in (("FULL_BYTES", 0), ("LOST_BYTES", 0), ("DATA_BYTES", 0), ("_PLAIN_DATA", 0)):
        monkeypatch.setattr(report_page_module, name, value)
    whole = report_page(lab, NO_DIAGNOSES)
    assert whole.count('class="parcel"') == 1
    assert "too large to come along" in whole
    lost = whole[whole.index('<h2 id="lost">') : whole.index('<h2 id="took">')]
    assert "window.evil" not in lost
    assert all(each.name in lost for each in lab.rounds if each.outcome != "VERIFIED")
    monkeypatch.setattr(report_page_module, "MOST_BYTES", len(whole) - 10)
    less = report_page(lab, NO_DIAGNOSES)
    assert len(less) < len(whole)
    assert 'class="parcel"' not in less
    assert "3 of them did not fit into this file" in less


def test_damage_in_a_record_stands_in_its_report(tmp_path, monkeypatch):
    """The lab of version 0.1 has rounds of all kinds, some with notes and claims that are no records."""
    monkeypatch.setattr(report_page_module, "ChartRoom", lambda sheet: ChartRoom(sheet, most=0))
    lab = read_lab(history.open_ledger(old_lab.unpack(tmp_path / "lab")))
    text = report_page(lab, NO_DIAGNOSES)
    assert Page(text).open == []
    shown = "".join(Page(text).texts)
    problems = [problem for each in lab.rounds for problem in each.row.problems]
    assert len(problems) > 5
    assert all(problem[:100] in shown for problem in problems)
    assert all(f'id="round-{each.name.replace("/", "-")}"' in text for each in lab.rounds)


def test_data_in_a_page_end_no_element():
    told = {"a": "</script><!--\u2028\u202e", "b": [1.5, None]}
    text = json_text(told)
    assert not set("<>&\u2028\u202e") & set(text)
    assert json.loads(text) == told
    assert unpacked(packed(text)) == text
    assert unpacked(packed("\ud800")) == "?"
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


@pytest.fixture
def command(hostile, monkeypatch, capsys):
    """Run a command in the hostile lab; its exit code, standard output and standard error."""
    monkeypatch.chdir(hostile.workdir)

    def call(*args):
        code = run_command(list(args))
        return code, *capsys.readouterr()

    return call


def test_the_command_writes_a_page_in_the_place_of_a_file(command, tmp_path):
    path = tmp_path / "r.html"
    path.write_text("before")
    code, out, err = command("report", "-o", str(path))
    assert (code, out) == (0, "")
    assert "a report of 3 rounds" in err
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert Page(path.read_text()).open == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("r.txt", "must end in .html or .md"),
        ("none/r.html", "cannot be written"),
        (".", "is a folder, not a file"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_first(command, tmp_path, monkeypatch, place, said):
    monkeypatch.setattr("autoqec.reporting.recorded_lab.read_lab", lambda *_, **__: pytest.fail("it began"))
    code, _, err = command("report", "-o", str(tmp_path / place))
    assert code == 2
    assert said in err


@pytest.mark.slow
def test_five_thousand_rounds_fit_into_ten_megabytes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from history import make_lab

    lab = read_lab(make_lab(tmp_path / "lab", 5000))
    page = report_page(lab, read_diagnoses(lab, load_plugins(), load_settings(tmp_path / "lab")))
    assert len(page.encode()) < 10_000_000
    found = Page(page)
    assert found.open == []
    rows = re.search(r'<table class="sortable rounds">.*?</table>', page, re.DOTALL)[0]
    assert rows.count("<tr") == 5001
    told = json.loads(unpacked(found.islands["packed-data"]))
    assert len(told["rounds"]) == 5000
    packed_names = re.findall(r'data-names="([^"]+)"', page)
    full = re.findall(r'<details class="round" data-round="([^"]+)">', page)
    assert len(full) > 50
    assert sorted([*full, *" ".join(packed_names).split()]) == sorted(each.name for each in lab.rounds)
