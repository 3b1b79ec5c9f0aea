"""A snapshot of a lab's refs, sorted into rounds. All reading starts from one, so that its parts are consistent.

All statements about a run follow from the objects that these refs name, and objects never change. So a cache can use the
digest of a run's refs as its key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from autoqec.history.rounds.claims import CLAIMS
from autoqec.history.rounds.notes import NOTE_KINDS, NOTES
from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES
from autoqec.history.rounds.run_refs import RUNS
from autoqec.history.store.refs import list_refs
from autoqec.history.store.repository import Ledger

ARTIFACTS = "refs/autoqec/artifacts/"
ATTEMPTS = "refs/autoqec/attempts/"

_NUMBERED = re.compile("([a-z0-9][a-z0-9-]{0,39})/([1-9][0-9]{0,8})")
_KINDS = (BRANCHES, ARCHIVE, CLAIMS, ATTEMPTS, ARTIFACTS)

Found = Mapping[str, str]  # oid of a round's ref of each kind, by the kind's prefix


@dataclass(frozen=True)
class Snapshot:
    """The refs of a lab at one moment.

    Attributes:
        refs: Oid by full ref name.
        runs: The rounds of every run that a ref names, by number, with the oids of their refs by kind.
    """

    refs: Mapping[str, str]
    runs: Mapping[str, Mapping[int, Found]]

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
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def tip(found: Found) -> str | None:
    """Return the commit of a round's branch, or else of its archive ref; None if there is neither."""
    return found.get(BRANCHES) or found.get(ARCHIVE)


def take_snapshot(ledger: Ledger) -> Snapshot:
    """List the refs once and sort them into rounds.

    Raises:
        AutoQECError: The refs are not readable.
    """
    refs = list_refs(ledger, BRANCHES, "refs/autoqec/", NOTES)
    runs: dict[str, dict[int, dict[str, str]]] = {}
    for ref, oid in refs.items():
        for prefix in _KINDS:
            if ref.startswith(prefix):
                if match := _NUMBERED.fullmatch(ref, len(prefix)):
                    runs.setdefault(match[1], {}).setdefault(int(match[2]), {})[prefix] = oid
                break
        else:
            if ref.startswith((NOTES, RUNS)):  # a run can have notes but no rounds, if only its notes were fetched
                runs.setdefault(ref.removeprefix(NOTES).removeprefix(RUNS).partition("/")[0], {})
    # Weights alone are not a round; an interrupted prune leaves them.
    kept = {
        run: {n: found for n, found in rounds.items() if found.keys() != {ARTIFACTS}} for run, rounds in runs.items()
    }
    return Snapshot(refs, kept)
