"""Rounds and runs of a lab as Python objects: what git records of them, with typed metrics and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from autoqec.api.row_tables import Table
from autoqec.counted_words import counted
from autoqec.history import Ledger, RoundRecord, list_runs, load_run, read_candidate
from autoqec.results.round_results import RoundResults, read_results

if TYPE_CHECKING:
    from autoqec.api.made_environments import Environment
    from autoqec.api.round_decoder import RoundDecoder
    from autoqec.exchange.package import Package
    from autoqec.history import Run
    from autoqec.results.analysis import Analysis
    from autoqec.results.metrics import Metrics
    from autoqec.results.trust.line_trust import Standing
    from autoqec.results.verdict import Verdict
    from autoqec.views.round_json import RoundRow


@dataclass(frozen=True, eq=False, repr=False)
class Round:
    """One round, as git had it when it was read.

    Get one by `Lab.round`, or from the lists that a lab returns. Hypothesis, analysis and reason are text that agents wrote.
    """

    _ledger: Ledger
    _record: RoundRecord
    _names: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name and branch, `exp/<run>/<N>`."""
        return self._record.branch

    @property
    def run(self) -> str:
        """The name of its run."""
        return self._record.run

    @property
    def number(self) -> int:
        """Its number within the run, from 1."""
        return self._record.number

    @property
    def commit(self) -> str | None:
        """Its commit, 40 hex digits; None if it has none."""
        return self._record.commit

    @property
    def env(self) -> str | None:
        """The name of its environment; None if the commit cannot be read."""
        return self._row.env

    @property
    def status(self) -> str:
        """How it ended: `ok`, `screened_out`, `train_error` and so on; or `open`, `interrupted` or `waiting`."""
        return self._record.status

    @property
    def reason(self) -> str | None:
        """Why it ended so, or which role it waits for."""
        return self._row.reason

    @property
    def hypothesis(self) -> str | None:
        """The idea that it tries."""
        return self._row.hypothesis

    @property
    def fork_from(self) -> tuple[str, ...]:
        """The rounds that it started from, `<run>/<N>`, or their commits if they are not in this lab."""
        return self._row.fork_from

    @property
    def time(self) -> datetime:
        """When it was committed, or else claimed, in UTC."""
        return datetime.fromtimestamp(self._record.time, UTC)

    @property
    def metrics(self) -> Metrics | None:
        """The development metrics that count; None if there are none."""
        return self._results.metrics

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that counts, of those in its note; None if none does. `trust` says why."""
        return self._results.verdict

    @property
    def verified(self) -> bool:
        """Whether the verdict that counts is VERIFIED."""
        return self.verdict is not None and self.verdict.verified

    @property
    def trust(self) -> Standing | None:
        """The state of the verdict that counts: `signed` or `unsigned`, and why.

        If none counts, that of the line that comes nearest to it, such as `invalid` or `foreign`. None if there is no verdict.
        """
        return self._record.trust

    @property
    def analysis(self) -> Analysis | None:
        """What the Analyst said; None if there is no analysis."""
        return self._results.analysis

    @property
    def problems(self) -> tuple[str, ...]:
        """Damage, contradictions and lines of notes that do not count, a sentence each."""
        return self._row.problems

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The candidate's files by path, such as `stages/bp/stage.yaml`; empty if the round has no commit."""
        return read_candidate(self._ledger, self._record.commit) if self._record.commit else {}

    @cached_property
    def environment(self) -> Environment:
        """The environment of its run, as it was when the run began.

        Raises:
            NotFoundError: This lab lacks the run's record.
        """
        return _environment(load_run(self._ledger, self.run))

    def decoder(self, *, trust_code: bool = False) -> RoundDecoder:
        """Return the round's predecoder in front of the classical decoder of its environment.

        A round whose stages are all AutoQEC's runs in this process, and you trust it with that, as with `autoqec export`. A round
        that brings its own code runs in a locked process, as for the judge, and is slower for it.

        Args:
            trust_code: Run the round's own code in this process too, with all that you may do.

        Raises:
            NotFoundError: The round has no commit, or no weights in this lab.
            AutoQECError: Its files or weights differ from those that were scored.
        """
        from autoqec.api.round_decoder import RoundDecoder
        from autoqec.plugins import load_plugins

        return RoundDecoder(self.package(), load_plugins(), trust_code=trust_code)

    def package(self) -> Package:
        """Return the round with all that decoding needs: environment, candidate and weights, as plain data.

        Raises:
            NotFoundError, AutoQECError: As for `decoder`.
        """
        from autoqec.exchange.package import scored_package

        return scored_package(self._ledger, self.run, self.number)

    @cached_property
    def _results(self) -> RoundResults:
        return read_results(self._record)

    @cached_property
    def _row(self) -> RoundRow:
        from autoqec.views.round_json import round_row

        return round_row(self._record, self._names, self._results)

    def to_row(self) -> dict[str, Any]:
        """What it says of itself, by column.

        Rates, gain and ratio are the verdict's, on fresh shots, if there is one (`shots_of` is `holdout`), and else those of the
        metrics (`development`). Rates are per shot.
        """
        row = self._row
        return {
            "name": self.name,
            "run": self.run,
            "round": self.number,
            "env": row.env,
            "status": row.status,
            "verdict": row.verdict,
            "verdict_reason": row.verdict_reason,
            "trust": row.trust["state"] if row.trust else None,
            **_figures(row),
            **_costs(row),
            "sent_on": row.sent_on,
            "hypothesis": row.hypothesis,
            "analysis": row.analysis,
            "reason": row.reason,
            "fork_from": ", ".join(row.fork_from),
            "time": self.time,
            "commit": row.commit,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Round) and self._record == other._record

    def __hash__(self) -> int:
        return hash((self.name, self.commit))

    def __repr__(self) -> str:
        from autoqec.views.console import visible

        words = [self.status, *([self.verdict.verdict] if self.verdict else [])]
        return visible(f"<round {self.name}: {', '.join(words)}>")

    def _repr_html_(self) -> str:
        from autoqec.views.notebook_html import html_fields

        fields = self.to_row()
        if self.trust is not None:
            fields["trust"] = f"{self.trust.state}: {self.trust.why}"
        return html_fields(f"round {fields.pop('name')}", {**fields, "problems": self.problems})


def _environment(run: Run) -> Environment:
    from autoqec.api.made_environments import Environment
    from autoqec.problem.environment import environment_from_files

    return Environment(environment_from_files(run.env_files, origin=f"the environment of run {run.name}"))


def _figures(row: RoundRow) -> dict[str, Any]:
    best = row.best
    if best is None:
        return dict.fromkeys(_FIGURES)
    of = "holdout" if row.holdout else "development"
    values = (of, best.shots, best.ler_baseline, best.ler_candidate, best.delta_ler, *best.gain_interval)
    return dict(zip(_FIGURES, (*values, best.ler_ratio, *best.ratio_interval), strict=True))


#: The columns of figures.
_FIGURES = (
    "shots_of", "shots", "ler_baseline", "ler_candidate", "delta_ler", "delta_ler_low", "delta_ler_high",
    "ler_ratio", "ler_ratio_low", "ler_ratio_high",
)  # fmt: skip

#: The columns of costs.
_COSTS = ("flops_per_shot", "params", "latency_us_per_shot", "train_seconds", "score_seconds")


def _costs(row: RoundRow) -> dict[str, Any]:
    return {name: getattr(row.costs, name, None) for name in _COSTS}


class Rounds(Table[Round]):
    """Rounds, oldest first; a notebook shows them as a table. `Rounds([...])` makes a table of rounds that you chose."""

    shown = (
        "name", "env", "status", "verdict", "trust", "ler_baseline", "ler_candidate", "ler_ratio", "flops_per_shot",
        "params", "hypothesis",
    )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class RunOfLab:
    """A run: a sequence of rounds on one environment from one base commit."""

    _run: Run

    @property
    def name(self) -> str:
        """Its name."""
        return self._run.name

    @property
    def env(self) -> str:
        """The name of its environment."""
        return self._run.env_name

    @property
    def env_id(self) -> str:
        """The identity of its environment, 64 hex digits."""
        return self._run.env_id

    @property
    def base(self) -> str:
        """The commit that its rounds descend from."""
        return self._run.base

    @property
    def created(self) -> datetime:
        """When it began, in UTC."""
        return datetime.fromisoformat(self._run.created)

    @cached_property
    def environment(self) -> Environment:
        """Its environment, as it was when it began."""
        return _environment(self._run)

    def to_row(self) -> dict[str, Any]:
        """What it says of itself, by column."""
        return {"name": self.name, "env": self.env, "env_id": self.env_id, "created": self._run.created}

    def __repr__(self) -> str:
        from autoqec.views.console import visible

        return visible(f"<run {self.name} on {self.env}>")

    def _repr_html_(self) -> str:
        from autoqec.views.notebook_html import html_fields

        return html_fields(f"run {self.name}", self.to_row())


class Runs(Table[RunOfLab]):
    """Runs, oldest first; a notebook shows them as a table."""

    shown = ("name", "env", "created")


def runs_of(ledger: Ledger) -> Runs:
    """All runs of a lab.

    Raises:
        AutoQECError: A run's record is damaged.
    """
    found = [RunOfLab(run) for run in list_runs(ledger)]
    return Runs(found, f"{counted(len(found), 'run')} of {ledger.workdir}")
