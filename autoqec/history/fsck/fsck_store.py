"""Checks the git store: stale locks, damaged refs, and git settings that could destroy records."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pygit2

from autoqec.history.fsck.examination import Finding
from autoqec.history.store.refs import OUR_NAMESPACES, STALE_LOCK_AGE, file_age
from autoqec.history.store.repository import Ledger

#: The threshold of git's own automatic gc; above it every read of a cold lab is slow.
MANY_LOOSE_OBJECTS = 6700

_WRITTEN_HERE = ("refs/heads/exp/", "refs/autoqec/", "refs/notes/autoqec/")  # not the tracking copies
_OID = re.compile("[0-9a-f]{40}")


def check_store(ledger: Ledger) -> Iterator[Finding]:
    """Find problems below the level of rounds and notes."""
    for ref, path in stale_locks(ledger).items():
        yield Finding(
            "stale-lock",
            "warning",
            ref,
            f"a writer died and left {path.relative_to(ledger.git_dir)}, which blocks updates of the ref",
            "remove the file",
            repairable=True,
        )
    packed = ledger.git_dir / "packed-refs.lock"
    if _age(ledger, packed) > STALE_LOCK_AGE:
        yield Finding(
            "packed-refs-lock",
            "warning",
            "packed-refs",
            f"{packed} is {_age(ledger, packed) / 60:.0f} minutes old; while it exists, git cannot delete or pack refs",
            f"if no git command is running: rm {packed}",
        )
    yield from _torn_refs(ledger)
    yield from _settings(ledger)
    yield from _upkeep(ledger)


def stale_locks(ledger: Ledger) -> dict[str, Path]:
    """Return the stale lock files in our namespaces, by the ref that each locks.

    Git and autoqec hold such a lock for milliseconds. A lock is stale if it is a minute old, or if the write lock's file
    names its writer and that process is dead.
    """
    dead = _ref_of_dead_writer(ledger)
    return {
        ref: path
        for ref, path in ((_ref_of(ledger, path)[: -len(".lock")], path) for path in _ref_files(ledger))
        if path.name.endswith(".lock")
        and (_age(ledger, path) > STALE_LOCK_AGE or (ref == dead and _age(ledger, path) > 1))
    }


def _ref_of_dead_writer(ledger: Ledger) -> str | None:
    try:
        pid, ref = (ledger.git_dir / "autoqec" / "lock").read_text().split()
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return ref
    except (OSError, ValueError, OverflowError):
        pass
    return None


def _ref_files(ledger: Ledger) -> Iterator[Path]:
    for namespace in OUR_NAMESPACES:
        for folder, _, names in os.walk(ledger.git_dir / namespace):
            yield from (Path(folder, name) for name in sorted(names))


def _ref_of(ledger: Ledger, path: Path) -> str:
    return path.relative_to(ledger.git_dir).as_posix()


def _age(ledger: Ledger, path: Path) -> float:
    try:
        return file_age(ledger.git_dir, path)
    except FileNotFoundError:
        return -1.0


def _torn_refs(ledger: Ledger) -> Iterator[Finding]:
    # A power cut without fsync leaves empty ref files; a listing of refs silently skips them.
    for path in _ref_files(ledger):
        if path.name.endswith(".lock"):
            continue
        try:
            held = path.read_text(errors="replace").strip()
        except FileNotFoundError:
            continue  # packed or deleted in between
        if _OID.fullmatch(held) is None:
            ref = _ref_of(ledger, path)
            yield Finding(
                "torn-ref",
                "error",
                ref,
                f"the file of the ref contains {held[:60]!r}, which names no object",
                f"git reflog {ref} may show its last value; then git update-ref {ref} <oid>; otherwise rm {path}",
            )


def _settings(ledger: Ledger) -> Iterator[Finding]:
    for entry in ledger.repo.config:
        try:
            name, value = entry.name, entry.value or ""
        except (ValueError, UnicodeDecodeError):
            continue
        if re.fullmatch(r"remote\..*\.fetch", name) and value.startswith("+") and _reaches(value.rpartition(":")[2]):
            yield Finding(
                "forced-refspec",
                "warning",
                name,
                f"{value} lets a plain git fetch overwrite, and with --prune delete, records that exist only here",
                f"git config --unset-all {name} {_regex(value)}",
            )
        elif re.fullmatch(r"remote\..*\.mirror", name) and _is_true(ledger, name):
            yield Finding(
                "mirror",
                "warning",
                name,
                f"a git push to {name.split('.', 1)[1].rpartition('.')[0]} deletes every ref there that this lab lacks",
                f"git config --unset-all {name}",
            )
        elif re.fullmatch(r"remote\..*\.promisor", name) and _is_true(ledger, name):
            remote = name.split(".", 1)[1].rpartition(".")[0]
            yield Finding(
                "partial-clone",
                "info",
                name,
                f"this is a partial clone: file contents of commits from {remote} may be missing",
                f"git fetch --refetch --no-filter {remote}",
            )
        elif name == "notes.rewriteref" and _rewrites(value):
            yield Finding(
                "rewrite-notes",
                "warning",
                "notes.rewriteRef",
                f"{value} copies a round's notes to the commits that a rebase makes, although their code differs",
                f"git config --unset-all notes.rewriteRef {_regex(value)}",
            )


def _reaches(destination: str) -> bool:
    prefix, star, _ = destination.partition("*")
    return any(prefix.startswith(space) or (star and space.startswith(prefix)) for space in _WRITTEN_HERE)


def _rewrites(glob: str) -> bool:
    glob = glob if glob.startswith("refs/") else f"refs/notes/{glob}"
    return glob.startswith("refs/notes/autoqec/") or fnmatchcase("refs/notes/autoqec/run/metrics", glob)


def _is_true(ledger: Ledger, name: str) -> bool:
    try:
        return ledger.repo.config.get_bool(name)
    except (KeyError, ValueError, pygit2.GitError):
        return False


def _regex(value: str) -> str:
    """Quote a value for `git config`, which takes it as a regular expression."""
    return "'^" + re.sub(r"([+*.?^$])", r"\\\1", value) + "$'"


def _upkeep(ledger: Ledger) -> Iterator[Finding]:
    log = ledger.git_dir / "gc.log"
    if log.exists():
        said = " ".join(log.read_text(errors="replace").split())[:200]
        # Every round leaves the open version of its claim behind, and git keeps unreachable objects for two weeks.
        hint = "git gc --prune=1.day.ago" if "unreachable" in said else "git gc"
        yield Finding("gc-log", "info", "gc.log", f"git has stopped its automatic maintenance: {said}", hint)
    objects = ledger.git_dir / "objects"
    count = sum(len(names) for first in range(256) for _, _, names in os.walk(objects / f"{first:02x}"))
    if count > MANY_LOOSE_OBJECTS:
        yield Finding("loose-objects", "info", "objects", f"{count:,} loose objects make reading slow", "git gc")
