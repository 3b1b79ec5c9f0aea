"""Two rounds head to head: both on one new stream of shots until it is shown which gains more, noted on the dearer one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autoqec.history import append_note
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.problem.streams import derive_key
from autoqec.results.counts import PairedCounts
from autoqec.results.head_to_head import HEAD_TO_HEAD, head_to_head_words
from autoqec.results.pareto_front import Point
from autoqec.results.statistics import delta_interval, ratio_interval
from autoqec.scoring.composition import paired
from autoqec.scoring.score_stream import ScoreStream, chunks_for

#: A pair that so many shots leave undecided is left so; a ratio of 0.95 takes about a hundred thousand.
MOST_SHOTS = 1_000_000

_FIRST_SHOTS = 50_000
_GROWTH = 1.5


def head_to_head(
    session: Session,
    rounds: tuple[tuple[Point, RoundState], tuple[Point, RoundState]],
    alpha: float,
    *,
    max_shots: int = MOST_SHOTS,
) -> Mapping[str, Any]:
    """Decide a pair of the front, and note what came of it.

    Args:
        session: That of the second round's run; both rounds are of its environment.
        rounds: The rounds, with weights, the first costing no more than the second.
        alpha: Level of the pair.
        max_shots: Stop undecided after this many shots.

    Returns:
        The note: `counts` (the second round in the baseline's place), `delta_ler` (what the first gains over the second) and
        `ler_ratio_ci`, the key, digests, and the `word`: `dominates`, `stays` or `undecided`, of the first against the second.

    Raises:
        CandidateFault: A candidate broke its contract.
    """
    (a, first), (b, second) = rounds
    secret = os.urandom(32)
    key = derive_key(
        secret, "autoqec/duel/v1", session.environment.identity, *sorted(s.sealed.digest for s in (first, second))
    )
    counts, done, last = PairedCounts(), 0, chunks_for(max_shots)
    digests: list[str] = []
    with session.registry.get("executor", session.settings["executor"]).create(jobs=session.settings.jobs) as executor:
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
    record = {
        "id": uuid.uuid4().hex,
        "event": HEAD_TO_HEAD,
        "rival": first.commit,
        "rival_name": a.name,
        "candidate": second.sealed.digest,
        "rival_candidate": first.sealed.digest,
        "environment": session.environment.identity,
        "alpha": alpha,
        "counts": counts.to_dict(),
        "delta_ler": counts.delta_ler,
        "delta_ler_ci": list(delta_interval(counts)),
        "ler_ratio_ci": list(ratio_interval(counts)),
        "word": words.get((a.name, b.name), "undecided"),
        "seed_key": secret.hex(),
        "digests": digests,
    }
    return append_note(session.ledger, second.claim.run, "verdict", str(second.commit), record)
