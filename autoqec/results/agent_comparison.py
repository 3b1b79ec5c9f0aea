"""Which of several agents found the better rounds at equal compute, from their verdicts alone. Plain Python.

What an agent has at any time is its best VERIFIED round so far, and before there is one the plain decoder, whose gain is zero
exactly. The best of many flatters, so the intervals that decide between two agents hold for all their verdicts together.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from operator import mul
from statistics import mean, stdev
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.pareto_front import Point, front
from autoqec.results.statistics import delta_interval

#: All intervals that decide between two agents hold together with at least one minus this.
COMPARISON_ALPHA = 0.05

#: Seeds of which all ways to exchange the agents are gone through.
_EXACT = 14

#: How a comparison is decided, for whoever reads its word.
TEST = (
    "the holdout intervals of Δ_LER of the best VERIFIED rounds do not meet, in every seed; the intervals of all VERIFIED"
    " rounds of both agents hold together at 95 % (Bonferroni)"
)


@dataclass(frozen=True)
class Tried:
    """A round of an arm.

    Attributes:
        number: The round's.
        status: How it ended.
        verdict: The verifier's word, or None.
        seconds: Wall clock of the arm's rounds up to the end of this one, together.
        gain, interval: The verdict's Δ_LER and its interval, if VERIFIED.
        flops, params: Costs as the verifier counted them, likewise.
        counts: The shots that these figures rest on, likewise.
    """

    number: int
    status: str
    verdict: str | None
    seconds: float
    gain: float | None = None
    interval: tuple[float, float] | None = None
    flops: int = 0
    params: int = 0
    counts: PairedCounts | None = None

    @property
    def verified(self) -> bool:
        """Whether it counts."""
        return self.verdict == "VERIFIED" and self.gain is not None


@dataclass(frozen=True)
class ArmResult:
    """An agent with one seed.

    Attributes:
        agent, seed, run: Which.
        tried: Its closed rounds, oldest first.
        tokens: What its calls took.
        cost: In US dollars; None where a price is not known.
    """

    agent: str
    seed: int
    run: str
    tried: tuple[Tried, ...]
    tokens: int = 0
    cost: float | None = 0.0

    @property
    def best(self) -> Tried | None:
        """The VERIFIED round that gains most, the first of equals; None without one."""
        return max(self.verified, key=lambda each: (each.gain or 0.0, -each.number), default=None)

    @property
    def verified(self) -> list[Tried]:
        """Its VERIFIED rounds."""
        return [each for each in self.tried if each.verified]

    def steps(self) -> list[tuple[Tried, Tried | None]]:
        """Each round with the best VERIFIED one up to it."""
        return [
            (each, ArmResult(self.agent, self.seed, self.run, self.tried[: place + 1]).best)
            for place, each in enumerate(self.tried)
        ]


def gain_of(best: Tried | None) -> float:
    """What a best round gains: nothing, if there is none."""
    return best.gain or 0.0 if best else 0.0


def front_size(arms: Iterable[ArmResult]) -> int:
    """How many rounds are on the front of all VERIFIED rounds of some arms."""
    points = [
        Point(f"{arm.run}/{each.number}", each.gain or 0.0, each.interval or (0.0, 0.0), each.flops, each.params)
        for arm in arms
        for each in arm.verified
    ]
    return len(front(points))


def by_agent(arms: Sequence[ArmResult]) -> dict[str, list[ArmResult]]:
    """Arms by agent, agents in the order in which they come first."""
    found: dict[str, list[ArmResult]] = {}
    for arm in arms:
        found.setdefault(arm.agent, []).append(arm)
    return found


def summarised(arms: Sequence[ArmResult]) -> dict[str, Any]:
    """One agent's arms in figures.

    Returns:
        `agent`, `seeds`, `rounds`, `verified`, `best` (of all seeds: `round`, `seed`, `delta_ler`, `delta_ler_ci`, `rounds`
        and `seconds` to reach it; or None), `mean` and `spread` (the standard deviation, None of a single seed) over seeds of
        what each has at its end, `rounds_to_best` and `seconds_to_best` (means over seeds that have one), `front`, `tokens`,
        `cost`.
    """
    ends = [(arm, arm.best) for arm in arms]
    gains = [gain_of(best) for _, best in ends]
    reached = [best for _, best in ends if best is not None]
    costs = [arm.cost for arm in arms]
    return {
        "agent": arms[0].agent,
        "seeds": len(arms),
        "rounds": sum(len(arm.tried) for arm in arms),
        "verified": sum(len(arm.verified) for arm in arms),
        "best": _best_of(ends),
        "mean": mean(gains),
        "spread": stdev(gains) if len(gains) > 1 else None,
        "rounds_to_best": mean(best.number for best in reached) if reached else None,
        "seconds_to_best": mean(best.seconds for best in reached) if reached else None,
        "front": front_size(arms),
        "tokens": sum(arm.tokens for arm in arms),
        "cost": None if None in costs else sum(cost or 0.0 for cost in costs),
    }


def _best_of(ends: Sequence[tuple[ArmResult, Tried | None]]) -> dict[str, Any] | None:
    reached = [(arm, best) for arm, best in ends if best is not None]
    if not reached:
        return None
    arm, best = max(reached, key=lambda pair: gain_of(pair[1]))
    assert best.interval is not None
    return {
        "round": f"{arm.run}/{best.number}",
        "seed": arm.seed,
        "delta_ler": best.gain,
        "delta_ler_ci": list(best.interval),
        "rounds": best.number,
        "seconds": best.seconds,
    }


def comparisons(arms: Sequence[ArmResult]) -> list[dict[str, Any]]:
    """Each pair of agents, by their seeds in common, each at as many rounds as both have.

    Returns:
        For each `agents` (the two), `seeds`, `alpha` (of one interval), `per_seed` (`seed`, `rounds`, `winner` or None), `word`:
        the agent that wins every seed, or None if none does; `mean_difference`: over seeds, of the first's best gain less the
        second's, with ends that hold where all the intervals do; and `test`. That is about these rounds. About the agents:
        `seed_p`, of the paired randomisation test of that mean difference, two-sided — how often it is as large where each seed
        may as well have had its agents exchanged —, and `better`: the agent it favours at 5 %, or None.
    """
    return [_comparison(first, second) for first, second in combinations(by_agent(arms).values(), 2)]


def _comparison(first: Sequence[ArmResult], second: Sequence[ArmResult]) -> dict[str, Any]:
    theirs = {arm.seed: arm for arm in second}
    pairs = [_at_equal_rounds(arm, theirs[arm.seed]) for arm in first if arm.seed in theirs]
    verdicts = sum(len(arm.verified) for pair in pairs for arm in pair)
    alpha = COMPARISON_ALPHA / max(1, verdicts)
    rows = [{"seed": a.seed, "rounds": len(a.tried), "winner": _winner(a, b, alpha)} for a, b in pairs]
    winners = {row["winner"] for row in rows}
    differences = [gain_of(a.best) - gain_of(b.best) for a, b in pairs]
    seed_p = randomisation_p(differences)
    ahead = first[0].agent if sum(differences) > 0 else second[0].agent
    return {
        "agents": [first[0].agent, second[0].agent],
        "seeds": len(rows),
        "alpha": alpha,
        "per_seed": rows,
        "word": winners.pop() if len(winners) == 1 else None,
        "mean_difference": _mean_difference(pairs, alpha),
        "seed_p": seed_p,
        "better": ahead if seed_p <= COMPARISON_ALPHA else None,
        "test": TEST,
    }


def randomisation_p(differences: Sequence[float]) -> float:
    """The paired randomisation test (Fisher): how often signs drawn by lot make a sum as far from zero, exactly for few.

    Args:
        differences: One a seed; p is 1 where there is none.
    """
    seen = abs(sum(differences)) * (1 - 1e-12)
    if len(differences) <= _EXACT:
        signs: Iterable[tuple[int, ...]] = product((1, -1), repeat=len(differences))
        total = 2 ** len(differences)
    else:
        lots, total = random.Random(0), 2**_EXACT  # noqa: S311
        signs = (tuple(lots.choice((1, -1)) for _ in differences) for _ in range(total))
    return sum(abs(sum(map(mul, chosen, differences))) >= seen for chosen in signs) / total


def _mean_difference(pairs: Sequence[tuple[ArmResult, ArmResult]], alpha: float) -> list[float] | None:
    """The estimate and its two ends; None without a seed in common."""
    if not pairs:
        return None
    estimate = mean(gain_of(a.best) - gain_of(b.best) for a, b in pairs)
    ends = [(_interval(a.best, alpha), _interval(b.best, alpha)) for a, b in pairs]
    return [estimate, mean(a[0] - b[1] for a, b in ends), mean(a[1] - b[0] for a, b in ends)]


def _at_equal_rounds(a: ArmResult, b: ArmResult) -> tuple[ArmResult, ArmResult]:
    """Two arms as they were when both had as many rounds as the shorter has now."""
    rounds = min(len(a.tried), len(b.tried))
    return replace(a, tried=a.tried[:rounds]), replace(b, tried=b.tried[:rounds])


def _winner(a: ArmResult, b: ArmResult, alpha: float) -> str | None:
    mine, theirs = _interval(a.best, alpha), _interval(b.best, alpha)
    if mine[0] > theirs[1]:
        return a.agent
    return b.agent if theirs[0] > mine[1] else None


def _interval(best: Tried | None, alpha: float) -> tuple[float, float]:
    """The gain's interval at a level; that of the plain decoder, or of a verdict without counts, which decides nothing."""
    if best is None:
        return 0.0, 0.0
    return delta_interval(best.counts, alpha) if best.counts is not None else (-1.0, 1.0)


def arm_object(arm: ArmResult) -> Mapping[str, Any]:
    """An arm as JSON values: its rounds, each with the best so far."""
    return {
        "seed": arm.seed,
        "run": arm.run,
        "tokens": arm.tokens,
        "cost": arm.cost,
        "rounds": [
            {
                "round": each.number,
                "status": each.status,
                "verdict": each.verdict,
                "seconds": each.seconds,
                "delta_ler": each.gain,
                "delta_ler_ci": list(each.interval) if each.interval else None,
                "best_so_far": gain_of(best),
            }
            for each, best in arm.steps()
        ],
    }
