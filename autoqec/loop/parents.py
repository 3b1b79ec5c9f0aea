"""Finds the start of a round: the baseline, an earlier round, or a merge of several."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from autoqec.agents.role_messages import Hypothesis
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.errors import AutoQECError
from autoqec.history import (
    Conflict,
    Ledger,
    Run,
    find_record,
    find_round,
    merge_candidates,
    parse_round_name,
    read_attachment,
    read_candidate,
    read_history,
)
from autoqec.history.rounds.attachments import WEIGHTS_FILE


class ComposeConflict(AutoQECError):
    """Two parents changed the same field in different ways; `conflicts` says which."""

    code = "compose_conflict"

    def __init__(self, conflicts: Sequence[Conflict]):
        places = ", ".join(sorted({c.path + (f" ({c.field})" if c.field else "") for c in conflicts}))
        super().__init__(f"the parents disagree on {places}")
        self.conflicts = [asdict(conflict) for conflict in conflicts]


@dataclass(frozen=True)
class Start:
    """The start of a round.

    Attributes:
        parents: Commits that become the round's parents; for the baseline, the run's base commit.
        files: The candidate's files there: empty for the baseline, merged for a compose.
    """

    parents: tuple[str, ...]
    files: Mapping[str, bytes]


def parent_commits(ledger: Ledger, hypothesis: Hypothesis) -> tuple[str, ...]:
    """The commits `fork_from` names, in its order; none for the baseline.

    Raises:
        NotFoundError: A round does not exist or has no commit.
    """
    return tuple(find_round(ledger, *parse_round_name(name)) for name in hypothesis.fork_from)


def find_start(ledger: Ledger, run: Run, hypothesis: Hypothesis) -> Start:
    """Resolve and, for a compose, merge the parents.

    Raises:
        NotFoundError: A parent does not exist.
        ComposeConflict: The merge has conflicts.
        AutoQECError: The parents cannot be merged at all, for instance because one descends from another.
    """
    commits = parent_commits(ledger, hypothesis)
    if not commits:
        return Start((run.base,), {})
    if len(commits) == 1:
        return Start(commits, read_candidate(ledger, commits[0]))
    merge = merge_candidates(ledger, run.base, commits)
    if merge.conflicts:
        raise ComposeConflict(merge.conflicts)
    return Start(commits, merge.files)


def check_parents(ledger: Ledger, run: Run, hypothesis: Hypothesis) -> None:
    """Refuse parents that do not exist or can never be merged. A merge with conflicts is a finding, so it is accepted.

    Raises:
        NotFoundError, UsageError, AutoQECError: As `find_start`, but for `ComposeConflict`.
    """
    with contextlib.suppress(ComposeConflict):
        find_start(ledger, run, hypothesis)


def composed_parents(ledger: Ledger, run: str, number: int) -> tuple[str, ...]:
    """The rounds that a committed round composes, `run/number` as they are called now; none if it composes none."""
    identity = find_record(ledger, run, number).identity
    if identity is None or identity.compose == "none":
        return ()
    names = {record.commit: f"{record.run}/{record.number}" for record in read_history(ledger)}
    return tuple(names[oid] for oid in identity.fork_from if oid in names)


def parent_weights(ledger: Ledger, names: Sequence[str], *, fingerprint: str) -> bytes:
    """The parents' tensors in one file; for a name that several have, the first parent's. Empty if there are none.

    Args:
        ledger: The lab.
        names: Parents as `run/number`.
        fingerprint: Only weights of the problem with this fingerprint are used.
    """
    tensors: dict[str, object] = {}
    for name in reversed(names):
        data = read_attachment(ledger, "artifacts", *parse_round_name(name)).get(WEIGHTS_FILE)
        if data is not None:
            tensors |= load_weights(data, fingerprint=fingerprint)
    return save_weights(tensors, fingerprints=[fingerprint]) if tensors else b""  # type: ignore[arg-type]
