"""An agent that gives scripted replies, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autoqec.agents.agent_contract import Context, Reply, Report, Role, ignore
from autoqec.errors import AutoQECError
from autoqec.json_values import JsonObject


class ScriptedAgent:
    """Replies from a list per role, in order, and records the contexts that it received.

    Args:
        replies: JSON objects by role. It raises an error for a role without a list or with a used-up list.
    """

    def __init__(self, replies: Mapping[str, Iterable[Any]]):
        self._replies = {role: iter(list(given)) for role, given in replies.items()}
        self.seen: list[tuple[Role, Context]] = []

    def reply(self, role: Role, context: Context, report: Report = ignore) -> Reply | JsonObject:
        """See `autoqec.agents.agent_contract.Agent.reply`."""
        self.seen.append((role, context))
        try:
            answer: Reply | JsonObject = next(self._replies[role])
        except (KeyError, StopIteration):
            raise AutoQECError(f"the script has no further reply for the {role}") from None
        return answer
