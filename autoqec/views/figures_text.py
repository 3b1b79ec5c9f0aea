"""Figures of a stretch of scored shots, as text: rates, their difference and ratio, with the ends of their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoqec.views.round_json import rates_beside


def ratio_text(value: float | None, digits: int) -> str:
    """A ratio, or a dash where the baseline never failed."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval_text(ends: Sequence[float | None], digits: int) -> str:
    """An interval whose upper end may be open."""
    low, high = ends
    return f"[{low:.{digits}f}, {'∞' if high is None else f'{high:.{digits}f}'}]"


def figures_text(item: Mapping[str, Any]) -> str:
    """Rates, difference and ratio of a metrics or verdict note; references on the same shots; rates at other p."""
    ratio = ratio_text(item["ler_ratio"], 4)
    lines = [
        f"LER {item['ler_candidate']:.6f}, plain {item['ler_baseline']:.6f}, over {item['shots']:,} shots",
        f"ΔLER {item['delta_ler']:+.6f} {interval_text(item['delta_ler_ci'], 6)}, ratio {ratio}"
        f" {interval_text(item['ler_ratio_ci'], 4)}",
    ]
    references = item.get("references") or {}
    lines += [f"reference {name}: LER {ler:.6f}" for name, ler in sorted(references.items())]
    missing = item.get("references_missing") or {}
    lines += [f"reference {name}: left out, not installed: {line}" for name, line in sorted(missing.items())]
    lines += [
        f"at p = {row['p']}: LER {row['ler_candidate']:.6f}, plain {row['ler_baseline']:.6f},"
        f" ratio {ratio_text(row['ler_ratio'], 4)} {interval_text(row['ler_ratio_ci'], 4)} over {row['shots']:,} shots"
        for row in rates_beside(item)
    ]
    return "\n".join(lines)
