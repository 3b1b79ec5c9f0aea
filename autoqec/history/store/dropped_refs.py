"""Names of refs of rounds and runs, and of the place where `autoqec drop` keeps them: `refs/autoqec/dropped/<kind>/…`.

A ref `refs/autoqec/dropped/marks/<run>/<N>`, or `…/<run>/run` for a whole run, alone decides that something is dropped. It is
written before the first ref moves, and deleted after the last one has come back. So a kill in between leaves a lab in which it
is dropped: refs that have not moved yet count as if they had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Every kind of ref that a run and its rounds have, but for notes, with its prefix; in the order of writing.
REF_KINDS: Mapping[str, str] = {
    "runs": "refs/autoqec/runs/",
    "claims": "refs/autoqec/claims/",
    "exp": "refs/heads/exp/",
    "rounds": "refs/autoqec/rounds/",
    "attempts": "refs/autoqec/attempts/",
    "traces": "refs/autoqec/traces/",
    "artifacts": "refs/autoqec/artifacts/",
}

DROPPED = "refs/autoqec/dropped/"
MARKS = f"{DROPPED}marks/"

_WHOLE_RUN = "run"
_NAME = re.compile("([a-z0-9][a-z0-9-]{0,39})(?:/([1-9][0-9]{0,8}))?")
_MARK = re.compile(f"{MARKS}([a-z0-9][a-z0-9-]{{0,39}})/({_WHOLE_RUN}|[1-9][0-9]{{0,8}})")


def mark_of(run: str, number: int | None) -> str:
    """Return the ref that says that a round is dropped, or a whole run."""
    return f"{MARKS}{run}/{_WHOLE_RUN if number is None else number}"


def owner_of(ref: str) -> tuple[str, int | None] | None:
    """Return the run and number of a ref of a round; no number for that of a run; None for any other ref."""
    for kind, prefix in REF_KINDS.items():
        if ref.startswith(prefix):
            match = _NAME.fullmatch(ref, len(prefix))
            if match is None or (match[2] is None) != (kind == "runs"):
                return None
            return match[1], None if match[2] is None else int(match[2])
    return None


def kept_at(ref: str) -> str:
    """Return the name under which a ref of a round or run is kept once it is dropped."""
    kind, prefix = next((kind, prefix) for kind, prefix in REF_KINDS.items() if ref.startswith(prefix))
    return f"{DROPPED}{kind}/{ref.removeprefix(prefix)}"


def live_name(kept: str) -> str | None:
    """Return the name that a kept ref had before it was dropped; None if it is none, such as a mark."""
    if not kept.startswith(DROPPED):
        return None
    kind, _, name = kept.removeprefix(DROPPED).partition("/")
    ref = REF_KINDS.get(kind, "") + name
    return ref if owner_of(ref) else None


@dataclass(frozen=True)
class Marks:
    """What is dropped.

    Attributes:
        names: Run and number of every round that was dropped by itself; no number for a whole run.
    """

    names: frozenset[tuple[str, int | None]]

    @classmethod
    def among(cls, refs: Iterable[str]) -> Marks:
        """Find the marks among refs."""
        found = (_MARK.fullmatch(ref) for ref in refs if ref.startswith(MARKS))
        return cls(frozenset((m[1], None if m[2] == _WHOLE_RUN else int(m[2])) for m in found if m))

    def __bool__(self) -> bool:
        return bool(self.names)

    def has(self, run: str, number: int | None) -> bool:
        """Tell whether a run is dropped, or a round, by itself or with its run."""
        return (run, None) in self.names or (number is not None and (run, number) in self.names)

    def hide(self, ref: str) -> bool:
        """Tell whether a ref is of something that is dropped."""
        if not self.names:
            return False  # as almost always: a pull asks this of every ref of a run
        owner = owner_of(ref)
        return owner is not None and self.has(*owner)


def whole_record(refs: Mapping[str, str]) -> dict[str, str]:
    """Return refs as if nothing were dropped: those that are kept, by the names that they had before.

    Args:
        refs: Every ref of the lab, also those of an interrupted drop.
    """
    kept = {live: oid for ref, oid in refs.items() if (live := live_name(ref)) is not None}
    return {ref: oid for ref, oid in refs.items() if not ref.startswith(DROPPED)} | kept
