"""The typed record of a round's metrics: rates on the same development shots, costs, and how the training went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from autoqec.results.figures import Costs, Figures, read_costs, read_figures, shown_figures
from autoqec.results.gate_costs import passes_each, share_sent
from autoqec.results.note_form import read_record, write_record
from autoqec.results.verdict import Parsed, malformed, numbers_in

if TYPE_CHECKING:
    from autoqec.results.failure_bands import FailureBand
    from autoqec.results.metrics_parts import Measured, RateFigures, TrainingLog
    from autoqec.results.rungs import Rung


@dataclass(frozen=True)
class Metrics:
    """A round's development metrics.

    Attributes:
        figures: Rates, gain and ratio.
        costs: Costs of the candidate and of its round.
        note: The complete JSON of the note; `measured` is the same as records.
    """

    figures: Figures
    costs: Costs
    note: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<metrics{shown_figures(self.figures)}>"

    @staticmethod
    def of(figures: Figures, costs: Costs, measured: Measured, training: Mapping[str, Any]) -> Metrics:
        """The metrics of a round.

        Args:
            figures: Of the development shots.
            costs: Costs of the candidate; null where a process reported none.
            measured: The rest, but for the training.
            training: Telemetry of the training process.
        """
        note = {**write_record(measured), **figures.to_note(), **costs.to_note(), "training": dict(training)}
        return Metrics(figures, costs, note)

    @cached_property
    def measured(self) -> Measured:
        """Everything else in the note; malformed parts are left out."""
        # Defining the parts takes time, and a log of rounds needs none of them.
        from autoqec.results.metrics_parts import Measured

        return read_record(Measured, self.note)

    @property
    def sent_on(self) -> float | None:
        """The share of the shots that a gate sent on; None without one."""
        sent = self.note.get("sent")  # the other parts are not read for it
        return share_sent(sent, self.figures.shots) if type(sent) is int else None

    @property
    def passes_per_sent_shot(self) -> float | None:
        """How many times an ensemble's pipeline was asked about a shot that was sent on, on average; None without one."""
        sent, passes = self.note.get("sent"), self.note.get("passes")
        return passes_each(passes, sent, self.figures.shots) if type(sent) is type(passes) is int else None

    @property
    def training(self) -> TrainingLog:
        """How the training went; empty if nothing was reported."""
        from autoqec.results.metrics_parts import TrainingLog

        return self.measured.training or TrainingLog()

    @property
    def rung(self) -> Rung | None:
        """How far its training went, if it was screened; None if it was not."""
        return self.measured.rung

    @property
    def rung_number(self) -> int | None:
        """The number of that rung; without the other parts, as a log of rounds asks."""
        told = self.note.get("rung")
        number = told.get("number") if isinstance(told, Mapping) else None
        return number if type(number) is int else None

    @property
    def screened_out(self) -> bool:
        """Whether the round ended at its screen: its figures are of few shots, and of weights that are not fully trained."""
        return self.rung_number == 0

    @property
    def cut_short(self) -> tuple[float, float] | None:
        """Steps of training done and planned, where the time limit cut it short; without the parts, as a log of rounds asks."""
        told = self.note.get("training")
        if not isinstance(told, Mapping) or told.get("out_of_time") is not True:
            return None
        found = numbers_in({name: told.get(name) for name in ("steps", "steps_planned")}) or {}
        return (found["steps"], found["steps_planned"]) if len(found) == 2 else None

    @property
    def references(self) -> Mapping[str, float] | None:
        """Rates of reference decoders on the same shots; None if the note has none."""
        return numbers_in(self.note.get("references"))

    @property
    def failure_bands(self) -> tuple[FailureBand, ...]:
        """Where the failures are, on the development shots; only bands that add up to the counts."""
        from autoqec.results.failure_bands import bands_of

        return bands_of(self.measured.failure_bands, self.measured.counts)

    @property
    def rates_beside(self) -> list[RateFigures]:
        """Figures at the environment's other physical error rates, in order."""
        return sorted(self.measured.other_rates, key=lambda row: row.p)

    def to_note(self) -> dict[str, Any]:
        """As a note holds it."""
        return dict(self.note)


def parse_metrics(note: Any) -> Parsed[Metrics]:
    """Parse metrics from any JSON. Figures and costs must be complete; the rest is parsed on first access."""
    if note is None:
        return Parsed()
    figures = read_figures(note) if isinstance(note, Mapping) else None
    costs = read_costs(note) if isinstance(note, Mapping) else None
    if figures is None or costs is None:
        return Parsed(problem=malformed("metrics", note))
    return Parsed(Metrics(figures, costs, note))
