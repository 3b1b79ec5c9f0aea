"""Verifies a whole front: judges every member again on new shots, or decides close pairs head to head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from autoqec.errors import BudgetSpentError, NotFoundError
from autoqec.history import Ledger, Run, load_run, parse_round_name
from autoqec.loop.front_pairs import MOST_SHOTS, head_to_head
from autoqec.loop.judging import Asked, judge
from autoqec.loop.round_state import RoundState, read_state
from autoqec.loop.session import Session
from autoqec.results.head_to_head import DOMINATES, HeadToHead, pair_alpha
from autoqec.results.lab_front import Front
from autoqec.results.verdict import Rejudged

#: Opens a session of a run, with whatever shows its progress.
OpenSession = Callable[[Run], AbstractContextManager[Session]]


def refute(ledger: Ledger, front: Front, asked: Asked, open_session: OpenSession) -> Iterator[Rejudged]:
    """Judge each member of a front again.

    The best of many was also lucky; new shots do not share that luck. A member that is no longer VERIFIED leaves the front.

    Args:
        ledger: The lab.
        front: The front.
        asked: Options of the verifications.
        open_session: Opens the session of a member's run.
    """
    for member in front.members:
        run, number = parse_round_name(member.point.name)
        state, before = _state(ledger, member.point.name), member.point.delta_ler
        with open_session(load_run(ledger, run)) as session:
            try:
                yield Rejudged(run, number, before, judge(session, state, asked))
            except BudgetSpentError as error:
                yield Rejudged(run, number, before, fault=error.problem)


def decide_pairs(
    ledger: Ledger, fronts: Iterable[Front], max_shots: int | None, open_session: OpenSession
) -> Iterator[tuple[HeadToHead, str]]:
    """Decide the pairs of fronts of which one costs no more and may gain as much.

    Args:
        ledger: The lab.
        fronts: One for each environment.
        max_shots: Leave a pair undecided after this many shots.
        open_session: Opens the session of the costlier round's run.

    Yields:
        The result of each pair, and the name of its costlier round. Pairs with a member dominated in the meantime are skipped.
        So are those on recorded shots, of which there are no further ones.
    """
    for front in fronts:
        alpha, gone = pair_alpha(len(front.members)), set()
        for a, b in front.open_pairs:
            if a.name in gone or b.name in gone:
                continue
            first, second = _state(ledger, a.name), _state(ledger, b.name)
            with open_session(load_run(ledger, second.claim.run)) as session:
                if session.recording is not None:  # a pair is decided on shots that nobody has seen
                    continue
                found = head_to_head(session, ((a, first), (b, second)), alpha, max_shots=max_shots or MOST_SHOTS)
            gone |= {b.name} if found.word == DOMINATES else set()
            yield found, b.name


def _state(ledger: Ledger, name: str) -> RoundState:
    state = read_state(ledger, *parse_round_name(name))
    if state.weights is None:
        hint = "autoqec pull --artifacts, from a lab that has them"
        raise NotFoundError(f"round {name} is on the front but has no weights here", hint=hint)
    return state
