"""What a recording has for each purpose, and what gain its holdout can show, for `autoqec env check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from autoqec.problem.environment import LoadedEnvironment
from autoqec.problem.problem import Problem
from autoqec.problem.recording import chunk_of, chunks_in, is_recorded, recording_of
from autoqec.problem.sampling import Shots, sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.finite_holdout import least_gain

#: The looks whose least gain is told.
_LOOKS = (1, 5)


def checked_chunks(loaded: LoadedEnvironment, problem: Problem, chunks: int, key: bytes) -> Iterator[Shots]:
    """The shots on which the decoders of an environment are measured.

    Where shots are recorded, those for training and development: nobody looks at the holdout before a candidate does.

    Args:
        loaded: The environment.
        problem: Its problem.
        chunks: How many chunks, at most.
        key: Of fresh shots.
    """
    if not is_recorded(loaded):
        yield from (sample_chunk(problem, derive_seed(key, "check", chunk)) for chunk in range(chunks))
        return
    recording = recording_of(loaded, problem)
    parts = recording.development, recording.training
    known = Shots(
        np.concatenate([part.syndromes for part in parts]), np.concatenate([part.observables for part in parts])
    )
    yield from (chunk_of(known, chunk) for chunk in range(min(chunks, chunks_in(known))))


def recorded_parts(loaded: LoadedEnvironment, problem: Problem, ler: float) -> dict[str, Any]:
    """What is told of a recording: under `recorded` its digest, shots in all and by part, and the least gain by look.

    Args:
        loaded: The environment.
        problem: Its problem.
        ler: The baseline's rate.

    Returns:
        Nothing if shots are drawn.
    """
    if not is_recorded(loaded):
        return {}
    recording, alpha = recording_of(loaded, problem), loaded.environment.protocol.alpha
    shots = {name: len(getattr(recording, name)) for name in ("training", "development", "holdout")}
    least = {str(look): least_gain(shots["holdout"], ler, alpha, look) for look in _LOOKS}
    return {"recorded": {"digest": recording.digest, "shots": recording.shots, **shots, "least_gain": least}}
