"""Rounds as rows: the schema that `round`, `log`, `show` and `pareto` print, from history records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from autoqec.history import RoundRecord
from autoqec.json_values import JsonObject
from autoqec.results.analysis import Analysis
from autoqec.results.best_so_far import BestSoFar, read_best
from autoqec.results.figures import Costs, Figures, read_costs, read_figures
from autoqec.results.limits import Limits
from autoqec.results.metrics import Metrics
from autoqec.results.note_form import read_record, write_record
from autoqec.results.round_results import RoundResults, read_results
from autoqec.results.verdict import Verdict

ROUND_SCHEMA = "autoqec.round/1"


@dataclass(frozen=True)
class DevelopmentRow:
    """A round's development metrics in a row.

    Attributes:
        figures, costs: As in the metrics.
        steps: Of training, done and planned, where the time limit cut it short.
        sent_on: The share of the shots that a gate sent on; None without one.
        passes_per_sent_shot: How many times an ensemble's pipeline was asked about one of these, on average; None without one.
        rung: The rung at which training ended: 0 at its screen, 1 after it; None if it was not screened.
    """

    figures: Figures
    costs: Costs
    steps: tuple[float, float] | None = None
    sent_on: float | None = None
    passes_per_sent_shot: float | None = None
    rung: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        cut = {"train_steps": self.steps[0], "train_steps_planned": self.steps[1]} if self.steps else {}
        asked = {"sent_on": self.sent_on, "passes_per_sent_shot": self.passes_per_sent_shot, "rung": self.rung}
        return {**self.figures.to_note(), **self.costs.to_note(), **cut, **asked}

    @staticmethod
    def from_json(told: JsonObject | None) -> DevelopmentRow | None:
        """The inverse of `to_json`."""
        figures, costs = (read_figures(told), read_costs(told)) if told else (None, None)
        if not (told and figures and costs):
            return None
        done, planned = told.get("train_steps"), told.get("train_steps_planned")
        cut = (done, planned) if isinstance(done, int | float) and isinstance(planned, int | float) else None
        asked = told.get("sent_on"), told.get("passes_per_sent_shot"), told.get("rung")
        return DevelopmentRow(figures, costs, cut, *asked)


@dataclass(frozen=True)
class HoldoutRow:
    """A verdict's figures in a row, with the costs and limits that it names.

    Attributes:
        figures, references: On its shots.
        flops_per_shot, params: As the verifier counted them.
        bytes: Of the candidate's files and weights.
        constraints: The environment's.
        sent_on: The share of the shots that a gate sent on; None without one.
        passes_per_sent_shot: How many times an ensemble's pipeline was asked about one of these on average; None without one.
        us_per_shot: Microseconds of a shot; None in old verdicts.
        sampling: `stratified` if shots are drawn by strata, `recorded` if they are recorded, else `plain`.
        effective_shots: How many plain shots those by strata are worth; None for plain ones.
        look: The number of this look at a finite holdout; None where shots are drawn.
    """

    figures: Figures
    flops_per_shot: float | None = None
    params: float | None = None
    bytes: float | None = None
    references: Mapping[str, float] | None = None
    constraints: Limits | None = None
    sent_on: float | None = None
    passes_per_sent_shot: float | None = None
    us_per_shot: float | None = None
    sampling: str = "plain"
    effective_shots: float | None = None
    look: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **self.figures.to_note(),
            "flops_per_shot": self.flops_per_shot,
            "params": self.params,
            "bytes": self.bytes,
            "references": self.references,
            "constraints": write_record(self.constraints) if self.constraints else None,
            "sent_on": self.sent_on,
            "passes_per_sent_shot": self.passes_per_sent_shot,
            "us_per_shot": self.us_per_shot,
            "sampling": self.sampling,
            "effective_shots": self.effective_shots,
            "look": self.look,
        }

    @staticmethod
    def from_json(told: JsonObject | None) -> HoldoutRow | None:
        """The inverse of `to_json`."""
        figures = read_figures(told) if told else None
        if told is None or figures is None:
            return None
        limits = told.get("constraints")
        costs = told.get("flops_per_shot"), told.get("params"), told.get("bytes"), told.get("references")
        asked = (
            told.get("sent_on"),
            told.get("passes_per_sent_shot"),
            told.get("us_per_shot"),
            told.get("sampling", "plain"),
        )
        drawn = told.get("effective_shots"), told.get("look")
        return HoldoutRow(figures, *costs, read_record(Limits, limits) if limits else None, *asked, *drawn)


@dataclass(frozen=True)
class RoundRow:
    """A round as `autoqec log` prints it; names are those of its JSON object.

    Attributes:
        run, round: The run and the round's number.
        branch, commit: Its branch and commit.
        env, env_id: The name and identity of the run's environment; None if the commit cannot be read.
        status, reason: How it ended and why, or which role it waits for.
        code: The code of the error that ended it, if one did; see `autoqec.error_codes`.
        verdict, verdict_reason: The verifier's word and the code of its reason.
        metrics, references: Development metrics; rates of reference decoders on the same shots.
        holdout: The verdict's figures.
        composition: Whether the parents' gains add up.
        renumbered_from: Its number before another round got that number on a remote.
        hypothesis: The idea that it tries.
        fork_from, compose: Its parents, and how they are composed.
        analysis: The Analyst's summary.
        decision: Whether the Analyst asked for a verification: `candidate` or `ignore`.
        problems: Damaged parts of its record, lines of its notes that do not count, and contradictions.
        trust: The state of its verdict and why; if no verdict counts, of the one that comes nearest to it. None if there is none.
        best_so_far: The best VERIFIED round of its environment up to this one; None before there is one.
        dominates, confirmed: For a member of the front; see `autoqec.results.pareto_front.Member`.
    """

    run: str
    round: int
    branch: str
    commit: str | None = None
    env: str | None = None
    env_id: str | None = None
    status: str = "unknown"
    reason: str | None = None
    code: str | None = None
    verdict: str | None = None
    metrics: DevelopmentRow | None = None
    references: Mapping[str, float] | None = None
    holdout: HoldoutRow | None = None
    composition: str | None = None
    verdict_reason: str | None = None
    renumbered_from: int | None = None
    hypothesis: str | None = None
    fork_from: tuple[str, ...] = ()
    compose: str | None = None
    analysis: str | None = None
    decision: str | None = None
    problems: tuple[str, ...] = ()
    trust: Mapping[str, str] | None = None
    best_so_far: BestSoFar | None = None
    dominates: tuple[str, ...] = field(default=(), metadata={"front": True})
    confirmed: bool | None = field(default=None, metadata={"front": True})

    @property
    def best(self) -> Figures | None:
        """Its figures: the verdict's, or else those on development shots."""
        found = self.holdout or self.metrics
        return found.figures if found else None

    @property
    def sent_on(self) -> float | None:
        """The share of the shots behind its figures that a gate sent on; None without one."""
        found = self.holdout or self.metrics
        return found.sent_on if found else None

    @property
    def passes_per_sent_shot(self) -> float | None:
        """How many times an ensemble's pipeline was asked about one of these shots, on average; None without one."""
        found = self.holdout or self.metrics
        return found.passes_per_sent_shot if found else None

    @property
    def costs(self) -> Costs | None:
        """Its costs; FLOPs, which are a mean of shots, and parameters as the verifier counted them, if the verdict has them."""
        if self.metrics is None or self.holdout is None:
            return self.metrics.costs if self.metrics else None
        costs = self.metrics.costs
        flops, params = self.holdout.flops_per_shot, self.holdout.params
        return replace(
            costs,
            flops_per_shot=costs.flops_per_shot if flops is None else int(flops),
            params=costs.params if params is None else int(params),
        )

    @property
    def name(self) -> str:
        """`run/number`."""
        return f"{self.run}/{self.round}"

    def on_front(self, dominates: Iterable[str], confirmed: bool) -> RoundRow:
        """The row of a member of the front."""
        return replace(self, dominates=tuple(dominates), confirmed=confirmed)

    def to_json(self) -> dict[str, Any]:
        """The round's JSON object."""
        told = {"schema": ROUND_SCHEMA, **vars(self)}
        told["metrics"] = self.metrics.to_json() if self.metrics else None
        told["holdout"] = self.holdout.to_json() if self.holdout else None
        told["fork_from"], told["problems"] = list(self.fork_from), list(self.problems)
        told["best_so_far"] = self.best_so_far.to_json() if self.best_so_far else None
        if self.confirmed is None:
            del told["dominates"], told["confirmed"]
        else:
            told["dominates"] = list(self.dominates)
        return told

    @staticmethod
    def from_json(told: JsonObject) -> RoundRow:
        """The inverse of `to_json`, for an object that this wrote."""
        fields = {name: value for name, value in told.items() if name != "schema"}
        fields |= {name: tuple(fields.get(name, ())) for name in ("fork_from", "problems", "dominates")}
        fields["metrics"] = DevelopmentRow.from_json(told.get("metrics"))
        fields["holdout"] = HoldoutRow.from_json(told.get("holdout"))
        fields["best_so_far"] = read_best(told.get("best_so_far"))
        return RoundRow(**fields)


def round_row(
    record: RoundRecord, names: Mapping[str, str] | None = None, results: RoundResults | None = None
) -> RoundRow:
    """A round as a row.

    Args:
        record: The round.
        names: `run/number` of commits, to show parents by name; others keep their oid.
        results: What its notes say, if they were read already.
    """
    identity, conflict = record.identity, record.conflict or {}
    found = results or read_results(record)
    metrics, verdict, analysis = found.metrics, found.verdict, found.analysis
    env, env_id = _environment(record)
    return RoundRow(
        run=record.run,
        round=record.number,
        branch=record.branch,
        commit=record.commit,
        env=env,
        env_id=env_id,
        status=record.status,
        reason=_reason(record),
        code=(record.claim.code or None) if record.claim else None,
        verdict=verdict.verdict if verdict else None,
        metrics=_development(metrics),
        references=metrics.references if metrics else None,
        holdout=_holdout(verdict),
        composition=verdict.composition if verdict else None,
        verdict_reason=verdict.reason if verdict else None,
        renumbered_from=_renumbered(record),
        hypothesis=identity.hypothesis if identity else _text(conflict.get("hypothesis")),
        fork_from=_parents(record, names or {}),
        compose=identity.compose if identity else _text(conflict.get("compose")),
        analysis=_summary(analysis),
        decision=analysis.decision if analysis else None,
        problems=(*record.problems, *record.notices, *found.problems),
        trust=record.trust.to_json() if record.trust else None,
    )


def _environment(record: RoundRecord) -> tuple[str | None, str | None]:
    """The environment of the run; if its record is not here, that of the trailers, which decides nothing."""
    if record.identity is None:
        return None, None
    if record.environment is not None:
        return record.environment
    return record.identity.env.split("@")[0], record.identity.env.rpartition(":")[2]


def _development(metrics: Metrics | None) -> DevelopmentRow | None:
    if metrics is None:
        return None
    asked = metrics.sent_on, metrics.passes_per_sent_shot, metrics.rung_number
    return DevelopmentRow(metrics.figures, metrics.costs, metrics.cut_short, *asked)


def _holdout(verdict: Verdict | None) -> HoldoutRow | None:
    if verdict is None or verdict.figures is None:
        return None
    costs = verdict.cost("flops_per_shot"), verdict.cost("params"), verdict.cost("bytes")
    asked = verdict.sent_on, verdict.passes_per_sent_shot, verdict.us_per_shot
    drawn = verdict.sampling, verdict.effective_shots, verdict.look
    return HoldoutRow(verdict.figures, *costs, verdict.references, verdict.limits, *asked, *drawn)


def _summary(analysis: Analysis | None) -> str | None:
    return analysis.summary if analysis else None


def _parents(record: RoundRecord, names: Mapping[str, str]) -> tuple[str, ...]:
    """The rounds it started from; for a round without a commit, from its report, if that is not damaged."""
    if record.identity:
        return tuple(names.get(oid, oid) for oid in record.identity.fork_from)
    told = (record.conflict or {}).get("fork_from")
    return tuple(each for each in told if isinstance(each, str)) if isinstance(told, list) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _reason(record: RoundRecord) -> str | None:
    """Why a round ended, or which role it waits for."""
    if record.claim is None:
        return None
    return f"for the {record.claim.waiting}" if record.claim.waiting else record.claim.reason


def _renumbered(record: RoundRecord) -> int | None:
    """A round's number before it was renumbered; its commit still has it."""
    first = record.claim.first_number if record.claim else record.number
    return None if first == record.number else first


@dataclass(frozen=True)
class Disagreement:
    """A conflict between the parents of a failed composition.

    Attributes:
        path: The file.
        field: The field; None for the whole file.
        base, ours, theirs: The value in the common ancestor and in each of the two parents; None where it is absent.
        between: The two commits.
    """

    path: str | None = None
    field: str | None = None
    base: Any = None
    ours: Any = None
    theirs: Any = None
    between: Any = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(vars(self))


def disagreements(record: RoundRecord) -> list[Disagreement]:
    """The conflicts between the parents of a failed composition, by field or file."""
    found = (record.conflict or {}).get("conflicts")
    names = ("path", "field", "base", "ours", "theirs", "between")
    rows = found if isinstance(found, list) else []
    return [Disagreement(**{name: row.get(name) for name in names}) for row in rows if isinstance(row, dict)]
