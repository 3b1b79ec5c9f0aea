"""What hangs off a round beside its commit: weights, traces and failed attempts, at `refs/autoqec/<kind>/<run>/<N>`.

Each ref holds a commit, not a blob: files then have names, and git can be told not to delta-compress weights. Adding
files later adds a commit on top, so that a push of it is a fast-forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pygit2

from autoqec.errors import AutoQECError, UsageError
from autoqec.history.store.objects import (
    STORE_BYTES,
    build_tree,
    check_files,
    get_blob,
    get_commit,
    list_files,
    read_files,
    write_blobs,
    write_commit,
)
from autoqec.history.store.refs import compare_and_swap, explain_write, list_refs, target, write_lock
from autoqec.history.store.repository import Ledger

KINDS = ("artifacts", "traces", "attempts")
WEIGHTS_FILE = "weights.safetensors"

_RACES = 50


def attach(
    ledger: Ledger,
    kind: str,
    run: str,
    number: int,
    files: Mapping[str, bytes],
    *,
    parents: Sequence[str] = (),
    replace: bool = False,
) -> str:
    """Add files to what a round has of a kind. Adding what is there already changes nothing.

    Args:
        ledger: The lab.
        kind: `artifacts`, `traces` or `attempts`.
        run, number: The round.
        files: Contents by path.
        parents: Oids of commits that this one shall descend from, such as the inputs of a failed merge.
        replace: Let a file take the place of one with other contents.

    Returns:
        The oid of the commit that holds all of them.

    Raises:
        UsageError: No such kind, or a path or size is not allowed.
        AutoQECError: A file is there with other contents, or it cannot be written.
    """
    ref = _ref(kind, run, number)
    check_files(files, any_case=True, limit=STORE_BYTES)
    for parent in parents:
        get_commit(ledger, parent)
    for _ in range(_RACES):
        with write_lock(ledger), explain_write(ref):
            old = target(ledger, ref)
            have = {} if old is None else list_files(ledger, old)
            new = {path: str(pygit2.hash(data)) for path, data in files.items()}
            changed = sorted(path for path, oid in new.items() if have.get(path, oid) != oid)
            if changed and not replace:
                raise AutoQECError(f"{ref} holds {', '.join(changed)} with other contents, and keeps it")
            if old is not None and {**have, **new} == have and _descends(ledger, old, parents):
                return old
            check_files(dict.fromkeys({**have, **new}, b""), any_case=True)  # old and new names together
            write_blobs(ledger, files)
            tree = build_tree(ledger, {**have, **new})
            before = [] if old is None else [old]
            commit = write_commit(ledger, f"{kind} of {run}/{number}\n", tree, [*before, *parents])
            if compare_and_swap(ledger, ref, old, commit, f"autoqec: {kind}"):
                return commit
    raise AutoQECError(f"another tool keeps moving {ref}", hint="autoqec fsck")


def read_attachment(
    ledger: Ledger, kind: str, run: str, number: int, *, wanted: Callable[[str], bool] | None = None
) -> dict[str, bytes]:
    """The files a round has of a kind, by path; empty if none.

    Args:
        ledger: The lab.
        kind: `artifacts`, `traces` or `attempts`.
        run, number: The round.
        wanted: Reads only the paths it says yes to; all by default.

    Raises:
        UsageError: No such kind.
        AutoQECError: They cannot be read.
    """
    oid = target(ledger, _ref(kind, run, number))
    if oid is not None and wanted is not None:
        chosen = {path: blob for path, blob in list_files(ledger, oid).items() if wanted(path)}
        return {path: get_blob(ledger, blob, name=path) for path, blob in chosen.items()}
    return {} if oid is None else read_files(ledger, oid, any_case=True, limit=2 * STORE_BYTES)


def has_attachment(ledger: Ledger, kind: str, run: str, number: int, path: str | None = None) -> bool:
    """Whether a round has files of a kind or, if a path is given, that file.

    Raises:
        UsageError: No such kind.
    """
    oid = target(ledger, _ref(kind, run, number))
    return oid is not None and (path is None or path in list_files(ledger, oid))


def attached_numbers(ledger: Ledger, kind: str, run: str) -> list[int]:
    """The rounds of a run that have files of a kind, in order.

    Raises:
        UsageError: No such kind.
    """
    prefix = _ref(kind, run, 0).removesuffix("0")
    names = (ref.removeprefix(prefix) for ref in list_refs(ledger, prefix))
    return sorted(int(name) for name in names if name.isdecimal())


def _ref(kind: str, run: str, number: int) -> str:
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is not a kind of attachment; there are {', '.join(KINDS)}")
    return f"refs/autoqec/{kind}/{run}/{number}"


def _descends(ledger: Ledger, commit: str, parents: Sequence[str]) -> bool:
    return all(commit == parent or ledger.repo.descendant_of(commit, parent) for parent in parents)
