"""Environments with rounds for charts, made of typed records without a lab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from autoqec.results.best_so_far import Attempt, climb
from autoqec.results.climb_points import Climbed, climb_points
from autoqec.results.gap_share import gap_share
from autoqec.results.lab_front import entrant, front_of
from autoqec.results.metrics import parse_metrics
from autoqec.results.note_form import write_record
from autoqec.results.rates_by_p import rates_by_p
from autoqec.results.round_results import RoundResults
from autoqec.results.round_spending import Spending
from autoqec.results.verdict import parse_verdict
from autoqec.results.wider_comparisons import gap_closed
from autoqec.testing.whole_notes import completed_verdict, whole_metrics
from autoqec.views.round_json import DevelopmentRow, HoldoutRow, RoundRow

RUN = "surface-abcd"
TARGET = {"p": 0.005, "distance": 5, "rounds": 5}


@dataclass(frozen=True)
class Round:
    """A round of a chart."""

    row: RoundRow
    results: RoundResults = field(default_factory=RoundResults)
    spent: Spending = field(default_factory=lambda: Spending(seconds=60.0))

    @property
    def name(self):
        return self.row.name

    @cached_property
    def rates(self):
        return tuple(rates_by_p(self.results))

    @property
    def share(self):
        return gap_share(self.name, self.results.verdict)


@dataclass(frozen=True)
class Environment:
    """An environment of a chart: its front and climb follow from its rounds."""

    rounds: Sequence[Round]
    name: str = "surface_d5_depol"

    @cached_property
    def front(self):
        entrants = [entrant(r.name, r.name, r.results.verdict, r.results.metrics) for r in self.rounds]
        return front_of([each for each in entrants if each], lambda commits: {})

    @cached_property
    def climb(self):
        return climb_points(
            Climbed(r.name, r.row.status != "open", r.spent, best)
            for r, best in zip(self.rounds, climb(map(_attempt, self.rounds)), strict=True)
        )


def _attempt(each):
    verdict = each.results.verdict
    if verdict is None or not verdict.verified:
        return Attempt(each.name, each.name, True)
    return Attempt(each.name, each.name, True, verdict.figures.ler_ratio, verdict.figures.ratio_interval)


def judged(number, gain, *, word="VERIFIED", flops=10_000, params=100, run=RUN, parents=(), **more):
    """A round with metrics and a verdict whose figures follow from counts near this gain."""
    curve = [{"step": step, "loss": 0.03 * 0.99**step + 0.001 * (step % 3)} for step in range(0, 100, 10)]
    training = {"loss": "logical_gap", "points": curve, "validation": curve[::3], "steps": 100}
    metrics = whole_metrics(gain, training=training, flops_per_shot=flops, params=params)
    reason = "better" if word == "VERIFIED" else "not_better"
    note = {"verdict": word, "reason": reason, **whole_metrics(gain), "cell": TARGET, **more}
    note |= {"flops_per_shot": flops, "params": params}
    note = completed_verdict(note, {})
    results = RoundResults(parse_metrics(metrics).record, None, parse_verdict(note).record)
    verdict = results.verdict
    row = RoundRow(
        run, number, f"exp/{run}/{number}", f"{number:040x}", "surface_d5_depol", "ab" * 32, "ok", verdict=word,
        metrics=DevelopmentRow(results.metrics.figures, results.metrics.costs),
        holdout=HoldoutRow(verdict.figures, flops, params, references=verdict.references),
        hypothesis=f"idea {number}", fork_from=tuple(f"{run}/{parent}" for parent in parents),
    )  # fmt: skip
    return Round(row, results)


def ended(number, status="train_error", parents=()):
    """A round without any figure."""
    names = tuple(f"{RUN}/{parent}" for parent in parents)
    return Round(RoundRow(RUN, number, f"exp/{RUN}/{number}", env="surface_d5_depol", status=status, fork_from=names))


def share(strong=1500, candidate=2000):
    """The note of a share of the gap."""
    return write_record(gap_closed("tesseract", 200_000, {"baseline": 2800, "candidate": candidate, "strong": strong}))


def harm_cell(p, plain, own, shots=30_000):
    """The note of a cell next to the target."""
    from autoqec.results.counts import PairedCounts
    from autoqec.results.figures import Figures

    counts = PairedCounts(shots, min(plain, own) // 2, plain - min(plain, own) // 2, own - min(plain, own) // 2)
    return {
        "cell": {"p": p}, "label": f"p = {p}", "word": "no_harm", "counts": counts.to_dict(), "log_e_worse": -1.0,
        "log_e_harmless": 9.0, **Figures.of(counts).to_note(),
    }  # fmt: skip


def sample():
    """Six rounds: a climb, a FAILED round, one that trained too long, a merge."""
    beside = {
        "references": {"mwpm_correlated": 0.011},
        "harm": [harm_cell(0.004, 250, 140), harm_cell(0.006, 700, 520)],
    }
    rounds = [
        judged(1, 0.002, flops=50_000, params=3, **beside),
        ended(2, "killed_by_safety", parents=(1,)),
        judged(3, 0.0045, flops=300_000, params=600, parents=(1,), share_of_gap=share(), **beside),
        judged(4, -0.001, word="FAILED", parents=(3,)),
        judged(5, 0.0044, flops=100_000, params=500, parents=(1,), share_of_gap=share(candidate=2100), **beside),
        judged(6, 0.0062, flops=400_000, params=1100, parents=(5, 3), share_of_gap=share(candidate=1700), **beside),
    ]
    spent = [Spending(seconds=100.0 * n, cost=0.5 * n, calls=n) for n in range(1, 7)]
    return Environment([replace(each, spent=took) for each, took in zip(rounds, spent, strict=True)])
