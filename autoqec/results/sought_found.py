"""What the rounds on an environment looked for, and what they found: the figures that a report begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from autoqec.results.best_so_far import BestSoFar
from autoqec.results.figures import Figures
from autoqec.results.gap_share import GapShare, gap_share
from autoqec.results.rates_by_p import rates_by_p
from autoqec.results.round_results import RoundResults
from autoqec.results.round_spending import Spending, total
from autoqec.results.verdict_parts import ExactRate

#: How a round came out: by its verdict; `unjudged` with a gain that no verifier looked at; `void`, with a verdict that does not
#: count; `ignored` by the Analyst; `stopped` before it was scored or analysed; `open`, which has not ended.
Outcome = Literal["VERIFIED", "SUSPICIOUS", "FAILED", "unjudged", "void", "ignored", "stopped", "open"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

#: Statuses of rounds that have not ended.
_OPEN = ("open", "waiting", "interrupted")


def outcome_of(status: str, results: RoundResults, *, void: bool) -> Outcome:
    """How a round came out.

    Args:
        status: Its status.
        results: What its notes say.
        void: Whether it has a verdict, and none that counts.
    """
    if results.verdict is not None:
        return results.verdict.verdict
    if status in _OPEN:
        return "open"
    if void:
        return "void"
    if status not in ("ok", "unknown"):
        return "stopped"
    if results.analysis is not None:
        return "ignored" if results.analysis.decision == "ignore" else "unjudged"
    return "stopped" if results.metrics is None else "unjudged"


@dataclass(frozen=True)
class Seen:
    """A round as it is summed up.

    Attributes:
        name, run: `run/number`, and the run.
        outcome: How it came out.
        results: What its notes say.
        spent: What it took.
    """

    name: str
    run: str
    outcome: Outcome
    results: RoundResults
    spent: Spending


@dataclass(frozen=True)
class SoughtFound:
    """What the rounds on one environment looked for and found.

    Attributes:
        runs, rounds: How many.
        outcomes: How many rounds came out in each way; they add up to all.
        best: The best VERIFIED round; None without one.
        figures: Its verdict's, from shots that nobody had seen.
        reference: The reference decoder that fails least on these shots, and its rate; None if none ran.
        share: The share of the gap to a stronger decoder that it closes, if its verdict says so.
        nearest: Without a VERIFIED round: the round with the smallest ratio, and its figures, of the verdict or of development.
        front: The rounds on the front, best gain first.
        flops: The least and the most FLOPs per shot of these; None without one.
        spent: What all rounds took.
    """

    runs: int
    rounds: int
    outcomes: Mapping[Outcome, int]
    best: BestSoFar | None
    figures: Figures | None
    reference: tuple[str, ExactRate] | None
    share: GapShare | None
    nearest: tuple[str, Figures] | None
    front: tuple[str, ...]
    flops: tuple[int, int] | None
    spent: Spending

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        label, rate = self.reference or ("", None)
        return {
            "runs": self.runs,
            "rounds": self.rounds,
            "outcomes": dict(self.outcomes),
            "best": self.best.to_json() if self.best else None,
            "best_figures": self.figures.to_note() if self.figures else None,
            "best_reference": {"name": label, "ler": rate.ler, "ler_ci": list(rate.ler_ci)} if rate else None,
            "share_of_gap": self.share.to_json() if self.share else None,
            "front": list(self.front),
            "front_flops_per_shot": list(self.flops) if self.flops else None,
            "spent": self.spent.to_json(),
        }


def sought_found(rounds: Sequence[Seen], best: BestSoFar | None, front: Sequence[tuple[str, int]]) -> SoughtFound:
    """Sum up the rounds on one environment.

    Args:
        rounds: Those rounds.
        best: The best VERIFIED one of them.
        front: The names of those on the front with their FLOPs per shot, best gain first.
    """
    known = {each.name: each for each in rounds}
    counts = Counter(each.outcome for each in rounds)
    held = known.get(best.round) if best else None
    verdict = held.results.verdict if held else None
    flops = [count for _, count in front]
    return SoughtFound(
        runs=len({each.run for each in rounds}),
        rounds=len(rounds),
        outcomes={name: counts[name] for name in OUTCOMES if counts[name]},
        best=best,
        figures=verdict.figures if verdict else None,
        reference=_strongest(held.results) if held else None,
        share=gap_share(held.name, verdict) if held else None,
        nearest=None if best else _nearest(rounds),
        front=tuple(name for name, _ in front),
        flops=(min(flops), max(flops)) if flops else None,
        spent=total(each.spent for each in rounds),
    )


def _strongest(results: RoundResults) -> tuple[str, ExactRate] | None:
    """The reference that fails least on the shots of a verdict's target."""
    rates = next((each.references for each in rates_by_p(results) if each.source == "target"), {})
    return min(rates.items(), key=lambda each: (each[1].ler, each[0])) if rates else None


def _nearest(rounds: Sequence[Seen]) -> tuple[str, Figures] | None:
    """The round with the smallest ratio to plain decoding, by its verdict or else on development shots."""
    found = [
        (each.name, figures) for each in rounds if (figures := _figures(each.results)) and figures.ler_ratio is not None
    ]
    return min(found, key=lambda each: each[1].ler_ratio or 0.0) if found else None


def _figures(results: RoundResults) -> Figures | None:
    if results.verdict is not None:
        return results.verdict.figures
    return results.metrics.figures if results.metrics else None
