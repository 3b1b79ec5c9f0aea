"""The requests to a process that holds a candidate (`autoqec.runner.worker`); nothing else reaches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.typed_messages import Request, blobs


@dataclass(frozen=True)
class CandidateRequest(Request):
    """Load a candidate, to answer predictions.

    Attributes:
        sealed: The candidate.
        dem: The detector error model.
        lock: Whether to lock the process before any code of the candidate runs.
    """

    sealed: SealedCandidate
    dem: bytes
    lock: bool


@dataclass(frozen=True)
class PredictionRequest(Request):
    """Ask the candidate that is loaded.

    Attributes:
        op: `predict` beliefs for syndromes, or count the `cost` of a shot.
        syndromes: Bit-packed, row-major; empty for `cost`.
    """

    op: Literal["predict", "cost"]
    syndromes: bytes = b""


@dataclass(frozen=True)
class WarmUpRequest(Request):
    """Load what candidates will need, in the fork server.

    Attributes:
        op: `warm`, among the requests of a fork server.
        kinds: Stage kinds; only AutoQEC's own are loaded.
        dem: The detector error model.
    """

    kinds: tuple[str, ...]
    dem: bytes
    op: Literal["warm"] = "warm"


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(Request):
    """Train a candidate.

    Attributes:
        sealed: The candidate's files, and its parents' weights, which may be empty.
        dem: The detector error model at the target rate.
        other_dems: Those at the environment's other rates, by their number.
        decoder: The environment's decoder, for a loss that needs it.
        seed: Key of the training stream.
        max_shots: At most so many shots.
        inherit: Whether to start from the parents' weights whatever the candidate says.
        seconds: Begin no step after so many.
        lock: Whether to lock the process before any code of the candidate runs.
    """

    sealed: SealedCandidate
    dem: bytes
    other_dems: Mapping[str, bytes] = blobs("dem")
    decoder: Mapping[str, Any]
    seed: bytes
    max_shots: int
    inherit: bool
    seconds: float
    lock: bool
