"""Tasks of an executor, and requests to the matcher, as typed models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.typed_messages import Request, blobs


@dataclass(frozen=True, kw_only=True)
class ScoringTask(Request):
    """A task about one candidate on one problem.

    Attributes:
        environment: The environment's files, by name.
        sealed: The candidate.
        seeds: A 64-bit seed for each chunk of shots.
        p: Physical error rate; None for the environment's target.
        references: Whether to run the reference decoders.
        strong: A reference decoder, by kind, instead of those of the environment; None for these.
        drift: Physical error rate at which shots are drawn; None for the one that decoders and candidate are told.
        ungated: Whether no reference runs behind a gate.
        tabulate: Whether to say where failures are, see `autoqec.scoring.failure_table`; never of holdout shots.
        shares: Where shots are drawn by strata, how likely each stratum is to be drawn; empty for plain shots. See
            `autoqec.scoring.fault_strata.strata_chunk`.
        listed: How many sets of each listed stratum there are.
        first_listed: The first set that each chunk lists, in the order of `seeds`.
        given: Where shots are recorded, how many each chunk has, in the order of `seeds`; empty where they are drawn. Then
            `environment` has no recorded shots.
        given_syndromes, given_observables: Those shots, bit-packed, chunk after chunk.
        device: Where stages that torch runs are computed, if they are ours: `cpu` or `cuda`.
    """

    environment: Mapping[str, bytes] = blobs("env")
    sealed: SealedCandidate
    seeds: tuple[int, ...] = ()
    p: float | None = None
    references: bool = False
    strong: str | None = None
    drift: float | None = None
    ungated: bool = False
    tabulate: bool = False
    shares: tuple[float, ...] = ()
    listed: tuple[int, ...] = ()
    first_listed: tuple[int, ...] = ()
    given: tuple[int, ...] = ()
    given_syndromes: bytes = b""
    given_observables: bytes = b""
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class StrataTask(ScoringTask):
    """Ask which strata a problem has.

    Attributes:
        most_listed: The most sets to list.
    """

    most_listed: int


@dataclass(frozen=True, kw_only=True)
class OutlineTask(ScoringTask):
    """Ask what a distance certificate has to examine.

    Attributes:
        most: The largest weight of interest.
    """

    most: int


@dataclass(frozen=True, kw_only=True)
class FaultTask(ScoringTask):
    """Decode some fault sets.

    Attributes:
        weight: Mechanisms of each set.
        first: The first set of the list; 0 where `seeds` has the seed of a draw.
        count: How many sets.
    """

    weight: int
    first: int = 0
    count: int


@dataclass(frozen=True, kw_only=True)
class AgainTask(ScoringTask):
    """Answer scored chunks again.

    Attributes:
        rates: Physical error rates of the shots that the chunks' shots are mixed with; empty for none.
    """

    rates: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DecoderSetRequest(Request):
    """Have a matcher load decoders and a candidate.

    Attributes:
        environment, sealed, p, strong, ungated, device: As for `ScoringTask`.
    """

    environment: Mapping[str, bytes] = blobs("env")
    sealed: SealedCandidate
    p: float | None = None
    strong: str | None = None
    ungated: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class DecodingRequest(Request):
    """Ask the matcher that has loaded.

    Attributes:
        op: What to answer; see `autoqec.scoring.decoder_set.DecoderSet`.
        references: Whether `known` includes the reference decoders.
        syndromes: Bit-packed, row-major; empty for `cost`.
        sample: Of `known`: seed of the sample on which slow references are compared with the plain decoder.
    """

    op: Literal["known", "neutral", "gate", "candidate", "recorded", "confidence", "cost"]
    references: bool = False
    syndromes: bytes = b""
    sample: int = 0


#: The models of tasks that have more fields than every task, by the function that runs them.
MODELS: Mapping[str, type[ScoringTask]] = {
    "autoqec.scoring.shard:answer_again": AgainTask,
    "autoqec.scoring.fault_tasks:outline": OutlineTask,
    "autoqec.scoring.fault_tasks:strata": StrataTask,
    "autoqec.scoring.fault_tasks:examine_faults": FaultTask,
}
