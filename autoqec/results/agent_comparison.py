"""Compares agents at equal compute: which one found the better rounds, from their verdicts alone. Plain Python.

At any time an agent scores with its best VERIFIED round so far. Before it has one, the plain decoder counts, whose gain is
exactly zero. The best of many is biased upwards, so the intervals that decide between two agents hold for all their verdicts
together.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from operator import mul
from statistics import mean, stdev
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import NO_GAIN, Gain
from autoqec.results.head_to_head import HeadToHead
from autoqec.results.lab_front import Entrant, front_of
from autoqec.results.statistics import delta_interval

#: All intervals that decide between two agents hold together with probability at least one minus this.
COMPARISON_ALPHA = 0.05

#: Up to so many seeds, the randomisation test enumerates every exchange of the agents.
_EXACT = 14

#: How a comparison is decided; printed beside its word.
TEST = (
    "the holdout intervals of Δ_LER of the best VERIFIED rounds do not overlap, in every seed; the intervals of all VERIFIED"
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
        gain: The verdict's, if VERIFIED.
        entrant: The round as the front sees it, likewise.
        counts: The shots that the gain rests on, likewise.
    """

    number: int
    status: str
    verdict: str | None
    seconds: float
    gain: Gain | None = None
    entrant: Entrant | None = None
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
        tokens: Tokens of its calls.
        cost: In US dollars; None where a price is unknown.
        pairs: Head-to-heads in the notes of its commits.
        at_once: How many of its rounds ran at once, at most; with more than one, each knew less than in rounds one by one.
    """

    agent: str
    seed: int
    run: str
    tried: tuple[Tried, ...]
    tokens: int = 0
    cost: float | None = 0.0
    pairs: Mapping[str, Sequence[HeadToHead]] = field(default_factory=dict)
    at_once: int = 1

    @property
    def best(self) -> Tried | None:
        """The VERIFIED round that gains most, the first of equals; None without one."""
        return max(self.verified, key=lambda each: (gain_of(each), -each.number), default=None)

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
    return best.gain.delta_ler if best and best.gain else 0.0


def front_size(arms: Iterable[ArmResult]) -> int:
    """How many rounds are on the front of all VERIFIED rounds of some arms."""
    known = list(arms)
    pairs = {commit: each for arm in known for commit, each in arm.pairs.items()}
    entrants = [each.entrant for arm in known for each in arm.verified if each.entrant is not None]
    return len(front_of(entrants, lambda commits: pairs).members)


def by_agent(arms: Sequence[ArmResult]) -> dict[str, list[ArmResult]]:
    """Arms by agent, in order of each agent's first arm."""
    found: dict[str, list[ArmResult]] = {}
    for arm in arms:
        found.setdefault(arm.agent, []).append(arm)
    return found


@dataclass(frozen=True)
class BestRound:
    """The best VERIFIED round of an agent.

    Attributes:
        round: `run/number`.
        seed: Of its run.
        gain: The verdict's.
        rounds, seconds: Rounds and wall-clock seconds to reach it.
    """

    round: str
    seed: int
    gain: Gain
    rounds: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        about = {"round": self.round, "seed": self.seed}
        return {**about, **self.gain.to_note(), "rounds": self.rounds, "seconds": self.seconds}


@dataclass(frozen=True)
class AgentSummary:
    """One agent's arms in figures.

    Attributes:
        agent: Who.
        seeds, rounds, verified: How many it had.
        best: The best round of all seeds.
        mean, spread: Mean and standard deviation over seeds of the final best gain; no spread (None) for a single seed.
        rounds_to_best, seconds_to_best: Means over seeds that have a VERIFIED round.
        front: Rounds on the front of all its VERIFIED rounds.
        tokens, cost: Tokens and cost of its calls; the cost is None where a price is unknown.
    """

    agent: str
    seeds: int
    rounds: int
    verified: int
    best: BestRound | None
    mean: float
    spread: float | None
    rounds_to_best: float | None
    seconds_to_best: float | None
    front: int
    tokens: int
    cost: float | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self) | {"best": self.best.to_json() if self.best else None}


def summarised(arms: Sequence[ArmResult]) -> AgentSummary:
    """One agent's arms in figures."""
    ends = [(arm, arm.best) for arm in arms]
    gains = [gain_of(best) for _, best in ends]
    reached = [best for _, best in ends if best is not None]
    costs = [arm.cost for arm in arms]
    return AgentSummary(
        agent=arms[0].agent,
        seeds=len(arms),
        rounds=sum(len(arm.tried) for arm in arms),
        verified=sum(len(arm.verified) for arm in arms),
        best=_best_of(ends),
        mean=mean(gains),
        spread=stdev(gains) if len(gains) > 1 else None,
        rounds_to_best=mean(best.number for best in reached) if reached else None,
        seconds_to_best=mean(best.seconds for best in reached) if reached else None,
        front=front_size(arms),
        tokens=sum(arm.tokens for arm in arms),
        cost=None if None in costs else sum(cost or 0.0 for cost in costs),
    )


def _best_of(ends: Sequence[tuple[ArmResult, Tried | None]]) -> BestRound | None:
    reached = [(arm, best) for arm, best in ends if best is not None]
    if not reached:
        return None
    arm, best = max(reached, key=lambda pair: gain_of(pair[1]))
    assert best.gain is not None
    return BestRound(f"{arm.run}/{best.number}", arm.seed, best.gain, best.number, best.seconds)


@dataclass(frozen=True)
class SeedOutcome:
    """A seed that two agents have in common: at how many `rounds` they were compared, and the `winner`, if it is sure."""

    seed: int
    rounds: int
    winner: str | None


@dataclass(frozen=True)
class PairComparison:
    """Two agents by their seeds in common, each at as many rounds as both have.

    Attributes:
        agents: The two.
        seeds: How many they have in common.
        alpha: Level of one interval.
        per_seed: Who wins which seed.
        word: The agent that wins every seed, or None if none does.
        mean_difference: Mean over seeds of the first's best gain minus the second's, with an interval that holds where all
            intervals of the rounds hold.
        seed_p: A statement about the agents, not only about these rounds: the two-sided p-value of the paired randomisation
            test of that mean difference, under the null that the agents are exchangeable within each seed.
        better: The agent it favours at 5 %, or None.
        test: How the word is decided.
    """

    agents: tuple[str, str]
    seeds: int
    alpha: float
    per_seed: tuple[SeedOutcome, ...]
    word: str | None
    mean_difference: tuple[float, float, float] | None
    seed_p: float
    better: str | None
    test: str = TEST

    def wins(self, agent: str) -> int:
        """How many seeds an agent wins."""
        return sum(row.winner == agent for row in self.per_seed)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        means = None if self.mean_difference is None else list(self.mean_difference)
        rows = [dict(vars(row)) for row in self.per_seed]
        return vars(self) | {"agents": list(self.agents), "per_seed": rows, "mean_difference": means}


def comparisons(arms: Sequence[ArmResult]) -> list[PairComparison]:
    """Each pair of agents, by their seeds in common."""
    return [_compared(first, second) for first, second in combinations(by_agent(arms).values(), 2)]


def _compared(first: Sequence[ArmResult], second: Sequence[ArmResult]) -> PairComparison:
    theirs = {arm.seed: arm for arm in second}
    pairs = [_at_equal_rounds(arm, theirs[arm.seed]) for arm in first if arm.seed in theirs]
    verdicts = sum(len(arm.verified) for pair in pairs for arm in pair)
    alpha = COMPARISON_ALPHA / max(1, verdicts)
    rows = tuple(SeedOutcome(a.seed, len(a.tried), _winner(a, b, alpha)) for a, b in pairs)
    winners = {row.winner for row in rows}
    differences = [gain_of(a.best) - gain_of(b.best) for a, b in pairs]
    seed_p = randomisation_p(differences)
    ahead = first[0].agent if sum(differences) > 0 else second[0].agent
    return PairComparison(
        agents=(first[0].agent, second[0].agent),
        seeds=len(rows),
        alpha=alpha,
        per_seed=rows,
        word=winners.pop() if len(winners) == 1 else None,
        mean_difference=_mean_difference(pairs, alpha),
        seed_p=seed_p,
        better=ahead if seed_p <= COMPARISON_ALPHA else None,
    )


def randomisation_p(differences: Sequence[float]) -> float:
    """Fisher's paired randomisation test: how often random signs give a sum as far from zero. Exact for few seeds.

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


def _mean_difference(pairs: Sequence[tuple[ArmResult, ArmResult]], alpha: float) -> tuple[float, float, float] | None:
    """The estimate and its two ends; None without a seed in common."""
    if not pairs:
        return None
    estimate = mean(gain_of(a.best) - gain_of(b.best) for a, b in pairs)
    ends = [(_interval(a.best, alpha), _interval(b.best, alpha)) for a, b in pairs]
    return estimate, mean(a[0] - b[1] for a, b in ends), mean(a[1] - b[0] for a, b in ends)


def _at_equal_rounds(a: ArmResult, b: ArmResult) -> tuple[ArmResult, ArmResult]:
    """Both arms cut to the number of rounds of the shorter."""
    rounds = min(len(a.tried), len(b.tried))
    return replace(a, tried=a.tried[:rounds]), replace(b, tried=b.tried[:rounds])


def _winner(a: ArmResult, b: ArmResult, alpha: float) -> str | None:
    mine, theirs = _interval(a.best, alpha), _interval(b.best, alpha)
    if mine[0] > theirs[1]:
        return a.agent
    return b.agent if theirs[0] > mine[1] else None


def _interval(best: Tried | None, alpha: float) -> tuple[float, float]:
    """The gain's interval at a level. Without a round: the plain decoder's. Without counts: one that decides nothing."""
    if best is None:
        return 0.0, 0.0
    return delta_interval(best.counts, alpha) if best.counts is not None else (-1.0, 1.0)


def arm_object(arm: ArmResult) -> dict[str, Any]:
    """An arm as JSON values: its rounds, each with the best so far."""
    return {
        "seed": arm.seed,
        "run": arm.run,
        "tokens": arm.tokens,
        "cost": arm.cost,
        "at_once": arm.at_once,
        "rounds": [
            {
                "round": each.number,
                "status": each.status,
                "verdict": each.verdict,
                "seconds": each.seconds,
                **(each.gain.to_note() if each.gain else NO_GAIN),
                "best_so_far": gain_of(best),
            }
            for each, best in arm.steps()
        ],
    }
