"""What a diagnosis reads and says: cases and findings as plain values. Notes can hold anything; nothing here raises on that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any

from autoqec.agents.agent_contract import PastRound
from autoqec.agents.diagnosis.cause import Severity
from autoqec.agents.diagnosis.causes import CAUSES
from autoqec.agents.diagnosis.old_records import code_in_words
from autoqec.agents.quoting import shortened
from autoqec.json_values import JsonObject
from autoqec.results.metrics_parts import TrainingLog
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import Evidence

#: Fields of candidate files by path, as in `changes` and by which a patch is made.
Changes = Mapping[str, JsonObject]

#: Characters of one piece of evidence.
_EVIDENCE = 300

#: Characters of a next step, which may quote what an agent wrote.
_STEP = 500


@dataclass(frozen=True)
class Case:
    """A round as a diagnosis reads it.

    Attributes:
        past: The round as agents see it.
        verdict: The verdict with all it rests on, if its note is at hand.
        conflicts: Of a failed composition: `path`, `field`, `base`, `ours`, `theirs` and `between` of each.
        gains: Verified gain of commits that were composed, as far as it is known.
        profile: The name and the fields of the profile it ran under.
        waiting: The role that is awaited.
        proposed: Files of the Coder's last reply, if there is no commit.
        known: Fields by file, or by stage kind, and the kinds themselves under `kind`: what a misspelling may have meant.
        problems: What is damaged in the record.
    """

    past: PastRound
    verdict: Verdict | None = None
    conflicts: Sequence[JsonObject] = ()
    gains: Mapping[str, float] = field(default_factory=dict)
    profile: JsonObject = field(default_factory=dict)
    waiting: str = ""
    proposed: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problems: Sequence[str] = ()

    @property
    def files(self) -> Mapping[str, str]:
        """The candidate's files: the commit's, or else what the Coder wrote."""
        return self.past.files or self.proposed

    @property
    def evidence(self) -> Evidence:
        """What the verdict rests on; nothing if there is none."""
        return self.verdict.evidence if self.verdict else Evidence()

    @property
    def training(self) -> TrainingLog:
        """How the training went; nothing if that is not known."""
        return self.past.metrics.training if self.past.metrics else TrainingLog()

    @property
    def custom(self) -> bool:
        """Whether it brings code of its own."""
        return any(path.endswith(".py") for path in self.files)

    @property
    def reason(self) -> str:
        """Why it failed, if it did, in words: evidence, by which nothing is decided."""
        return text(self.past.reason)

    @cached_property
    def error(self) -> tuple[str, JsonObject]:
        """The code of the error that ended it, and what that was about; of an old record, what its words stand for."""
        if code := text(self.past.code):
            return code, part({"about": self.past.about}, "about")
        return code_in_words(self.past.status, self.reason)

    def said(self, name: str) -> str:
        """A word of what the error was about; empty if there is none."""
        return text(self.error[1].get(name))


@dataclass(frozen=True)
class Diagnosis:
    """One finding.

    Attributes:
        run: The run.
        round: The round's number; None if it is about the run.
        cause: A code of `CAUSES`.
        evidence: What in the record shows it.
        next_step: A command or an edit.
        changes: Field changes that fix it, by file, if there are any.
    """

    run: str
    round: int | None
    cause: str
    evidence: tuple[str, ...]
    next_step: str
    changes: Changes = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return CAUSES[self.cause].severity

    @property
    def says(self) -> str:
        """What the cause means."""
        return CAUSES[self.cause].says

    @property
    def name(self) -> str:
        """What it is about: `run/number`, or the run."""
        return self.run if self.round is None else f"{self.run}/{self.round}"


def found(case: Case, cause: str, *evidence: str, changes: Changes | None = None, **words: str) -> Diagnosis:
    """A finding about a round.

    Args:
        case: The round.
        cause: Its code.
        evidence: What shows it.
        changes: Field changes that fix it.
        words: What the next step has in braces, beside `round`, `run` and `profile`.
    """
    run, _, number = case.past.name.rpartition("/")
    profile = text(case.profile.get("name")) or "NAME"
    step = CAUSES[cause].next_step.format(round=case.past.name, run=run, profile=profile, **words)
    said = tuple(shortened(whole(each), _EVIDENCE) for each in evidence if each)
    return Diagnosis(run, int(number), cause, said, shortened(whole(step), _STEP), changes or {})


def whole(value: str) -> str:
    """A text that has UTF-8: half a surrogate pair, which JSON can hold, has none."""
    return value.encode("utf-8", "replace").decode()


def text(value: Any) -> str:
    """A text as it is; nothing for what is none."""
    return value if isinstance(value, str) else ""


def part(record: Any, *path: str) -> JsonObject:
    """A mapping inside a record; empty if there is none."""
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record if isinstance(record, Mapping) else {}


def number(record: Any, *path: str) -> float | None:
    """A finite number inside a record; None if there is none."""
    value = part(record, *path[:-1]).get(path[-1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:  # a whole number beyond any float
        return None


def figure(value: float | None) -> str:
    """A number in few characters."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1 else f"{value:.4g}"


def span(ends: tuple[float, float] | None) -> str:
    """An interval in few characters."""
    return "[unknown]" if ends is None else f"[{ends[0]:.4g}, {ends[1]:.4g}]"
