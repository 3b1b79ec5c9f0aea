"""Draws the log as a graph, like `git log --graph`: newest first, with forks and merges.

`*` is a round with a commit, `o` one that started from the baseline, `x` one that ended without a commit, such as a
composition with conflicts. The lines below lead to the rounds it started from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.text import Text

from autoqec.results.best_so_far import BestSoFar
from autoqec.views.console import out, plain
from autoqec.views.fitted_table import cut
from autoqec.views.outcome_words import outcome_text
from autoqec.views.round_json import RoundRow
from autoqec.views.tables import any_gated, best_lines, best_mark, count_text, gain_text, sent_text

_NAME = re.compile("(?:exp/)?([a-z0-9][a-z0-9-]{0,39})/([1-9][0-9]{0,8})")
_LEAST_VERDICT = 14  # columns, to which verdicts with their reasons are cut
_LEAST_WORDS = 30  # columns; with less room than this, the text gets a line of its own


@dataclass(frozen=True)
class Row:
    """One line of the drawing.

    Attributes:
        edges: The lines and marks at its left.
        node: The round on this line, or None between rounds.
        below: The lines below the round, for a second line of text.
    """

    edges: str
    node: int | None = None
    below: str = ""


def draw(parents: Mapping[int, Sequence[int]], marks: Mapping[int, str]) -> Iterator[Row]:
    """Draw rounds and what they started from.

    Args:
        parents: The rounds that each started from; only rounds that are keys themselves, each with a smaller number.
        marks: One character for each round.
    """
    lanes: list[int] = []  # the round that each line leads down to, from left to right
    for node in sorted(parents, reverse=True):
        if node not in lanes:
            lanes.append(node)
        place = lanes.index(node)
        while lanes.count(node) > 1:
            last = len(lanes) - 1 - lanes[::-1].index(node)
            across = "".join("|_" if place <= lane < last - 1 else "| " for lane in range(last))[:-1]
            yield Row(across + "/" + " /" * (len(lanes) - 1 - last))
            del lanes[last]
        starts = [*dict.fromkeys(parents[node])]
        edges, below = (["|"] * len(lanes) for _ in range(2))
        edges[place], below[place] = marks[node], "|" if starts else " "
        yield Row(" ".join(edges), node, " ".join(below))
        if not starts:
            del lanes[place]
            if place < len(lanes):
                yield Row("| " * place + " " + " ".join("/" * (len(lanes) - place)))
            continue
        lanes[place] = starts[0]
        for left, other in enumerate(starts[1:], place):
            yield Row(" ".join("|" * (left + 1)) + "\\" + " \\" * (len(lanes) - 1 - left))
            lanes.insert(left + 1, other)


def print_graph(items: Sequence[RoundRow], ends: Sequence[tuple[str, BestSoFar]] = (), *, none: str = "") -> None:
    """Every run as a graph, with verdict, gain, cost and hypothesis of each round.

    Args:
        items: Rounds, run by run. What a round started from is drawn if it is among them, else said.
        ends: The best round of each environment, which is said below.
        none: What to say if there are no rounds.
    """
    console = out()
    if not items:
        console.print(plain(none))
    for run, group in groupby(items, key=lambda item: item.run):
        rounds = {item.round: item for item in group}
        env = next((item.env for item in rounds.values() if item.env), "")
        console.print(Text(run, style="bold") + plain(f"  {env}"))
        for line in _lines(run, rounds, console.width):
            console.print(line, no_wrap=True, overflow="ignore", crop=False)
    for said in best_lines(ends, items):
        console.print(plain(said))


def _lines(run: str, rounds: Mapping[int, RoundRow], width: int) -> Iterator[Text]:
    parents, elsewhere = {}, {}
    for number, item in rounds.items():
        names = [(_NAME.fullmatch(name), name) for name in item.fork_from]
        inside = [int(m[2]) if m and m[1] == run else 0 for m, _ in names]
        drawn = [parent in rounds and parent < number for parent in inside]
        parents[number] = [parent for parent, known in zip(inside, drawn, strict=True) if known]
        elsewhere[number] = [_short(m, name, run) for (m, name), known in zip(names, drawn, strict=True) if not known]
    marks = {n: "x" if item.commit is None else "*" if item.fork_from else "o" for n, item in rounds.items()}
    rows = list(draw(parents, marks))
    gated = any_gated(rounds.values())
    cells = {number: _cells(item, gated) for number, item in rounds.items()}
    widths = {name: max(cell[name].cell_len for cell in cells.values()) for name in next(iter(cells.values()))}
    indent = max(len(row.edges) for row in rows if row.node is not None)
    for name in _GIVES_WAY:
        if indent + sum(widths.values()) + 2 * len(widths) <= width:
            break
        widths.pop(name, None)
    over = indent + sum(widths.values()) + 2 * len(widths) - width
    widths["verdict"] = min(widths["verdict"], max(widths["verdict"] - over, _LEAST_VERDICT))
    room = width - indent - sum(widths.values()) - 2 * (len(widths) + 1)
    for row in rows:
        if row.node is None:
            yield Text(row.edges)
            continue
        words = _words(rounds[row.node], elsewhere[row.node])
        line = Text(row.edges.ljust(indent))
        for name, wide in widths.items():
            cell = cut(cells[row.node][name], wide)
            gap = " " * (wide - cell.cell_len)
            line += Text("  ") + (cell + Text(gap) if name == "verdict" else Text(gap) + cell)
        if room >= _LEAST_WORDS:
            yield line + Text("  ") + cut(words, room)
        else:
            yield line
            yield Text(row.below.ljust(indent) + "  ") + cut(words, max(width - indent - 2, 8))


#: Cells that may give way, the first to go first.
_GIVES_WAY = ("params", "sent", "FLOPs")


def _cells(item: RoundRow, gated: bool) -> dict[str, Text]:
    costs = item.costs
    return {
        "#": Text(str(item.round)),
        "verdict": outcome_text(item) + best_mark(item),
        "gain": Text(gain_text(item.best)),
        "FLOPs": Text(count_text(costs.flops_per_shot if costs else None)),
        **({"sent": Text(sent_text(item))} if gated else {}),
        "params": Text(count_text(costs.params if costs else None)),
    }


def _words(item: RoundRow, elsewhere: Sequence[str]) -> Text:
    origin = f"from {' + '.join(elsewhere)}: " if elsewhere else ""
    reason = item.reason if item.status != "ok" else None
    text = " – ".join(part for part in (reason, item.hypothesis) if part)
    return plain(" ".join(f"{origin}{text}".split()))


def _short(match: re.Match[str] | None, name: str, run: str) -> str:
    if match is None:
        return name[:10]
    return match[2] if match[1] == run else f"{match[1]}/{match[2]}"
