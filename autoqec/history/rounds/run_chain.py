"""The chain of a run's verifications as it stands in git, and the heads of it that this clone has seen.

The heads are kept in a file beside the cache, `<git dir>/autoqec/heads/<run>`. It is no record: you can delete it. As long as it
is there, a clone notices that the last lines of a chain were cut off, which no other line names.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from autoqec.errors import AutoQECError
from autoqec.history.rounds.notes import NoteLine, read_lines
from autoqec.history.store.repository import Ledger
from autoqec.results.chain import Chain, chain_of, intents_in

_DIGEST = re.compile("[0-9a-f]{64}")
_MOST_BYTES = 2**20


def read_chain(ledger: Ledger, run: str) -> Chain:
    """Return the chain of a run, with the heads that this clone remembers.

    Raises:
        AutoQECError: The notes are damaged.
    """
    return chain_in(ledger, run, (line for lines in read_lines(ledger, run, "verdict").values() for line in lines))


def chain_in(ledger: Ledger, run: str, lines: Iterable[NoteLine]) -> Chain:
    """Return the chain of a run, given all lines of its verdict notes."""
    events: list[tuple[str, object]] = []
    verdicts: list[tuple[str, str]] = []
    for line in lines:
        named = line.record.get("intent")
        if "event" in line.record:
            events.append((line.digest, line.record))
        if isinstance(named, str) and isinstance(line.record.get("verdict"), str):
            verdicts.append((str(line.record.get("id")), named))
    return chain_of(intents_in(events), verdicts, seen_heads(ledger, run))


def remember_heads(ledger: Ledger, run: str) -> None:
    """Keep the heads of a run's chain as seen, if the folder is writable. A head that is missing now stays remembered."""
    path = heads_file(ledger, run)
    part = path.parent / f".{uuid.uuid4().hex}"
    with suppress(AutoQECError):
        chain = read_chain(ledger, run)
        heads = sorted({*chain.heads, *(digest for digest in chain.remembered if digest not in chain.intents)})
        if heads == sorted(chain.remembered):
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text("".join(f"{digest}\n" for digest in heads))
            os.replace(part, path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def seen_heads(ledger: Ledger, run: str) -> tuple[str, ...]:
    """Return the heads of a run's chain that this clone has seen."""
    try:
        with heads_file(ledger, run).open() as file:
            return tuple(sorted({word for word in file.read(_MOST_BYTES).split() if _DIGEST.fullmatch(word)}))
    except (OSError, UnicodeDecodeError):
        return ()


def heads_file(ledger: Ledger, run: str) -> Path:
    """Return the file in which the heads of a run's chain are remembered."""
    return ledger.git_dir / "autoqec" / "heads" / run
