"""Do-no-harm cells: paired counts at points next to the target, and how the rates grow with p.

Near the target a predecoder sees shots like those of its training; it must not be worse there than the plain decoder.
"""

from __future__ import annotations

from math import log, sqrt

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures
from autoqec.results.statistics import finite, log_e_better, log_e_worse
from autoqec.results.verdict_parts import Evidence, HarmCounted, Slope

#: Level of the tests for harm and for no harm.
HARM_ALPHA = 0.05

#: "No harm" means a rate shown to be below this many times the baseline's; equality can never be shown.
HARMLESS_RATIO = 1.1

#: Standard deviations of a two-sided 95 % interval.
_Z = 1.959964


def harm_counted(counts: PairedCounts) -> HarmCounted:
    """The counts of a cell with their evidence and figures."""
    return HarmCounted(counts, **harm_evidence(counts), figures=Figures.of(counts))


def harm_evidence(counts: PairedCounts) -> dict[str, float]:
    """The evidence in a cell's counts; see `HarmCounted`."""
    return {
        "log_e_worse": round(finite(log_e_worse(counts)), 6),
        "log_e_harmless": round(finite(log_e_better(counts, HARMLESS_RATIO)), 6),
    }


def harm_word(counts: PairedCounts) -> str:
    """`harm` if the candidate is shown to be worse, `no_harm` if it is shown not to be much worse, else `unknown`."""
    if log_e_worse(counts) >= log(1 / HARM_ALPHA):
        return "harm"
    return "no_harm" if log_e_better(counts, HARMLESS_RATIO) >= log(1 / HARM_ALPHA) else "unknown"


def two_p_slope(low: tuple[float, PairedCounts], high: tuple[float, PairedCounts]) -> Slope | None:
    """How steeply the rates of failure fall with p: `d log LER / d log p` of both sides, from two p.

    The difference of the slopes is that of `log(candidate / baseline)` at the two p. On paired counts its variance at each is
    about (b + c) / ((a + b)(a + c)), by the delta method, for a both fail, b the baseline only, c the candidate only.

    Args:
        low, high: The smaller and the larger p, each with its counts.

    Returns:
        The slopes, their difference and its 95 % interval; `flatter` where the candidate's slope is shown to be lower, so that
        its gain shrinks as p falls. None where one side never failed.
    """
    (p_low, first), (p_high, second) = low, high
    sides = [(c.both + c.baseline_only, c.both + c.candidate_only) for c in (first, second)]
    if min(min(side) for side in sides) == 0:
        return None
    span = log(p_high / p_low)
    slopes = [
        (log(sides[1][i] / second.shots) - log(sides[0][i] / first.shots)) / span for i in (0, 1)
    ]  # baseline, candidate
    spread = sqrt(sum(_variance(c, *side) for c, side in zip((first, second), sides, strict=True))) / span
    difference = slopes[1] - slopes[0]
    ends = difference - _Z * spread, difference + _Z * spread
    word = "flatter" if ends[1] < 0 else "kept"
    return Slope((p_low, p_high), slopes[0], slopes[1], difference, ends, word)


def _variance(counts: PairedCounts, baseline: int, candidate: int) -> float:
    return (counts.baseline_only + counts.candidate_only) / (baseline * candidate)


def slope_of(evidence: Evidence) -> Slope | None:
    """The slope between the lowest and the highest p of a verdict's target and its do-no-harm cells, if there are two.

    Where a file brings the noise, p are factors of its probabilities, 1 for the file as it is: the slopes are the same.
    """
    places: dict[float, PairedCounts] = {}
    name = strength_of(evidence)
    cell = evidence.cell
    target = None if cell is None else cell.get(name, 1.0 if name == "factor" else None)
    tested = evidence.target
    # Shots by strata have weights, which the slope does not know.
    if target is not None and tested is not None and tested.extension is not None and tested.strata is None:
        places[target] = tested.extension
    for row in evidence.harm or ():
        if list(row.cell) == [name] and row.counted is not None:
            places[row.cell[name]] = row.counted.counts
    if len(places) < 2 or min(places) <= 0:
        return None
    low, high = min(places), max(places)
    return two_p_slope((low, places[low]), (high, places[high]))


def strength_of(evidence: Evidence) -> str:
    """Which field of a cell says how strong the noise is: `p`, or `factor` where a file brings the noise."""
    return "factor" if any("factor" in row.cell for row in evidence.harm or ()) else "p"
