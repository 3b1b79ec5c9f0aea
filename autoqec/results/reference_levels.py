"""The levels of reference decoders beside the rounds of an environment: their failures on all shots of verdicts together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autoqec.results.reference_ratio import interval_of_ratio
from autoqec.results.verdict import Verdict


@dataclass(frozen=True)
class ReferenceLevel:
    """A reference decoder beside plain decoding, on the shots of all verdicts that have it.

    Attributes:
        name: The decoder.
        near_ml: Whether it is near maximum likelihood.
        rounds, shots: On how many verdicts and shots this rests.
        failures, plain_failures: On these shots.
        ratio: The quotient of the two; None if plain decoding never failed.
        low, high: Its interval, from the exact intervals of the two rates; `high` is None where no ratio is excluded.
    """

    name: str
    near_ml: bool
    rounds: int
    shots: int
    failures: int
    plain_failures: int
    ratio: float | None
    low: float
    high: float | None


@dataclass(frozen=True)
class _Seen:
    """Failures of a reference and of plain decoding on the same shots of one verdict."""

    name: str
    near_ml: bool
    shots: int
    failures: int
    plain: int


def reference_levels(verdicts: Iterable[Verdict | None]) -> list[ReferenceLevel]:
    """The levels of all references of some verdicts, the best last."""
    by_name: dict[str, list[_Seen]] = {}
    for verdict in verdicts:
        for seen in _seen(verdict):
            by_name.setdefault(seen.name, []).append(seen)
    found = [_level(name, seen) for name, seen in by_name.items()]
    return sorted(found, key=lambda level: (-(level.ratio or 0.0), level.name))


def _seen(verdict: Verdict | None) -> Iterator[_Seen]:
    if verdict is None or verdict.figures is None or verdict.by_strata:  # counts by strata have weights
        return
    shots, near = verdict.figures.shots, set(verdict.evidence.near_ml or ())
    plain = round(verdict.figures.ler_baseline * shots)
    share = verdict.evidence.share_of_gap
    strong = share.reference if share is not None else None
    for name, rate in (verdict.references or {}).items():
        if 0 <= rate <= 1 and name != strong:
            yield _Seen(name, name in near, shots, round(rate * shots), plain)
    counts = [share.failures.get(name) for name in ("strong", "baseline")] if share is not None else []
    if share is not None and all(type(each) is int and 0 <= each <= share.shots for each in counts):
        yield _Seen(share.reference, True, share.shots, share.failures["strong"], share.failures["baseline"])


def _level(name: str, seen: list[_Seen]) -> ReferenceLevel:
    shots, failures, plain = (sum(getattr(each, what) for each in seen) for what in ("shots", "failures", "plain"))
    low, high = interval_of_ratio(failures, plain, shots) if shots else (0.0, None)
    return ReferenceLevel(
        name=name,
        near_ml=any(each.near_ml for each in seen),
        rounds=len(seen),
        shots=shots,
        failures=failures,
        plain_failures=plain,
        ratio=failures / plain if plain else None,
        low=low,
        high=high,
    )
