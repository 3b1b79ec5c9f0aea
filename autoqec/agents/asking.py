"""Asking an agent: validate the reply, give it one chance to repair it, then give up with the reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from autoqec.agents.agent_contract import Agent, AgentUnavailable, Context, Reply, Role
from autoqec.agents.calls import CallLog, NoLog, as_reply, estimate_of, kept_reply
from autoqec.agents.role_messages import MESSAGES
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.field_problems import explain
from autoqec.plugin_errors import explained
from autoqec.strict_fields import checked_fields

_ATTEMPTS = 2


class AgentError(AutoQECError):
    """The agent's reply could not be used, twice; the round ends as `agent_error`. Its code is that of what was wrong."""

    code = "reply_unusable"


def validated(role: Role, message: Any, check: Callable[[Any], None] = lambda message: None) -> Any:
    """A reply as the role's message.

    Args:
        role: Whose.
        message: What was said.
        check: See `ask`.

    Raises:
        UsageError, NotFoundError: It cannot be used; says the field and why.
    """
    if not isinstance(message, Mapping):
        raise UsageError(f"the reply is not a JSON object but {type(message).__name__}")
    try:
        found = checked_fields(MESSAGES[role], dict(message))
    except ValidationError as error:
        raise UsageError(explain(error, MESSAGES[role])) from error
    check(found)
    return found


def ask(
    agent: Agent,
    role: Role,
    context: Context,
    check: Callable[[Any], None] = lambda message: None,
    log: CallLog | None = None,
) -> Any:
    """Get a valid message from an agent. What it said before to the same question is not asked for again.

    Args:
        agent: Who is asked.
        role: In which role.
        context: What it knows.
        check: Raises UsageError or NotFoundError if a well-formed message cannot be used here.
        log: Where calls are kept; nowhere by default.

    Returns:
        A `Hypothesis`, `Proposal` or `Analysis`.

    Raises:
        AgentError: Two replies in a row could not be used; the message holds the last reason.
        AgentUnavailable: The agent cannot be asked now.
        BudgetSpentError: A call could take more than is left.
    """
    log = log or NoLog()
    reason = previous = ""
    about: dict[str, Any] = {"role": role}
    code = AgentError.code
    for attempt in range(1, _ATTEMPTS + 1):
        asked = replace(context, repair=reason or None, previous=previous)
        reply = log.recorded(role, attempt) or _call(agent, role, asked, attempt, log)
        try:
            if reply.problem:
                raise UsageError(reply.problem)
            return validated(role, reply.message, check)
        except (UsageError, NotFoundError) as error:
            reason, previous = error.problem, reply.text or json.dumps(reply.message, default=str)
            code = AgentError.code if error.code in (UsageError.code, NotFoundError.code) else error.code
            about = {**error.about, "role": role}
    raise AgentError(f"the {role}'s reply could not be used: {reason}", code=code, about=about)


def _call(agent: Agent, role: Role, context: Context, attempt: int, log: CallLog) -> Reply:
    with _blamed(role):
        estimate = estimate_of(agent, role, context)
    log.begin(role, attempt, estimate)
    began = time.monotonic()
    with _blamed(role):
        reply = kept_reply(as_reply(agent.reply(role, context, log.report)))
    log.end(role, attempt, reply, round(time.monotonic() - began, 3), context)
    return reply


@contextmanager
def _blamed(role: Role) -> Iterator[None]:
    """An agent is somebody else's code: whatever it raises ends the round, not the program."""
    try:
        yield
    except AgentUnavailable:
        raise
    except Exception as error:
        text = error.problem if isinstance(error, AutoQECError) else explained(error)
        problem = f"the {role} failed: {text.splitlines()[0] if text else text}"
        raise AgentError(problem, code="agent_failed", about={"role": role}) from error
