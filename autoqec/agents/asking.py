"""Asking an agent: validate the reply, give it one chance to repair it, then give up with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from autoqec.agents.contract import Agent, Context, Role
from autoqec.agents.messages import Analysis, Hypothesis, Proposal
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.problem.environment import explain

#: The message each role sends.
MESSAGES: Mapping[Role, type[BaseModel]] = {"ideator": Hypothesis, "coder": Proposal, "analyst": Analysis}

_ATTEMPTS = 2


class AgentError(AutoQECError):
    """The agent's reply could not be used, twice; the round ends as `agent_error`."""


def _validated(role: Role, reply: Any, check: Callable[[Any], None]) -> Any:
    if not isinstance(reply, Mapping):
        raise UsageError(f"the reply is not a JSON object but {type(reply).__name__}")
    try:
        message = MESSAGES[role].model_validate(dict(reply))
    except ValidationError as error:
        raise UsageError(explain(error)) from error
    check(message)
    return message


def ask(agent: Agent, role: Role, context: Context, check: Callable[[Any], None] = lambda message: None) -> Any:
    """Get a valid message from an agent.

    Args:
        agent: Who is asked.
        role: In which role.
        context: What it knows.
        check: Raises UsageError or NotFoundError if a well-formed message cannot be used here.

    Returns:
        A `Hypothesis`, `Proposal` or `Analysis`.

    Raises:
        AgentError: Two replies in a row could not be used; the message holds the last reason.
    """
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            return _validated(role, agent.reply(role, replace(context, repair=reason or None)), check)
        except (UsageError, NotFoundError) as error:
            reason = error.problem
        except Exception as error:
            # An agent is somebody else's code: whatever it raises ends the round, not the program.
            text = error.problem if isinstance(error, AutoQECError) else f"{type(error).__name__}: {error}"
            raise AgentError(f"the {role} failed: {text.splitlines()[0] if text else text}") from error
    raise AgentError(f"the {role}'s reply could not be used: {reason}")
