"""Writes a run as one file: a git bundle with all that `autoqec log` and `verify` read, and the history of the run's base.

`git clone run.bundle lab` checks out the base and copies the branches. A clone copies no refs other than branches and tags;
the first autoqec command in the clone fetches the rest (`push_pull.fetch_bundle`).
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import IO

from autoqec.errors import AutoQECError
from autoqec.history.rounds.run_refs import load_run
from autoqec.history.store.git_program import run_git
from autoqec.history.store.refs import list_refs
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.joining import SHARED, run_of
from autoqec.whole_files import written_aside

_BRANCH = "refs/heads/main"  # a clone of the bundle checks this out; it is at the base


def write_bundle(ledger: Ledger, run: str, path: str | os.PathLike[str], weights: Collection[int]) -> list[str]:
    """Write a run as a git bundle, atomically.

    Args:
        ledger: The lab.
        run: The run.
        path: The file; an existing file is replaced.
        weights: The rounds whose trained weights are included, if they have any.

    Returns:
        The refs in the bundle.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: An object is missing, or the file is not writable.
    """
    base = load_run(ledger, run).base
    refs = {"HEAD": base, _BRANCH: base}
    everything = list_refs(ledger, "refs/")
    for kind, prefix in SHARED.items():
        for ref, oid in sorted(everything.items()):
            name = ref.removeprefix(prefix)
            if not ref.startswith(prefix) or run_of(kind, name) != run:
                continue
            if kind != "artifacts" or int(name.rpartition("/")[2]) in weights:
                refs[ref] = oid
    # The format is a list of refs, an empty line and a pack (gitformat-bundle). `git bundle create` accepts names only, so
    # it cannot set HEAD to the run's base instead of the present checkout.
    header = "".join(f"{oid} {ref}\n" for ref, oid in refs.items())
    with written_aside(Path(path)) as part, part.open("wb") as stream:
        stream.write(f"# v2 git bundle\n{header}\n".encode())
        stream.flush()
        _pack(ledger, list(refs.values()), stream)
        with suppress(OSError):  # it is a pipe
            os.fsync(stream.fileno())
    return list(refs)


def _pack(ledger: Ledger, oids: list[str], stream: IO[bytes]) -> None:
    lines = "".join(f"{oid}\n" for oid in dict.fromkeys(oids))
    options = ("--revs", "--stdout", "--quiet", "--delta-base-offset")
    done = run_git(ledger, "pack-objects", *options, stdin=lines, stdout=stream)
    if done.returncode != 0:
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            if os.strerror(number) in done.stderr or (number, done.returncode) == (errno.EFBIG, -signal.SIGXFSZ):
                raise OSError(number, os.strerror(number))  # about the file, not about the store
        reason = done.stderr.strip().splitlines()[-1:] or ["git gave no reason"]
        raise AutoQECError(f"git cannot pack the run: {reason[0]}", hint="git fsck")
