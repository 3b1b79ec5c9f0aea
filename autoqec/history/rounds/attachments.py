"""A round's attached files: weights, traces and failed attempts, at `refs/autoqec/<kind>/<run>/<N>`.

Each ref holds a commit, not a blob, so files have names and an attribute can exempt weights from delta compression. New
files are a new commit on top, so pushing them is a fast-forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pygit2

from autoqec.errors import AutoQECError, UsageError
from autoqec.history.store.dropped_refs import kept_at, whole_record
from autoqec.history.store.objects import (
    STORE_BYTES,
    TooLargeError,
    build_tree,
    check_files,
    get_blob,
    get_commit,
    list_files,
    read_files,
    size_of,
    write_blobs,
    write_commit,
)
from autoqec.history.store.refs import compare_and_swap, every_ref, explain_write, list_refs, target, write_lock
from autoqec.history.store.repository import Ledger
from autoqec.size_limits import in_words

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
    """Add files to a round's attachment of a kind. Adding files that are there already changes nothing.

    Args:
        ledger: The lab.
        kind: `artifacts`, `traces` or `attempts`.
        run, number: The round.
        files: Contents by path.
        parents: Oids of further parents of the new commit, such as the inputs of a failed merge.
        replace: Allow replacing a file that has other contents. Rounds never do: clones unite files as they were first
            written.

    Returns:
        The oid of the commit that holds all files.

    Raises:
        UsageError: There is no such kind, or a path or size is not allowed.
        AutoQECError: A file exists with other contents, or the ref is not writable.
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
                raise AutoQECError(f"{ref} already has {', '.join(changed)} with other contents")
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
    ledger: Ledger,
    kind: str,
    run: str,
    number: int,
    *,
    wanted: Callable[[str], bool] | None = None,
    dropped_too: bool = False,
) -> dict[str, bytes]:
    """Return a round's attached files of a kind, by path; empty if there are none.

    Args:
        ledger: The lab.
        kind: `artifacts`, `traces` or `attempts`.
        run, number: The round.
        wanted: Selects the paths to read; by default all.
        dropped_too: Read those of a dropped round too.

    Raises:
        UsageError: There is no such kind.
        AutoQECError: The files are not readable.
    """
    ref = _ref(kind, run, number)
    oid = target(ledger, ref)
    if oid is None and dropped_too:
        oid = whole_record(every_ref(ledger, ref, kept_at(ref))).get(ref)
    if oid is not None and wanted is not None:
        chosen = {path: blob for path, blob in list_files(ledger, oid).items() if wanted(path)}
        if (total := sum(size_of(ledger, blob) for blob in chosen.values())) > 2 * STORE_BYTES:
            raise TooLargeError(f"the files of {_ref(kind, run, number)} take {in_words(total)}, and were not read")
        return {path: get_blob(ledger, blob, name=path) for path, blob in chosen.items()}
    return {} if oid is None else read_files(ledger, oid, any_case=True, limit=2 * STORE_BYTES)


def has_attachment(ledger: Ledger, kind: str, run: str, number: int, path: str | None = None) -> bool:
    """Tell whether a round has attached files of a kind or, given a path, that file.

    Raises:
        UsageError: There is no such kind.
    """
    oid = target(ledger, _ref(kind, run, number))
    return oid is not None and (path is None or path in list_files(ledger, oid))


def attached_numbers(ledger: Ledger, kind: str, run: str, *, dropped_too: bool = False) -> list[int]:
    """Return the numbers of a run's rounds that have attached files of a kind, in order; if asked for, of dropped ones too.

    Raises:
        UsageError: There is no such kind.
    """
    prefix = _ref(kind, run, 0).removesuffix("0")
    refs = whole_record(every_ref(ledger, prefix, kept_at(prefix))) if dropped_too else list_refs(ledger, prefix)
    names = (ref.removeprefix(prefix) for ref in refs)
    return sorted(int(name) for name in names if name.isdecimal())


def _ref(kind: str, run: str, number: int) -> str:
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is not a kind of attachment; the kinds are {', '.join(KINDS)}")
    return f"refs/autoqec/{kind}/{run}/{number}"


def _descends(ledger: Ledger, commit: str, parents: Sequence[str]) -> bool:
    return all(commit == parent or ledger.repo.descendant_of(commit, parent) for parent in parents)
