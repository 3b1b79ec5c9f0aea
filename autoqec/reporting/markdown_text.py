"""Writes blocks as Markdown that GitHub, GitLab, Gitea and plain CommonMark render alike, and in which no quoted text can act.

Agents, notes, environments and plugins say what they like; here it is data. `written` escapes all text, so that it cannot become
markup, HTML, a link, an image, a mention (`@name`), a reference (`#1`, `!1`), a label, an emoji, a formula or a quick action
(`/close`), nor end a table, a quote or a fence. Hosts look for mentions, references and addresses in the text *after* rendering,
where a backslash is gone already. So an invisible word joiner (U+2060) follows each character that such a pattern needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from autoqec.reporting.page_blocks import (
    Block,
    Code,
    Fence,
    Folded,
    Grid,
    Heading,
    Inline,
    Items,
    Line,
    Paragraph,
    Quote,
    Strong,
    flat,
)

#: An invisible character without a width, at which no line breaks.
JOINER = "\u2060"

#: What may be markup anywhere in a line. Others are only markup where a line begins.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>~^]")

#: What makes markup where a line begins: lists, headings, rules, quotes, definitions, tables, quick actions.
_BEGINNING = re.compile(r"^(?:[-+=:/]|\d+(?=[.)]))")

#: What hosts look for in rendered text: mentions, references, labels, milestones, epics, emoji, addresses with a scheme; and wiki
#: pages, tables of contents and other references in brackets.
_REFERENCE = re.compile(r"""@(?=\S)|[#!~%&:](?=[\w"'/+-])|\[(?=[A-Za-z_\[])""")

#: Addresses without a scheme, and references that begin with letters: `www.`, `GH-1`, `PROJ-1`.
_ADDRESS = re.compile(r"(?i)www(?=\.)")
_TICKET = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9_]*-(?=\d)")

#: A word of hexadecimal digits, which hosts link to the commit of that name, if there is one.
_COMMIT = re.compile(r"(?<![A-Za-z0-9])(?=[0-9]*[a-f])[0-9a-f]{7,64}(?![A-Za-z0-9])")

_LANGUAGE = re.compile(r"[a-z]*")


def written(blocks: Iterable[Block]) -> str:
    """Blocks as Markdown; the same blocks give the same text."""
    return "\n\n".join(text for block in blocks if (text := _block(block))) + "\n"


def inline(text: str, *, begins: bool = True) -> str:
    """Text for one line, in which nothing is markup.

    Line breaks become blanks. Control characters and invisible ones become visible, as in a terminal.

    Args:
        text: The text.
        begins: Whether a line or a list item may begin with it; in a cell of a table, none does.
    """
    told = _MARKUP.sub(lambda found: f"\\{found[0]}", _without_references(text))
    # Entities, since hosts disagree on what a backslash does to these: a table's pipe, and the delimiter of formulas.
    told = told.replace("&", "&amp;").replace("|", "&#124;").replace("$", "&#36;")
    told = told.replace("#", "\\#").replace("!", "\\!").replace("&\\#", "&#")
    return _BEGINNING.sub(_escaped_beginning, told) if begins else told


def _without_references(text: str) -> str:
    """One line of text in which a host finds no mention, reference or address."""
    told = " ".join(_visible(text).split()).replace("$", f"{JOINER}${JOINER}")
    told = re.sub(r"(?<=\S)@", f"{JOINER}@", told)  # nor an address of mail
    told = _COMMIT.sub(lambda found: JOINER.join(re.findall(".{1,6}", found[0])), told)
    for pattern in (_ADDRESS, _TICKET, _REFERENCE):
        told = pattern.sub(rf"\g<0>{JOINER}", told)
    return told


def _escaped_beginning(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0][0].isdigit() else f"\\{found[0]}"


def code(text: str) -> str:
    """A code span of one line; in a code span hosts look for nothing. Without anything to show, nothing."""
    told = " ".join(_visible(text).split())
    if not told:
        return ""
    if "|" in told:  # a table is split at it, in a code span too
        return inline(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", told)), default=0))
    pad = " " if told[0] == "`" or told[-1] == "`" else ""
    return f"{ticks}{pad}{told}{pad}{ticks}"


def fence(text: str, language: str = "") -> str:
    """A fenced block that its text cannot end."""
    told = "\n".join(_visible(line) for line in text.split("\n")).rstrip("\n")
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", told)), default=0))
    assert _LANGUAGE.fullmatch(language)
    return f"{ticks}{language}\n{told}\n{ticks}"


def line(words: Line, *, begins: bool = True) -> str:
    """A line of parts, each escaped; `begins` as for `inline`."""
    return "".join(_part(part, begins and not place) for place, part in enumerate(flat(words)))


def _part(part: Inline, begins: bool) -> str:
    if isinstance(part, str):
        return _spaced(part, begins)
    if isinstance(part, Code):
        return code(part.text)
    if isinstance(part, Strong):
        told = inline(part.text)
        return f"**{told}**" if told else ""
    return f"[{inline(part.text)}]({_target(part.target)})"


def _spaced(text: str, begins: bool) -> str:
    """Text between other parts, which keeps the blank at each of its ends."""
    told = inline(text, begins=begins)
    if not told:
        return " " if text else ""
    return " " * text[0].isspace() + told + " " * text[-1].isspace()


def _target(target: str) -> str:
    """The target of a link of ours: a file beside the page, or a section; anything else would be a mistake here."""
    assert re.fullmatch(r"(?!.*//)[\w./-]*(?:#[\w-]+)?", target), target
    return target


def _visible(text: str) -> str:
    """Text without control and invisible characters, which are written out."""
    return "".join(each if each.isprintable() or each in "\n\t " else f"\\x{ord(each):02x}" for each in text)


def _block(block: Block) -> str:
    match block:
        case Heading():
            anchor = f'<a id="{_name(block.anchor)}"></a>\n\n' if block.anchor else ""
            return f"{anchor}{'#' * block.level} {line(block.words)}"
        case Paragraph():
            return line(block.words).strip()
        case Items():
            return "\n".join(f"- {line(each).strip()}" for each in block.items)
        case Grid():
            return "\n".join(_table(block))
        case Fence():
            return fence(block.text, block.language)
        case Quote():
            return "\n>\n".join(f"> {told}" for each in block.text.splitlines() if (told := inline(each)))
        case Folded():
            body = "\n\n".join(text for each in block.blocks if (text := _block(each)))
            return f"<details>\n<summary>{_html(block.summary)}</summary>\n\n{body}\n\n</details>"


def _table(grid: Grid) -> Iterator[str]:
    yield _row([inline(name, begins=False) for name in grid.headers])
    yield _row(["---:" if place in grid.figures else "---" for place in range(len(grid.headers))])
    for row in grid.rows:
        yield _row([line(cell, begins=False).strip() for cell in row])


#: Blanks in a cell at which no line may break: within an interval, and before the sign of per cent.
_BOUND = re.compile(r"(?<=\d,) (?=[-+]?[\d.∞]+(?:e-\d+)?\\\])|(?<=\d) (?=%)")


def _row(cells: Sequence[str]) -> str:
    bound = (_BOUND.sub("&nbsp;", cell) for cell in cells)
    return f"| {' | '.join(bound)} |"


def _name(anchor: str) -> str:
    assert re.fullmatch(r"[\w-]+", anchor), anchor
    return anchor


def _html(text: str) -> str:
    """Text within a tag of ours, where no Markdown is read: what may be markup as entities."""
    told = _without_references(text)
    return "".join(each if each.isalnum() or each in f" ,.-/{JOINER}" else f"&#{ord(each)};" for each in told)
