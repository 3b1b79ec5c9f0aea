"""A verdict as a record: its word, its reason, and the details that a note holds, read once into typed evidence.

Anyone who can push can write a note, so `parse_verdict` accepts any JSON. It reports a problem instead of raising.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures, Holdout, read_figures, shown_figures
from autoqec.results.gate_costs import UsPerShot, passes_each, share_sent
from autoqec.results.limits import Limits
from autoqec.results.note_form import Malformed, is_number, read_counts, read_record, write_record

if TYPE_CHECKING:
    from autoqec.results.verdict_parts import Evidence

Word = Literal["VERIFIED", "SUSPICIOUS", "FAILED"]

WORDS: tuple[Word, ...] = ("VERIFIED", "SUSPICIOUS", "FAILED")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Parsed(Generic[_T]):
    """The result of parsing a note: a record, or a sentence that says why there is none; neither if there is no note."""

    record: _T | None = None
    problem: str | None = None


def malformed(kind: str, note: Any) -> str:
    """The message about a note that does not match the schema of its kind."""
    name = note.get("id") if isinstance(note, Mapping) else None
    return f"the {kind} note {name} does not match the schema of its kind, and is ignored"


@dataclass(frozen=True)
class Verdict:
    """A verifier's verdict.

    Attributes:
        verdict: VERIFIED, SUSPICIOUS or FAILED.
        reason: A code; `autoqec.results.reasons` lists those of the verifier `holdout`.
        details: Counts, evidence, intervals, policy, the revealed key, digests, versions: everything a reader needs to check
            the word by hand, as JSON values. `evidence` is the same as records.
    """

    verdict: Word
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<verdict {self.verdict} ({self.reason}){shown_figures(self.figures)}>"

    @staticmethod
    def on(verdict: Word, reason: str, evidence: Evidence) -> Verdict:
        """Make the verdict that rests on this evidence."""
        return Verdict(verdict, reason, evidence_fields(evidence))

    @cached_property
    def _read(self) -> tuple[Evidence, tuple[str, ...]]:
        # The parts take a while to define, and a log of rounds looks at none.
        from autoqec.results.verdict_parts import Evidence

        problems: list[str] = []
        return read_record(Evidence, self.details, problems=problems), tuple(problems)

    @property
    def evidence(self) -> Evidence:
        """The evidence as records; malformed parts of the details are left out."""
        return self._read[0]

    @property
    def malformed(self) -> tuple[str, ...]:
        """The places in the details that do not match the schema."""
        return self._read[1]

    @cached_property
    def figures(self) -> Figures | None:
        """Rates, gain and ratio on the holdout; None if nothing was tested, whatever figures the note of such a verdict has."""
        stopped = self.details.get("fault") is not None or bool(self.details.get("over"))
        if stopped and read_counts(self.details.get("test")) is None:
            return None
        return read_figures(self.details)

    @property
    def extension(self) -> PairedCounts | None:
        """The shots behind the figures of a "better" candidate; None where they are drawn by strata, and have weights."""
        if self.is_finite:
            return read_counts(self.details.get("test")) if self.details.get("word") == "better" else None
        return None if self.by_strata else read_counts(self.details.get("extension"))

    @property
    def by_strata(self) -> bool:
        """Whether the target's shots are drawn by strata."""
        return self.details.get("strata") is not None

    @property
    def is_finite(self) -> bool:
        """Whether the target's shots are recorded: a holdout that is finite."""
        return self.details.get("finite") is not None or self.details.get("look") is not None

    @property
    def look(self) -> int | None:
        """The number of this look at a finite holdout; None where shots are drawn."""
        found = self.details.get("look")
        return found if type(found) is int else None

    @property
    def sampling(self) -> str:
        """`stratified` if the target's shots are drawn by strata, `recorded` if they are recorded, else `plain`."""
        return "stratified" if self.by_strata else "recorded" if self.is_finite else "plain"

    @property
    def effective_shots(self) -> float | None:
        """How many plain shots those by strata are worth, for the baseline's rate; None for plain ones."""
        strata = self.details.get("strata")
        found = strata.get("effective_shots") if isinstance(strata, Mapping) else None
        return found if is_number(found) else None

    @property
    def _cost_shots(self) -> Any:
        """The shots that the costs are means over, whatever the note says they are."""
        strata = self.details.get("strata")
        return strata.get("cost_shots") if isinstance(strata, Mapping) else self.details.get("shots_in_all")

    @property
    def holdout(self) -> Holdout | None:
        """Figures with the costs that the verifier counted; None if there are neither."""
        found = Holdout(self.figures, self.cost("flops_per_shot"), self.cost("params"))
        return found if found != Holdout() else None

    @property
    def sent_on(self) -> float | None:
        """The share of the target's shots that a gate sent on; None without one."""
        sent, shots = self.details.get("sent"), self._cost_shots
        return share_sent(sent, shots) if type(sent) is type(shots) is int else None

    @property
    def passes_per_sent_shot(self) -> float | None:
        """How many times an ensemble's pipeline was asked about a shot that was sent on, on average; None without one."""
        passes, sent, shots = self.details.get("passes"), self.details.get("sent"), self._cost_shots
        return passes_each(passes, sent, shots) if type(passes) is type(sent) is type(shots) is int else None

    @property
    def us_per_shot(self) -> float | None:
        """Microseconds of one of the shots behind its figures; None in old verdicts, which did not note them."""
        told = self.details.get("us_per_shot")
        try:
            return read_record(UsPerShot, told, problems=[]).whole if isinstance(told, Mapping) else None
        except Malformed:
            return None

    @property
    def references(self) -> Mapping[str, float] | None:
        """Rates of reference decoders on the same shots; None if the note has none."""
        return numbers_in(self.details.get("references"))

    @property
    def verified(self) -> bool:
        """Whether it is VERIFIED."""
        return self.verdict == "VERIFIED"

    @cached_property
    def limits(self) -> Limits | None:
        """The environment's constraints; None in old verdicts, which did not note them."""
        told = self.details.get("constraints")
        return read_record(Limits, told) if isinstance(told, Mapping) else None

    @property
    def composition(self) -> str | None:
        """For a composed round, whether the parents' gains add up."""
        told = self.details.get("compose")
        word = told.get("composition") if isinstance(told, Mapping) else None
        return word if isinstance(word, str) else None

    def cost(self, name: Literal["flops_per_shot", "params", "bytes"]) -> float | None:
        """The candidate's costs as the verifier counted them."""
        value = self.details.get(name)
        return value if is_number(value) else None

    def noted(self, **beside: Any) -> Verdict:
        """The verdict with more fields in its note, such as the commit it is about."""
        return Verdict(self.verdict, self.reason, {**self.details, **beside})

    def to_dict(self) -> dict[str, Any]:
        """As a note holds it."""
        return {"verdict": self.verdict, "reason": self.reason, **self.details}

    to_note = to_dict

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Verdict:
        """The inverse of `to_dict`.

        Raises:
            ValueError: The word is none of the three, or there is no reason.
        """
        rest = dict(fields)
        word, reason = rest.pop("verdict", None), rest.pop("reason", None)
        if word not in WORDS or not isinstance(reason, str):
            raise ValueError(f"{word!r} is not a verdict: use VERIFIED, SUSPICIOUS or FAILED")
        return Verdict(word, reason, rest)


@dataclass(frozen=True)
class Rejudged:
    """A member of a front, judged again.

    Attributes:
        run, round: The round.
        before: Its gain on the front.
        verdict: The new verdict; None if its run has no error budget left.
        fault: Why there is no new verdict.
    """

    run: str
    round: int
    before: float
    verdict: Verdict | None = None
    fault: str = ""

    @property
    def name(self) -> str:
        """`run/number`."""
        return f"{self.run}/{self.round}"

    @property
    def reason(self) -> str:
        """The new verdict's reason, or that there is no error budget left."""
        return self.verdict.reason if self.verdict else "budget_spent"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        about = {"run": self.run, "round": self.round, "before": self.before}
        if self.verdict is not None:
            return about | self.verdict.to_note()
        return about | {"verdict": None, "reason": self.reason, "fault": self.fault}


def parse_verdict(note: Any) -> Parsed[Verdict]:
    """Parse a verdict from any JSON.

    It must have one of the words and a reason, and figures if it is VERIFIED or gives a rate. The rest is parsed on first
    access, part by part.
    """
    if note is None:
        return Parsed()
    try:
        verdict = Verdict.from_dict(note)
    except (ValueError, TypeError):
        return Parsed(problem=malformed("verdict", note))
    if (verdict.verified or "ler_candidate" in note) and read_figures(note) is None:
        return Parsed(problem=malformed("verdict", note))
    return Parsed(verdict)


def evidence_fields(evidence: Evidence) -> dict[str, Any]:
    """Evidence as a note holds it."""
    fields = write_record(evidence)
    if evidence.cell is not None:
        fields.setdefault("target_ler", None)
    if evidence.trusted_code is not None:
        fields.setdefault("sandbox", None)
    if evidence.checks is not None:
        fields.setdefault("two_p_slope", None)
    return fields


def numbers_in(value: Any) -> dict[str, float] | None:
    """The numbers of a mapping by name, without its other values; None if it is not a mapping."""
    if not isinstance(value, Mapping):
        return None
    return {name: number for name, number in value.items() if isinstance(name, str) and is_number(number)}
