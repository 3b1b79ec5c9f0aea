"""Rounds that wait for a manual reply: the question, and acceptance of the reply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from autoqec.agents.agent_contract import ROLES, AgentUnavailable, Context, Estimate, Reply, Report, Role
from autoqec.agents.asking import ask, validated
from autoqec.agents.calls import kept_reply
from autoqec.agents.prompt import Prompt, render
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history import Claim, Ledger, RoundRecord, parse_round_name, read_history
from autoqec.json_values import JsonObject
from autoqec.loop.one_round import resume_round
from autoqec.loop.role_questions import Question, detail, question_to
from autoqec.loop.round_state import read_state
from autoqec.loop.session import Session
from autoqec.loop.tracing import TracedCalls


@dataclass(frozen=True)
class Awaited:
    """The question of a waiting round.

    Attributes:
        question: The question to the role; its context has `repair` set if an earlier reply turned out to be invalid.
        attempt: 1, or 2 for such a repair.
        prompt: The question as a prompt.
    """

    question: Question
    attempt: int
    prompt: Prompt


def find_waiting(ledger: Ledger, role: Role | None = None, where: str | None = None) -> Claim:
    """Return the claim of the round that waits for a reply.

    Args:
        ledger: The lab.
        role: The role that it must wait for; by default any.
        where: Only this run, or this round (`run/number`).

    Raises:
        NotFoundError: No round waits there.
        UsageError: The round waits for another role, or several rounds wait and `where` does not name one.
    """
    run, number = (where, None) if where is None or "/" not in where else parse_round_name(where)
    records = [record for record in read_history(ledger, run) if number in (None, record.number)]
    waiting = [record.claim for record in records if record.status == "waiting" and record.claim is not None]
    fitting = [claim for claim in waiting if role in (None, claim.waiting)]
    if not waiting:
        place = f"{where} does not wait" if number else f"no round{f' of run {run}' if run else ''} waits"
        busy = next((f"; {r.run}/{r.number} is at work" for r in records if r.status == "open"), "")
        raise NotFoundError(
            f"{place} for a reply{busy}", hint="autoqec round --ideator manual --coder manual --analyst manual"
        )
    if not fitting:
        claim = waiting[0]
        raise UsageError(
            f"round {claim.run}/{claim.number} waits for the {claim.waiting}, not for the {role}",
            hint=f"autoqec agents prompt {claim.waiting} --run {claim.run}/{claim.number}",
        )
    if len(fitting) > 1:
        names = ", ".join(f"{claim.run}/{claim.number} for the {claim.waiting}" for claim in fitting)
        raise UsageError(
            f"{len(fitting)} rounds wait: {names}", hint=f"name one: --run {fitting[0].run}/{fitting[0].number}"
        )
    return fitting[0]


class _Listener:
    """An agent that only records the context of the question."""

    context: Context | None = None

    def reply(self, role: Role, context: Context, report: Report) -> Reply:
        self.context = context
        raise AgentUnavailable("it only listens")


def awaited(session: Session, claim: Claim) -> Awaited:
    """Return the question of a waiting round, without writing anything.

    Raises:
        NotFoundError: The reply exists already, but the round was interrupted before it continued.
        AutoQECError: The claim is damaged.
    """
    state = read_state(session.ledger, claim.run, claim.number)
    role = next((role for role in ROLES if role == claim.waiting), None)
    if role is None:
        raise AutoQECError(f"{claim.ref} is damaged: it waits for {claim.waiting!r}", hint="autoqec fsck")
    question, listener = question_to(session, state, role), _Listener()
    try:
        # Ask as in a resumed round, so that a stored invalid reply counts here too.
        calls = TracedCalls(session, claim, detail(state, "agents"))
        ask(listener, role, question.context, question.check, calls)
    except AgentUnavailable:
        pass
    context = listener.context
    if context is None:
        raise NotFoundError(
            f"round {claim.run}/{claim.number} already has a reply of the {role}, and was interrupted after it",
            hint=f"autoqec resume {claim.run}",
        )
    attempt = 1 if context.repair is None else 2
    return Awaited(Question(role, context, question.check), attempt, render(role, context))


def take_reply(session: Session, claim: Claim, message: Any, text: str) -> RoundRecord:
    """Accept a reply for a waiting round, and continue the round until it waits for the next reply or ends.

    Args:
        session: The session.
        claim: The claim of the waiting round.
        message: The reply.
        text: The reply's text.

    Returns:
        The closed round.

    Raises:
        UsageError: The reply is invalid; nothing was recorded, and the round keeps waiting.
        AutoQECError: Another process has already continued the round.
        ReplyAwaited: The round waits for the next reply.
    """
    asked = awaited(session, claim)
    role = asked.question.role
    reply = kept_reply(Reply(message, prompt=asked.prompt.text, text=text))
    try:
        validated(role, reply.message, asked.question.check)
    except NotFoundError as error:
        raise UsageError(error.problem, hint=error.hint) from error
    except UsageError as error:
        place = f"{claim.run}/{claim.number}"
        error.hint = error.hint or f"autoqec agents prompt {role} --run {place} shows the schema of the reply"
        raise

    def keep(mine: Claim) -> None:
        calls = TracedCalls(session, mine, mine.details["agents"])
        calls.begin(role, asked.attempt, Estimate())
        calls.end(role, asked.attempt, reply, 0.0, asked.question.context)

    return resume_round(session, claim, before=keep)


def parse_reply(data: bytes) -> JsonObject:
    """Parse a reply: one JSON object.

    Raises:
        UsageError: The data is not one JSON object.
    """
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the reply is not JSON: {error}", hint="autoqec agents prompt shows its schema") from error
    if not isinstance(found, dict):
        raise UsageError(f"the reply is not a JSON object but {type(found).__name__}")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")
