"""The identity of a clone: which of several clones of one lab this is, on whatever host it is used."""

from __future__ import annotations

import os
import re
import uuid
from contextlib import suppress
from pathlib import Path

from autoqec.history.store.repository import Ledger

_ID = re.compile("[0-9a-f]{32}")


def known_clone_id(ledger: Ledger) -> str:
    """Return the clone's identity; empty if it has none yet, because no round was begun in it."""
    try:
        text = _file(ledger).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    return text if _ID.fullmatch(text) else ""


def clone_id(ledger: Ledger) -> str:
    """Return the clone's identity, 32 hex digits, made when it is first asked for; empty if it cannot be written."""
    known = known_clone_id(ledger)
    if known:
        return known
    file = _file(ledger)
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    with suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        part.write_text(uuid.uuid4().hex + "\n")
        with suppress(FileExistsError):  # of two processes, one has made it
            os.link(part, file)
        part.unlink()
    return known_clone_id(ledger)


def _file(ledger: Ledger) -> Path:
    return ledger.git_dir / "autoqec" / "clone"
