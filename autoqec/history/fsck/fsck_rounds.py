"""Checks rounds: each is in a valid state, and its claim, refs, trailers, tree and parents agree."""

from __future__ import annotations

from collections.abc import Iterator

import pygit2
from pygit2.enums import FileMode

from autoqec.candidate_paths import is_candidate_path
from autoqec.canonical import load_yaml
from autoqec.counted_words import some_of
from autoqec.errors import AutoQECError
from autoqec.history.fsck.examination import TRACES, Examined, Finding, Severity, Survey
from autoqec.history.reading.snapshot import ARTIFACTS, ATTEMPTS
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.history.rounds.claims import CLAIMS, Claim, begun_here, owner_alive
from autoqec.history.rounds.round_commits import ARCHIVE, BRANCHES, CANDIDATE_DIR, read_candidate
from autoqec.history.rounds.run_refs import RUNS, Run
from autoqec.history.rounds.seen_rounds import seen_by
from autoqec.history.rounds.trailers import RoundIdentity
from autoqec.history.store.objects import TooLargeError, entry_at, entry_of, get_commit
from autoqec.history.store.owner import this_process
from autoqec.history.store.refs import target

_FETCH = "git fetch <remote> '{0}*:{0}*'"


def check_rounds(survey: Survey) -> Iterator[Finding]:
    """Find problems of the rounds of a lab."""
    attempts: dict[str, Examined] = {}
    sound: set[str | bytes] = (
        set()
    )  # checked candidate folders (oids) and YAML files (contents); most rounds share them
    for name in sorted({run for run, _ in survey.rounds}):
        run = survey.run(name)
        if isinstance(run, AutoQECError):
            hint = _FETCH.format(f"{RUNS}{name}") if RUNS + name not in survey.refs else run.hint or "git fsck"
            yield Finding("run-missing", "error", RUNS + name, f"the run's record is unreadable: {run.problem}", hint)
    for found in survey.rounds.values():
        if found.refs.keys() == {ARTIFACTS}:
            continue  # weights alone are not a round; an interrupted prune leaves them
        yield from _claim(survey, found)
        yield from _seen(found)
        yield from _places(survey, found)
        identity: RoundIdentity | AutoQECError | None = None
        if found.commit is not None:
            try:
                commit = get_commit(survey.ledger, found.commit)
            except TooLargeError as error:
                yield _finding("too-large", found, error.problem, str(error.hint))
            except AutoQECError:
                yield _finding(
                    "commit-missing",
                    found,
                    f"its commit {found.commit[:10]} is not in this repository",
                    "git fetch <remote>, from a clone that has it",
                )
            else:
                identity = survey.identity(found.commit)
                yield from _trailers(survey, found, commit)
                yield from _tree(survey, found, commit, sound)
                if isinstance(identity, RoundIdentity):
                    yield from _parents(survey, found, commit, identity)
        attempts_of = {found.claim.attempt} if found.claim else set()
        if isinstance(identity, RoundIdentity):
            attempts_of.add(identity.attempt)
        for attempt in attempts_of:
            first = attempts.setdefault(attempt, found)
            if first is not found:
                problem = f"it has the same attempt id, {attempt}, as {first.name}: one of them is a copy"
                yield _finding("duplicate-attempt", found, problem, f"git log -2 {first.ref} {found.ref}")


def _finding(code: str, found: Examined, problem: str, hint: str, severity: Severity = "error") -> Finding:
    return Finding(code, severity, found.ref, problem, hint)


def is_abandoned(survey: Survey, found: Examined) -> bool:
    """Tell whether an open round of this clone left nothing, waits for no reply, and its process has certainly ended.

    Certain means: it ran on this host since its last boot. Another boot id may be another machine of the same name.
    """
    me = this_process()
    claim = found.claim
    return (
        claim is not None
        and claim.state == "open"
        and not claim.waiting
        and found.refs.keys() == {CLAIMS}
        and (claim.host, claim.boot_id) == (me.host, me.boot_id)
        and not owner_alive(claim)
        and begun_here(survey.ledger, claim)
    )


def last_step(survey: Survey, found: Examined) -> str:
    """Return a round's last step whose result is in git: `claim`, `ideate`, `code`, `train`, `score`, `analyse`, `verify`.

    Returns `end` if the round failed and only the closing of its claim is missing.
    """
    if found.commit is None:
        if ATTEMPTS in found.refs:
            return "end"
        return "ideate" if survey.file(found.refs.get(TRACES), "ideator.json") is not None else "claim"
    notes = survey.trusted(found)
    for record, step in ((notes.verdict, "verify"), (notes.analysis, "analyse"), (notes.metrics, "score")):
        if record is not None:
            return step
    return "train" if survey.file(found.refs.get(ARTIFACTS), WEIGHTS_FILE) is not None else "code"


def _claim(survey: Survey, found: Examined) -> Iterator[Finding]:
    claim = found.claim
    if found.damage is not None:
        hint = found.damage.hint if found.damage.hint != "autoqec fsck" else None
        yield Finding("claim-damaged", "error", CLAIMS + found.name, found.damage.problem, hint or "git fsck")
    elif claim is None:
        problem = "it has no claim, or the claim was not fetched"
        yield _finding("claim-missing", found, problem, _FETCH.format(CLAIMS), "warning")
    elif claim.state == "closed":
        yield from _closed(survey, found, claim)
        if claim.first_number != claim.number:
            problem = (
                f"it was round {claim.first_number} before a renumbering (a remote has another round of that number);"
                f" its commit still has the old number"
            )
            yield _finding("renumbered", found, problem, "nothing to do", "info")
    elif claim.waiting:
        name = found.name
        problem = f"round {name} waits for a reply of the {claim.waiting}, after {last_step(survey, found)}"
        hint = f"autoqec agents prompt --run {name}, then autoqec agents reply; or autoqec resume --abandon {name}"
        yield Finding("waiting", "info", claim.ref, problem, hint)
    elif not owner_alive(claim):
        abandoned = is_abandoned(survey, found)
        resume = f"autoqec resume {found.run}"
        if not begun_here(survey.ledger, claim):
            resume += ", in the clone that began it; if that is gone, add --force"
        yield Finding(
            "interrupted",
            "info",
            claim.ref,
            f"round {found.name} was interrupted after {last_step(survey, found)}; process {claim.pid} is gone",
            f"close it as abandoned, because it left nothing; to finish it instead: {resume}" if abandoned else resume,
            repairable=abandoned,
        )


def _seen(found: Examined) -> Iterator[Finding]:
    try:
        if found.claim is not None:
            seen_by(found.claim)
    except AutoQECError as error:
        yield Finding("seen-damaged", "warning", CLAIMS + found.name, error.problem, str(error.hint))


def _closed(survey: Survey, found: Examined, claim: Claim) -> Iterator[Finding]:
    # Looked up again by name: a listing can miss a ref while git packs it.
    places = (BRANCHES, ARCHIVE) if claim.commit else (BRANCHES, ARCHIVE, ATTEMPTS)
    if any(target(survey.ledger, place + found.name) for place in places):
        return
    if claim.commit:
        problem = f"no ref holds its commit {claim.commit[:10]} any more, so git gc may delete it"
        yield Finding(
            "ref-missing", "error", claim.ref, problem, f"git update-ref {BRANCHES}{found.name} {claim.commit}"
        )
    elif claim.status != "abandoned":
        problem = f"it was closed as {claim.status} but has neither a commit nor the report of a failed attempt"
        yield Finding("result-missing", "error", claim.ref, problem, _FETCH.format(f"{ATTEMPTS}{found.run}/"))


def _places(survey: Survey, found: Examined) -> Iterator[Finding]:
    tips = {place: found.refs[place] for place in (BRANCHES, ARCHIVE) if place in found.refs}
    for place, tip in tips.items():
        if tip != found.commit:
            yield Finding(
                "moved",
                "warning" if place == BRANCHES else "error",
                place + found.name,
                f"it has moved from {str(found.commit)[:10]}, the round's commit, to {tip[:10]}",
                f"save {tip[:10]} under another name, then git update-ref {place}{found.name} {found.commit}",
            )
    if tips and ATTEMPTS in found.refs:
        problem = "it has a commit, and also the report of an attempt that failed before its commit"
        yield _finding("two-outcomes", found, problem, f"git show {ATTEMPTS}{found.name}")
    if len(tips) == 2 and len(set(tips.values())) == 1:
        problem = "it is archived but still has a branch: archiving was interrupted, or the branch is checked out"
        yield _finding("half-archived", found, problem, f"autoqec archive {found.run}", "info")


def _trailers(survey: Survey, found: Examined, commit: pygit2.Commit) -> Iterator[Finding]:
    show = f"git log -1 {found.ref}"
    identity = survey.identity(str(commit.id))
    if isinstance(identity, AutoQECError):
        yield _finding("trailers", found, identity.problem, show)
        return
    first = found.claim.first_number if found.claim else found.number
    if (identity.run, identity.round) != (found.run, first):
        yield _finding("name", found, f"its trailers say that it is {identity.run}/{identity.round}", show)
        return
    run = survey.run(found.run)
    if isinstance(run, Run) and identity.env != f"{run.env_name}@sha256:{run.env_id}":
        yield _finding("environments", found, f"its trailers name {identity.env}, which is not its run's", show)
    if found.claim is not None and found.claim.attempt != identity.attempt:
        yield _finding("attempt", found, "its trailers and its claim name different attempts", show)


def _tree(survey: Survey, found: Examined, commit: pygit2.Commit, sound: set[str | bytes]) -> Iterator[Finding]:
    run = survey.run(found.run)
    if isinstance(run, Run):
        try:
            before = get_commit(survey.ledger, run.base).tree
        except AutoQECError as error:
            yield _finding("base-missing", found, f"its run's base is missing: {error.problem}", "git fetch <remote>")
        else:
            strays = list(_strays(before, commit.tree, CANDIDATE_DIR.split("/")))
            if strays:
                problem = f"it changes files outside {CANDIDATE_DIR}: {some_of(strays, 5)}"
                yield _finding("outside-candidate", found, problem, f"git diff {run.base[:10]} {found.ref}")
    folder = entry_at(survey.ledger, commit.tree, CANDIDATE_DIR)
    if folder is None or str(folder.id) in sound:
        return
    try:
        if folder.filemode != FileMode.TREE:
            raise AutoQECError(f"{CANDIDATE_DIR} is not a folder")
        files = read_candidate(survey.ledger, str(commit.id))
        strange = sorted(path for path in files if not is_candidate_path(path))
        if strange:
            problem = f"no candidate has files such as {some_of(strange, 5)}"
            hint = f"do not run tools in a checkout of it; git diff {str(commit.id)[:10]}^ {str(commit.id)[:10]}"
            yield _finding("bad-candidate", found, problem, hint)
            return
        for path, data in files.items():
            if path.endswith((".yaml", ".yml")) and data not in sound:
                load_yaml(data, name=path)
                sound.add(data)
    except AutoQECError as error:
        hint = error.hint or f"git ls-tree -r {found.ref} {CANDIDATE_DIR}"
        yield _finding("bad-candidate", found, f"its candidate is unreadable: {error.problem}", hint)
    else:
        sound.add(str(folder.id))


def _strays(old: pygit2.Tree | None, new: pygit2.Tree, allowed: list[str], prefix: str = "") -> Iterator[str]:
    """Yield the paths that differ between two trees outside the allowed folder."""
    before, after = ({str(entry.name): (entry.id, entry.filemode) for entry in tree or ()} for tree in (old, new))
    for name in sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        if name == allowed[0]:
            if len(allowed) == 1:
                continue
            one, other = entry_of(old, name), entry_of(new, name)
            if isinstance(other, pygit2.Tree) and (one is None or isinstance(one, pygit2.Tree)):
                yield from _strays(one, other, allowed[1:], f"{prefix}{name}/")
                continue
        yield prefix + name


def _parents(survey: Survey, found: Examined, commit: pygit2.Commit, identity: RoundIdentity) -> Iterator[Finding]:
    parents = sorted(str(parent) for parent in commit.parent_ids)
    run = survey.run(found.run)
    named = sorted(identity.fork_from) or ([run.base] if isinstance(run, Run) else parents)
    if parents != named or (identity.compose == "none") != (len(identity.fork_from) < 2):
        said = f"AutoQEC-Compose: {identity.compose} and AutoQEC-Fork-From: {' '.join(identity.fork_from) or 'none'}"
        yield _finding(
            "parents",
            found,
            f"its parents are {', '.join(parent[:10] for parent in parents) or 'none'}, its trailers say {said}",
            f"git log -1 {found.ref}",
        )
    for parent in parents if len(parents) > 1 else ():
        other = survey.identity(parent)
        if isinstance(other, RoundIdentity) and other.env != identity.env:
            problem = f"it composes {other.run}/{other.round}, which has another environment, {other.env.split('@')[0]}"
            yield _finding("environments", found, problem, f"git log -1 {found.ref}")
