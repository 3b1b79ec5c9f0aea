"""Says of each line of a round's notes whether it counts, which verdict and metrics of the round count, and what conflicts.

Whoever can write a ref can write a note, so a line is input. Each has a state:

- `invalid`: it is not of its schema, does not follow from its own counts, or was changed after it was signed;
- `foreign`: it is about another commit, run, round, environment, candidate or weights than the round;
- `signed`: an allowed signer signed it;
- `unsigned`: everything else.

A signed line counts. An unsigned one counts unless the user asks for signatures. Nothing else counts, and a line that does not
count takes nothing away. No rule looks at the time of a verdict. Plain Python: readers import nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any, Literal

from autoqec.results.head_to_head import HEAD_TO_HEAD, parse_head_to_head
from autoqec.results.note_lines import Line
from autoqec.results.verdict import parse_verdict
from autoqec.results.verification_events import BEGUN, parse_begun

State = Literal["signed", "unsigned", "foreign", "invalid"]

#: The event of a verdict that does not replace an earlier one.
UNDECIDED = "undecided"

#: A verdict of today and of every earlier version says these.
_SAID = ("commit", "environment", "candidate", "weights_sha256")

#: An attempt's number may be this much above the number of attempts that are known.
MOST_MISSING = 64

#: Of two verdicts on one intent, the first of these words counts.
_WORST = ("SUSPICIOUS", "FAILED", "VERIFIED")


@dataclass(frozen=True)
class Subject:
    """What the lines on a round's commit must be about.

    Attributes:
        run: The run.
        rounds: The round's number, and the number in its commit if it was renumbered since; empty if these are not known.
        commit: The round's commit.
        environment: The identity of the run's environment; None if this lab lacks the run's record.
        scored: For each whole metrics record of the commit its id, and the hashes of the candidate and of the weights.
    """

    run: str
    rounds: frozenset[int]
    commit: str
    environment: str | None
    scored: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Signer:
    """Who signed a line.

    Attributes:
        word: `good`: an allowed signer; `unknown`: another key; `altered`: the line was changed after it was signed.
        who: The signer's name, or the key's fingerprint.
    """

    word: Literal["good", "unknown", "altered"]
    who: str = ""


@dataclass(frozen=True)
class Policy:
    """What the user trusts.

    Attributes:
        signed_only: Whether unsigned lines do not count.
        signer: Says who signed a line that has a signature; None if there are no allowed signers.
        audited: Says what in a verdict's line does not follow from its counts.
    """

    signed_only: bool = False
    signer: Callable[[Line], Signer] | None = None
    audited: Callable[[Line], str] = field(default=lambda line: cheap_audit(line))


#: Everybody is believed whose records follow from their counts.
ANY = Policy()


@dataclass(frozen=True)
class Standing:
    """A line and what it is worth.

    Attributes:
        line: The line.
        state: Its state.
        why: The reason of that state, in a few words.
        counts: Whether it counts.
        field: The field that makes it foreign, or `signature` if it was changed after it was signed; else empty.
    """

    line: Line = field(repr=False)
    state: State
    why: str
    counts: bool
    field: str = ""

    @property
    def record(self) -> Mapping[str, Any]:
        """The line's JSON object."""
        return self.line.record

    @property
    def authority(self) -> int:
        """Orders lines that count: a signed one has more authority than an unsigned one."""
        return 2 if self.state == "signed" else 1 if self.counts else 0

    @property
    def in_words(self) -> str:
        """What the line is worth, and why."""
        if self.state == "signed":
            return f"signed {self.why}"
        return f"{self.state}{'' if self.counts else ', does not count'}: {self.why}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"state": self.state, "why": self.why}


@dataclass(frozen=True)
class Ruling:
    """What the verdict note of a round comes to.

    Attributes:
        standings: Every line of the note.
        verdict: The verdict that counts; None if none does.
        conflicts: What contradicts it or stands in its place, a sentence each.
    """

    standings: tuple[Standing, ...] = ()
    verdict: Standing | None = None
    conflicts: tuple[str, ...] = ()

    @property
    def shown(self) -> Standing | None:
        """The verdict that counts, or else the one that comes nearest to it; None if there is no verdict."""
        if self.verdict is not None:
            return self.verdict
        order = ("signed", "unsigned", "foreign", "invalid")
        results = [each for each in self.standings if each.line.event is None]
        return min(results, key=lambda each: (order.index(each.state), _rank(each, {}), each.line.digest), default=None)

    @property
    def rejected(self) -> tuple[Standing, ...]:
        """The lines that are invalid or foreign."""
        return tuple(each for each in self.standings if each.state in ("invalid", "foreign"))


def cheap_audit(line: Line) -> str:
    """What in a verdict's line does not follow from its counts; empty if all does.

    It looks at everything that `autoqec.results.audit` looks at, but evaluates the ends of intervals.
    """
    # The parts of a verdict take a while to define, and lines that were examined before need none of them.
    from autoqec.results.audit import audit
    from autoqec.results.interval_ends import EVALUATED

    parsed = parse_verdict(line.record)
    if parsed.record is None:
        return parsed.problem or "it is empty"
    found = audit(parsed.record, EVALUATED)
    return found[0] if found else ""


def standing_of(line: Line, subject: Subject, policy: Policy = ANY) -> Standing:
    """What a line of a verdict note is worth.

    Args:
        line: The line.
        subject: What the lines of its note must be about.
        policy: What the user trusts.
    """
    problem = _schema_problem(line) or _foreign_to(line, subject)
    if isinstance(problem, _Foreign):
        return Standing(line, "foreign", str(problem), False, problem.field)
    problem = problem or (policy.audited(line) if line.event in (None, UNDECIDED) else "")
    if problem:
        return Standing(line, "invalid", problem, False)
    return _signed_or_not(line, policy)


def rule(
    lines: Iterable[Line],
    subject: Subject,
    policy: Policy = ANY,
    positions: Callable[[], Mapping[str, int]] = dict,
) -> Ruling:
    """Rule which verdict of a round counts.

    Among the verdicts that count, a signed one goes before an unsigned one. Then the one whose intent is further along the chain
    of the run counts, then the one with the higher attempt, then the one with the worse word, then the one with the greater id.
    A verdict may supersede others by naming their id, if it counts and its authority is not less than theirs.

    Args:
        lines: The lines of the round's verdict note.
        subject: What they must be about.
        policy: What the user trusts.
        positions: Finds the position in the run's chain of each intent that counts, by the digest of its line. It is called only
            if two verdicts count.
    """
    standings = tuple(standing_of(line, subject, policy) for line in lines)
    counting = [each for each in standings if each.counts and each.line.event is None]
    if len(counting) == 1:  # nearly always
        return Ruling(standings, counting[0])
    places = positions() if counting else {}
    superseded = _superseded(counting)
    standing = [each for each in counting if not superseded(each)]
    best = max(standing or counting, key=lambda each: _rank(each, places), default=None)
    return Ruling(standings, best, tuple(_conflicts(standing or counting)))


class _Foreign(str):
    """Says what else a line is about, and in which field."""

    field: str = ""

    @classmethod
    def by(cls, field: str, text: str) -> _Foreign:
        """Say it."""
        found = cls(text)
        found.field = field
        return found


def _schema_problem(line: Line) -> str:
    """Why a line is no record of its kind; empty if it is one."""
    record, event = line.record, line.event
    if not line.id:
        return "it has no id"
    if event == BEGUN:
        begun = parse_begun(record)
        return "" if begun is not None and begun.attempt >= 1 else "it is no beginning of a verification"
    if event == HEAD_TO_HEAD:
        return "" if parse_head_to_head(record) is not None else "it is no head-to-head"
    if event not in (None, UNDECIDED):
        return f"there is no event {event[:40]!r}"
    return "" if parse_verdict(record).record is not None else "it does not match the schema of a verdict"


def _foreign_to(line: Line, subject: Subject) -> str:
    """What else a line is about, or what it does not say; empty if it is about the subject."""
    record = line.record
    if line.event in (None, UNDECIDED):
        missing = next((name for name in _SAID if not _text(record.get(name))), None)
        if missing is not None:
            return f"it does not say which {missing} it is about"
    own: dict[str, Any] = {"run": {subject.run}, "commit": {subject.commit}}
    if subject.rounds:
        own["round"] = subject.rounds
    if subject.environment is not None:
        own["environment"] = {subject.environment}
    for name, values in own.items():
        said = record.get(name)
        if name in record and not (isinstance(said, str | int) and not isinstance(said, bool) and said in values):
            return _Foreign.by(name, f"it is about {name} {_short(said)}, not {_short(min(values))}")
    return _other_weights(line, subject) if line.event in (None, UNDECIDED) else ""


def _other_weights(line: Line, subject: Subject) -> str:
    """Whether a verdict is about a candidate or weights that no metrics of the round are about.

    The metrics that it names decide, or else any others: more metrics never make a verdict foreign that was not.
    """
    record = line.record
    judged = record.get("candidate"), record.get("weights_sha256")
    named = [hashes for ident, *hashes in subject.scored if ident == record.get("metrics")]
    others = [hashes for _, *hashes in subject.scored if any(hashes)]
    for candidate, weights in [*named, *others] if named or others else [("", "")]:
        if candidate in ("", judged[0]) and weights in ("", judged[1]):
            return ""
    return _Foreign.by("weights_sha256", "it is about another candidate or other weights than the round's metrics")


def _signed_or_not(line: Line, policy: Policy) -> Standing:
    counts = not policy.signed_only
    if not isinstance(line.record.get("signature"), str):
        return Standing(line, "unsigned", "it has no signature", counts)
    if policy.signer is None:
        return Standing(line, "unsigned", "there are no allowed signers to check its signature with", counts)
    found = policy.signer(line)
    if found.word == "altered":
        return Standing(line, "invalid", "it was changed after it was signed", False, "signature")
    if found.word == "good":
        return Standing(line, "signed", f"by {found.who}", True)
    return Standing(line, "unsigned", f"key {found.who} is not of an allowed signer", counts)


def _rank(each: Standing, positions: Mapping[str, int]) -> tuple[Any, ...]:
    record = each.record
    word = record.get("verdict")
    worse = len(_WORST) - _WORST.index(word) if word in _WORST else 0
    attempt = _attempt(each)
    # An absurd number is not counted by its size.
    known = attempt if not positions or attempt <= len(positions) + MOST_MISSING else 0
    return (each.authority, _position(each, positions), known, worse, each.line.id, each.line.digest)


def _position(each: Standing, positions: Mapping[str, int]) -> int:
    return positions.get(_text(each.record.get("intent")), 0)


def _attempt(each: Standing) -> int:
    attempt = each.record.get("attempt")
    return attempt if isinstance(attempt, int) and not isinstance(attempt, bool) else 0


def _superseded(counting: Iterable[Standing]) -> Callable[[Standing], bool]:
    """Tell which verdicts another one takes the place of; two that name each other both stay.

    Anybody can add ten thousands of verdicts, so none is compared with all others: of those that name one id, a verdict rules out
    its own id and the one that it names itself, so the three ids of most authority are enough.
    """
    naming: dict[str, dict[str, int]] = {}
    for each in counting:
        found = naming.setdefault(_text(each.record.get("supersedes")), {})
        found[each.line.id] = max(found.get(each.line.id, 0), each.authority)
    first = {name: nlargest(3, ids.items(), key=lambda item: item[1]) for name, ids in naming.items() if name}

    def superseded(one: Standing) -> bool:
        spared = (one.line.id, one.record.get("supersedes"))
        others = first.get(one.line.id, ())
        return any(ident not in spared and authority >= one.authority for ident, authority in others)

    return superseded


def _conflicts(standing: Sequence[Standing]) -> Iterator[str]:
    """What stands beside the verdict that counts with equal right."""
    for what, key in (
        ("have the id", lambda each: each.line.id),
        ("name the intent", lambda each: _text(each.record.get("intent"))),
        ("are of attempt", lambda each: f"{_attempt(each) or ''}"),
    ):
        groups: dict[str, list[Standing]] = {}
        for each in standing:
            if key(each):
                groups.setdefault(key(each), []).append(each)
        for name, group in sorted(groups.items()):
            if len(group) > 1:
                words = ", ".join(sorted({str(each.record.get("verdict")) for each in group}))
                yield f"{len(group)} verdicts that count {what} {name[:40]}: {words}; the worst word counts"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text[:12]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
