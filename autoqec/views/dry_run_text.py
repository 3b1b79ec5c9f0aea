"""Prints a dry run: prompt sizes, tokens, cost and time of the next round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from autoqec.counted_words import counted
from autoqec.phases import duration
from autoqec.results.round_plan import MeasuredRound
from autoqec.views.console import out, plain
from autoqec.views.fitted_table import Column, figures, print_table

if TYPE_CHECKING:
    from autoqec.printed_rows import PlanRow


#: What no measurement beforehand can say.
NOT_KNOWN = (
    "Not known: what another candidate takes, how long agents take to reply, when the test can stop, what a verifier checks after"
    " it, and what is compiled for the first time."
)


def money_text(cost: float | None) -> str:
    """US dollars, or that the cost is unknown."""
    return "price unknown" if cost is None else f"${cost:.4f}"


def print_plan(plan: PlanRow, measured: MeasuredRound | None, rounds: int) -> None:
    """A line for each role, then one for each part that was measured, then the sums and what is not known."""
    columns = (
        Column("role"),
        Column("agent", least=16, ends=True),
        figures("prompt tokens", leaves=1),
        figures("tokens at most", leaves=2),
        figures("cost at most"),
    )
    rows = []
    for call in plan["calls"]:
        words = call["prompt_tokens"] > 0
        asked = (f"{call['tokens']:,}", money_text(call["cost"])) if call["tokens"] else ("–", "–")
        rows.append((call["role"], call["agent"], f"{call['prompt_tokens']:,}" if words else "–", *asked))
    console = out()
    print_table(console, columns, rows)
    if measured is not None:
        parts = (Column("part"), Column("time"), Column("measured here, and limits", wraps=True, least=20))
        print_table(console, parts, [*part_rows(measured)])
        console.print(plain(f"Measured with {measured.candidate}. {NOT_KNOWN}"))
    cost = None if plan["cost"] is None else rounds * plan["cost"]
    console.print(
        plain(
            f"{counted(rounds, 'round')}: {rounds * plan['tokens']:,} tokens at most, {money_text(cost)},"
            f" {_time(plan, measured, rounds)}; no agent was called"
        )
    )


def part_rows(measured: MeasuredRound) -> Iterator[tuple[str, str, str]]:
    """Each part of a round: its name, its time, and what that rests on."""
    limit = f"limit {duration(measured.train_at_most)}"
    if not measured.train_shots:
        yield (
            "training",
            f"about {duration(measured.train_started)}",
            "the candidate is not trained, or its shots make no step",
        )
    elif measured.train is None or measured.train_per_second is None:
        yield "training", f"at most {duration(measured.train_at_most)}", f"it could not be measured; {limit}"
    else:
        speed = f"{measured.train_shots:,} shots at {measured.train_per_second:,.0f} shots/s{_start(measured.train_started)}"
        cut = "; cut to fit its limit" if measured.is_cut else ""
        yield "training", f"about {duration(measured.train)}", f"{speed}; {limit}{cut}"
    if measured.screen_shots:
        shots = f"{measured.screen_shots:,} shots, twice; only where it can save more than it takes"
        yield "screen", f"about {duration(measured.screen)}", shots
    alone = "; decoders alone, without the candidate" if measured.without_candidate else ""
    start = _start(measured.started)
    score = f"{measured.score_shots:,} shots at {measured.score_per_second:,.0f} shots/s{start}{alone}"
    yield "scoring", f"about {duration(measured.score)}", score
    limit = "" if measured.verify_at_most is None else f" or {duration(measured.verify_at_most)}"
    before = (
        "" if measured.verify_before is None else f"; earlier verifications took {duration(measured.verify_before)}"
    )
    test = f"at most {measured.verify_shots:,} shots{limit}, at {measured.judge_per_second:,.0f} shots/s{before}"
    yield "test", f"at most {duration(measured.test_at_most)}", test


def _start(seconds: float) -> str:
    return f", {duration(seconds)} to start" if seconds >= 0.1 else ""


def _time(plan: PlanRow, measured: MeasuredRound | None, rounds: int) -> str:
    seconds = plan["seconds"]
    if measured is None:
        return "time not measured" if seconds is None else f"about {duration(rounds * seconds)} as earlier rounds took"
    most = f"at most {duration(rounds * measured.at_most)} up to the end of the test"
    if seconds is not None:
        return f"about {duration(rounds * seconds)} as earlier rounds took, {most}"
    return f"about {duration(rounds * measured.without_verification)} without verification, {most}"
