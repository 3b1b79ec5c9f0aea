"""Successive halving: several ideas end at their screens, and the better half of them train on (Jamieson and Talwalkar 2016).

With the option `bracket`, K rounds in a row ask for the screen alone. Then forks of the better half of them, by the ratio to
plain decoding at the screen, train on from those weights. Brackets are read from the history and from the open rounds, so an
interrupted run goes on where it was. A bracket of which a round is open has no better half yet.

With or without it, `search` trains a round on that its screen ended if it was better there than half of the rounds that passed
theirs: its rival was good, rather than it bad (Li et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.context_parts import HypothesisMessage
from autoqec.candidate_paths import TRAINING_FILE

from .affording import allowed
from .normal_form import normal_form
from .relations import fork_reply
from .space import Parsed, code_of, known_rounds, parse, was_tried

#: The most rounds of a bracket.
MOST = 16


def in_bracket(size: int, ideate: Callable[[Context], HypothesisMessage], context: Context) -> HypothesisMessage:
    """Return what an ideator proposes, as a part of a bracket.

    Args:
        size: Rounds of a bracket; 1 for none.
        ideate: The ideator.
        context: As for the ideator.
    """
    if size <= 1:
        return ideate(context)
    at_work = {past.name for past in context.open_rounds if past.screen == "only"}
    screened = [
        past
        for past in known_rounds(context)
        if _is_own(past, context) and (past.name in at_work or _ended_at_its_wish(past))
    ]
    whole = len(screened) // size * size
    for first in range(0, whole, size):
        bracket = screened[first : first + size]
        if any(past.name in at_work for past in bracket):
            continue
        for winner in sorted(bracket, key=_ratio)[: size // 2]:
            reply = trained_on(winner, context, f"it was among the better half of {size} rounds at their screens")
            if reply is not None:
                return reply
    message = ideate(context)
    if message.get("compose", "none") != "none" or "screen" in message:
        return message
    return {**message, "screen": "only"}


def worth_training_on(context: Context) -> HypothesisMessage | None:
    """Return the fork that trains on the best round that its screen ended, if half of those that passed were no better there."""
    rates = {past.name: (past, rate) for past in _own(context) if (rate := _rate_at_screen(past)) is not None}
    passed = [rate for past, rate in rates.values() if past.status == "ok"]
    out = sorted((each for each in rates.values() if each[0].status != "ok"), key=lambda each: each[1])
    for past, rate in out:
        if not passed or rate >= median(passed):
            return None
        why = "it was better at its screen than half of the rounds that passed theirs"
        reply = trained_on(past, context, why)
        if reply is not None:
            return reply
    return None


def trained_on(past: PastRound, context: Context, why: str) -> HypothesisMessage | None:
    """Return the fork that trains a round on from its screen; None if there was one, or it does not fit limits and time."""
    rung = past.metrics.rung if past.metrics else None
    if rung is None or any(
        each.fork_from == (past.name,) and _trains_on(each, past, context)
        for each in known_rounds(context)
        if _is_own(each, context)
    ):
        return None
    parsed: Parsed = parse(past.files)
    whole = normal_form(parsed, context)[TRAINING_FILE]
    left = max(int(whole["batch_size"]), rung.planned - rung.shots)
    changed = {"init": "parents", "shots": left, "epochs": 1}
    if whole["curriculum"] > 1:
        changed["curriculum"] = 1.0  # it has met more noise before
    parsed[TRAINING_FILE] = {**parsed.get(TRAINING_FILE, {}), **changed}
    if was_tried(parsed, code_of(past.files), context) or not allowed(parsed, context):
        return None
    reply = fork_reply(past, parsed, [f"training goes on from its screen, {left:,} shots"], f"{why}.")
    return {**reply, "screen": "auto"}  # also within a bracket: it is no new idea


def _trains_on(child: PastRound, parent: PastRound, context: Context) -> bool:
    """Tell whether a round has the files of its parent, but for how long it is trained."""
    mine, theirs = (
        {path: fields for path, fields in normal_form(parse(past.files), context).items() if path != TRAINING_FILE}
        for past in (child, parent)
    )
    return mine == theirs


def _own(context: Context) -> Sequence[PastRound]:
    return [past for past in context.history if _is_own(past, context)]


def _ended_at_its_wish(past: PastRound) -> bool:
    """Tell whether a round ended at its screen because its hypothesis asked for that."""
    return past.metrics is not None and past.metrics.rung is not None and past.metrics.rung.alone


def _is_own(past: PastRound, context: Context) -> bool:
    return past.name.startswith(f"{context.run}/") and bool(past.files)


def _ratio(past: PastRound) -> tuple[float, int]:
    """Return the ratio to plain decoding at the screen, and the number of the round."""
    ratio = past.metrics.figures.ler_ratio if past.metrics else None
    return (float("inf") if ratio is None else ratio), int(past.name.split("/")[1])


def _rate_at_screen(past: PastRound) -> float | None:
    """Return how often a round failed at its screen; None if it was not screened against another one."""
    rung = past.metrics.rung if past.metrics else None
    return rung.counts.ler_candidate if rung is not None and rung.counts is not None else None
