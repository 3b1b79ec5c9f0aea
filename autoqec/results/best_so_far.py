"""The climb of the research on an environment: which VERIFIED rounds were the best ones when they came. Plain Python.

Better means a smaller ratio to plain decoding, by the verdict. Of two rounds that are equally good, either may have the better
estimate; so a best round is called sure only if it is shown to be better: the two intervals do not overlap, or a head-to-head on
the same shots shows it. `log`, `pareto` and `diagnose` take it from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any

from autoqec.results.head_to_head import FRONT_ALPHA, HeadToHead
from autoqec.results.lab_front import Decided
from autoqec.results.statistics import log_e_better, log_e_worse


@dataclass(frozen=True)
class Attempt:
    """A round as the climb sees it.

    Attributes:
        name: `run/number`.
        commit: Its commit; empty for one without.
        finished: Whether it has ended.
        ratio, interval: The verdict's ratio to plain decoding with its interval; None unless the round is VERIFIED and keeps the
            limits of its environment. The interval's upper end is None while no ratio is excluded.
    """

    name: str
    commit: str
    finished: bool
    ratio: float | None = None
    interval: tuple[float, float | None] = (0.0, None)


@dataclass(frozen=True)
class BestSoFar:
    """The best VERIFIED round of an environment up to some round.

    Attributes:
        round: Its name, `run/number`.
        ratio, interval: Its ratio to plain decoding.
        sure: Whether it is shown to be better than the best one before it; of the first, than plain decoding.
        new: Whether it is the very round that this is said of.
        since: How many rounds have finished after it.
    """

    round: str
    ratio: float
    interval: tuple[float, float | None]
    sure: bool
    new: bool = True
    since: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        figures = {"ler_ratio": self.ratio, "ler_ratio_ci": list(self.interval)}
        return {"round": self.round, **figures, "sure": self.sure, "new": self.new, "rounds_since": self.since}


def read_best(told: Mapping[str, Any] | None) -> BestSoFar | None:
    """The inverse of `to_json`, for an object that it wrote."""
    if told is None:
        return None
    low, high = told["ler_ratio_ci"]
    return BestSoFar(told["round"], told["ler_ratio"], (low, high), told["sure"], told["new"], told["rounds_since"])


def climb(attempts: Iterable[Attempt], decided: Decided = lambda commits: {}) -> list[BestSoFar | None]:
    """The best VERIFIED round up to each round; None before there is one.

    Args:
        attempts: The rounds of one environment, oldest first.
        decided: Finds head-to-heads. It is called only for two rounds whose intervals overlap.
    """
    steps: list[BestSoFar | None] = []
    best: BestSoFar | None = None
    holder: Attempt | None = None
    for each in attempts:
        word = None if each.ratio is None else _word(each, holder, decided)
        if each.ratio is not None and word is not None:
            best, holder = BestSoFar(each.name, each.ratio, each.interval, word == _SURE), each
        elif best is not None:
            best = replace(best, new=False, since=best.since + each.finished)
        steps.append(best)
    return steps


_SURE, _SEEMS = "sure", "seems"


def _word(new: Attempt, old: Attempt | None, decided: Decided) -> str | None:
    """Whether a round is surely better than the best before, or seems to be; None if it is not."""
    assert new.ratio is not None
    high, low = new.interval[1], 1.0 if old is None else old.interval[0]
    if high is not None and high < low:
        return _SURE
    if old is None:
        return _SEEMS
    if old.ratio is None or new.ratio >= old.ratio:
        return None
    pairs = decided({new.commit, old.commit})
    if _shown(new, old, pairs.get(new.commit, ()), pairs.get(old.commit, ())):
        return _SURE
    return None if _shown(old, new, pairs.get(old.commit, ()), pairs.get(new.commit, ())) else _SEEMS


def _shown(a: Attempt, b: Attempt, of_a: Sequence[HeadToHead], of_b: Sequence[HeadToHead]) -> bool:
    """Whether a head-to-head shows that a fails less often than b. It is on the costlier one, the baseline of its counts."""
    return any(
        log_e(pair.counts) >= log(1 / min(FRONT_ALPHA, pair.alpha))
        for pairs, rival, log_e in ((of_b, a, log_e_better), (of_a, b, log_e_worse))
        for pair in pairs
        if pair.rival == rival.commit and pair.alpha > 0
    )
