"""Formats the figures of scored shots: rates, their difference and ratio, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from autoqec.results.figures import Figures
from autoqec.results.metrics import Metrics

if TYPE_CHECKING:
    from autoqec.results.metrics_parts import RateFigures
    from autoqec.results.reference_gates import GatedReference


def ratio_text(value: float | None, digits: int) -> str:
    """A ratio, or a dash where the baseline never failed."""
    return "–" if value is None else f"{value:.{digits}f}"


def rate_text(value: float, digits: int, sign: str = "") -> str:
    """A rate or a difference of rates with so many digits; one that would look like zero, and is not, in powers of ten."""
    text = f"{value:{sign}.{digits}f}"
    return f"{value:{sign}.3g}" if value and not float(text) else text


def interval_text(ends: Sequence[float | None], digits: int) -> str:
    """An interval whose upper end may be open."""
    low, high = ("∞" if end is None else rate_text(end, digits) for end in ends)
    return f"[{low}, {high}]"


def figures_text(
    figures: Figures,
    references: Mapping[str, float] | None = None,
    missing: Mapping[str, str] | None = None,
    rates: Sequence[RateFigures] = (),
) -> str:
    """Rates, difference and ratio of some shots; references on the same shots; rates at other p."""
    lines = [
        f"LER {rate_text(figures.ler_candidate, 6)}, plain {rate_text(figures.ler_baseline, 6)}, over {figures.shots:,} shots",
        f"ΔLER {rate_text(figures.delta_ler, 6, '+')} {interval_text(figures.gain_interval, 6)},"
        f" ratio {ratio_text(figures.ler_ratio, 4)} {interval_text(figures.ratio_interval, 4)}",
    ]
    lines += [f"reference {name}: LER {rate_text(ler, 6)}" for name, ler in sorted((references or {}).items())]
    lines += [
        f"reference {name}: left out because it is not installed: {line}"
        for name, line in sorted((missing or {}).items())
    ]
    for row in rates:
        at = row.figures
        lines.append(
            f"at p = {row.p}: LER {rate_text(at.ler_candidate, 6)}, plain {rate_text(at.ler_baseline, 6)},"
            f" ratio {ratio_text(at.ler_ratio, 4)} {interval_text(at.ratio_interval, 4)} over {at.shots:,} shots"
        )
    return "\n".join(lines)


def gated_text(name: str, gated: GatedReference) -> str:
    """What a reference behind a gate was run on, and what it may have missed."""
    said = (
        f"{name} ran on the {gated.share:.1%} of shots that the plain decoder is least sure of; of {gated.sampled:,} others it"
        f" answers {gated.differing:,} otherwise, so at most {gated.missed_at_most:.2%} of all shots"
    )
    return said + ("" if gated.ungated is None else f"; without its gate it fails {gated.ungated:,} of {gated.shots:,}")


def metrics_text(metrics: Metrics) -> str:
    """A metrics note's figures."""
    measured = metrics.measured
    text = figures_text(metrics.figures, measured.references, measured.references_missing, metrics.rates_beside)
    rung = [f"rung {measured.rung.number}: {measured.rung.in_words()}"] if measured.rung else []
    return "\n".join([text, *(gated_text(name, gated) for name, gated in sorted(measured.gated.items())), *rung])
