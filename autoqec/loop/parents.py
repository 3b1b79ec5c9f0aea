"""Finds the start of a round: the baseline, an earlier round, or a merge of several."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from autoqec.agents.role_messages import Hypothesis
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.errors import AutoQECError, UsageError
from autoqec.history import (
    Conflict,
    Ledger,
    Run,
    fetch_weights,
    find_record,
    find_round,
    load_run,
    merge_candidates,
    parse_round_name,
    read_attachment,
    read_candidate,
    read_history,
)
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.loop.session import run_environment
from autoqec.problem.code_family import other_family


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
    """Refuse parents that do not exist, can never be merged, or belong to another family of environments.

    A merge with conflicts is a finding, so it is accepted.

    Raises:
        UsageError: A parent's environment is of another family, or several are composed that do not share one environment.
        NotFoundError, AutoQECError: As `find_start`, but for `ComposeConflict`.
    """
    with contextlib.suppress(ComposeConflict):
        find_start(ledger, run, hypothesis)
    for name in hypothesis.fork_from:
        parent = load_run(ledger, parse_round_name(name)[0])
        if parent.env_id == run.env_id:
            continue
        if len(hypothesis.fork_from) > 1:
            problem = (
                f"{name} belongs to environment {parent.env_name}, and only rounds of one environment can be composed"
            )
            raise UsageError(problem, hint="fork it alone")
        theirs, own = (run_environment(each).environment for each in (parent, run))
        why = other_family(theirs, own)
        if why is not None:
            raise UsageError(
                f"{name} belongs to environment {parent.env_name}, which is of another family than {run.env_name}: {why}",
                hint="start from a round of one code at another size or noise of another strength",
                code="another_family",
            )


def composed_parents(ledger: Ledger, run: str, number: int) -> tuple[str, ...]:
    """The rounds that a committed round composes, `run/number` as they are called now; none if it composes none."""
    identity = find_record(ledger, run, number).identity
    if identity is None or identity.compose == "none":
        return ()
    names = {record.commit: f"{record.run}/{record.number}" for record in read_history(ledger)}
    return tuple(names[oid] for oid in identity.fork_from if oid in names)


def parent_weights(
    ledger: Ledger, run: Run, names: Sequence[str], *, fingerprint: str, wanted: bool, remote: str = ""
) -> bytes:
    """The parents' tensors in one file; for a name that several have, the first parent's. Empty if there are none.

    Args:
        ledger: The lab.
        run: The run of the child.
        names: Parents as `run/number`, of the run's environment or of another one of its family.
        fingerprint: Only weights of the problem with this fingerprint are used, or those that are bound to its family.
        wanted: Whether training will use them; if not, those of another environment are not read.
        remote: The remote on which clones share the run; empty for none. Wanted weights that are not here are fetched from it.

    Raises:
        AutoQECError: A parent's weights are those of another problem, or unreadable, or the remote is unreachable.
    """
    tensors: dict[str, Any] = {}
    for name in reversed(names):
        parent, number = parse_round_name(name)
        elsewhere = load_run(ledger, parent).env_id != run.env_id
        if wanted and remote:
            fetch_weights(ledger, remote, parent, number)
        data = read_attachment(ledger, "artifacts", parent, number).get(WEIGHTS_FILE)
        if data is None or (elsewhere and not wanted):
            continue
        try:
            tensors |= load_weights(data, fingerprint=fingerprint, same_family=elsewhere)
        except AutoQECError as error:
            if elsewhere and error.code == "weights_of_another_problem":
                raise AutoQECError(
                    f"the weights of {name} fit its own environment only: not every stage has sharing: orbit",
                    hint="start from a round whose stages have, or set init: fresh",
                    code=error.code,
                ) from error
            raise
    return save_weights(tensors, fingerprints=[fingerprint]) if tensors else b""
