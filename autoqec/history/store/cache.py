"""A cache for what follows from objects alone, at `<git dir>/autoqec/cache/`: deletable at any moment, trusted never.

An entry is found by a hash of everything it was made from, so it cannot be out of date; it carries a hash of itself, so
one that is torn or was tampered with by accident is as good as absent. Who may not write there does without.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import suppress

from autoqec.history.store.repository import Ledger

_KEPT_BYTES = 64 * 2**20  # of older entries, before the least recently written go
_SUM = 65  # a hash in hex and a line feed


def cached(ledger: Ledger, key: str) -> bytes | None:
    """What was kept under a key (64 hex digits), or None: nothing, or nothing that can be trusted."""
    try:
        data = (ledger.git_dir / "autoqec" / "cache" / key).read_bytes()
    except OSError:
        return None
    payload = data[_SUM:]
    return payload if data[:_SUM] == _checksum(payload) else None


def keep(ledger: Ledger, key: str, payload: bytes) -> None:
    """Keep bytes under a key, if this user may; a reader at any moment finds all of them or none."""
    folder = ledger.git_dir / "autoqec" / "cache"
    part = folder / f".{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_checksum(payload) + payload)
        part.replace(folder / key)
        _tidy(str(folder))
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest().encode() + b"\n"


def _tidy(folder: str) -> None:
    """Drop the oldest entries beyond what is worth keeping; each change of a run leaves one that is of no more use."""
    files = sorted(((entry.stat(), entry.path) for entry in os.scandir(folder)), key=lambda f: -f[0].st_mtime)
    room = _KEPT_BYTES
    for stat, path in files:
        room -= stat.st_size
        if room < 0:
            with suppress(FileNotFoundError):
                os.unlink(path)
