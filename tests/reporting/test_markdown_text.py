"""Text of others is data in Markdown: it makes no markup, no HTML, no link, no mention, and ends no table, quote or fence."""

import html
import random
import re

import pytest
from markdown_it import MarkdownIt

from autoqec.reporting.markdown_text import JOINER, code, fence, inline, written
from autoqec.reporting.page_blocks import (
    Code,
    Fence,
    Folded,
    Grid,
    Heading,
    Items,
    Link,
    Paragraph,
    Quote,
    Strong,
    joined,
    said,
)
from autoqec.results.quoted_figures import Named, Quoted, sentence

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

#: What somebody may write to get out of its place.
HOSTILE = [
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<!-- -->",
        "</details>",
        "<details><summary>x",
        "</summary>",
    ),
    *(
        "&lt;b&gt;",
        "&#64;octocat",
        "<a@b.c>",
        "@octocat",
        "a @org/team b",
        "#1",
        "owner/repo#12",
        "GH-7",
        "PROJ-123",
        "!5",
        "~bug",
    ),
    *(
        '%"v1"',
        "$12",
        "&3",
        ":tada:",
        ":+1:",
        "[x](https://evil.example)",
        "![x](https://evil.example/p.png)",
        "[[home]]",
        "[TOC]",
    ),
    *(
        "[x]: https://evil.example",
        "[^1]",
        "https://evil.example",
        "http://e.example?a=b",
        "www.evil.example",
        "mail a@b.example",
    ),
    *(
        "ftp://e.example",
        "_www.e.example",
        "y@.vs",
        "_GH-1",
        "javascript:x",
        "| a | b |\n|---|---|\n| c | d |",
        "a | b",
        "\\|",
        "\\",
        "`",
        "``` \n```",
        "~~~",
    ),
    *(
        "a `code` b",
        "*a* _b_ **c** ~~d~~ __e__",
        "# h",
        "h\n===",
        "h\n---",
        "---",
        "***",
        "- a",
        "+ a",
        "* a",
        "1. a",
        "12) a",
        "> q",
    ),
    *(
        "    indented",
        "\tx",
        "/close",
        "/merge\n/label",
        "$x^2$",
        "$$\\int$$",
        "\\(x\\)",
        "a\\\nb",
        "a  \nb",
        "{{x}}",
        "{#id .class}",
    ),
    *(
        "\x00\x1b[31m\u202e\u200b\u2060",
        "\r\n<b>",
        "\ud800",
        "deadbeef1234567",
        ": definition",
        "```diff\n+x",
        "a\n\n<b>\n",
    ),
    *("é☃", "x" * 500, "", " ", "\n\n"),
]

#: What hosts look for in the text that a reader sees.
PATTERNS = [
    *(
        r"(?:^|\W)@[\w\"-]",
        r"(?:^|[\w/\s(\[])#\w",
        r"(?i)\b(?:gh|[a-z]\w*)-\d",
        r"!\d",
        r"~[\w\"]",
        r"%[\w\"]",
        r"\$\d",
        r"&\d",
    ),
    *(r":[\w+-]+:", r"\[\[", r"\[[A-Za-z_]", r"\w+://", r"(?i)\bwww\.", r"\w@\w", r"\$[^$\u2060]"),
    r"\b(?=[0-9]*[a-f])[0-9a-f]{7,40}\b",
]

#: The tags of a page of ours.
TAGS = {
    *(
        "h1",
        "h2",
        "h3",
        "p",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "pre",
        "code",
        "blockquote",
        "strong",
        "a",
    ),
    *("details", "summary"),
}


def page(text):
    """Every place where text of others stands."""
    return [
        Heading(1, ("Report of ", Code(text))),
        Heading(2, text),
        Paragraph(text),
        Paragraph(("Round ", text, " and ", Strong(text), "; ", Code(text), " ", Link(text, "#place"))),
        Items([text, ("a ", text)]),
        Grid(("name", text), [[text, Code(text)], [("x", text), Link(text, "rounds/1.md")]], frozenset({1})),
        Quote(text),
        Fence(text, "diff"),
        Folded(text, [Paragraph(text), Fence(text)]),
        said(sentence("A round, ", Named(text), ", has ", Quoted("1", "r", "x"), ".")),
        Paragraph("The end."),
    ]


def shape(markdown):
    """The tags of a page in order, and the text that is in no code."""
    rendered = READER.render(markdown)
    tags = [name for name in re.findall(r"</?([a-zA-Z][\w-]*)", rendered) if name != "br"]
    outside = re.sub(r"<(code|pre)\b.*?</\1>", " ", rendered, flags=re.DOTALL)
    return tags, html.unescape(re.sub(r"<[^>]*>", "\n", outside))


def texts():
    drawn = random.Random(17)
    yield from HOSTILE
    for _ in range(150):
        yield "".join(drawn.choice([*HOSTILE[:-4], " ", "\n", "a"]) for _ in range(drawn.randint(2, 5)))
    symbols = "".join(map(chr, range(33, 127)))
    for _ in range(150):
        yield "".join(drawn.choice(symbols + " \n") for _ in range(drawn.randint(1, 40)))


@pytest.mark.parametrize("part", range(4))
def test_no_text_changes_the_shape_of_a_page_or_makes_a_reference(part):
    plain, _ = shape(written(page("x")))
    # Code spans and list items of nothing are not there; all else is the same whatever is said.
    for text in list(texts())[part::4]:
        markdown = written(page(text))
        tags, outside = shape(markdown)
        assert set(tags) <= TAGS, text
        blank = not text.strip() or not inline(text)
        if not blank:
            expected = [tag for tag in plain if tag not in ("code", "blockquote", "p")]
            assert [tag for tag in tags if tag not in ("code", "blockquote", "p")] == expected, text
        for pattern in PATTERNS:
            assert not re.search(pattern, outside), (pattern, text)
        assert "The end." in outside, text
        assert not re.search(r"(?m)^/\w", markdown.split("```")[0]), text  # no quick action in the source


@pytest.mark.parametrize(
    "text", ["Δ_LER +0.00465 [+0.00378, 1e-3] < 5 % of *all* | `x`", "a_b #1 @me $5 & \\ 10. ~", "- 3", "2) x"]
)
def test_a_reader_sees_what_was_said(text):
    for markdown in (written([Paragraph(text)]), written([Items([text])]), written([Grid(("a",), [[text]])])):
        seen = (
            html.unescape(re.sub(r"<[^>]*>", "", READER.render(markdown)))
            .replace(JOINER, "")
            .replace("\xa0", " ")
            .strip()
        )
        assert seen.removeprefix("a\n\n\n\n\n").strip().endswith(text)


def test_control_and_invisible_characters_are_seen():
    assert inline("\x1b[2J\u202e") == r"\\x1b\[2J\\x202e"
    assert "\\x1b" in fence("\x1b[2J")
    assert code("a\x00b") == "`a\\x00b`"


def test_a_fence_is_longer_than_what_is_in_it():
    told = fence("````\nx\n```\n", "diff")
    assert told.startswith("`````diff\n")
    assert READER.render(told).count("<pre>") == 1
    with pytest.raises(AssertionError):
        fence("x", "diff\n")


def test_links_lead_to_places_that_we_name():
    for target in ("https://evil.example", "//evil.example", "javascript:x", "a b", "x)"):
        with pytest.raises(AssertionError):
            written([Paragraph(Link("x", target))])


def test_parts_keep_the_blanks_between_them():
    assert written([Paragraph(("a ", Code("b"), " c"))]) == "a `b` c\n"
    assert written([Paragraph(joined(["a", Code("b")], ", "))]) == "a, `b`\n"
