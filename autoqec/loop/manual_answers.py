"""Rounds that wait for somebody outside: what is asked there, and taking the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.agents.agent_contract import ROLES, AgentUnavailable, Context, Estimate, Reply, Report, Role
from autoqec.agents.asking import ask, validated
from autoqec.agents.calls import kept_reply
from autoqec.agents.prompt import Prompt, render
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history import Claim, Ledger, RoundRecord, parse_round_name, read_history
from autoqec.loop.one_round import resume_round
from autoqec.loop.role_questions import Question, detail, question_to
from autoqec.loop.round_state import read_state
from autoqec.loop.session import Session
from autoqec.loop.tracing import TracedCalls


@dataclass(frozen=True)
class Awaited:
    """What a waiting round asks.

    Attributes:
        question: Of the role; its context has `repair` set if an earlier reply could not be used after all.
        attempt: 1, or 2 for such a repair.
        prompt: The same in words.
    """

    question: Question
    attempt: int
    prompt: Prompt


def find_waiting(ledger: Ledger, role: Role | None = None, where: str | None = None) -> Claim:
    """The claim of the round that waits for a reply.

    Args:
        ledger: The lab.
        role: Whom it must wait for; whomever by default.
        where: Only this run, or this round (`run/number`).

    Raises:
        NotFoundError: No round waits there.
        UsageError: It waits for another role, or several rounds wait and it is not said which is meant.
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
    """Plays a role only to hear what it is asked."""

    context: Context | None = None

    def reply(self, role: Role, context: Context, report: Report) -> Reply:
        self.context = context
        raise AgentUnavailable("it only listens")


def awaited(session: Session, claim: Claim) -> Awaited:
    """What a waiting round asks; writes nothing.

    Raises:
        NotFoundError: The reply is there already, and only the round was not carried on.
        AutoQECError: The claim is damaged.
    """
    state = read_state(session.ledger, claim.run, claim.number)
    role = next((role for role in ROLES if role == claim.waiting), None)
    if role is None:
        raise AutoQECError(f"{claim.ref} is damaged: it waits for {claim.waiting!r}", hint="autoqec fsck")
    question, listener = question_to(session, state, role), _Listener()
    try:
        # Asked as it will be when the round is resumed, so that a reply which is kept and was refused counts here too.
        calls = TracedCalls(session, claim, detail(state, "agents"))
        ask(listener, role, question.context, question.check, calls)
    except AgentUnavailable:
        pass
    context = listener.context
    if context is None:
        raise NotFoundError(
            f"round {claim.run}/{claim.number} has its reply of the {role}, and was interrupted then",
            hint=f"autoqec resume {claim.run}",
        )
    attempt = 1 if context.repair is None else 2
    return Awaited(Question(role, context, question.check), attempt, render(role, context))


def take_reply(session: Session, claim: Claim, message: Any, text: str) -> RoundRecord:
    """Take a reply to what a waiting round asks, and carry the round on to the next reply awaited or its end.

    Args:
        session: Where.
        claim: The round's, as it was found waiting.
        message: The reply.
        text: As it was given.

    Returns:
        The round, once it is closed.

    Raises:
        UsageError: The reply cannot be used; nothing was recorded, and the round waits on.
        AutoQECError: Somebody else was faster.
        ReplyAwaited: The next reply is awaited.
    """
    asked = awaited(session, claim)
    role = asked.question.role
    reply = kept_reply(Reply(message, prompt=asked.prompt.text, text=text))
    try:
        validated(role, reply.message, asked.question.check)
    except NotFoundError as error:
        raise UsageError(error.problem, hint=error.hint) from error

    def keep(mine: Claim) -> None:
        calls = TracedCalls(session, mine, mine.details["agents"])
        calls.begin(role, asked.attempt, Estimate())
        calls.end(role, asked.attempt, reply, 0.0, asked.question.context)

    return resume_round(session, claim, before=keep)


def parse_reply(data: bytes) -> Mapping[str, Any]:
    """A reply as it was given: one JSON object.

    Raises:
        UsageError: It is not.
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
