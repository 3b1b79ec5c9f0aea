"""The manual agent: it says whom a round waits for, and leaves the rest to `autoqec agents prompt` and `autoqec agents reply`."""

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
