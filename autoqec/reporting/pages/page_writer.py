"""Pages from templates: everything is escaped, and the page's own policy lets nothing run but the one script of ours.

A page is one file. What agents, notes, environments and plugins say in it is text: the templates escape every value, control and
bidirectional characters are shown as their codes, and the Content-Security-Policy names the hash of the script and of the style,
so that a browser refuses any other, and every address.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autoqec.reporting.page_blocks import flat
from autoqec.views.console import visible

_PACKAGE = "autoqec.reporting"

#: What a page may load: nothing but what it names by hash, and its own empty icon.
_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


def render(template: str, **values: Any) -> Markup:
    """A template of `autoqec/reporting/templates/` with these values, each of which is escaped."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - the template escapes all values


def render_page(template: str, *, css: str = "", **values: Any) -> str:
    """A whole page, whose template extends `base.html`.

    Args:
        template: Its name.
        css: Rules of style of the page's charts; see `ChartSheet.css`.
        values: What the template names.
    """
    style, script = _own_text("page.css") + css, _own_text("page.js")
    policy = f"{_POLICY}; script-src {_hash(script)}; style-src {_hash(style)}"
    return str(render(template, policy=policy, style=Markup(style), script=Markup(script), **values))  # noqa: S704 - our own


def shown(value: Any) -> Any:
    """A value as a page shows it: text whose control and bidirectional characters are their codes."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return visible(value)
    return value


def mark(line: str) -> str:
    """What a line of a diff is: `added`, `removed`, `place` or nothing."""
    if line.startswith(("+++", "---", "@@")):
        return "place"
    return {"+": "added", "-": "removed"}.get(line[:1], "")


def href(target: str) -> str:
    """The target of a link in a page: a section of it.

    Raises:
        ValueError: It leads elsewhere.
    """
    if not target.startswith("#"):
        raise ValueError(f"a page links to its own sections, and not to {target[:80]!r}")
    return target


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"flat": flat, "href": href, "kind": lambda part: type(part).__name__, "mark": mark}
    return environment


def _own_text(name: str) -> str:
    return (files(_PACKAGE) / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls an element with this text."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
