"""The Pareto front of a lab: the VERIFIED rounds within their limits that no other is shown to beat, head-to-heads included.

There is one front. `autoqec pareto`, `verify --front`, archives, bundles, agents' contexts and comparisons of agents all take
it from here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from autoqec.results.head_to_head import FRONT_ALPHA, HeadToHead, Words, head_to_head_words, open_pairs, settle
from autoqec.results.limits import exceeded
from autoqec.results.metrics import Metrics
from autoqec.results.pareto_front import Member, Point, front, no_dearer
from autoqec.results.verdict import Verdict

#: Finds the head-to-heads noted on commits, by commit. It is called only if some pair is still to be decided.
Decided = Callable[[Collection[str]], Mapping[str, Sequence[HeadToHead]]]


@dataclass(frozen=True)
class Entrant:
    """A VERIFIED round as the front sees it.

    Attributes:
        name: `run/number`.
        commit: Its commit.
        point: Gain and costs; None if a figure of it is missing.
        over: The limits of its environment that its figures exceed, whatever the verifier says.
    """

    name: str
    commit: str
    point: Point | None
    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Front:
    """The front of one environment.

    Attributes:
        members: Best gain first.
        words: What head-to-heads say of pairs.
    """

    members: Sequence[Member] = ()
    words: Words = field(default_factory=dict, repr=False)

    @cached_property
    def open_pairs(self) -> Sequence[tuple[Point, Point]]:
        """Undecided pairs: the first costs no more and may gain as much; neither is shown to gain more.

        Thousands of members of one cost have millions, so they are found when they are asked for.
        """
        return open_pairs(self.members, self.words)

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names."""
        return tuple(member.point.name for member in self.members)


def entrant(name: str, commit: str | None, verdict: Verdict | None, metrics: Metrics | None) -> Entrant | None:
    """A round as the front sees it; None unless it is VERIFIED.

    Its gain is the verdict's, from fresh shots. Its costs are those that the verifier counted. Where the verdict has none, they
    are those in the metrics, which come from the training process.
    """
    if verdict is None or not verdict.verified or commit is None:
        return None
    figures = verdict.figures
    costs = metrics.costs if metrics is not None else None
    counted = verdict.cost("flops_per_shot"), verdict.cost("params")
    flops = counted[0] if counted[0] is not None else (costs.flops_per_shot if costs else None)
    params = counted[1] if counted[1] is not None else (costs.params if costs else None)
    if figures is None or flops is None or params is None:
        return Entrant(name, commit, None)
    limits = verdict.limits
    over = exceeded(limits, flops=flops, params=params, ler_candidate=figures.ler_candidate) if limits else ()
    return Entrant(name, commit, Point(name, figures.delta_ler, figures.gain_interval, int(flops), int(params)), over)


def front_of(entrants: Iterable[Entrant], decided: Decided) -> Front:
    """The front of the VERIFIED rounds of one environment.

    Args:
        entrants: Those rounds. A round above a limit, or without a figure, is on no front.
        decided: Finds head-to-heads.
    """
    rounds = {each.commit: each.point for each in entrants if each.point is not None and not each.over}
    members = front([*rounds.values()])
    if all(member.confirmed for member in members):
        return Front(members)
    names = {member.point.name for member in members}
    by_commit = {commit: point for commit, point in rounds.items() if point.name in names}
    words = _words(by_commit, decided(by_commit.keys()))
    settled = settle(members, words)
    return Front(settled, words)


def _words(points: Mapping[str, Point], pairs: Mapping[str, Sequence[HeadToHead]]) -> Words:
    """The head-to-head results of a front's rounds, recomputed from the counts in the notes; the noted words are not trusted."""
    words: dict[tuple[str, str], str] = {}
    for commit in sorted(points.keys() & pairs.keys()):
        for found in pairs[commit]:
            cheaper, dearer = points.get(found.rival), points[commit]
            if cheaper is not None and no_dearer(cheaper, dearer) and found.alpha > 0:
                words |= head_to_head_words(cheaper, dearer, found.counts, min(FRONT_ALPHA, found.alpha))
    return words
