"""Runs head-to-heads: scores two rounds on one new stream of shots until one is shown to gain more, and notes the result."""

from __future__ import annotations

import os
from dataclasses import replace

from autoqec.history import load_run
from autoqec.loop.identity import require_identity
from autoqec.loop.own_records import note_own
from autoqec.loop.preflight import require_judge
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.problem.streams import derive_key
from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Gain
from autoqec.results.head_to_head import HeadToHead, head_to_head_words
from autoqec.results.pareto_front import Point
from autoqec.results.statistics import ratio_interval
from autoqec.scoring.composition import paired
from autoqec.scoring.score_stream import ScoreStream, chunks_for

#: A pair stays undecided after this many shots; a ratio of 0.95 takes about a hundred thousand shots.
MOST_SHOTS = 1_000_000

_FIRST_SHOTS = 50_000
_GROWTH = 1.5


def head_to_head(
    session: Session,
    rounds: tuple[tuple[Point, RoundState], tuple[Point, RoundState]],
    alpha: float,
    *,
    max_shots: int = MOST_SHOTS,
) -> HeadToHead:
    """Decide a pair of the front, and note the result on the costlier round's commit.

    Args:
        session: That of the second round's run; both rounds are of its environment.
        rounds: The rounds, with weights, the first costing no more than the second.
        alpha: Level of the pair.
        max_shots: Stop undecided after this many shots.

    Raises:
        CandidateFault: A candidate broke its contract.
        IdentityMismatchError: A round's parts are not those that were scored.
    """
    (a, first), (b, second) = rounds
    for state in (first, second):
        require_identity(session.ledger, load_run(session.ledger, state.claim.run), state)
    require_judge(session)
    secret = os.urandom(32)
    key = derive_key(
        secret, "autoqec/duel/v1", session.environment.identity, *sorted(s.sealed.digest for s in (first, second))
    )
    counts, done, last = PairedCounts(), 0, chunks_for(max_shots)
    digests: list[str] = []
    with session.executor() as executor:
        stream = ScoreStream(executor, session.environment, first.sealed, key, "duel")
        until = min(chunks_for(_FIRST_SHOTS), last)
        while True:
            mine = stream.score(done, until - done)
            theirs = replace(stream, sealed=second.sealed).score(done, until - done)
            counts, done = counts + paired(theirs, mine), until
            digests += mine.digests
            session.event("verify", shots=counts.shots, max_shots=max_shots, stage="head to head")
            words = head_to_head_words(a, b, counts, alpha)
            if words or done == last:
                break
            until = min(last, int(done * _GROWTH))
    noted = HeadToHead(
        run=second.claim.run,
        round=second.claim.number,
        commit=str(second.commit),
        rival=str(first.commit),
        counts=counts,
        alpha=alpha,
        rival_name=a.name,
        candidate=second.sealed.digest,
        rival_candidate=first.sealed.digest,
        environment=session.environment.identity,
        gain=Gain.of(counts),
        ratio_interval=ratio_interval(counts),
        word=words.get((a.name, b.name), "undecided"),
        seed_key=secret.hex(),
        digests=tuple(digests),
    )
    written = note_own(session, second, "verdict", noted.to_note())
    return replace(noted, id=written.record["id"])
