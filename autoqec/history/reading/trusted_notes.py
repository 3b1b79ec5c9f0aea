"""What the notes of a round come to: the verdict, metrics and analysis that count, and the lines that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby

from autoqec.history.reading.examined_lines import Examined
from autoqec.history.reading.trust_policy import trusted
from autoqec.history.rounds.notes import Record
from autoqec.history.rounds.seen_heads import seen_heads
from autoqec.history.store.repository import Ledger
from autoqec.results.chain import Chain, chain_of, intents_in
from autoqec.results.note_lines import Line
from autoqec.results.trust.line_trust import UNDECIDED, Ruling, Subject, rule, standing_of
from autoqec.results.trust.metrics_trust import choose, scored_in

#: Lines of a note by kind.
Lines = Mapping[str, Sequence[Line]]


@dataclass(frozen=True)
class TrustedNotes:
    """What the notes on a commit come to.

    Attributes:
        metrics, analysis, verdict: The record that counts of each kind, or None.
        ruling: What each line of the verdict note is worth.
        broken: The lines of the metrics and analysis notes that are no whole records, each with its kind and the reason.
        notices: What does not count or contradicts, a sentence each.
    """

    metrics: Record | None = None
    analysis: Record | None = None
    verdict: Record | None = None
    ruling: Ruling = field(default_factory=Ruling)
    broken: tuple[tuple[str, Line, str], ...] = ()
    notices: tuple[str, ...] = ()


class RunTrust:
    """Rules on the notes of a run's commits.

    Args:
        ledger: The lab.
        run: The run.
        environment: The identity of its environment; None if this lab lacks the run's record.
        every_line: Reads all lines of the run's verdict notes, by commit.
        unsigned_too: Whether unsigned records count though the user asks for signatures.
    """

    def __init__(
        self,
        ledger: Ledger,
        run: str,
        environment: str | None,
        every_line: Callable[[], Mapping[str, Sequence[Line]]] = dict,
        unsigned_too: bool = False,
    ):
        self.run, self.environment = run, environment
        asked = trusted(ledger)
        self.examined = Examined(ledger, run, replace(asked, signed_only=asked.signed_only and not unsigned_too))
        self._every_line = every_line

    def read(self, commit: str, numbers: Iterable[int], attempt: str | None, notes: Lines) -> TrustedNotes:
        """Rule on the notes of one commit.

        Args:
            commit: The commit.
            numbers: The numbers that its round has or had; none if the commit is of no round that is known.
            attempt: The round's attempt, from its commit.
            notes: The lines on it.
        """
        broken: list[tuple[str, Line, str]] = []
        metrics, analyses = (self._whole(kind, notes, broken) for kind in ("metrics", "analysis"))
        subject = Subject(self.run, frozenset(numbers), commit, self.environment, scored_in(metrics))
        ruling = rule(notes.get("verdict", ()), subject, self.examined.policy, lambda: self._positions(commit))
        rejected = [("verdict", each.line, f"{each.state}: {each.why}") for each in ruling.rejected]
        notices = (*_told([*broken, *rejected]), *ruling.conflicts)
        verdict = dict(ruling.verdict.record) if ruling.verdict is not None else None
        scored = _record(choose(metrics, verdict.get("metrics") if verdict else None, attempt))
        return TrustedNotes(scored, _record(choose(analyses, None, attempt)), verdict, ruling, tuple(broken), notices)

    def events(self, commit: str, lines: Iterable[Line]) -> list[Line]:
        """Return the lines of the events on a commit that count."""
        subject, policy = Subject(self.run, frozenset(), commit, self.environment), self.examined.policy
        events = [line for line in lines if line.event not in (None, UNDECIDED)]
        return [line for line in events if standing_of(line, subject, policy).counts]

    def _positions(self, commit: str) -> Mapping[str, int]:
        """The position in the chain of each intent of the run that counts; 0 for one about another commit."""
        about = {digest: begun.commit or commit for digest, begun in self._chain.intents.items()}
        return {digest: depth if about[digest] == commit else 0 for digest, depth in self._chain.depth.items()}

    @cached_property
    def chain(self) -> Chain:
        """The chain of the run's verifications: of the intents that count, and of the verdicts that count and name one."""
        named: list[tuple[str, str]] = []
        for commit, lines in self._lines.items():
            subject = Subject(self.run, frozenset(), commit, self.environment)
            for line in lines:
                intent = line.record.get("intent")
                if not isinstance(intent, str) or line.event not in (None, UNDECIDED):
                    continue
                if standing_of(line, subject, self.examined.policy).counts:
                    named.append((line.id, intent))
        return chain_of(self._chain.intents, named, seen_heads(self.examined.ledger, self.run))

    @cached_property
    def _lines(self) -> Mapping[str, Sequence[Line]]:
        """The run's lines, read once: that takes most of a pull's own time in a long run."""
        return self._every_line()

    @cached_property
    def _chain(self) -> Chain:
        events = [event for commit, lines in self._lines.items() for event in self.events(commit, lines)]
        return chain_of(intents_in((line.digest, line.record) for line in events))

    def _whole(self, kind: str, notes: Lines, broken: list[tuple[str, Line, str]]) -> list[Line]:
        problems = [(line, self.examined.problem(kind, line)) for line in notes.get(kind, ()) if line.event is None]
        broken += [(kind, line, problem) for line, problem in problems if problem]
        return [line for line, problem in problems if not problem]


def _record(line: Line | None) -> Record | None:
    return dict(line.record) if line is not None else None


def _told(rejected: Iterable[tuple[str, Line, str]]) -> Iterator[str]:
    """A sentence about each note with lines that do not count."""
    for kind, group in groupby(rejected, key=lambda each: each[0]):
        (_, line, why), *others = group
        more = f"; nor do {len(others)} others" if others else ""
        name = line.id[:40] or line.digest[:12]
        yield f"the {kind} note has a line that does not count, {name}: {why[:300]}{more}"
