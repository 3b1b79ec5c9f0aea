"""Matplotlib's SVG with an id and a title for each mark, and without what differs from one version of it to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from autoqec.reporting.charts.drawing import MarkTitle

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_DECLARATION = '<?xml version="1.0" encoding="utf-8" standalone="no"?>'
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")

#: Attributes that hold numbers.
_NUMBERS = ("d", "x", "y", "width", "height", "viewBox", "transform", "points")


def marked_svg(svg: str, name: str, title: str, titles: Mapping[str, Sequence[MarkTitle]]) -> str:
    """Give a chart a title, and each of its marks an id, a title and the round that it is about.

    Args:
        svg: What matplotlib wrote.
        name: What the ids of marks begin with.
        title: The chart's title.
        titles: By the id of a group of marks, one for each of its marks.
    """
    for prefix, uri in (("", _SVG), ("xlink", _XLINK)):
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.fromstring(svg)  # noqa: S314 - matplotlib wrote it
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for group in root.iter(f"{{{_SVG}}}g"):
        said = titles.get(group.get("id", ""))
        if said is not None:
            group.set("id", f"{name}-{group.get('id')}")
            marks = list(_marks(group))
            for number, (mark, each) in enumerate(zip(marks, said, strict=True)):
                _entitle(mark, f"{group.get('id')}-{number}", each)
            if len({mark.get("style") for mark in marks}) == 1 and "style" in marks[0].attrib:
                group.set("style", marks[0].attrib["style"])
                for mark in marks:
                    del mark.attrib["style"]
    for element in root.iter():
        for attribute in _NUMBERS:
            if attribute in element.attrib:
                element.set(attribute, rounded_numbers(element.attrib[attribute]))
    root.set("role", "img")
    root.set("aria-label", title)
    return f"{_DECLARATION}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def _marks(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The marks of a group: what is drawn there, and not what is defined to be drawn."""
    for child in element:
        if child.tag in (f"{{{_SVG}}}use", f"{{{_SVG}}}path"):
            yield child
        elif child.tag == f"{{{_SVG}}}g":
            yield from _marks(child)


def _entitle(mark: ElementTree.Element, identity: str, said: MarkTitle) -> None:
    mark.set("id", identity)
    if said.round is not None:
        mark.set("data-round", said.round)
    title = ElementTree.SubElement(mark, f"{{{_SVG}}}title")
    title.text = said.words


def rounded_numbers(text: str) -> str:
    """An attribute of an SVG with its numbers to a hundredth of a point, which is more than anybody sees."""
    return _LONG_NUMBER.sub(_rounded, text)


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
