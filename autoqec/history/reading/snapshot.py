"""A snapshot of a lab's refs, sorted into rounds. All reading starts from one, so that its parts are consistent.

All statements about a run follow from the objects that these refs name, and objects never change. So a cache can use the
digest of a run's refs as its key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autoqec.history.rounds.claims import CLAIMS
from autoqec.history.rounds.notes import NOTE_KINDS, NOTES
from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES
from autoqec.history.rounds.run_refs import RUNS
from autoqec.history.store.dropped_refs import Marks, whole_record
from autoqec.history.store.refs import every_ref
from autoqec.history.store.repository import Ledger

ARTIFACTS = "refs/autoqec/artifacts/"
ATTEMPTS = "refs/autoqec/attempts/"

_NUMBERED = re.compile("([a-z0-9][a-z0-9-]{0,39})/([1-9][0-9]{0,8})")
_KINDS = (BRANCHES, ARCHIVE, CLAIMS, ATTEMPTS, ARTIFACTS)

#: What a snapshot reads.
_READ = (BRANCHES, "refs/autoqec/", NOTES)

Found = Mapping[str, str]  # oid of a round's ref of each kind, by the kind's prefix


@dataclass(frozen=True)
class Snapshot:
    """The refs of a lab at one moment.

    Attributes:
        refs: Oid by full ref name.
        runs: The rounds of every run that a ref names, by number, with the oids of their refs by kind.
        dropped: The commits of a run's dropped rounds, which are not among `runs`. Their notes are still there.
    """

    refs: Mapping[str, str]
    runs: Mapping[str, Mapping[int, Found]]
    dropped: Mapping[str, Collection[str]] = field(default_factory=dict)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """`run/number` by the commit that the round's branch or archive ref holds."""
        return {
            oid: f"{run}/{number}"
            for run, rounds in self.runs.items()
            for number, found in rounds.items()
            if (oid := tip(found)) is not None
        }

    def notes_tip(self, run: str, kind: str) -> str | None:
        """Return the commit that holds a run's notes of a kind, or None if there are none."""
        return self.refs.get(f"{NOTES}{run}/{kind}")

    def digest(self, run: str) -> str:
        """Return a hash (64 hex digits) of all refs of a run: it changes if and only if the run's history does."""
        parts = [str(self.refs.get(RUNS + run)), *(str(self.notes_tip(run, kind)) for kind in NOTE_KINDS)]
        for number, found in sorted(self.runs[run].items()):
            parts += [str(number), *(found.get(kind, "-") for kind in _KINDS)]
        parts += sorted(self.dropped.get(run, ()))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def tip(found: Found) -> str | None:
    """Return the commit of a round's branch, or else of its archive ref; None if there is neither."""
    return found.get(BRANCHES) or found.get(ARCHIVE)


def take_snapshot(ledger: Ledger) -> Snapshot:
    """List the refs once and sort them into rounds. Rounds and runs that were dropped are not among them.

    Raises:
        AutoQECError: The refs are not readable.
    """
    every = every_ref(ledger, *_READ)
    marks = Marks.among(every)
    if not marks:
        return Snapshot(every, _runs(every, marks))
    refs = {ref: oid for ref, oid in every.items() if not marks.hide(ref)}
    return Snapshot(refs, _runs(refs, marks), dropped_commits(every))


def dropped_snapshot(ledger: Ledger) -> Snapshot:
    """The same of dropped rounds alone, by the names that they had before.

    Raises:
        AutoQECError: The refs are not readable.
    """
    every = every_ref(ledger, *_READ)
    marks = Marks.among(every)
    names = {run for run, _ in marks.names}
    chosen = {
        ref: oid
        for ref, oid in whole_record(every).items()
        if marks.hide(ref) or ref.removeprefix(RUNS) in names or ref.startswith(NOTES)
    }
    found = _runs(chosen, Marks(frozenset()))
    return Snapshot(chosen, {run: rounds for run, rounds in found.items() if run in names})


def dropped_commits(every: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the commits of dropped rounds by run, given every ref of the lab."""
    marks = Marks.among(every)
    found: dict[str, set[str]] = {}
    for ref, oid in whole_record(every).items() if marks else ():
        if ref.startswith((BRANCHES, ARCHIVE)) and marks.hide(ref):
            found.setdefault(ref.split("/")[3], set()).add(oid)
    return found


def _runs(refs: Mapping[str, str], marks: Marks) -> dict[str, dict[int, Found]]:
    runs: dict[str, dict[int, dict[str, str]]] = {}
    for ref, oid in refs.items():
        for prefix in _KINDS:
            if ref.startswith(prefix):
                if match := _NUMBERED.fullmatch(ref, len(prefix)):
                    runs.setdefault(match[1], {}).setdefault(int(match[2]), {})[prefix] = oid
                break
        else:
            if ref.startswith((NOTES, RUNS)):  # a run can have notes but no rounds, if only its notes were fetched
                run = ref.removeprefix(NOTES).removeprefix(RUNS).partition("/")[0]
                if not marks.has(run, None):  # the notes of a dropped run stay where they are
                    runs.setdefault(run, {})
    # Weights alone are not a round; an interrupted prune leaves them.
    return {
        run: {n: found for n, found in rounds.items() if found.keys() != {ARTIFACTS}} for run, rounds in runs.items()
    }
