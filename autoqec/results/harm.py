"""Do-no-harm cells: what a fixed number of shots beside the target says, and how the rates grow with p.

Near the target a predecoder meets shots like those it was trained on; it should not be worse there than the plain decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import figures, finite, log_e_better, log_e_worse

#: Harm, or that there is none to speak of, is shown at this level.
HARM_ALPHA = 0.05

#: "No harm" is a rate that is shown to be less than this many times the baseline's: equality can never be shown.
HARMLESS_RATIO = 1.1

#: Standard deviations of a two-sided 95 % interval.
_Z = 1.959964


def harm_fields(counts: PairedCounts) -> dict[str, Any]:
    """What a cell's counts say, as notes hold it.

    Returns:
        `counts` and figures; `log_e_worse`, evidence that the candidate fails more often than the baseline; `log_e_harmless`,
        evidence that it fails less than `HARMLESS_RATIO` times as often; `word`.
    """
    return {
        "counts": counts.to_dict(),
        **figures(counts),
        "log_e_worse": round(finite(log_e_worse(counts)), 6),
        "log_e_harmless": round(finite(log_e_better(counts, HARMLESS_RATIO)), 6),
        "word": harm_word(counts),
    }


def harm_word(counts: PairedCounts) -> str:
    """`harm` where the candidate is shown to be worse, `no_harm` where it is shown not to be much worse, else `unknown`."""
    if log_e_worse(counts) >= log(1 / HARM_ALPHA):
        return "harm"
    return "no_harm" if log_e_better(counts, HARMLESS_RATIO) >= log(1 / HARM_ALPHA) else "unknown"


def two_p_slope(low: tuple[float, PairedCounts], high: tuple[float, PairedCounts]) -> dict[str, Any] | None:
    """How steeply the rates of failure fall with p: `d log LER / d log p` of both sides, from two p.

    The difference of the slopes is that of `log(candidate / baseline)` at the two p. On paired counts its variance at each is
    about (b + c) / ((a + b)(a + c)), by the delta method, for a both fail, b the baseline only, c the candidate only.

    Args:
        low, high: The smaller and the larger p, each with its counts.

    Returns:
        `p`; `baseline` and `candidate`, the slopes; `difference`, candidate less baseline, and its 95 % interval `ci`; `word`:
        `flatter` where the candidate's slope is shown to be lower, so that its gain shrinks as p falls, else `kept`. None
        where one side never failed.
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
    ends = [difference - _Z * spread, difference + _Z * spread]
    return {
        "p": [p_low, p_high],
        "baseline": slopes[0],
        "candidate": slopes[1],
        "difference": difference,
        "ci": ends,
        "word": "flatter" if ends[1] < 0 else "kept",
    }


def _variance(counts: PairedCounts, baseline: int, candidate: int) -> float:
    return (counts.baseline_only + counts.candidate_only) / (baseline * candidate)


def slope_of(details: Mapping[str, Any]) -> dict[str, Any] | None:
    """The slope between the lowest and the highest p of a verdict's target and its do-no-harm cells, if there are two."""
    target = details.get("cell", {}).get("p")
    places = {} if target is None else {target: details["extension"]}
    for row in details.get("harm", ()):
        if list(row["cell"]) == ["p"] and "counts" in row:
            places[row["cell"]["p"]] = row["counts"]
    if len(places) < 2:
        return None
    low, high = min(places), max(places)
    return two_p_slope(
        (low, PairedCounts.from_dict(places[low])),
        (high, PairedCounts.from_dict(places[high])),
    )
