"""Round commits: one commit on the branch `exp/<run>/<N>`, built without index, HEAD or working tree.

The commit's tree is always the run's base tree with the candidate's folder replaced, whatever the parents are. So
`git diff <base> exp/<run>/<N>` shows the candidate and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from autoqec.counted_words import some_of
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history.rounds.claims import CLAIMS, read_claim
from autoqec.history.rounds.trailers import RoundIdentity, build_message, parse_message
from autoqec.history.store.objects import TooLargeError, get_commit, graft, has_objects, read_files, write_commit
from autoqec.history.store.refs import compare_and_swap, explain_write, is_dropped, list_refs, target, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.size_limits import CANDIDATE_YAML_BYTES, in_words

CANDIDATE_DIR = ".autoqec/candidate"
BRANCHES = "refs/heads/exp/"
ARCHIVE = "refs/autoqec/rounds/"

#: The last second of the year 9999; no later one has a date here.
_LAST_SECOND = 253_402_300_799

_ROUND = re.compile("(?:refs/heads/exp/|refs/autoqec/rounds/|exp/)?([a-z0-9][a-z0-9-]{0,39})/([1-9][0-9]{0,8})")


def branch_name(run: str, number: int) -> str:
    """Return a round's branch name, without `refs/heads/`."""
    return f"exp/{run}/{number}"


def parse_round_name(name: str) -> tuple[str, int]:
    """Parse `exp/<run>/7`, `<run>/7` or the full ref into run and number.

    Raises:
        UsageError: The name is not one of these.
    """
    match = _ROUND.fullmatch(name)
    if match is None or match[1] == "exp":  # `exp/7` is a branch name without its run
        raise UsageError(f"{name!r} does not name a round", hint="write it as exp/<run>/<N>; autoqec log lists them")
    return match[1], int(match[2])


def commit_round(
    ledger: Ledger,
    identity: RoundIdentity,
    *,
    base: str,
    parents: Sequence[str],
    files: Mapping[str, bytes],
    subject: str,
    body: str,
) -> str:
    """Commit a round's candidate on its branch. Doing it again for the same attempt changes nothing.

    Args:
        ledger: The lab.
        identity: The contents of the commit's trailers.
        base: Oid of the run's base commit.
        parents: Oids of the parent commits, the fork point first: those of `identity.fork_from`, or none (then the base
            is the parent).
        files: The candidate's files by path relative to `.autoqec/candidate`.
        subject, body: A description of the round, for people.

    Returns:
        The commit's oid.

    Raises:
        UsageError: A path or size is not allowed, or the parents differ from those of the identity.
        NotFoundError: A parent is missing.
        AutoQECError: The branch belongs to another attempt, or is not writable.
    """
    run, number = identity.run, identity.round
    actual = list(parents) or [base]
    if sorted(identity.fork_from or (base,)) != sorted(actual):
        raise UsageError(f"the parents of {run}/{number} differ from those in its trailers")
    for parent in actual:
        get_commit(ledger, parent)
    message = build_message(identity, subject=subject, body=body)
    ref = f"{BRANCHES}{run}/{number}"
    with write_lock(ledger):
        done = target(ledger, ref) or target(ledger, f"{ARCHIVE}{run}/{number}")
        if done is None:
            tree = graft(ledger, base, CANDIDATE_DIR, files, name=ref)
            with explain_write(ref):
                commit = write_commit(ledger, message, tree, actual)
            # Set the branch at once: without a ref, `git gc --prune=now` may delete the commit.
            if compare_and_swap(ledger, ref, None, commit, f"autoqec: round {run}/{number}"):
                return commit
            done = target(ledger, ref)
    found = None if done is None else _identity(ledger, done)
    if done is not None and found is not None and found.attempt == identity.attempt:
        return done
    raise AutoQECError(
        f"{branch_name(run, number)} exists already and holds another attempt",
        hint=f"git log -1 {branch_name(run, number)}; autoqec fsck",
    )


def find_round(ledger: Ledger, run: str, number: int) -> str:
    """Return the oid of a round's commit, on its branch or archived.

    If the claim names a commit, that one counts, even if somebody has committed on the branch since.

    Raises:
        NotFoundError: The round does not exist, or has no commit.
    """
    tip = target(ledger, f"{BRANCHES}{run}/{number}") or target(ledger, f"{ARCHIVE}{run}/{number}")
    try:
        claim = read_claim(ledger, run, number)
    except NotFoundError:
        claim = None
    if claim is not None and claim.commit is not None:
        tip = claim.commit
    if tip is not None:
        return str(get_commit(ledger, tip).id)
    if claim is not None:
        what = f"was closed as {claim.status}" if claim.status else "is open"
        raise NotFoundError(f"round {run}/{number} {what} and has no commit", hint=f"autoqec show {run}/{number}")
    require_not_dropped(ledger, run, number)
    raise NotFoundError(f"there is no round {run}/{number}; {_what_there_is(ledger, run)}", hint="autoqec log")


def author_of(ledger: Ledger, commit: str) -> tuple[str, str]:
    """Return the name of a commit's author, as git's settings said it then, and the day of the commit, `YYYY-MM-DD`.

    Raises:
        NotFoundError, AutoQECError: The commit is missing or damaged.
    """
    found = get_commit(ledger, commit)
    day = datetime.fromtimestamp(min(max(found.commit_time, 0), _LAST_SECOND), UTC)
    return found.author.raw_name.decode("utf-8", "replace"), day.strftime("%Y-%m-%d")


def require_not_dropped(ledger: Ledger, run: str, number: int) -> None:
    """Check that a round is not dropped.

    Raises:
        NotFoundError: It is, by itself or with its run.
    """
    if is_dropped(ledger, run):
        raise NotFoundError(f"run {run} is dropped", hint=f"autoqec drop --restore {run} brings it back")
    if is_dropped(ledger, run, number):
        name = f"{run}/{number}"
        raise NotFoundError(f"round {name} is dropped", hint=f"autoqec drop --restore {name} brings it back")


def committed(ledger: Ledger, run: str, number: int, tip: str) -> str | None:
    """Return a round's commit as recorded in this lab, given that its branch holds `tip`; None if it is unknown.

    The claim names it once it has a commit. Before that the trailers decide: those of `tip`, or of the first earlier commit
    with trailers.
    """
    try:
        claim = read_claim(ledger, run, number)
    except NotFoundError:
        claim = None
    if claim is not None and claim.commit is not None:
        return claim.commit
    oid: str | None = tip
    while oid is not None:
        commit = get_commit(ledger, oid)
        identity = _identity(ledger, oid)
        if identity is not None:
            ours = identity.attempt == claim.attempt if claim else (identity.run, identity.round) == (run, number)
            return oid if ours else None
        oid = str(commit.parent_ids[0]) if commit.parent_ids else None
    return None


def require_reachable(ledger: Ledger, run: str, number: int, commit: str) -> None:
    """Check that a round's commit exists, and that the round's branch or archive ref protects it from `git gc`.

    Raises:
        AutoQECError: It does not exist, or no ref protects it; the error names the ref.
    """
    branch = f"{BRANCHES}{run}/{number}"
    tips = {ref: oid for ref in (branch, f"{ARCHIVE}{run}/{number}") if (oid := target(ledger, ref)) is not None}
    if not has_objects(ledger, [commit]):
        ref = next(iter(tips), f"{CLAIMS}{run}/{number}")
        raise AutoQECError(
            f"{ref} names {commit}, which is not in this repository",
            hint="git fetch, or autoqec fsck and git fsck for details",
        )
    if not any(oid == commit or _descends(ledger, oid, commit) for oid in tips.values()):
        what = f"{next(iter(tips))} points elsewhere" if tips else f"{branch} is gone"
        raise AutoQECError(
            f"{what}: no ref protects {commit}, the commit of {run}/{number}, from git gc",
            hint=f"git branch -f {branch_name(run, number)} {commit[:10]}",
        )


def _descends(ledger: Ledger, oid: str, commit: str) -> bool:
    return has_objects(ledger, [oid]) and ledger.repo.descendant_of(oid, commit)


def read_candidate(ledger: Ledger, commit: str) -> dict[str, bytes]:
    """Return the candidate's files in a commit, by path relative to `.autoqec/candidate`; empty if it has none.

    Raises:
        AutoQECError: There is a link or a file with an unsafe name, the files are too large, or the commit is missing.
    """
    files = read_files(ledger, commit, CANDIDATE_DIR)
    size = sum(len(data) for path, data in files.items() if path.endswith((".yaml", ".yml")))
    if size > CANDIDATE_YAML_BYTES:
        limit = in_words(CANDIDATE_YAML_BYTES)
        raise TooLargeError(f"{commit[:10]}:{CANDIDATE_DIR} has {in_words(size)} of YAML, over the limit of {limit}")
    return files


def _identity(ledger: Ledger, commit: str) -> RoundIdentity | None:
    try:
        return parse_message(get_commit(ledger, commit).raw_message.decode())
    except (AutoQECError, UnicodeDecodeError):
        return None


def _what_there_is(ledger: Ledger, run: str) -> str:
    refs = list_refs(ledger, "refs/")
    for ref in refs:
        if ref.startswith("refs/remotes/") and ref.endswith(f"/exp/{run}/1"):
            return "a remote has that run; fetch it with autoqec pull"
    numbers = sorted(int(ref.rsplit("/", 1)[1]) for ref in refs if re.fullmatch(f"{BRANCHES}{run}/[0-9]+", ref))
    if numbers:
        return f"{run} has rounds {numbers[0]} to {numbers[-1]}"
    runs = sorted({match[1] for ref in refs if (match := _ROUND.fullmatch(ref)) and ref.startswith("refs/")})
    return f"the runs are {some_of(runs)}" if runs else "there are no rounds yet"
