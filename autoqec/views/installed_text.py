"""Prints plugins, environments and settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from autoqec.views.console import out, plain, say

if TYPE_CHECKING:
    from autoqec.printed_rows import BrokenRow, CheckRow, PluginRow

#: Capabilities that other commands use, which say nothing to a reader of the list.
_ADVICE = ("needs", "pip_options", "example", "files")


def grid(*headers: str) -> Table:
    """A table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def print_plugins(items: Sequence[PluginRow | BrokenRow]) -> None:
    """Registered names by kind, then broken plugins and how to continue without them."""
    table = grid("kind", "name", "plugin", "distribution", "")
    for item in items:
        if "error" in item:
            continue
        facts = ", ".join(
            f"{key}: {value}" for key, value in sorted(item["capabilities"].items()) if key not in _ADVICE
        )
        if item.get("install"):
            facts = f"not installed: {item['install']}"
        cells = item["kind"], item["name"], item["plugin"], item["distribution"]
        table.add_row(*map(plain, cells), plain(facts))
    console = out()
    console.print(table)
    for item in items:
        if "error" in item:
            console.print(
                Text("broken: ", style="bold red")
                + plain(f"{item['plugin']} ({item['distribution']}): {item['error']}")
            )
            if item["file"]:
                console.print(plain(f"  at {item['file']}, line {item['line']}"))
            console.print(plain(f"  continue without it: pip uninstall {item['distribution'].split()[0]}"))


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
        near = os.path.relpath(folder)
        console.print_whole(Text("in ") + plain(folder if near.startswith("..") else near))
        table = grid("name", "story")
        for item in group:
            table.add_row(plain(item["name"]), plain(item["story"]))
        console.print(table)


def print_facts(items: Mapping[str, object]) -> None:
    """Facts, one a line."""
    table = grid("", "")
    table.show_header = False
    for key, value in items.items():
        table.add_row(Text(key, style="bold"), plain(str(value)))
    out().print(table)
