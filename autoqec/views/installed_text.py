"""Prints plugins, environments and settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from autoqec.views.console import out, plain, say, visible
from autoqec.views.fitted_console import bound
from autoqec.views.fitted_table import Column, print_table
from autoqec.views.shown_paths import shown_path

if TYPE_CHECKING:
    from autoqec.printed_rows import BrokenRow, CheckRow, PluginRow

#: The roles of an agent whose plugin does not name any: `autoqec.agents.ROLES`.
EVERY_ROLE = ("ideator", "coder", "analyst")

#: What a decoder's capabilities say of it, in words; `{}` is the value. The other capabilities are for other commands.
_DECODER_WORDS: Mapping[str, str] = {
    "takes_beliefs": "takes beliefs",
    "near_ml": "near maximum likelihood",
    "slow": "slow",
    "confidence": "confidence: {}",
    "explains": "names mechanisms",
    "solutions": "gives solutions",
}


def print_plugins(items: Sequence[PluginRow | BrokenRow]) -> None:
    """Registered names by kind, then broken plugins and how to continue without them."""
    registered = [item for item in items if "error" not in item]
    console = out()
    if all(item["kind"] == "plugin" for item in registered):  # metadata: they say where code is, and not what it does
        columns: tuple[Column, ...] = Column("plugin", least=12, ends=True), Column("distribution", leaves=1)
        print_table(console, columns, [(item["name"], item["distribution"]) for item in registered])
    else:
        columns = (
            Column("kind"),
            Column("name", least=16, ends=True),
            Column("what it does", leaves=3, least=24, wraps=True),
            Column("plugin", leaves=2),
            Column("distribution", leaves=1),
        )
        names = [(item["kind"], item["name"], plugin_words(item)) for item in registered]
        owners = [(item["plugin"], item["distribution"]) for item in registered]
        print_table(console, columns, [(*name, *owner) for name, owner in zip(names, owners, strict=True)])
    for item in items:
        if "error" in item:
            console.print(
                Text("broken: ", style="bold red")
                + plain(f"{item['plugin']} ({item['distribution']}): {item['error']}")
            )
            if item["file"]:
                console.print(plain(f"  at {item['file']}, line {item['line']}"))
            console.print(plain(f"  continue without it: pip uninstall {item['distribution'].split()[0]}"))


def plugin_words(item: PluginRow) -> str:
    """What the capabilities of a registered name say, in words."""
    if item.get("install"):
        return f"not installed: {item['install']}"
    found = item["capabilities"]
    if item["kind"] == "agent":
        roles = found.get("roles") or EVERY_ROLE
        played = "any role" if set(roles) == set(EVERY_ROLE) else ", ".join(roles)
        return f"{played}; needs {found['requires']}" if found.get("requires") else played
    if item["kind"] == "decoder":
        said = [words.format(found[name]) for name, words in _DECODER_WORDS.items() if found.get(name)]
        return "; ".join(said) if found.get("takes_beliefs") else "; ".join(["takes no beliefs", *said])
    return ""


def print_checks(items: Iterable[CheckRow]) -> None:
    """Results of plugin checks, a line each as soon as it is known, then the number of each result."""
    counts: dict[str, int] = {}
    console = out()
    for item in items:
        result = str(item["result"])
        counts[result] = counts.get(result, 0) + 1
        style = {"failed": "bold red", "passed": "green"}.get(result, "yellow")
        owner = "" if item["kind"] == "plugin" else f", plugin {item['plugin']}"
        line = Text(f"{result:<8} ", style=style) + plain(
            f"{item['kind']} {item['name']} ({item['distribution']}{owner})"
        )
        if item["reason"]:
            line += plain(f": {item['reason']}")
        console.print(line, soft_wrap=True)
        if item["file"]:
            console.print(plain(f"         at {item['file']}, line {item['line']}"), soft_wrap=True)
    console.print(", ".join(f"{count} {result}" for result, count in counts.items()))


def print_new_plugin(written: Sequence[str]) -> None:
    """The files of a new plugin, and the next step; the first file is in the plugin's folder."""
    console = out()
    for path in written:
        console.print(plain(path), soft_wrap=True)
    folder = os.path.dirname(written[0])
    say(f"next: pip install -e '{folder}[test]', then pytest {folder}")


def print_environments(items: Sequence[Mapping[str, str]]) -> None:
    """Environments with their stories, below the folder that holds them, which stays whole."""
    console = out()
    for folder, group in groupby(items, key=lambda item: os.path.dirname(item["where"])):
        console.print_whole(Text("in ") + plain(shown_path(folder)))
        columns = Column("name", least=12, ends=True), Column("story", least=20, wraps=True)
        print_table(console, columns, [(item["name"], item["story"]) for item in group])


def print_facts(items: Mapping[str, object]) -> None:
    """Facts, one a line, each below its own beginning where it takes more; a list keeps each of its parts whole."""
    rows = [(Text(key, style="bold"), _fact(value)) for key, value in items.items()]
    print_table(out(), (Column(), Column(least=20, wraps=True)), rows, headed=False)


def _fact(value: object) -> Text:
    if isinstance(value, tuple | list):
        return Text(", ".join(bound(visible(str(each))) for each in value))
    return plain(str(value))
