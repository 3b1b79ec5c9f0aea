"""What is known of lines of notes that were examined before.

Audits and checks of signatures depend on a line's bytes, on this program and on the allowed signers only. So their results are
kept in the cache by the digest of the line, and a line is examined once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from autoqec.history.reading.trust_policy import Trusted
from autoqec.history.rounds.signatures import examine
from autoqec.history.store.cache import read_cache, write_cache
from autoqec.history.store.json_records import encode_record
from autoqec.history.store.repository import Ledger
from autoqec.installed_package import PACKAGE_FOLDER
from autoqec.results.note_lines import Line
from autoqec.results.trust.line_trust import Policy, Signer, cheap_audit
from autoqec.results.trust.metrics_trust import analysis_problem, metrics_problem
from autoqec.results.verification_events import BEGUN

_KIND = "examined"

#: Examines a line of a kind, and says what is wrong with it.
_EXAMINERS: dict[str, Callable[[Line], str]] = {
    "verdict": cheap_audit,
    "metrics": metrics_problem,
    "analysis": analysis_problem,
}


class Examined:
    """What is known of the lines of a run; filled on demand, and kept in the cache.

    Args:
        ledger: The lab.
        run: The run.
        asked: What the user trusts.
    """

    def __init__(self, ledger: Ledger, run: str, asked: Trusted):
        self.ledger, self.asked = ledger, asked
        self._key = hashlib.sha256(f"examined {_code()} {run}".encode()).hexdigest()
        self._known: dict[str, list[str]] | None = None
        self._grown = False

    def problem(self, kind: str, line: Line) -> str:
        """What is wrong with a line of a kind of note; empty if nothing is."""
        return self._look_up(f"{kind} {line.digest}", lambda: [_EXAMINERS[kind](line)])[0]

    def signer(self, line: Line) -> Signer:
        """Who signed a line."""
        word, who = self._look_up(f"{self.asked.digest} {line.digest}", lambda: self._signature(line))
        return Signer(word, who)  # type: ignore[arg-type]

    @property
    def policy(self) -> Policy:
        """What the user trusts, for the rules of trust."""
        signer = self.signer if self.asked.signers is not None else None
        return Policy(self.asked.signed_only, signer, lambda line: self.problem("verdict", line))

    def save(self) -> None:
        """Keep what was found since."""
        if self._grown:
            write_cache(self.ledger, self._key, json.dumps(self._known).encode(), _KIND)
            self._grown = False

    def _signature(self, line: Line) -> list[str]:
        # A signature covers what a line says, and the chain counts intents by their bytes: one signed intent in a thousand
        # spellings would spend the budget of a thousand. So an intent counts in the spelling that the program writes.
        if line.event == BEGUN:
            stored = encode_record(dict(line.record), name="a line")
            if hashlib.sha256(stored).hexdigest() != line.digest:
                return ["altered", ""]
        found = examine(dict(line.record), self.asked.signers)
        return [found.word, found.who]

    def _look_up(self, key: str, find: Callable[[], list[str]]) -> list[str]:
        if self._known is None:
            self._known = _parsed(read_cache(self.ledger, self._key, _KIND))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = find()
            self._grown = True
        return found


def _parsed(data: bytes | None) -> dict[str, list[str]]:
    known: dict[str, list[str]] = {}
    with suppress(ValueError, RecursionError):  # it is whole, but nothing of ours
        told = json.loads(data or b"{}")
        if isinstance(told, dict):
            known = {key: value for key, value in told.items() if isinstance(value, list) and 1 <= len(value) <= 2}
    return known


@cache
def _code() -> str:
    """A hash of the code that examines lines."""
    top = PACKAGE_FOLDER
    digest = hashlib.sha256()
    for path in sorted([*(top / "results").rglob("*.py"), top / "history" / "rounds" / "signatures.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
