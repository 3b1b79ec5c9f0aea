"""Atomic ref updates: one lock for all autoqec writers, and compare-and-swap under git's own ref lock.

Every writer in this room uses `compare_and_swap`. The write lock makes autoqec processes take turns. The comparison under
git's ref lock detects moves by other tools.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.store.dropped_refs import MARKS, Marks, mark_of, owner_of
from autoqec.history.store.ref_listing import read_refs
from autoqec.history.store.repository import Ledger

OUR_NAMESPACES = ("refs/heads/exp/", "refs/autoqec/", "refs/notes/autoqec/", "refs/autoqec-remote/")

_PATIENCE = 10.0  # seconds to wait for git's own locks; git holds them for milliseconds
_LOCK_PATIENCE = 60.0  # seconds to wait for other autoqec processes; each holds the lock for milliseconds
STALE_LOCK_AGE = 60.0  # seconds after which a ref lock without an owner counts as stale
_SWEEP_AGE = 1.0  # seconds; the same when the writer of that ref is known to be dead

_HOPELESS = ("no space", "quota", "too large", "permission denied", "read-only", "corrupt", "not permitted", "beneath")


class _Lock:
    """The lock of one repository in this process: threads wait on `threads`, processes on the file."""

    def __init__(self) -> None:
        self.threads = threading.RLock()
        self.depth = 0
        self.file = -1


_locks: dict[Path, _Lock] = {}
_locks_guard = threading.Lock()


def _forget_locks() -> None:
    global _locks_guard
    _locks.clear()
    _locks_guard = threading.Lock()


os.register_at_fork(after_in_child=_forget_locks)  # a child does not own its parent's locks


@contextmanager
def write_lock(ledger: Ledger) -> Iterator[None]:
    """Hold the lab's write lock. The lock is reentrant and ends with the process.

    Raises:
        AutoQECError: Other processes hold the lock for too long, or its file is not writable.
    """
    path = ledger.git_dir / "autoqec" / "lock"
    with _locks_guard:
        lock = _locks.setdefault(path, _Lock())
    with lock.threads:
        if lock.depth == 0:
            with explain_write(str(path)):
                path.parent.mkdir(exist_ok=True)
                lock.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _acquire(lock.file, path)
                _sweep_after_death(ledger, lock.file)
            except BaseException:
                os.close(lock.file)
                raise
        lock.depth += 1
        try:
            yield
        finally:
            lock.depth -= 1
            if lock.depth == 0:
                fcntl.flock(lock.file, fcntl.LOCK_UN)  # explicit, because a forked child may hold a copy of the file
                os.close(lock.file)


def compare_and_swap(ledger: Ledger, ref: str, old: str | None, new: str | None, message: str) -> bool:
    """Move a ref from `old` to `new`, if it still holds `old`.

    Args:
        ref: A full ref name in one of autoqec's namespaces.
        old: The oid that the ref must hold; None if it must not exist.
        new: The new oid; None to delete the ref.
        message: Message for the reflog.

    Returns:
        Whether the ref moved; False if it does not hold `old`.

    Raises:
        AutoQECError: Writing failed: disk full, no permission, locked by another tool, name taken.
        ValueError: The ref is outside autoqec's namespaces.
    """
    if not ref.startswith(OUR_NAMESPACES):
        raise ValueError(f"{ref} is outside autoqec's namespaces")
    with write_lock(ledger), explain_write(ref):
        if old is None:
            _refuse_ref_in_the_way(ledger, ref)
        log = ledger.git_dir / "logs" / ref
        log_size = log.stat().st_size if log.exists() else None
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return _swap_once(ledger, ref, old, new, message)
            except (OSError, pygit2.GitError, KeyError) as error:
                if new is not None and _target_if_readable(ledger, ref) == new != old:
                    return True  # the ref moved before the error
                if any(word in str(error).lower() for word in _HOPELESS) or time.monotonic() > deadline:
                    _cut_torn_line(log, log_size)
                    raise
                _remove_stale_lock(ledger, ref, STALE_LOCK_AGE)
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter


def target(ledger: Ledger, ref: str) -> str | None:
    """Return the oid that a ref holds, or None if the ref does not exist or is of something that was dropped.

    Raises:
        AutoQECError: The ref's file is damaged.
    """
    owner = owner_of(ref)
    if owner is not None and is_dropped(ledger, *owner):
        return None
    return _held(ledger, ref)


def is_dropped(ledger: Ledger, run: str, number: int | None = None) -> bool:
    """Tell whether `autoqec drop` took a run out of the lists, or a round, by itself or with its run.

    Raises:
        AutoQECError: The file of a ref is damaged.
    """
    marks = dict.fromkeys((mark_of(run, None), mark_of(run, number)))
    return any(_held(ledger, mark) is not None for mark in marks)


def list_refs(ledger: Ledger, *prefixes: str) -> dict[str, str]:
    """Return the oid of every ref whose name starts with one of the prefixes; complete even while `git gc` packs refs.

    Refs of something that was dropped are left out, also if a kill kept `autoqec drop` from moving them.

    Args:
        ledger: The lab.
        prefixes: Beginnings of full ref names, such as `refs/autoqec/claims/`.

    Raises:
        AutoQECError: The ref files are not readable.
    """
    asked = any(MARKS.startswith(prefix) for prefix in prefixes)
    refs = every_ref(ledger, *prefixes, *([] if asked else [MARKS]))
    marks = Marks.among(refs)
    if not marks:
        return refs
    return {ref: oid for ref, oid in refs.items() if not marks.hide(ref) and (asked or ref.startswith(prefixes))}


def every_ref(ledger: Ledger, *prefixes: str) -> dict[str, str]:
    """Return the refs as `list_refs` does, and those that it leaves out.

    Raises:
        AutoQECError: The ref files are not readable.
    """
    try:
        return read_refs(ledger.git_dir, prefixes)
    except OSError as error:
        raise AutoQECError(f"cannot read the refs: {error}", hint="git fsck") from error


@contextmanager
def explain_write(what: str) -> Iterator[None]:
    """Turn errors of disk, permissions or locks in the block into an AutoQECError that names `what`."""
    try:
        yield
    except (OSError, pygit2.GitError) as error:
        raise AutoQECError(f"could not write {what}: {error}", hint=_hint(str(error))) from error


def _swap_once(ledger: Ledger, ref: str, old: str | None, new: str | None, message: str) -> bool:
    lock = _locks[ledger.git_dir / "autoqec" / "lock"]
    # If this process dies here, the next writer knows which ref lock is stale.
    os.pwrite(lock.file, f"{os.getpid()} {ref}\n".encode(), 0)
    try:
        with ledger.repo.transaction() as transaction:
            transaction.lock_ref(ref)
            reference = ledger.repo.references.get(ref)
            if (None if reference is None else str(reference.target)) != old:
                return False
            if new is not None:
                transaction.set_target(ref, new, message=message)
            elif old is not None:
                transaction.remove(ref)
        return True
    finally:
        os.ftruncate(lock.file, 0)


def _held(ledger: Ledger, ref: str) -> str | None:
    try:
        reference = ledger.repo.references.get(ref)
    except pygit2.GitError as error:
        raise AutoQECError(f"cannot read {ref}: {error}", hint=f"git update-ref -d {ref}, then autoqec fsck") from error
    return None if reference is None else str(reference.target)


def _target_if_readable(ledger: Ledger, ref: str) -> str | None:
    try:
        return _held(ledger, ref)
    except AutoQECError:
        return None


def _acquire(file: int, path: Path) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP):
                return  # a file system without flock; the comparison under git's lock still guards every move
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                raise AutoQECError(f"could not lock {path}: {error}") from error
        if time.monotonic() > deadline:
            holder = os.pread(file, 200, 0).decode(errors="replace").split()[:1] or ["unknown"]
            raise AutoQECError(
                f"another autoqec process (pid {holder[0]}) has held {path} for {_LOCK_PATIENCE:.0f} seconds",
                hint="wait for that process or stop it; the lock ends with it",
            )
        time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - jitter


def _sweep_after_death(ledger: Ledger, file: int) -> None:
    """If the last holder died in the middle of a move, remove its ref lock, which otherwise blocks every writer."""
    words = os.pread(file, 1000, 0).decode(errors="replace").split()
    if len(words) == 2 and words[1].startswith(OUR_NAMESPACES) and ".." not in words[1]:
        for _ in range(100):  # until the file is too old to be a lock that git has just taken
            if _remove_stale_lock(ledger, words[1], _SWEEP_AGE):
                break
            time.sleep(_SWEEP_AGE / 50)
    os.ftruncate(file, 0)


def file_age(git_dir: Path, path: Path) -> float:
    """Return how many seconds ago a file below the git directory was written, by the clock of their file system.

    That of a file server may be minutes from ours, and a lock that a node has just taken must not seem old to another.

    Raises:
        FileNotFoundError: There is no such file.
    """
    import tempfile  # imported here because `autoqec log` starts faster without it

    written = path.stat().st_mtime
    try:
        with tempfile.TemporaryFile(dir=git_dir) as now:
            return os.fstat(now.fileno()).st_mtime - written
    except OSError:  # read-only, or full
        return time.time() - written


def _remove_stale_lock(ledger: Ledger, ref: str, age: float) -> bool:
    """Remove the lock file of a ref if it is older than `age` seconds; return whether the file is gone."""
    path = ledger.git_dir / f"{ref}.lock"
    try:
        if file_age(ledger.git_dir, path) < age:
            return False
        path.unlink()
    except FileNotFoundError:
        pass
    return True


def _refuse_ref_in_the_way(ledger: Ledger, ref: str) -> None:
    # Git stores refs as files, so `exp/r` excludes `exp/r/1`; a transaction does not check this against packed refs.
    parts = ref.split("/")
    for depth in range(3, len(parts)):
        above = "/".join(parts[:depth])
        if ledger.repo.references.get(above) is not None:
            branch = above.removeprefix("refs/heads/")
            hint = f"git branch -m {branch} <other>" if branch != above else f"git update-ref -d {above}"
            raise AutoQECError(f"git cannot have both {above} and {ref}", hint=hint)


def _cut_torn_line(log: Path, size: int | None) -> None:
    """Truncate a reflog to its size before a failed write; git appends, so half a line would damage the next one."""
    try:
        if size is not None and log.stat().st_size > size:
            os.truncate(log, size)
        elif size is None:
            log.unlink(missing_ok=True)
    except OSError:
        pass  # the caller reports the error of the write


def _hint(reason: str) -> str:
    text = reason.lower()
    if any(word in text for word in ("no space", "quota", "too large", "disk is full")):
        return "free some disk space, then run the command again; nothing was half-written"
    if any(word in text for word in ("permission denied", "read-only", "not permitted")):
        return "make the .git directory writable for this user, then run the command again"
    if "beneath" in text:
        return "rename the branches below that name: git branch -m <old> <new>"
    if "lock" in text:
        return "if no git command is running, remove the .lock file named above"
    return "run `git fsck` and `autoqec fsck`"
