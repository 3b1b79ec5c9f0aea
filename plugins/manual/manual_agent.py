"""The agent `manual`: it makes the round wait; `autoqec agents prompt` and `autoqec agents reply` do the rest."""

from __future__ import annotations

from autoqec.agents.agent_contract import Context, Reply, ReplyAwaited, Report, Role, ignore


class ManualAgent:
    """See the module."""

    def reply(self, role: Role, context: Context, report: Report = ignore) -> Reply:
        """See `autoqec.agents.agent_contract.Agent.reply`.

        Raises:
            ReplyAwaited: Always.
        """
        raise ReplyAwaited(context.run, context.round, role)
