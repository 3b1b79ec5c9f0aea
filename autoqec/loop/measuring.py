"""Makes a round's metrics: scores candidate and baseline on the same development shots, at every rate of the environment.

The metrics of a round that its screen ended are of the screen's shots, at the target alone and without reference decoders.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

from autoqec.loop.round_state import RoundState, TrainingRecord
from autoqec.loop.screening import Screened, read_rung, score_screen
from autoqec.loop.session import Session
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_key
from autoqec.results.figures import Costs, Figures
from autoqec.results.metrics import Metrics
from autoqec.results.metrics_parts import Latency, Measured, Provenance, RateFigures
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import needs_lock
from autoqec.scoring.score_stream import Scored, ScoreStream, chunks_for
from autoqec.settings_schema import Profile

_PROVENANCE = ("autoqec", "torch", "stim", "pymatching", "fusion-blossom", "numpy", "numba")


def measure(session: Session, state: RoundState, profile: Profile, key: bytes) -> Metrics:
    """Score a trained round.

    Args:
        session: Where.
        state: The round; it must have weights.
        profile: How many shots; the environment's protocol may ask for fewer, or for a multiple.
        key: Key of the development stream.

    Raises:
        CandidateFault: The candidate broke its contract.
    """
    protocol = session.environment.environment.protocol
    wanted = protocol.scaled(profile.score_shots)
    shots = min(wanted, protocol.score_shots or wanted)
    began, sealed = time.monotonic(), state.sealed
    at_other_rates: dict[float, Scored] = {}
    with session.executor() as executor:
        stream = ScoreStream(executor, session.environment, sealed, key, "dev", device=session.device.kind)
        here, others = stream.chunks_for(shots), len(session.other_rates)
        elsewhere = chunks_for(shots // others) if others else 0  # all other rates together get as many as the target
        told = partial(_told, session, total=(here + others * elsewhere) * CHUNK_SHOTS)
        scored = stream.score(0, here, references=True, tabulate=True, progress=partial(told, 0))
        for number, p in enumerate(session.other_rates):
            there = replace(stream, key=derive_key(key, "p", repr(p)), p=p)
            at_other_rates[p] = there.score(
                0, elsewhere, progress=partial(told, (here + number * elsewhere) * CHUNK_SHOTS)
            )
    return _metrics(session, state, profile, scored, at_other_rates, time.monotonic() - began)


def _told(session: Session, before: int, done: int, _: int, *, total: int) -> None:
    """Report shots that are scored, as a part of those at all rates."""
    session.event("score", shots=before + done, total=total)


def measure_screened(
    session: Session, state: RoundState, profile: Profile, screened: Screened | None = None
) -> Metrics:
    """The metrics of a round that its screen ended.

    Args:
        session: Where.
        state: The round; it must have weights.
        profile: As for `measure`.
        screened: What the screen scored; None to score the same shots again, as a resumed round does.

    Raises:
        CandidateFault: The candidate broke its contract.
    """
    if screened is not None:
        return _metrics(session, state, profile, screened.scored, {}, screened.seconds)
    began = time.monotonic()
    scored = score_screen(session, state.claim.number, state.sealed, profile)
    return _metrics(session, state, profile, scored, {}, time.monotonic() - began)


def _computed_on(session: Session, sealed: SealedCandidate) -> str:
    """The name of the device that computes a candidate; a locked process has no GPU."""
    return "cpu" if needs_lock(sealed.files, session.registry) else session.device.name


def _metrics(
    session: Session,
    state: RoundState,
    profile: Profile,
    scored: Scored,
    at_other_rates: Mapping[float, Scored],
    seconds: float,
) -> Metrics:
    sealed = state.sealed
    training: TrainingRecord = state.training or {"telemetry": {}, "cost": {}}
    cost: Any = training["cost"]  # a record of an earlier version may lack a field, which the note then tells as null
    telemetry: Any = training["telemetry"]
    gated, took = scored.sent is not None, scored.us_per_shot
    flops: Any = cost.get("flops_per_shot")
    mean: Any = flops if flops is None else scored.mean_flops(flops)
    measured = Measured(
        invalid=scored.invalid,
        counts=scored.counts,
        sent=scored.sent,
        passes=scored.passes,
        flops_per_sent_shot=flops if gated else None,
        gate_flops=scored.gate_flops,
        references={name: failures / scored.counts.shots for name, failures in scored.references.items()},
        references_missing=dict(scored.missing),
        failure_bands=scored.bands,
        gated=scored.gates,
        reference_us=scored.reference_us,
        neutral_us=scored.neutral_us,
        other_rates=tuple(
            RateFigures(p, Figures.of(each.counts), each.invalid, each.counts, each.sent)
            for p, each in at_other_rates.items()
        ),
        latency_us=Latency(took.predict, took.decode, round(scored.baseline_us, 2), took.plain, took.gate),
        rung=read_rung(training.get("rung")),
        weights_sha256=sealed.weights_sha256,
        candidate=sealed.digest,
        bytes=sealed.size,
        fingerprint=training.get("fingerprint"),
        provenance=Provenance(
            profile=profile.model_dump(),
            python=platform.python_version(),
            machine=platform.machine(),
            versions={name: version(name) for name in _PROVENANCE},
            argv=tuple(sys.argv[1:]),
            device=_computed_on(session, sealed),
        ),
    )
    costs = Costs(
        flops_per_shot=mean,
        params=cost.get("params"),
        latency_us_per_shot=took.whole,
        train_seconds=telemetry.get("seconds"),
        score_seconds=round(seconds, 2),
    )
    return Metrics.of(Figures.of(scored.counts), costs, measured, telemetry)
