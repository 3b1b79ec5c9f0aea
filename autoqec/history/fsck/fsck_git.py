"""Checks that `git log` shows the trailers of each round as they are, because people review rounds with git alone.

Our parser is strict and reads the object itself. Git's parser is lenient, obeys the user's settings (`trailer.separators`,
`core.commentChar`) and follows `refs/replace/`, so it can show another identity than the recorded one.
"""

from __future__ import annotations

from collections.abc import Iterator

from autoqec.errors import AutoQECError
from autoqec.history.fsck.examination import Examined, Finding, Survey
from autoqec.history.rounds.trailers import RoundIdentity
from autoqec.history.store.git_program import run_git
from autoqec.history.store.objects import get_commit

_REPLACED = "refs/replace/"
_FORMAT = "--format=%H %(trailers:only=true,unfold=true)%x00"


def check_git(survey: Survey) -> Iterator[Finding]:
    """Find round commits whose trailers `git log` shows wrongly or not at all. Without git it finds nothing."""
    ours = {
        found.commit: found
        for found in survey.rounds.values()
        if found.commit is not None and isinstance(survey.identity(found.commit), RoundIdentity)
    }
    if not ours:
        return
    options = ("--no-walk=unsorted", "--stdin", "--no-show-signature", "--no-patch", "--encoding=UTF-8", _FORMAT)
    try:
        done = run_git(survey.ledger, "log", *options, stdin="".join(f"{oid}\n" for oid in ours))
    except AutoQECError:
        return
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["git gave no reason"])[0]
        yield Finding("git-trailers", "warning", "git log", f"git cannot show the rounds: {said}", "git fsck")
        return
    for entry in done.stdout.split("\x00"):
        oid, _, shown = entry.strip().partition(" ")
        found = ours.get(oid)
        if found is not None and shown.strip() != _trailers(survey, oid):
            yield _finding(survey, found, oid)


def _trailers(survey: Survey, oid: str) -> str:
    return get_commit(survey.ledger, oid).raw_message.decode().rstrip("\n").rpartition("\n\n")[2]


def _finding(survey: Survey, found: Examined, oid: str) -> Finding:
    if _REPLACED + oid in survey.refs:
        problem = f"git shows another commit instead of the round's commit {oid[:10]}, because of {_REPLACED}{oid}"
        return Finding("git-trailers", "warning", found.ref, problem, f"git replace -d {oid}")
    problem = "git log does not show the trailers of its commit; a git setting may be the cause"
    hint = "git config --get-regexp 'trailer|commentchar', and unset these settings"
    return Finding("git-trailers", "warning", found.ref, problem, hint)
