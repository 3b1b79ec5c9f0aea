"""How the commits of a composition are related: which may be merged at all, and what each two have in common."""

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
    """The best common ancestors of each two commits, by the pair of their positions.

    Two compositions of the same rounds have several: each of those rounds is one, and none is better.

    Args:
        ledger: The lab.
        base: A commit all descend from: the run's base.
        commits: Two to eight oids.

    Raises:
        UsageError: Too few, too many, the same twice, or one descends from another.
        NotFoundError: A commit is missing.
        AutoQECError: One does not descend from the base.
    """
    if len(commits) < 2:
        raise UsageError("a composition needs at least two rounds", hint="autoqec log lists them")
    if len(commits) > MAX_PARENTS:
        raise UsageError(
            f"a composition of {len(commits)} rounds cannot be reviewed; at most {MAX_PARENTS} are allowed",
            hint="compose some of them first, and then the results",
        )
    if len(set(commits)) < len(commits):
        raise UsageError("a composition names the same round twice", hint="name each round once: autoqec log")
    get_commit(ledger, base)
    histories = [_history(ledger, base, commit) for commit in commits]
    for (i, first), (j, second) in combinations(enumerate(commits), 2):
        for ancestor, descendant, history in ((first, second, histories[j]), (second, first, histories[i])):
            if ancestor in history:
                raise UsageError(
                    f"{ancestor[:10]} is an ancestor of {descendant[:10]}, which holds all of it already",
                    hint="leave it out; autoqec log --graph shows what came from what",
                )
    return {(i, j): _heads(histories[i], histories[j]) or [base] for i, j in combinations(range(len(commits)), 2)}


def _history(ledger: Ledger, base: str, commit: str) -> dict[str, list[str]]:
    """The commits above the base that one descends from, itself included, each with its parents."""
    get_commit(ledger, commit)
    if commit == base:
        raise UsageError(f"{commit[:10]} is the run's base, which every round holds already", hint="leave it out")
    try:
        common = ledger.repo.merge_base(base, commit)
    except (KeyError, pygit2.GitError):
        common = None
    if common is None:
        raise AutoQECError(
            f"{commit[:10]} has no history in common with the base {base[:10]}",
            hint="git fetch --unshallow if the history was cut off; else they cannot be composed",
        )
    if str(common) != base:
        raise AutoQECError(f"{commit[:10]} does not start from the base {base[:10]}", hint="autoqec log --graph")
    walker = ledger.repo.walk(commit, SortMode.NONE)
    walker.hide(base)
    return {str(found.id): [str(parent) for parent in found.parent_ids] for found in walker}


def _heads(one: dict[str, list[str]], other: dict[str, list[str]]) -> list[str]:
    common = one.keys() & other.keys()
    return sorted(common - {parent for commit in common for parent in one[commit]})
