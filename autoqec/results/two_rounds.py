"""Two rounds beside each other: which one fails less often, and what shows it; which one costs less.

Nothing is tested anew. What the record shows is used in this order: a head-to-head on the same shots, the shots on which a
composed round was scored beside its parents, and the intervals of the two verdicts, each of shots of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures, Gain
from autoqec.results.head_to_head import FRONT_ALPHA, HeadToHead
from autoqec.results.round_results import RoundResults
from autoqec.results.statistics import log_e_better, log_e_worse, ratio_interval

#: Which round fails less often: the second, the first, neither is shown; or there is nothing to decide by.
Word = Literal["better", "worse", "not_decided", "not_comparable"]

#: What decides it.
Shown = Literal["head_to_head", "composition", "intervals", ""]


@dataclass(frozen=True)
class Compared:
    """A round as one side of a comparison.

    Attributes:
        name, commit: `run/number`, and its commit.
        environment: The identity of its environment; None if it is not known.
        results: What its notes say.
        flops, params: What the candidate costs; None where that is not known.
        us_per_shot, machine: Microseconds that a shot took, and on what kind of machine; None and empty where that is not known.
    """

    name: str
    commit: str | None
    environment: str | None
    results: RoundResults
    flops: float | None = None
    params: float | None = None
    us_per_shot: float | None = None
    machine: str = ""

    @property
    def holdout(self) -> Figures | None:
        """The figures of its verdict."""
        return self.results.verdict.figures if self.results.verdict else None


@dataclass(frozen=True)
class SameShots:
    """The counts of two rounds on the same shots.

    Attributes:
        by: What they were counted for.
        counts: The base in the baseline's place, the round in the candidate's.
        gain: Of the round over the base.
        ratio, ratio_interval: Of their rates.
        decided: The word that they show.
    """

    by: Shown
    counts: PairedCounts
    gain: Gain
    ratio: float | None
    ratio_interval: tuple[float, float | None]
    decided: Word

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        figures = {"ler_ratio": self.ratio, "ler_ratio_ci": list(self.ratio_interval)}
        return {"by": self.by, "word": self.decided, **self.counts.to_dict(), **self.gain.to_note(), **figures}


@dataclass(frozen=True)
class TwoRounds:
    """Two rounds beside each other.

    Attributes:
        base, round: Their names.
        word: Whether the round fails less often than the base.
        shown: What decides it; empty while it is not decided.
        why: Why the two cannot be compared; empty if they can.
        same_shots: Counts on shots that both decoded, those that decide first.
        flops_ratio, params_ratio: Costs of the round over those of the base; None where one is not known or zero.
        us_ratio: The same of microseconds per shot; None also where they were measured on different kinds of machines.
        us_per_shot: The microseconds of the base and of the round.
    """

    base: str
    round: str
    word: Word
    shown: Shown
    why: str
    same_shots: tuple[SameShots, ...]
    flops_ratio: float | None
    params_ratio: float | None
    us_ratio: float | None
    us_per_shot: tuple[float | None, float | None]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        pairs = [each.to_json() for each in self.same_shots]
        return {**vars(self), "same_shots": pairs, "us_per_shot": list(self.us_per_shot)}


#: Head-to-heads by the commit that they are noted on.
Pairs = Mapping[str, Sequence[HeadToHead]]


def two_rounds(base: Compared, new: Compared, pairs: Pairs) -> TwoRounds:
    """Put two rounds beside each other.

    Args:
        base: What the round is compared with.
        new: The round.
        pairs: Head-to-heads noted on the commits of the two.
    """
    same_machine = base.machine == new.machine != ""
    time = _over(new.us_per_shot, base.us_per_shot) if same_machine else None
    both = base.us_per_shot, new.us_per_shot
    costs = _over(new.flops, base.flops), _over(new.params, base.params), time, both
    why = _not_comparable(base, new)
    if why:
        return TwoRounds(base.name, new.name, "not_comparable", "", why, (), *costs)
    found = [*_head_to_heads(base, new, pairs), *_composed(base, new)]
    decided = next((each for each in found if each.decided != "not_decided"), None)
    if decided is not None:
        return TwoRounds(base.name, new.name, decided.decided, decided.by, "", tuple(found), *costs)
    word = _by_intervals(base.holdout, new.holdout)
    shown: Shown = "intervals" if word != "not_decided" else ""
    return TwoRounds(base.name, new.name, word, shown, "", tuple(found), *costs)


def _over(new: float | None, base: float | None) -> float | None:
    return None if new is None or not base else new / base


def _not_comparable(base: Compared, new: Compared) -> str:
    if base.environment != new.environment:
        return "the two rounds are on different environments"
    missing = [each.name for each in (base, new) if each.holdout is None]
    if missing:
        return f"there is no verdict with figures of {' and '.join(missing)}"
    return ""


def _head_to_heads(base: Compared, new: Compared, pairs: Pairs) -> Iterable[SameShots]:
    """Head-to-heads of the two. One is noted on the costlier round's commit, which is the baseline of its counts."""
    for dearer, cheaper, flip in ((base, new, False), (new, base, True)):
        for pair in pairs.get(str(dearer.commit), ()):
            if pair.alpha > 0 and pair.rival == cheaper.commit:
                yield _same_shots("head_to_head", _flipped(pair.counts, flip), min(FRONT_ALPHA, pair.alpha))


def _composed(base: Compared, new: Compared) -> Iterable[SameShots]:
    """The counts of a composed round beside the best of its parents, or of its parent that is the new round."""
    for child, parent, flip in ((new, base, False), (base, new, True)):
        compose = child.results.verdict.evidence.compose if child.results.verdict else None
        scored = compose.scored if compose else None
        if scored is not None and scored.best_parent == parent.name:
            yield _same_shots("composition", _flipped(scored.counts, flip), FRONT_ALPHA)


def _flipped(counts: PairedCounts, flip: bool) -> PairedCounts:
    """Counts, or the same with the two sides exchanged."""
    c = counts
    return PairedCounts(c.shots, c.both, c.candidate_only, c.baseline_only) if flip else counts


def _same_shots(by: Shown, counts: PairedCounts, level: float) -> SameShots:
    border = log(1 / level)
    word: Word = "not_decided"
    if log_e_better(counts) >= border:
        word = "better"
    elif log_e_worse(counts) >= border:
        word = "worse"
    return SameShots(by, counts, Gain.of(counts), counts.ler_ratio, ratio_interval(counts), word)


def _by_intervals(base: Figures | None, new: Figures | None) -> Word:
    """Decide by the ratios to plain decoding: each has its own shots, so their intervals must not overlap."""
    if base is None or new is None or base.ler_ratio is None or new.ler_ratio is None:
        return "not_decided"
    (base_low, base_high), (new_low, new_high) = base.ratio_interval, new.ratio_interval
    if new_high is not None and new_high < base_low:
        return "better"
    if base_high is not None and base_high < new_low:
        return "worse"
    return "not_decided"
