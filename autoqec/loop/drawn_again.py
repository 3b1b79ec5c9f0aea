"""Draws the shots of a verdict again and compares what is counted with what is noted."""

from __future__ import annotations

from autoqec.errors import UsageError
from autoqec.loop.auditing import replay_differences, why_no_replay
from autoqec.loop.judging import judge
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.results.verdict import Verdict
from autoqec.scoring.survey import stim_build


def replay_faults(session: Session, state: RoundState, verdict: Verdict) -> list[str]:
    """The parts of a verdict that its shots, drawn again, do not give again.

    Args:
        session: Where.
        state: The round; it must have weights.
        verdict: One of its verdicts.

    Raises:
        UsageError: This machine cannot draw the same shots.
    """
    why = why_no_replay(verdict, stim_build())
    if why is not None:
        hint = "audit it without --replay, or judge it again on new shots: autoqec verify ROUND"
        raise UsageError(f"the verdict's shots cannot be drawn again here: {why}", hint=hint)
    again = judge(session, state, replay=verdict)
    return [f"{part}: a replay of the shots did not give it again" for part in replay_differences(verdict, again)]
