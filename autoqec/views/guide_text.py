"""Says what is in a lab, and what comes next: the guide of six lines for a first run, and of a lab that has rounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from autoqec.counted_words import counted
from autoqec.views.console import err, plain
from autoqec.views.fitted_table import Column, print_table

_FIRST = (
    ("autoqec round", "one round: propose, train, score, verify"),
    ("autoqec log", "what came of it; then autoqec show RUN/1"),
    ("autoqec round --rounds 4", "more rounds, which build on it"),
    ("autoqec pareto", "VERIFIED rounds that no other one beats"),
    ("autoqec report -o lab.html", "all of it as a page, with pictures"),
    ("autoqec env new NAME --from FILE", "for your own circuit or matrices"),
)


@dataclass(frozen=True)
class LabSeen:
    """What a lab has when somebody comes to it.

    Attributes:
        folder: Its working tree.
        runs, rounds, verified: How many; `verified` of the rounds.
        latest: The latest round, `run/number`; empty without one.
        unfinished: How many rounds have not ended, and are not at work now.
        elsewhere: A remote with runs that are not here; empty if there is none.
        problem: Why its rounds cannot be read; empty if they can.
    """

    folder: Path
    runs: int = 0
    rounds: int = 0
    verified: int = 0
    latest: str = ""
    unfinished: int = 0
    elsewhere: str = ""
    problem: str = ""


def print_guide(seen: LabSeen) -> None:
    """Where the lab is, what it has, and six commands to go on with."""
    console = err()
    what = ", ".join(
        [counted(seen.runs, "run"), counted(seen.rounds, "round"), f"{seen.verified} of them VERIFIED"]
        if seen.rounds
        else []
    )
    head = f"lab at {seen.folder}" + (f": {what}" if what else "")
    console.print(plain(f"{head}; next:"), soft_wrap=True)
    rows = [(Text(command, style="bold"), words) for command, words in guide_rows(seen)]
    print_table(console, (Column(least=20, wraps=True), Column(least=20, wraps=True)), rows, headed=False, indent=2)


def guide_rows(seen: LabSeen) -> list[tuple[str, str]]:
    """Six commands, the most urgent first, each with what it is for."""
    first: list[tuple[str, str]] = []
    if seen.problem:
        first.append(("autoqec fsck", seen.problem))
    if seen.unfinished:
        were = "was" if seen.unfinished == 1 else "were"
        first.append(("autoqec resume", f"{counted(seen.unfinished, 'round')} {were} interrupted"))
    if seen.elsewhere:
        first.append((f"autoqec pull {seen.elsewhere}", "rounds that are not here yet"))
    if seen.latest:
        first += [("autoqec log", "all rounds"), (f"autoqec show {seen.latest}", "the latest one")]
    known = {command for command, _ in first}
    return [*first, *(row for row in _FIRST if row[0] not in known)][: len(_FIRST)]
