"""The open rounds of a lab: at work, waiting, interrupted, or of another machine. Who works on them, and how far they are.

Claims say which rounds are open; processes of this machine are looked at; files beside the record say what is done now. Nothing
here writes, locks or waits, and a damaged claim hides no other round.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import pygit2

from autoqec.errors import AutoQECError
from autoqec.history.reading.history_reader import find_record
from autoqec.history.rounds.attachments import WEIGHTS_FILE, has_attachment
from autoqec.history.rounds.claims import CLAIMS, Claim, begun_here, owner_alive, parse_claim
from autoqec.history.rounds.progress_files import RoundProgress, read_progress
from autoqec.history.store.objects import get_blob
from autoqec.history.store.owner import Owner
from autoqec.history.store.refs import list_refs
from autoqec.history.store.repository import Ledger
from autoqec.size_limits import RECORD_BYTES

_NUMBERED = re.compile("[a-z0-9][a-z0-9-]{0,39}/[1-9][0-9]{0,8}")

#: `elsewhere` is a round of another machine, or one that another clone left: from here nobody can tell whether it goes on.
OpenState = Literal["running", "waiting", "interrupted", "elsewhere"]


@dataclass(frozen=True)
class OpenRound:
    """An open round.

    Attributes:
        claim: Its claim.
        state: See `OpenState`.
        user: Who runs its process; empty if that is not known.
        progress: What its process does; None if it does not say, or is not at work.
        ended: Of one elsewhere: its process has ended, on this machine, and another clone has to resume it.
        after: The last step whose result is in git, of a round that is not running; `claim` if there is none.
    """

    claim: Claim
    state: OpenState
    user: str = ""
    progress: RoundProgress | None = None
    after: str = ""
    ended: bool = False


class OpenRounds:
    """Reads the open rounds of a lab, again and again if that is wanted: a claim is parsed once.

    Args:
        ledger: The lab.
        run: Only those of this run; None for all.
    """

    def __init__(self, ledger: Ledger, run: str | None = None):
        self._ledger = ledger
        self._prefix = CLAIMS if run is None else f"{CLAIMS}{run}/"
        self._known: dict[tuple[str, str], Claim | None] = {}
        self._after: dict[tuple[str, ...], str] = {}

    def claims(self) -> list[Claim]:
        """All claims that can be read, open and closed."""
        refs = list_refs(self._ledger, self._prefix)
        self._known = {item: self._known[item] if item in self._known else self._parsed(*item) for item in refs.items()}
        return [claim for claim in self._known.values() if claim is not None]

    def read(self) -> list[OpenRound]:
        """The open rounds, oldest first."""
        claims = [claim for claim in self.claims() if claim.state == "open"]
        return [self._described(claim) for claim in sorted(claims, key=lambda claim: (claim.started, claim.ref))]

    def _parsed(self, ref: str, oid: str) -> Claim | None:
        if _NUMBERED.fullmatch(ref.removeprefix(CLAIMS)) is None:
            return None  # names become part of commands that people copy
        try:
            return parse_claim(get_blob(self._ledger, oid, name=ref, limit=RECORD_BYTES), ref=ref)
        except (AutoQECError, pygit2.GitError, KeyError):
            return None  # `autoqec fsck` names it

    def _described(self, claim: Claim) -> OpenRound:
        state = open_state(claim)
        if state == "interrupted" and not begun_here(self._ledger, claim):
            return OpenRound(claim, "elsewhere", after=_last_step(self._ledger, claim), ended=True)
        if state == "running":
            progress = read_progress(self._ledger, claim.attempt)
            owner = Owner(claim.host, claim.pid, claim.boot_id, claim.process_start)
            if progress is not None and progress.owner != owner:
                progress = None  # of a process that worked on it before, or somebody else's
            return OpenRound(claim, state, _user_of(claim.pid) or (progress.user if progress else ""), progress)
        if state == "elsewhere":  # a pull may have brought more of it
            return OpenRound(claim, state, after=_last_step(self._ledger, claim))
        key = (claim.ref, claim.attempt, claim.process_start)
        if key not in self._after:
            self._after[key] = _last_step(self._ledger, claim)
        return OpenRound(claim, state, after=self._after[key])


def open_state(claim: Claim) -> OpenState:
    """What an open round does, as its claim and this machine's processes say."""
    if claim.waiting:
        return "waiting"
    if claim.host != socket.gethostname():
        return "elsewhere"
    return "running" if owner_alive(claim) else "interrupted"


def _user_of(pid: int) -> str:
    """Who runs a process of this machine, as the kernel says."""
    import pwd

    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _last_step(ledger: Ledger, claim: Claim) -> str:
    """The last step of a round whose result is in git; empty if that cannot be read."""
    with suppress(AutoQECError, pygit2.GitError, KeyError):
        record = find_record(ledger, claim.run, claim.number)
        if record.commit is None:
            return "ideate" if has_attachment(ledger, "traces", claim.run, claim.number, "ideator.json") else "claim"
        for note, step in ((record.verdict, "verify"), (record.analysis, "analyse"), (record.metrics, "score")):
            if note is not None:
                return step
        return "train" if has_attachment(ledger, "artifacts", claim.run, claim.number, WEIGHTS_FILE) else "code"
    return ""
