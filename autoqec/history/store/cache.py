"""A cache of values derived from git objects, at `<git dir>/autoqec/cache/`. You can delete it at any time.

The key of an entry is a hash of all its inputs, so an entry is never stale. Each entry carries a checksum, and a
damaged entry counts as absent. Without write permission there is simply no cache.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import suppress

from autoqec.history.store.repository import Ledger

_KEPT_BYTES = 64 * 2**20  # total size; beyond it the oldest entries are deleted
_SUM = 65  # length of the checksum: a hash in hex and a line feed


def read_cache(ledger: Ledger, key: str, kind: str = "cache") -> bytes | None:
    """Return the entry of a kind under a key (64 hex digits), or None if it is absent or damaged."""
    try:
        data = (ledger.git_dir / "autoqec" / kind / key).read_bytes()
    except OSError:
        return None
    payload = data[_SUM:]
    return payload if data[:_SUM] == _checksum(payload) else None


def write_cache(ledger: Ledger, key: str, payload: bytes, kind: str = "cache") -> None:
    """Store bytes under a key if the folder is writable. The write is atomic: a reader sees the whole entry or none."""
    folder = ledger.git_dir / "autoqec" / kind
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
    """Delete the oldest entries above the size limit; each change of a run leaves one unused entry behind."""
    files = sorted(((entry.stat(), entry.path) for entry in os.scandir(folder)), key=lambda f: -f[0].st_mtime)
    room = _KEPT_BYTES
    for stat, path in files:
        room -= stat.st_size
        if room < 0:
            with suppress(FileNotFoundError):
                os.unlink(path)
