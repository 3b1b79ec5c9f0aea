"""Merge bases of a composition, and the check that its commits may be merged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pygit2
from pygit2.enums import SortMode

from autoqec.errors import AutoQECError, UsageError
from autoqec.history.rounds.trailers import MAX_PARENTS
from autoqec.history.store.objects import get_commit
from autoqec.history.store.repository import Ledger

Pair = tuple[int, int]


def best_bases(ledger: Ledger, base: str, commits: Sequence[str]) -> dict[Pair, list[str]]:
    """Return the best common ancestors of each two commits, by the pair of their positions.

    Two compositions of the same rounds have several best common ancestors: each of those rounds is one.

    Args:
        ledger: The lab.
        base: The run's base, from which all commits descend.
        commits: Two to eight oids.

    Raises:
        UsageError: There are too few or too many commits, one occurs twice, or one descends from another.
        NotFoundError: A commit is missing.
        AutoQECError: A commit does not descend from the base.
    """
    if len(commits) < 2:
        raise UsageError("a composition needs at least two rounds", hint="autoqec log lists them")
    if len(commits) > MAX_PARENTS:
        raise UsageError(
            f"a composition of {len(commits)} rounds is too large to review; at most {MAX_PARENTS} are allowed",
            hint="compose some of them first, then compose the results",
        )
    if len(set(commits)) < len(commits):
        raise UsageError("a composition names the same round twice", hint="name each round once: autoqec log")
    get_commit(ledger, base)
    histories = [_history(ledger, base, commit) for commit in commits]
    for (i, first), (j, second) in combinations(enumerate(commits), 2):
        for ancestor, descendant, history in ((first, second, histories[j]), (second, first, histories[i])):
            if ancestor in history:
                raise UsageError(
                    f"{ancestor[:10]} is an ancestor of {descendant[:10]}, which already contains it",
                    hint=f"leave out {ancestor[:10]}; autoqec log --graph shows the ancestry",
                )
    return {(i, j): _heads(histories[i], histories[j]) or [base] for i, j in combinations(range(len(commits)), 2)}


def _history(ledger: Ledger, base: str, commit: str) -> dict[str, list[str]]:
    """Return a commit and its ancestors above the base, each with its parents."""
    get_commit(ledger, commit)
    if commit == base:
        raise UsageError(f"{commit[:10]} is the run's base, which every round already contains", hint="leave it out")
    try:
        common = ledger.repo.merge_base(base, commit)
    except (KeyError, pygit2.GitError):
        common = None
    if common is None:
        raise AutoQECError(
            f"{commit[:10]} has no history in common with the base {base[:10]}",
            hint="run git fetch --unshallow if this is a shallow clone; otherwise you cannot compose them",
        )
    if str(common) != base:
        raise AutoQECError(f"{commit[:10]} does not start from the base {base[:10]}", hint="autoqec log --graph")
    walker = ledger.repo.walk(commit, SortMode.NONE)
    walker.hide(base)
    return {str(found.id): [str(parent) for parent in found.parent_ids] for found in walker}


def _heads(one: dict[str, list[str]], other: dict[str, list[str]]) -> list[str]:
    common = one.keys() & other.keys()
    return sorted(common - {parent for commit in common for parent in one[commit]})
