"""The heads of runs' chains that this clone has seen, in the files `<git dir>/autoqec/heads/<run>`.

They are no records, and you can delete them. As long as they are there, a clone notices that the last lines of a chain were cut
off, which no other line names.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from autoqec.history.store.repository import Ledger

_DIGEST = re.compile("[0-9a-f]{64}")
_MOST_BYTES = 2**20


def heads_file(ledger: Ledger, run: str) -> Path:
    """Return the file in which the heads of a run's chain are remembered."""
    return ledger.git_dir / "autoqec" / "heads" / run


def seen_heads(ledger: Ledger, run: str) -> tuple[str, ...]:
    """Return the heads of a run's chain that this clone has seen."""
    try:
        with heads_file(ledger, run).open() as file:
            return tuple(sorted({word for word in file.read(_MOST_BYTES).split() if _DIGEST.fullmatch(word)}))
    except (OSError, UnicodeDecodeError):
        return ()


def keep_heads(ledger: Ledger, run: str, heads: Iterable[str]) -> None:
    """Replace the remembered heads of a run, if the folder is writable. A reader sees the old file or the new one."""
    path = heads_file(ledger, run)
    part = path.parent / f".{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("".join(f"{digest}\n" for digest in sorted(heads)))
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
