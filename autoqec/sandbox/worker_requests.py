"""The requests to a process that holds a candidate (`autoqec.runner.worker`); nothing else reaches it.

Each process first receives a `Preparation`. It holds what the process must load, and nothing that code of others may see before
the lock. The candidate comes after the process has reported its lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.typed_messages import Request, blobs


@dataclass(frozen=True, kw_only=True)
class Preparation(Request):
    """Load what a candidate will need, and lock the process if it must be locked.

    Attributes:
        stages: What to warm up with; see `autoqec.sandbox.stage_files.stages_to_warm_up`.
        dem: The detector error model.
        lock: Whether to lock the process. If not, only plugins that AutoQEC ships are loaded.
    """

    stages: tuple[str, ...]
    dem: bytes
    lock: bool


@dataclass(frozen=True)
class CandidateRequest(Request):
    """Load a candidate, to answer predictions.

    Attributes:
        sealed: The candidate.
        device: Where stages that torch runs are computed: `cpu`, or `cuda` in a process that is not locked.
    """

    sealed: SealedCandidate
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class ProgramRequest(Request):
    """Load a candidate's recorded operations instead of its code; see `autoqec.candidate.recorded_program`.

    Attributes:
        sealed: The candidate. Of its stages, only those that AutoQEC ships and `programs` lacks are loaded.
        stages: The slugs of all stages, in order.
        programs: The operations of the others, by slug.
    """

    sealed: SealedCandidate
    stages: tuple[str, ...]
    programs: Mapping[str, bytes] = blobs("program")


@dataclass(frozen=True)
class PredictionRequest(Request):
    """Ask the candidate that is loaded.

    Attributes:
        op: `predict` beliefs for syndromes, count the `cost` of a shot, or record each foreign stage's `program`.
        syndromes: Bit-packed, row-major. For `cost` of a recorded candidate: the shots to count on, or empty for a sample.
        priors: What `predict` starts from, for all shots: log-likelihood ratios, float32; empty for the problem's own. The same
            of `cost` where it has syndromes.
    """

    op: Literal["predict", "cost", "program"]
    syndromes: bytes = b""
    priors: bytes = b""


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
class TrainingPreparation(Preparation):
    """Load what training a candidate will need, and lock the process if it must be locked.

    Attributes:
        other_dems: Error models at the environment's other rates, by their number.
        decoder: The environment's decoder, for a loss that needs it.
        training: The fields of `training.yaml`, as JSON.
        teacher: The decoder that distilled labels come from, `{"kind", …}`; empty for none.
    """

    other_dems: Mapping[str, bytes] = blobs("dem")
    decoder: Mapping[str, Any]
    training: str
    teacher: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(Request):
    """Train a candidate.

    Attributes:
        sealed: The candidate's files, and its parents' weights, which may be empty.
        seed: Key of the training stream.
        max_shots: At most so many shots.
        inherit: Whether to start from the parents' weights whatever the candidate says.
        seconds: Begin no step after so many.
        screen_share: The share of the steps after which the process sends its weights and waits for a `ScreenPassed`; 0 for none.
        recorded_syndromes, recorded_observables: Recorded shots for training, bit-packed, row-major; empty for none. No shot
            for development or of the holdout is among them.
    """

    sealed: SealedCandidate
    seed: bytes
    max_shots: int
    inherit: bool
    seconds: float
    screen_share: float = 0.0
    recorded_syndromes: bytes = b""
    recorded_observables: bytes = b""


@dataclass(frozen=True)
class ScreenPassed(Request):
    """Go on with the training that waits at its screen. One that is not to go on is killed."""

    op: Literal["go_on"] = "go_on"


@dataclass(frozen=True)
class ReadingRequest(Request):
    """Validate a candidate's files and return them in their canonical form.

    Attributes:
        files: Contents by path relative to the candidate directory.
    """

    files: Mapping[str, bytes] = blobs("file")
