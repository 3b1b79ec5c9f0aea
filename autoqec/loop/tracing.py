"""Calls to agents in git: `calls/<role>-<attempt>…` of a round's trace, written before a reply is used, read on resuming."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace

from autoqec.agents.agent_contract import ROLES, Context, Estimate, Reply, Role
from autoqec.agents.budget import require_left, spent_on
from autoqec.agents.calls import Call
from autoqec.agents.context_parts import Progress
from autoqec.errors import AutoQECError
from autoqec.history import Claim, Ledger, attach, attached_numbers, read_attachment
from autoqec.history.store.refs import write_lock
from autoqec.json_values import JsonObject
from autoqec.loop.session import Session

_FOLDER = "calls/"
_BEGUN, _ENDED, _PROMPT, _TEXT = ".begun.json", ".json", ".prompt.txt", ".reply.txt"


def _stem(role: Role, attempt: int) -> str:
    return f"{_FOLDER}{role}-{attempt}"


def _encoded(fields: JsonObject) -> bytes:
    return (
        json.dumps(fields, sort_keys=True, indent=1, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
    )


def read_calls(ledger: Ledger, run: str, number: int, *, texts: bool = True, dropped_too: bool = False) -> list[Call]:
    """The calls of a round, in the order of roles and attempts.

    Args:
        ledger: The lab.
        run, number: The round.
        texts: Whether prompts and replies are read too.
        dropped_too: Read those of a dropped round too.

    Raises:
        AutoQECError: The trace is damaged.
    """
    files = read_attachment(
        ledger,
        "traces",
        run,
        number,
        wanted=lambda p: p.startswith(_FOLDER) and (texts or p.endswith(".json")),
        dropped_too=dropped_too,
    )
    found = []
    for role in ROLES:
        for attempt in (1, 2):
            stem = _stem(role, attempt)
            data = files.get(stem + _ENDED) or _last_begun(files, stem)
            if data is not None:
                try:
                    prompt, text = (files.get(stem + end, b"").decode("utf-8", "replace") for end in (_PROMPT, _TEXT))
                    found.append(replace(Call.from_dict(json.loads(data), prompt=prompt, text=text), round=number))
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise AutoQECError(f"refs/autoqec/traces/{run}/{number}: {stem} is damaged: {error}") from error
    return found


def _last_begun(files: Mapping[str, bytes], stem: str) -> bytes | None:
    """What was written before the last try of a call: each try has a file of its own, because files of a trace never change."""
    tries = {_try_of(path.removeprefix(stem)): data for path, data in files.items() if path.startswith(stem + ".begun")}
    return tries[max(tries)] if tries else None


def _try_of(end: str) -> int:
    number = end.removeprefix(".begun").removesuffix(".json").removeprefix("-")
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def run_calls(ledger: Ledger, run: str) -> list[Call]:
    """All calls of a run, without their texts; those of dropped rounds too, because what they took stays spent.

    Raises:
        AutoQECError: A trace is damaged.
    """
    return [
        call
        for number in attached_numbers(ledger, "traces", run, dropped_too=True)
        for call in read_calls(ledger, run, number, texts=False, dropped_too=True)
    ]


class TracedCalls:
    """The calls of a running round; see `autoqec.agents.calls.CallLog`.

    Args:
        session: The session.
        claim: The round's claim.
        agents: The agent's name for each role.
    """

    def __init__(self, session: Session, claim: Claim, agents: Mapping[str, str]):
        self._session, self._claim, self._agents = session, claim, agents
        self._estimates: dict[tuple[Role, int], Estimate] = {}
        self._known = {(call.role, call.attempt): call for call in read_calls(session.ledger, claim.run, claim.number)}

    def report(self, progress: Progress) -> None:
        """Show an agent's progress."""
        self._session.event("agent", round=self._claim.number, **progress)

    def recorded(self, role: Role, attempt: int) -> Reply | None:
        """See `CallLog.recorded`."""
        call = self._known.get((role, attempt))
        return call.reply if call else None

    def begin(self, role: Role, attempt: int, estimate: Estimate) -> None:
        """See `CallLog.begin`."""
        limits, run = self._session.limits, self._claim.run
        # Rounds beside this one take from the same budget: between the check and what is reserved, none of them looks.
        with write_lock(self._session.ledger) if limits else nullcontext():
            if limits and self._session.tape is None:
                require_left(limits, spent_on(run_calls(self._session.ledger, run)), estimate, run=run)
            self._estimates[role, attempt] = estimate
            if estimate.tokens:
                # A call that a kill interrupts may cost money: from here on it counts with its reserved estimate.
                call = self._call(role, attempt)
                end = _BEGUN if not call.lost else f".begun-{call.lost}.json"
                self._attach(role, attempt, {end: _encoded(call.to_dict())})

    def end(self, role: Role, attempt: int, reply: Reply, seconds: float, context: Context) -> None:
        """See `CallLog.end`."""
        call = replace(self._call(role, attempt), reply=reply, seconds=seconds)
        texts = {_PROMPT: reply.prompt.encode("utf-8", "replace"), _TEXT: reply.text.encode("utf-8", "replace")}
        self._attach(
            role, attempt, {_ENDED: _encoded(call.to_dict())} | {end: text for end, text in texts.items() if text}
        )
        if self._session.recorder is not None:
            self._session.recorder.add(call, context)
        if call.tokens:
            spent = spent_on(run_calls(self._session.ledger, self._claim.run))
            self._session.event("spent", round=self._claim.number, **spent.to_dict())

    def _call(self, role: Role, attempt: int) -> Call:
        estimate = self._estimates.get((role, attempt), Estimate())
        before = self._known.get((role, attempt))
        lost = before.lost + 1 if before else 0
        return Call(self._claim.number, role, attempt, self._agents[role], estimate=estimate, lost=lost)

    def _attach(self, role: Role, attempt: int, files: Mapping[str, bytes]) -> None:
        named = {_stem(role, attempt) + end: data for end, data in files.items()}
        attach(self._session.ledger, "traces", self._claim.run, self._claim.number, named)
