"""Records of calls to agents: question, reply, usage. A reply is stored, without secrets, before anything uses it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from autoqec.agents.agent_contract import Agent, Context, Estimate, Estimating, Reply, Role, Usage
from autoqec.agents.context_parts import Progress
from autoqec.agents.quoting import shortened
from autoqec.json_values import JsonObject

#: Maximum number of stored characters of a prompt and of a reply.
_PROMPT, _TEXT = 2_000_000, 400_000

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH", re.IGNORECASE)
_SECRET_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|github_pat|xox[abp]|AKIA|AIza)[-_]?[A-Za-z0-9_-]{16,}|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{16,}"
)
_SHORTEST_SECRET = 8
_HIDDEN = "[secret]"


@dataclass(frozen=True)
class Call:
    """One call of an agent.

    Attributes:
        round: Number of the round.
        role: The role.
        attempt: 1, or 2 for the repair.
        agent: The agent's name as in the settings.
        seconds: Duration.
        reply: The reply; None if there is none, for example because the process was killed.
        estimate: The reserved usage.
        lost: Number of earlier tries that the end of the process cut off; each of them may have cost money.
    """

    round: int
    role: Role
    attempt: int
    agent: str
    seconds: float = 0.0
    reply: Reply | None = None
    estimate: Estimate = field(default_factory=Estimate)
    lost: int = 0

    @property
    def tokens(self) -> int:
        """Tokens used; the reserved number if the usage is unknown."""
        if self.reply is None:
            return (1 + self.lost) * self.estimate.tokens
        return self.lost * self.estimate.tokens + (self.reply.usage.total if self.reply.usage else 0)

    @property
    def cost(self) -> float | None:
        """Cost in US dollars; the reserved cost if the usage is unknown; None if the price is unknown."""
        known = self.estimate.cost if self.reply is None else self.reply.cost
        lost = self.lost and self.estimate.cost
        return None if known is None or lost is None else known + self.lost * lost

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, without the prompt and the text of the reply."""
        fields: dict[str, Any] = {**vars(self), "estimate": vars(self.estimate)}
        if self.reply is not None:
            usage = vars(self.reply.usage) if self.reply.usage else None
            fields["reply"] = {**vars(self.reply), "usage": usage}
            del fields["reply"]["prompt"], fields["reply"]["text"]
        return fields

    def texts(self) -> dict[str, str]:
        """Return the prompt, the text of the reply, and its message as JSON."""
        if self.reply is None:
            return {"prompt": "", "text": "", "said": ""}
        said = json.dumps(self.reply.message, ensure_ascii=False, indent=1, default=str)
        return {"prompt": self.reply.prompt, "text": self.reply.text, "said": said}

    @staticmethod
    def from_dict(fields: JsonObject, *, prompt: str = "", text: str = "") -> Call:
        """Invert `to_dict`."""
        reply = fields.get("reply")
        if reply is not None:
            usage = Usage(**reply["usage"]) if reply.get("usage") else None
            reply = Reply(**{**reply, "usage": usage, "prompt": prompt, "text": text})
        return Call(**{**fields, "reply": reply, "estimate": Estimate(**fields["estimate"])})


class CallLog(Protocol):
    """Stores calls, and checks budgets before each call."""

    def report(self, progress: Progress) -> None:
        """Show an agent's progress."""
        ...

    def recorded(self, role: Role, attempt: int) -> Reply | None:
        """Return the stored reply to this question; None if there is none."""
        ...

    def begin(self, role: Role, attempt: int, estimate: Estimate) -> None:
        """Record that a call is about to start.

        Raises:
            BudgetSpentError: The call could exceed the remaining budget.
        """
        ...

    def end(self, role: Role, attempt: int, reply: Reply, seconds: float, context: Context) -> None:
        """Store a reply before returning."""
        ...


class NoLog:
    """Stores nothing and allows every call: for calls outside of a round."""

    def report(self, progress: Progress) -> None:
        """See `CallLog.report`."""

    def recorded(self, role: Role, attempt: int) -> Reply | None:
        """See `CallLog.recorded`."""
        return None

    def begin(self, role: Role, attempt: int, estimate: Estimate) -> None:
        """See `CallLog.begin`."""

    def end(self, role: Role, attempt: int, reply: Reply, seconds: float, context: Context) -> None:
        """See `CallLog.end`."""


def secrets_here() -> list[str]:
    """Return the secret values among the environment variables, recognised by the variables' names; longest first."""
    found = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET and not os.path.exists(value)
    }
    return sorted(found, key=len, reverse=True)


def redact(value: Any, secrets: list[str] | None = None) -> Any:
    """Replace secrets in all texts of a JSON value: secret environment variables, and anything that looks like a key."""
    known = secrets_here() if secrets is None else secrets
    if isinstance(value, str):
        for secret in known:
            value = value.replace(secret, _HIDDEN)
        return _SECRET_SHAPES.sub(_HIDDEN, value)
    if isinstance(value, Mapping):
        return {str(redact(name, known)): redact(each, known) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact(each, known) for each in value]
    return value


def kept_reply(reply: Reply) -> Reply:
    """Return a reply that is safe to store: without secrets, and limited in length."""
    known = secrets_here()
    return replace(
        reply,
        message=redact(reply.message, known),
        problem=redact(reply.problem, known),
        prompt=shortened(redact(reply.prompt, known), _PROMPT),
        text=shortened(redact(reply.text, known), _TEXT),
    )


def as_reply(said: Any) -> Reply:
    """Convert an agent's return value to a `Reply`."""
    return said if isinstance(said, Reply) else Reply(said)


def estimate_of(agent: Agent, role: Role, context: Context) -> Estimate:
    """Return an upper bound on the usage of a call; zero for an agent without estimates."""
    return agent.estimate(role, context) if isinstance(agent, Estimating) else Estimate()
