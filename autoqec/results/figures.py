"""The numbers that all notes have in common: rates and gain of some scored shots, and a candidate's costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.results.note_form import are_numbers, named
from autoqec.results.statistics import delta_interval, ratio_interval
from autoqec.results.stratified_counts import Counts

#: The name of a ratio's interval in JSON objects.
RATIO_CI = "ler_ratio_ci"


@dataclass(frozen=True)
class Gain:
    """The gain of one side over the other per shot: `ler_baseline - ler_candidate`, with its interval."""

    delta_ler: float
    gain_interval: tuple[float, float] = named("delta_ler_ci")

    @staticmethod
    def of(counts: Counts, alpha: float = 0.05) -> Gain:
        """The gain that counts show."""
        return Gain(counts.delta_ler, delta_interval(counts, alpha))

    def to_note(self) -> dict[str, Any]:
        """As JSON values."""
        return {"delta_ler": self.delta_ler, "delta_ler_ci": list(self.gain_interval)}


#: The fields of a gain where there is none.
NO_GAIN: Mapping[str, None] = {"delta_ler": None, "delta_ler_ci": None}


@dataclass(frozen=True)
class Figures:
    """The rates, gain and ratio of some scored shots.

    Attributes:
        shots: How many.
        ler_baseline, ler_candidate: Logical error rates per shot.
        delta_ler: The gain, the first less the second.
        gain_interval: Its interval, `delta_ler_ci` in notes.
        ler_ratio: The second over the first; None where the baseline never failed.
        ratio_interval: Its interval, `ler_ratio_ci` in notes; the upper end is None while no ratio is excluded.
    """

    shots: int
    ler_baseline: float
    ler_candidate: float
    delta_ler: float
    gain_interval: tuple[float, float] = named("delta_ler_ci")
    ler_ratio: float | None = named("ler_ratio")
    ratio_interval: tuple[float, float | None] = named("ler_ratio_ci")

    @staticmethod
    def of(counts: Counts) -> Figures:
        """The figures of some counts."""
        rates = counts.shots, counts.ler_baseline, counts.ler_candidate, counts.delta_ler
        return Figures(*rates, delta_interval(counts), counts.ler_ratio, ratio_interval(counts))

    @property
    def gain(self) -> Gain:
        """The gain alone."""
        return Gain(self.delta_ler, self.gain_interval)

    def to_note(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "shots": self.shots,
            "ler_baseline": self.ler_baseline,
            "ler_candidate": self.ler_candidate,
            "delta_ler": self.delta_ler,
            "delta_ler_ci": list(self.gain_interval),
            "ler_ratio": self.ler_ratio,
            "ler_ratio_ci": list(self.ratio_interval),
        }


def shown_figures(figures: Figures | None) -> str:
    """Figures at the end of a record's line for people: shots, and the ratio with its interval; nothing without them."""
    if figures is None:
        return ""
    low, high = ("∞" if end is None else f"{end:.3f}" for end in figures.ratio_interval)
    ratio = "" if figures.ler_ratio is None else f", ratio {figures.ler_ratio:.3f} [{low}, {high}]"
    return f": {figures.shots:,} shots{ratio}"


def read_figures(note: Mapping[str, Any]) -> Figures | None:
    """The figures in a note; None where one is missing or not a finite number."""
    get = note.get
    gains, ratios, ratio = get("delta_ler_ci"), get("ler_ratio_ci"), get("ler_ratio")
    if not (isinstance(gains, list | tuple) and isinstance(ratios, list | tuple) and len(gains) == len(ratios) == 2):
        return None
    shots, baseline, candidate, gain = get("shots"), get("ler_baseline"), get("ler_candidate"), get("delta_ler")
    (low, high), (lower, upper) = gains, ratios
    needed = (shots, baseline, candidate, gain, low, high, lower)
    if not are_numbers(needed) or not are_numbers(end for end in (ratio, upper) if end is not None):
        return None
    return Figures(shots, baseline, candidate, gain, (low, high), ratio, (lower, upper))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Costs:
    """What a candidate costs, and what its round took.

    Attributes:
        flops_per_shot, params: Of the candidate.
        latency_us_per_shot: Microseconds of prediction and decoding.
        train_seconds, score_seconds: Wall clock of the round's steps.
    """

    flops_per_shot: int
    params: int
    latency_us_per_shot: float
    train_seconds: float
    score_seconds: float

    def to_note(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(vars(self))


#: The costs in a metrics note.
_COSTS = ("flops_per_shot", "params", "latency_us_per_shot", "train_seconds", "score_seconds")


def read_costs(note: Mapping[str, Any]) -> Costs | None:
    """The costs in a metrics note; None where one is missing or no finite number."""
    numbers: list[Any] = [note.get(name) for name in _COSTS]
    return Costs(*numbers) if are_numbers(numbers) else None


@dataclass(frozen=True)
class Holdout:
    """What a verdict says in figures, from shots nobody had seen.

    Attributes:
        figures: Rates, gain and ratio; None if nothing was tested.
        flops_per_shot, params: Costs as the verifier counted them.
    """

    figures: Figures | None = None
    flops_per_shot: float | None = None
    params: float | None = None

    def to_note(self) -> dict[str, Any]:
        """As JSON values: what there is of it."""
        told = self.figures.to_note() if self.figures else {}
        costs = {"flops_per_shot": self.flops_per_shot, "params": self.params}
        found = {name: told[name] for name in _TOLD if name in told}
        return found | {name: value for name, value in costs.items() if value is not None}


#: The figures shown to agents, in this order.
_TOLD = ("delta_ler", "delta_ler_ci", "ler_ratio", "ler_candidate", "ler_baseline", "shots")


def row_of(figures: Figures | None, costs: Holdout | Costs | None) -> dict[str, Any]:
    """A round's figures in a line of a table for agents; null where there is none."""
    told = figures.to_note() if figures else {}
    names = ("delta_ler", "delta_ler_ci", "ler_ratio", "ler_candidate")
    beside = {name: getattr(costs, name, None) for name in ("flops_per_shot", "params")}
    return {name: told.get(name) for name in names} | beside
