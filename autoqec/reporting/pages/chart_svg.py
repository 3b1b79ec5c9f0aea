"""Matplotlib's SVG inside a page: one set of names for all charts, styles as classes, and colours for light and dark paper.

A page's Content-Security-Policy forbids `style` attributes, and two charts in one page must not share an id. So each chart is
read as XML, only elements and attributes that draw are kept, and it is written again. What a chart says is text all the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

from markupsafe import Markup

from autoqec.reporting.charts.marked_svg import rounded_numbers
from autoqec.reporting.pages.page_colours import LIGHT, on_dark, opacity_on_dark
from autoqec.reporting.pages.page_writer import shown

SVG = "http://www.w3.org/2000/svg"
#: The attribute of a mark that says which round it is about.
ROUND = "data-round"

#: More marks than that, and each would make a page larger by its words.
MOST_TITLES = 600

_XLINK = "{http://www.w3.org/1999/xlink}href"

#: What a chart consists of. Anything else of an SVG, such as a script, an image or a link, is not for a page.
_ELEMENTS = frozenset(
    ("svg", "g", "defs", "clipPath", "path", "use", "text", "tspan", "title", "rect", "line", "circle", "polyline", "polygon")
)  # fmt: skip
_ATTRIBUTES = frozenset(
    ("id", "class", "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "points", "transform", "viewBox",
     ROUND, "clip-path", "style", "fill", "stroke")
)  # fmt: skip

#: Declarations of matplotlib's `style` attributes that a page keeps; `font` is taken apart.
_DECLARED = frozenset(
    ("fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-dashoffset", "opacity",
     "stroke-linecap", "stroke-linejoin", "text-anchor", "font-size", "font-weight", "font-style")
)  # fmt: skip
_VALUE = re.compile(r"[-+.,#%\w ]+")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_FONT = re.compile(r"(?:(?P<style>italic|oblique) )?(?:(?P<weight>bold|\d{3}) )?(?P<size>[\d.]+px) .*")
_BOX = re.compile(r"0 0 (\d+(?:\.\d+)?) \d+(?:\.\d+)?")
_URL = re.compile(r"url\(#([\w.:-]+)\)")
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Pixels of a point, and how far a chart is shrunk and stretched to the width of its place.
_PIXELS, _NARROWEST, _WIDEST = 96 / 72, 0.8, 1.35


class ChartSheet:
    """The charts of one page, and the rules of style that they share."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}

    def inline(self, svg: str, prefix: str, titles: Mapping[str, str] | None = None) -> Markup:
        """A chart as an element of a page.

        In a chart with many marks, those that are about a round lose their titles: script takes the words from the round's row.

        Args:
            svg: What matplotlib wrote, in the style of `line_styles.plot_style`.
            prefix: What all ids of the chart begin with, such as `front-1-`; another one for each chart.
            titles: What to say of a part of the chart, by the part's id; each becomes the part's title.

        Raises:
            ValueError: The SVG has what no chart has.
        """
        svg = _NOT_XML.sub(lambda match: shown(match[0]), svg)  # matplotlib writes what names have
        root = ElementTree.fromstring(svg)  # noqa: S314 - matplotlib wrote it
        if sum(1 for _ in root.iter(f"{{{SVG}}}title")) > MOST_TITLES:
            _untitle(root)
        drawn = self._copied(root, prefix, titles or {})
        for name in ("width", "height", "id"):
            drawn.attrib.pop(name, None)
        drawn.set("class", self._width_class(drawn.get("viewBox", "")))
        drawn.set("aria-hidden", "true")
        drawn.set("focusable", "false")
        return Markup(ElementTree.tostring(drawn, encoding="unicode"))  # noqa: S704 - written from elements and text

    @property
    def css(self) -> str:
        """The rules of all charts so far: on light paper, then what differs on dark paper."""
        light = [f".{name}{{{rule}}}" for rule, name in self._classes.items()]
        dark = [
            f".{name}{{{turned}}}" for rule, name in self._classes.items() if (turned := ";".join(_dark_parts(rule)))
        ]
        if not light:
            return ""
        return "\n".join([*light, "@media screen and (prefers-color-scheme:dark){", *dark, "}", ""])

    def _copied(self, element: ElementTree.Element, prefix: str, titles: Mapping[str, str]) -> ElementTree.Element:
        name = element.tag.removeprefix(f"{{{SVG}}}")
        if name not in _ELEMENTS:
            raise ValueError(f"a chart has no element {name}")
        copied = ElementTree.Element(name, dict(self._attributes(element, prefix)))
        copied.text = shown(element.text) if name in ("text", "tspan", "title") else None
        said = titles.get(element.get("id", ""))
        if said is not None:
            ElementTree.SubElement(copied, "title").text = shown(said)
        for child in element:
            if not _dropped(child):
                part = self._copied(child, prefix, titles)
                part.tail = child.tail if name in ("text", "tspan") else None
                copied.append(part)
        return copied

    def _attributes(self, element: ElementTree.Element, prefix: str) -> Iterator[tuple[str, str]]:
        for name, value in element.attrib.items():
            if name in (_XLINK, "href"):
                if not value.startswith("#"):
                    raise ValueError(f"a chart links to nothing outside: {value[:80]}")
                yield "href", f"#{prefix}{value[1:]}"
            elif name == "id":
                yield "id", prefix + value
            elif name == "clip-path":
                yield name, _URL.sub(rf"url(#{prefix}\1)", value)
            elif name == "style":
                found = self._class_of(value)
                if found:
                    yield "class", found
            elif name in _ATTRIBUTES:
                yield name, rounded_numbers(" ".join(value.split()))

    def _width_class(self, box: str) -> str:
        """A class that keeps the chart between two widths, so that its letters can be read and are not huge."""
        match = _BOX.fullmatch(box)
        if match is None:
            raise ValueError(f"a chart has a viewBox, and not {box[:80]!r}")
        natural = float(match[1]) * _PIXELS
        return self._class_of_rule(f"min-width:{_NARROWEST * natural:.0f}px;max-width:{_WIDEST * natural:.0f}px")

    def _class_of(self, style: str) -> str:
        rule = ";".join(_declarations(style))
        return self._class_of_rule(rule) if rule else ""

    def _class_of_rule(self, rule: str) -> str:
        return self._classes.setdefault(rule, f"k{len(self._classes)}")


def _untitle(root: ElementTree.Element) -> None:
    for mark in root.iter():
        for title in mark.findall(f"{{{SVG}}}title") if mark.get(ROUND) else ():
            mark.remove(title)


def _dropped(element: ElementTree.Element) -> bool:
    """Metadata, and matplotlib's own rule, which `page.css` has for all charts."""
    return element.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style")


def _declarations(style: str) -> Iterator[str]:
    for part in style.split(";"):
        name, _, value = (each.strip() for each in part.partition(":"))
        match = _FONT.fullmatch(value) if name == "font" else None
        if match is not None:
            yield f"font-size:{match['size']}"
            yield from (f"font-{each}:{match[each]}" for each in ("style", "weight") if match[each])
        elif name in _DECLARED and _VALUE.fullmatch(value):
            yield f"{name}:{value.lower()}"


def _dark_parts(rule: str) -> Iterator[str]:
    for part in rule.split(";"):
        name, _, value = part.partition(":")
        if _COLOUR.fullmatch(value):
            yield f"{name}:{'var(--paper)' if value == LIGHT else on_dark(value)}"
        elif name.endswith("opacity"):
            yield f"{name}:{opacity_on_dark(float(value)):.2f}"
