"""The share of the gap between plain decoding and a stronger decoder that a round closes, with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoqec.results.statistics import rate_interval
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import ExactRate, ShareOfGap
from autoqec.results.wider_comparisons import COMPARED

#: All three rates are within their intervals with probability at least one minus this, and then so is the share.
SHARE_ALPHA = 0.05


@dataclass(frozen=True)
class GapShare:
    """How much of the gap a round closes.

    Attributes:
        round: The round, `run/number`.
        reference: The stronger decoder.
        shots: How many shots all three decoded.
        plain, candidate, strong: Their rates with exact 95 % intervals.
        share: The share; None if the stronger decoder fails at least as often as plain decoding.
        interval: Its interval. An end is None where no share is excluded, as while the two decoders may be equally good.
    """

    round: str
    reference: str
    shots: int
    plain: ExactRate
    candidate: ExactRate
    strong: ExactRate
    share: float | None
    interval: tuple[float | None, float | None]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        rates = {
            name: {"ler": rate.ler, "ler_ci": list(rate.ler_ci)}
            for name, rate in (("plain", self.plain), ("candidate", self.candidate), ("strong", self.strong))
        }
        told = {"round": self.round, "reference": self.reference, "shots": self.shots, **rates}
        return told | {"share": self.share, "share_ci": list(self.interval)}


def gap_share(name: str, verdict: Verdict | None) -> GapShare | None:
    """The share of the gap that a verdict notes; None if it notes none.

    Args:
        name: The round, `run/number`.
        verdict: Its verdict.
    """
    found = verdict.evidence.share_of_gap if verdict is not None else None
    if found is None:
        return None
    rates = found.baseline, found.candidate, found.strong
    return GapShare(name, found.reference, found.shots, *rates, found.share, share_interval(found))


def share_interval(noted: ShareOfGap) -> tuple[float | None, float | None]:
    """The interval of a share, from the failures of the three decoders alone.

    How often two of them fail together is not noted. So each rate gets an exact interval, and all three hold together with 95 %
    (Bonferroni). The share `(plain - candidate) / (plain - strong)` is monotone in each of them, so its ends are at corners. The
    interval is wider than one of paired counts would be.

    Returns:
        Lower and upper end; both None where the gap may be zero, or where the note has impossible counts.
    """
    counts = [noted.failures.get(name) for name in COMPARED]
    if noted.shots < 1 or not all(type(each) is int and 0 <= each <= noted.shots for each in counts):
        return None, None
    ends = [rate_interval(each, noted.shots, SHARE_ALPHA / len(COMPARED)) for each in counts if each is not None]
    (plain_low, plain_high), (own_low, own_high), (strong_low, strong_high) = ends
    if plain_low <= strong_high:
        return None, None

    def share(plain: float, own: float, strong: float) -> float:
        return (plain - own) / (plain - strong)

    low = min(
        share(plain, own_high, strong) for plain in (plain_low, plain_high) for strong in (strong_low, strong_high)
    )
    high = max(
        share(plain, own_low, strong) for plain in (plain_low, plain_high) for strong in (strong_low, strong_high)
    )
    return low, high
