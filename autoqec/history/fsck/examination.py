"""The data that `fsck` reads once (rounds, ref by ref) and the findings that it reports, each with a hint."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.reading.snapshot import ARTIFACTS, ATTEMPTS, dropped_commits
from autoqec.history.reading.trusted_notes import RunTrust, TrustedNotes
from autoqec.history.rounds.claims import CLAIMS, Claim, parse_claim
from autoqec.history.rounds.notes import NOTE_KINDS, Record, read_lines
from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES
from autoqec.history.rounds.run_refs import Run, load_run
from autoqec.history.rounds.trailers import RoundIdentity, parse_message
from autoqec.history.store.objects import entry_at, get_blob, get_commit
from autoqec.history.store.refs import every_ref, list_refs
from autoqec.history.store.repository import Ledger
from autoqec.results.note_lines import Line
from autoqec.size_limits import RECORD_BYTES

TRACES = "refs/autoqec/traces/"

_PLACES = (BRANCHES, ARCHIVE, CLAIMS, ATTEMPTS, ARTIFACTS, TRACES)
_NUMBERED = re.compile("([a-z0-9][a-z0-9-]{0,39})/([1-9][0-9]{0,8})")

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One finding about the state of the lab.

    Attributes:
        code: A stable identifier of one to three words.
        severity: `error` if the record is damaged or contradicts itself, `warning` if it is at risk or incomplete,
            `info` if there is nothing wrong.
        ref: The ref (or setting, or file) that it is about.
        problem: A sentence that says what is wrong.
        hint: What to do about it; for a repairable finding, what `autoqec fsck --repair` does.
        repairable: Whether `repair` can fix it.
    """

    code: str
    severity: Severity
    ref: str
    problem: str
    hint: str
    repairable: bool = False


@dataclass(frozen=True)
class Examined:
    """One round according to its refs.

    Attributes:
        run, number: The round.
        refs: The oid that each kind of ref holds for it, by the kind's prefix.
        claim: Its claim; None if there is none or it is unreadable.
        damage: The error from reading the claim, or None.
    """

    run: str
    number: int
    refs: dict[str, str]
    claim: Claim | None
    damage: AutoQECError | None

    @property
    def name(self) -> str:
        """`run/number`."""
        return f"{self.run}/{self.number}"

    @property
    def commit(self) -> str | None:
        """The round's commit: the one in the claim, else the one that its branch or archive ref holds."""
        return (self.claim.commit if self.claim else None) or self.refs.get(BRANCHES) or self.refs.get(ARCHIVE)

    @property
    def ref(self) -> str:
        """The most familiar of its existing refs."""
        return next(place for place in _PLACES if place in self.refs) + self.name


@dataclass
class Survey:
    """The state of a lab, read on demand.

    Attributes:
        ledger: The lab.
        refs: Every ref and its oid.
        rounds: Every round that a ref names, by run and number.
        dropped: The commits of dropped rounds, by run.
    """

    ledger: Ledger
    refs: dict[str, str]
    rounds: dict[tuple[str, int], Examined]
    dropped: dict[str, set[str]] = field(default_factory=dict)
    _runs: dict[str, Run | AutoQECError] = field(default_factory=dict)
    _lines: dict[tuple[str, str], dict[str, list[Line]]] = field(default_factory=dict)
    _trust: dict[str, RunTrust] = field(default_factory=dict)
    _trusted: dict[tuple[str, int], TrustedNotes] = field(default_factory=dict)
    _identities: dict[str, RoundIdentity | AutoQECError] = field(default_factory=dict)

    def run(self, name: str) -> Run | AutoQECError:
        """Return a run's record, or the error from reading it."""
        if name not in self._runs:
            try:
                self._runs[name] = load_run(self.ledger, name)
            except AutoQECError as error:
                self._runs[name] = error
        return self._runs[name]

    def identity(self, commit: str) -> RoundIdentity | AutoQECError:
        """Return the identity in a commit's trailers, or the error from reading it."""
        if commit not in self._identities:
            try:
                self._identities[commit] = parse_message(get_commit(self.ledger, commit).raw_message.decode())
            except UnicodeDecodeError as error:
                self._identities[commit] = AutoQECError(f"its commit message is not UTF-8: {error}")
            except AutoQECError as error:
                self._identities[commit] = error
        return self._identities[commit]

    def notes(self, run: str, kind: str, commit: str) -> list[Record]:
        """Return the readable records on a commit."""
        return [dict(line.record) for line in self.lines(run, kind).get(commit, ())]

    def lines(self, run: str, kind: str) -> dict[str, list[Line]]:
        """Return the readable lines of a run by commit."""
        if (run, kind) not in self._lines:
            try:
                found = read_lines(self.ledger, run, kind)
            except AutoQECError:
                found = {}  # `check_notes` reports it
            self._lines[run, kind] = {
                commit: [Line(line.digest, line.record) for line in lines] for commit, lines in found.items()
            }
        return self._lines[run, kind]

    def trust(self, run: str) -> RunTrust:
        """Return what rules on the notes of a run."""
        if run not in self._trust:
            record = self.run(run)
            environment = record.env_id if isinstance(record, Run) else None
            self._trust[run] = RunTrust(self.ledger, run, environment, lambda: self.lines(run, "verdict"))
        return self._trust[run]

    def trusted(self, found: Examined) -> TrustedNotes:
        """Return what the notes of a round come to."""
        name, commit = (found.run, found.number), found.commit or ""
        if name not in self._trusted:
            identity = self.identity(commit) if commit else None
            known = identity if isinstance(identity, RoundIdentity) else None
            numbers = {found.number, *((known.round,) if known else ())}
            notes = {kind: self.lines(found.run, kind).get(commit, []) for kind in NOTE_KINDS}
            self._trusted[name] = self.trust(found.run).read(commit, numbers, known.attempt if known else None, notes)
        return self._trusted[name]

    def file(self, commit: str | None, path: str) -> pygit2.Blob | None:
        """Return a file of a commit; None if there is no such file or commit."""
        try:
            found = None if commit is None else entry_at(self.ledger, get_commit(self.ledger, commit).tree, path)
        except (AutoQECError, pygit2.GitError):
            return None
        return found if isinstance(found, pygit2.Blob) else None


def survey_lab(ledger: Ledger) -> Survey:
    """Read all refs once, and the claims."""
    refs = list_refs(ledger, "refs/")
    found: dict[tuple[str, int], dict[str, str]] = {}
    for ref, oid in refs.items():
        for place in _PLACES:
            if ref.startswith(place) and (match := _NUMBERED.fullmatch(ref, len(place))):
                found.setdefault((match[1], int(match[2])), {})[place] = oid
    rounds = {name: _examine(ledger, *name, held) for name, held in sorted(found.items())}
    return Survey(ledger, refs, rounds, dropped_commits(every_ref(ledger, "refs/")))


def _examine(ledger: Ledger, run: str, number: int, refs: dict[str, str]) -> Examined:
    ref = f"{CLAIMS}{run}/{number}"
    claim, damage = None, None
    try:
        if CLAIMS in refs:
            claim = parse_claim(get_blob(ledger, refs[CLAIMS], name=ref, limit=RECORD_BYTES), ref=ref)
    except AutoQECError as error:
        damage = error
    return Examined(run, number, refs, claim, damage)
