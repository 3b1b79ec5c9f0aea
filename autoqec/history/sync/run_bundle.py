"""A run as one file: a git bundle with everything `autoqec log` and `verify` read, and the history of the run's base.

`git clone run.bundle lab` checks out the base and copies the branches; the rest is taken up by the first autoqec command
in the clone (`sync.adopt_bundle`), for no clone copies refs that are not branches or tags.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import IO

from autoqec.errors import AutoQECError
from autoqec.history.rounds.run_refs import load_run
from autoqec.history.store.git_program import run_git
from autoqec.history.store.refs import explain_write, list_refs
from autoqec.history.store.repository import Ledger
from autoqec.history.sync.joining import SHARED, run_of

_BRANCH = "refs/heads/main"  # what a clone of the bundle checks out: the base


def write_bundle(ledger: Ledger, run: str, path: str | os.PathLike[str], weights: Collection[int]) -> list[str]:
    """Write a run as a git bundle. The file appears whole or not at all.

    Args:
        ledger: The lab.
        run: Which run.
        path: The file; one that exists is replaced.
        weights: The rounds whose trained weights go along; those that have none are passed over.

    Returns:
        The refs in it.

    Raises:
        NotFoundError: There is no such run.
        AutoQECError: An object is missing, or the file cannot be written.
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
    # The format is a list of refs, an empty line and a pack (gitformat-bundle). `git bundle create` takes names only, so
    # it could not be told that HEAD is the run's base and not whatever is checked out here.
    header = "".join(f"{oid} {ref}\n" for ref, oid in refs.items())
    whole = Path(path).absolute()
    part = whole.with_name(f".{whole.name}.{os.getpid()}")
    try:
        with explain_write(str(whole)), part.open("wb") as stream:
            stream.write(f"# v2 git bundle\n{header}\n".encode())
            stream.flush()
            _pack(ledger, list(refs.values()), stream)
            os.fsync(stream.fileno())
            os.replace(part, whole)
    finally:
        part.unlink(missing_ok=True)
    return list(refs)


def _pack(ledger: Ledger, oids: list[str], stream: IO[bytes]) -> None:
    lines = "".join(f"{oid}\n" for oid in dict.fromkeys(oids))
    options = ("--revs", "--stdout", "--quiet", "--delta-base-offset")
    done = run_git(ledger, "pack-objects", *options, stdin=lines, stdout=stream)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["git gave no reason"]
        raise AutoQECError(f"the run cannot be packed: {reason[0]}", hint="git fsck")
