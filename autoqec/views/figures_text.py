"""Formats the figures of scored shots: rates, their difference and ratio, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from autoqec.results.figures import Figures
from autoqec.results.metrics import Metrics

if TYPE_CHECKING:
    from autoqec.results.reference_gates import GatedReference
    from autoqec.results.reference_ratio import ReferenceRatio


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


def reference_text(found: ReferenceRatio) -> str:
    """How a candidate compares with the best reference, on the shots beside which this is said."""
    if found.ratio is None:
        return f"{found.name} failed none of these {found.shots:,} shots"
    ends = f" {interval_text(found.interval, 3)} (95 %)" if found.interval is not None else ", without an interval,"
    return f"ratio to {found.name} {ratio_text(found.ratio, 3)}{ends} on the same shots"


def figures_text(
    figures: Figures,
    references: Mapping[str, float] | None = None,
    missing: Mapping[str, str] | None = None,
) -> str:
    """Rates, difference and ratio of some shots; references on the same shots."""
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
    return "\n".join(lines)


def figures_rows(
    figures: Figures,
    references: Mapping[str, float] | None = None,
    missing: Mapping[str, str] | None = None,
    reference: ReferenceRatio | None = None,
) -> list[tuple[str, str]]:
    """The same as rows of a name and its value, with the ratio to the best reference."""
    rows = [
        (
            "LER",
            f"{rate_text(figures.ler_candidate, 6)}, plain {rate_text(figures.ler_baseline, 6)},"
            f" over {figures.shots:,} shots",
        ),
        ("ΔLER", f"{rate_text(figures.delta_ler, 6, '+')} {interval_text(figures.gain_interval, 6)} (95 %)"),
        (
            "ratio",
            f"{ratio_text(figures.ler_ratio, 4)} {interval_text(figures.ratio_interval, 4)} (95 %) to plain decoding",
        ),
    ]
    known = [f"{name} {rate_text(ler, 6)}" for name, ler in sorted((references or {}).items())]
    known += [f"{name} left out, not installed: {line}" for name, line in sorted((missing or {}).items())]
    if reference is not None:
        known.append(reference_text(reference))
    return rows + ([("references", "; ".join(known))] if known else [])


def gated_text(name: str, gated: GatedReference) -> str:
    """What a reference behind a gate was run on, and what it may have missed."""
    said = (
        f"{name} ran on the {gated.share:.1%} of shots that the plain decoder is least sure of; of {gated.sampled:,} others it"
        f" answers {gated.differing:,} otherwise, so at most {gated.missed_at_most:.2%} of all shots"
    )
    return said + ("" if gated.ungated is None else f"; without its gate it fails {gated.ungated:,} of {gated.shots:,}")


def metrics_rows(metrics: Metrics, reference: ReferenceRatio | None) -> list[tuple[str, str]]:
    """A metrics note's figures as rows.

    Args:
        metrics: The note.
        reference: The ratio to the best reference, if it is of the same shots.
    """
    measured = metrics.measured
    rows = figures_rows(metrics.figures, measured.references, measured.references_missing, reference)
    for each in metrics.rates_beside:
        at = each.figures
        ratio = f"{ratio_text(at.ler_ratio, 4)} {interval_text(at.ratio_interval, 4)} (95 %)"
        rates = f"LER {rate_text(at.ler_candidate, 6)}, plain {rate_text(at.ler_baseline, 6)}"
        rows.append((f"at p = {each.p}", f"{rates}, ratio {ratio} over {at.shots:,} shots"))
    rows += [("reference", gated_text(name, gated)) for name, gated in sorted(measured.gated.items())]
    return rows + ([(f"rung {measured.rung.number}", measured.rung.in_words())] if measured.rung else [])
