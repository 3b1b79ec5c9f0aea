"""Whether the chain of a run's verifications is whole, for views; from the cache as long as the notes do not change."""

from __future__ import annotations

import hashlib
from functools import cache

from autoqec.errors import AutoQECError
from autoqec.history.reading.trust_policy import trusted
from autoqec.history.rounds.notes import NOTES
from autoqec.history.rounds.seen_heads import seen_heads
from autoqec.history.store.cache import read_cache, write_cache
from autoqec.history.store.refs import target
from autoqec.history.store.repository import Ledger
from autoqec.installed_package import PACKAGE_FOLDER


def missing_from_chain(ledger: Ledger, run: str) -> str | None:
    """Return a sentence about what is missing from the chain of a run; None if it is whole, or its notes are unreadable."""
    tip, heads = target(ledger, f"{NOTES}{run}/verdict"), seen_heads(ledger, run)
    if tip is None and not heads:
        return None
    key = hashlib.sha256(f"chain {_code()} {trusted(ledger).digest} {run} {tip} {' '.join(heads)}".encode()).hexdigest()
    kept = read_cache(ledger, key)
    if kept is not None:
        return kept.decode(errors="replace") or None
    from autoqec.history.reading.run_chain import read_chain  # records take a while to define
    from autoqec.results.chain import missing_text

    try:
        missing = missing_text(run, read_chain(ledger, run).breaks)
    except AutoQECError:
        return None  # fsck says what is wrong with the notes
    write_cache(ledger, key, (missing or "").encode(errors="replace"))
    return missing


@cache
def _code() -> str:
    """A hash of the code that decides it; a cache that other code wrote is not used."""
    top = PACKAGE_FOLDER
    folders = "results", "history/reading", "history/rounds", "history/store"
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in (top / folder).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
