"""The parts of a round's metrics as records, from the losses of its training to what the figures were made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.failure_bands import FailureBand
from autoqec.results.figures import Figures
from autoqec.results.note_form import always, flat, mapping
from autoqec.results.reference_gates import GatedReference
from autoqec.results.rungs import Rung


@dataclass(frozen=True)
class RateFigures:
    """Figures at another physical error rate `p` of the environment; `sent`: shots that a gate sent on."""

    p: float
    figures: Figures = flat()
    invalid: int = always(0)
    counts: PairedCounts | None = None
    sent: int | None = None


@dataclass(frozen=True)
class LossPoint:
    """A loss after so many steps."""

    loss: float
    step: int | None = None


@dataclass(frozen=True)
class TrainingLog:
    """How a training went, as reported by its process.

    Attributes:
        loss: Which.
        points, validation: Losses of the training and of the validation.
        validation_before, validation_after: The first validation loss, and that of the kept weights.
        steps, steps_planned, shots: Done, to do, drawn.
        nan_steps: Steps whose loss or gradient was not finite.
        out_of_time: Whether the time limit cut it short.
        steps_cut_to: The steps that fit the time, where those planned did not.
        seconds_a_step, seconds_allowed: The measured time of a step, and the time for all, where the plan was cut.
        labelled, label_seconds: Shots that were given labels other than those drawn, and the seconds that took.
        carried_messages, carried_coarser, carried_layer: Of weights that come from another problem of a family: the messages that
            they are for, those that have the factor of a coarser orbit, and those that have that of the layer.
        seconds: Wall clock.
        device: The device it ran on.
        host: The machine it ran on, where that was an executor's choice.
        inherited: The tensors whose first values were a parent's.
    """

    loss: str | None = None
    points: tuple[LossPoint, ...] = ()
    validation: tuple[LossPoint, ...] = ()
    validation_before: float | None = None
    validation_after: float | None = None
    steps: float | None = None
    steps_planned: float | None = None
    shots: float | None = None
    nan_steps: float | None = None
    out_of_time: bool = False
    steps_cut_to: float | None = None
    seconds_a_step: float | None = None
    seconds_allowed: float | None = None
    labelled: float | None = None
    label_seconds: float | None = None
    carried_messages: float | None = None
    carried_coarser: float | None = None
    carried_layer: float | None = None
    seconds: float | None = None
    device: str | None = None
    host: str | None = None
    inherited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latency:
    """Microseconds per shot of one process; of a gated candidate also `plain` decoding and the rest of its `gate`."""

    predict: float
    decode: float
    baseline: float
    plain: float = 0.0
    gate: float = 0.0


@dataclass(frozen=True)
class Provenance:
    """The software and machine that made the figures, and the `device` on which torch computed the candidate's stages."""

    profile: Mapping[str, Any] = mapping(always=True)
    python: str = always("")
    machine: str = always("")
    versions: Mapping[str, str] = mapping(always=True)
    argv: tuple[str, ...] = always(())
    device: str = "cpu"


@dataclass(frozen=True)
class Measured:
    """Everything in a metrics note besides figures and costs.

    Attributes:
        id: The note's.
        invalid: Shots without a valid answer of the candidate.
        counts: The shots behind the figures.
        sent: Of a gated candidate: the shots that were sent on.
        passes: Of an ensemble: how many times the pipeline was asked about these shots.
        flops_per_sent_shot, gate_flops: FLOPs of one pass of one of these, and of the gate's own steps on all shots.
        references, references_missing: Rates of reference decoders on the same shots; those left out, and how to install them.
        failure_bands: Where candidate and plain decoder fail, by how hard the shots are; see `autoqec.results.failure_bands`.
        gated: The references that ran behind a gate, by label.
        reference_us, neutral_us: Microseconds that each reference took for a shot, and the decoder on uninformative beliefs.
        other_rates: Figures at the environment's other physical error rates.
        latency_us: The latency by part.
        training: How the training went.
        rung: How far it went, if it was screened; None if it was not.
        weights_sha256, candidate: Hashes of the scored weights and candidate.
        bytes: Size of both.
        fingerprint: The problem's fingerprint.
        provenance: The software and machine.
    """

    id: str = ""
    invalid: int = always(0)
    counts: PairedCounts | None = None
    sent: int | None = None
    passes: int | None = None
    flops_per_sent_shot: int | None = None
    gate_flops: int = 0
    references: Mapping[str, float] = mapping(always=True)
    references_missing: Mapping[str, str] = mapping()
    failure_bands: tuple[FailureBand, ...] = ()
    gated: Mapping[str, GatedReference] = mapping()
    reference_us: Mapping[str, float] = mapping()
    neutral_us: float | None = None
    other_rates: tuple[RateFigures, ...] = always(())
    latency_us: Latency | None = None
    training: TrainingLog | None = None
    rung: Rung | None = None
    weights_sha256: str = ""
    candidate: str = ""
    bytes: int | None = None
    fingerprint: str | None = always()
    provenance: Provenance | None = None
