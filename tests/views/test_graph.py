"""The graph, line by line: whoever reads `git log --graph` reads this."""

import pytest

from autoqec.testing import figures
from autoqec.views.log_graph import draw, print_graph
from autoqec.views.round_json import RoundRow

FIGURES = figures()


def rows(**parents):
    known = {int(name[1:]): given for name, given in parents.items()}
    return [row.edges for row in draw(known, {n: "*" if given else "o" for n, given in known.items()})]


GRAPHS = {
    "linear": ({"r1": [], "r2": [1], "r3": [2]}, ["*", "*", "o"]),
    "roots": ({"r1": [], "r2": [], "r3": []}, ["o", "o", "o"]),
    "fork": ({"r1": [], "r2": [1], "r3": [1]}, ["*", "| *", "|/", "o"]),
    "three from one": ({"r1": [], "r2": [1], "r3": [1], "r4": [1]}, ["*", "| *", "| | *", "|_|/", "|/", "o"]),
    "merge": ({"r1": [], "r2": [], "r3": [1, 2]}, ["*", "|\\", "| o", "o"]),
    "fork and merge": ({"r1": [], "r2": [1], "r3": [1], "r4": [2, 3]}, ["*", "|\\", "| *", "* |", "|/", "o"]),
    "octopus": ({"r1": [], "r2": [], "r3": [], "r4": [1, 2, 3]}, ["*", "|\\", "| |\\", "| | o", "| o", "o"]),
    "a line ends in the middle": (
        {"r1": [], "r2": [], "r3": [1, 2], "r4": [1], "r5": [3, 4]},
        ["*", "|\\", "| *", "* |", "|\\ \\", "| o |", "|  /", "|/", "o"],
    ),
    "the leftmost line ends": ({"r1": [], "r2": [], "r3": [1], "r4": [2]}, ["*", "| *", "o |", " /", "o"]),
    "the same parent twice": ({"r1": [], "r2": [1, 1]}, ["*", "o"]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_edges(name):
    parents, drawn = GRAPHS[name]
    assert rows(**parents) == drawn


def item(number, *fork_from, **changes):
    base = {
        "run": "tiny-abcd", "round": number, "branch": f"exp/tiny-abcd/{number}", "commit": "c" * 40, "env": "tiny",
        "status": "ok", "reason": None, "verdict": "VERIFIED", "metrics": FIGURES, "references": {}, "holdout": FIGURES,
        "hypothesis": f"the idea of round {number}, in so many words that they need a line of their own",
        "fork_from": list(fork_from), "compose": "none", "dominates": [],
    }  # fmt: skip
    told = base | changes
    return RoundRow.from_json(told)


CONFLICT = {
    "commit": None, "status": "compose_conflict", "verdict": None, "metrics": None, "holdout": None, "env": None,
    "reason": "the parents disagree on output.yaml (mode)", "hypothesis": "both",
}  # fmt: skip
ITEMS = [
    item(1),
    item(2, "tiny-abcd/1", verdict="FAILED"),
    item(3, "tiny-abcd/1"),
    item(4, "tiny-abcd/2", "exp/tiny-abcd/3", **CONFLICT),
    item(5, "tiny-abcd/2", "tiny-abcd/3"),
    item(1, "tiny-abcd/5", run="other-abcd", hypothesis="elsewhere"),
]

WIDE = """\
tiny-abcd  tiny
*      5  VERIFIED          +4.15 [+3.40, +4.90]  2.1M  969  the idea of round 5, in so many words that they need a lin…
|\\
| | x  4  compose_conflict                     –     –    –  the parents disagree on output.yaml (mode) – both
| | |\\
| |_|/
| * |  3  VERIFIED          +4.15 [+3.40, +4.90]  2.1M  969  the idea of round 3, in so many words that they need a lin…
|_|/
* |    2  FAILED            +4.15 [+3.40, +4.90]  2.1M  969  the idea of round 2, in so many words that they need a lin…
|/
o      1  VERIFIED          +4.15 [+3.40, +4.90]  2.1M  969  the idea of round 1, in so many words that they need a lin…
other-abcd  tiny
*  1  VERIFIED  +4.15 [+3.40, +4.90]  2.1M  969  from tiny-abcd/5: elsewhere
"""
NARROW = """\
tiny-abcd  tiny
*      5  VERIFIED          +4.15 [+3.40, +4.90]  2.1M  969
|      the idea of round 5, in so many words that they need a line of their own
|\\
| | x  4  compose_conflict                     –     –    –
| | |  the parents disagree on output.yaml (mode) – both
| | |\\
| |_|/
| * |  3  VERIFIED          +4.15 [+3.40, +4.90]  2.1M  969
| | |  the idea of round 3, in so many words that they need a line of their own
|_|/
* |    2  FAILED            +4.15 [+3.40, +4.90]  2.1M  969
| |    the idea of round 2, in so many words that they need a line of their own
|/
o      1  VERIFIED          +4.15 [+3.40, +4.90]  2.1M  969
       the idea of round 1, in so many words that they need a line of their own
other-abcd  tiny
*  1  VERIFIED  +4.15 [+3.40, +4.90]  2.1M  969  from tiny-abcd/5: elsewhere
"""


def shown(items, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_graph(items)
    return "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(("width", "picture"), [(120, WIDE), (80, NARROW)])
def test_forks_a_merge_a_conflict_and_a_second_run(width, picture, monkeypatch, capsys):
    assert shown(ITEMS, width, monkeypatch, capsys) == picture


def test_what_is_filtered_away_is_said(monkeypatch, capsys):
    assert "from 2 + 3: the idea of round 5" in shown([ITEMS[0], ITEMS[4]], 120, monkeypatch, capsys)
    unknown = item(2, "d" * 40, hypothesis="x")
    assert "from dddddddddd: x" in shown([item(1), unknown], 120, monkeypatch, capsys)


def test_words_of_others_do_not_drive_the_terminal_nor_break_the_drawing(monkeypatch, capsys):
    out = shown([item(1, hypothesis="\x1b[2J[red]\nx[/red]")], 120, monkeypatch, capsys)
    assert out.endswith("\\x1b[2J[red] x[/red]\n")


def test_no_rounds(capsys):
    print_graph([], none="No rounds yet.")
    assert capsys.readouterr().out == "No rounds yet.\n"
