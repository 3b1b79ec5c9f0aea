"""Runs several rounds in a row, until all are done, a budget is spent, or too many in a row bring no result."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from autoqec.agents.past_rounds import past_rounds
from autoqec.errors import BudgetSpentError
from autoqec.history import RoundRecord
from autoqec.loop.one_round import run_round
from autoqec.loop.session import Session
from autoqec.results.rungs import SCREENED_OUT
from autoqec.results.verdict import parse_verdict


def run_rounds(
    session: Session, rounds: int, finished: Callable[[RoundRecord], None]
) -> tuple[list[RoundRecord], bool]:
    """Run rounds of a session's run.

    Args:
        session: Where; its settings hold `patience`.
        rounds: How many at most.
        finished: Called with each round.

    Returns:
        The rounds, and whether it stopped because `patience` of them in a row came to nothing. Rounds that their screen ended
        are short, and do not count.

    Raises:
        BudgetSpentError: A budget is spent; the rounds so far are in git, and one may be open.
        AgentUnavailable: An agent cannot be asked; its round is open.
    """
    patience, vain = session.settings["patience"], 0
    records: list[RoundRecord] = []
    for left in range(rounds, 0, -1):
        session.rounds_left = left
        require_a_rounds_time(session)
        records.append(run_round(session))
        finished(records[-1])
        vain = 0 if came_to_something(records[-1]) else vain + (records[-1].status != SCREENED_OUT)
        if patience and vain >= patience and left > 1:
            return records, True
    return records, False


def came_to_something(record: RoundRecord) -> bool:
    """Whether a round got a verdict and passed it."""
    verdict = parse_verdict(record.verdict).record
    return verdict is not None and verdict.verified


def seconds_of_a_round(session: Session) -> float | None:
    """Median duration of this run's complete rounds; None before there is one."""
    past = past_rounds(session.records(), lambda commit: {})
    taken = [each.seconds for each in past if each.seconds is not None and each.status == "ok"]
    return median(taken) if taken else None


def require_a_rounds_time(session: Session) -> None:
    """Refuse to begin a round that would take longer than what is left of the time.

    Raises:
        BudgetSpentError: The run's rounds take longer, or no time is left.
    """
    session.require_time()
    if session.deadline is None:
        return
    left, expected = session.deadline - time.monotonic(), seconds_of_a_round(session)
    if expected is not None and left < expected:
        raise BudgetSpentError(
            f"{left:.0f} of the {session.settings['max_wall']:g} seconds of max_wall are left, and a round takes about"
            f" {expected:.0f}",
            hint=f"autoqec round --run {session.run.name} --max-wall SECONDS",
        )
