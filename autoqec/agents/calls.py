"""Calls: what one question to an agent was, and what was said; kept before anything is done with it, secrets taken out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from autoqec.agents.agent_contract import Agent, Context, Estimate, Estimating, Reply, Role, Usage
from autoqec.agents.quoting import shortened

#: Characters of a prompt and of a reply that are kept.
_PROMPT, _TEXT = 2_000_000, 400_000

_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH", re.IGNORECASE)
_SECRET_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|github_pat|xox[abp]|AKIA|AIza)[-_]?[A-Za-z0-9_-]{16,}|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{16,}"
)
_SHORTEST_SECRET = 8
_HIDDEN = "[secret]"


@dataclass(frozen=True)
class Call:
    """One question to an agent.

    Attributes:
        round: Number of the round it was about.
        role: In which role it was asked.
        attempt: 1, or 2 for the repair.
        agent: Whom, as the setting names it.
        seconds: How long it took.
        reply: What was said; None if none came, as when the process was killed meanwhile.
        estimate: What was reserved for it.
        lost: How many times before it was begun and cut off by the end of the process, each perhaps charged.
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
        """What it took; what was reserved, where nobody knows."""
        if self.reply is None:
            return (1 + self.lost) * self.estimate.tokens
        return self.lost * self.estimate.tokens + (self.reply.usage.total if self.reply.usage else 0)

    @property
    def cost(self) -> float | None:
        """US dollars, likewise; None where the price is not known."""
        known = self.estimate.cost if self.reply is None else self.reply.cost
        lost = self.lost and self.estimate.cost
        return None if known is None or lost is None else known + self.lost * lost

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, without the prompt and the text of the reply."""
        fields: dict[str, Any] = {**vars(self), "estimate": vars(self.estimate)}
        if self.reply is not None:
            usage = vars(self.reply.usage) if self.reply.usage else None
            fields["reply"] = {**vars(self.reply), "usage": usage}
            del fields["reply"]["prompt"], fields["reply"]["text"]
        return fields

    def texts(self) -> dict[str, str]:
        """The prompt, the text of the reply, and its message as JSON."""
        if self.reply is None:
            return {"prompt": "", "text": "", "said": ""}
        said = json.dumps(self.reply.message, ensure_ascii=False, indent=1, default=str)
        return {"prompt": self.reply.prompt, "text": self.reply.text, "said": said}

    @staticmethod
    def from_dict(fields: Mapping[str, Any], *, prompt: str = "", text: str = "") -> Call:
        """The inverse of `to_dict`."""
        reply = fields.get("reply")
        if reply is not None:
            usage = Usage(**reply["usage"]) if reply.get("usage") else None
            reply = Reply(**{**reply, "usage": usage, "prompt": prompt, "text": text})
        return Call(**{**fields, "reply": reply, "estimate": Estimate(**fields["estimate"])})


class CallLog(Protocol):
    """Where calls are kept, and who says whether one may be made."""

    def report(self, progress: Mapping[str, Any]) -> None:
        """An agent's progress."""
        ...

    def recorded(self, role: Role, attempt: int) -> Reply | None:
        """What was said to this question before; None if it was not asked, or not answered."""
        ...

    def begin(self, role: Role, attempt: int, estimate: Estimate) -> None:
        """A call is about to be made.

        Raises:
            BudgetSpentError: It could take more than is left.
        """
        ...

    def end(self, role: Role, attempt: int, reply: Reply, seconds: float, context: Context) -> None:
        """A reply came; it is kept before this returns."""
        ...


class NoLog:
    """Keeps nothing and allows everything: for an agent that is asked outside of a round."""

    def report(self, progress: Mapping[str, Any]) -> None:
        """See `CallLog.report`."""

    def recorded(self, role: Role, attempt: int) -> Reply | None:
        """See `CallLog.recorded`."""
        return None

    def begin(self, role: Role, attempt: int, estimate: Estimate) -> None:
        """See `CallLog.begin`."""

    def end(self, role: Role, attempt: int, reply: Reply, seconds: float, context: Context) -> None:
        """See `CallLog.end`."""


def secrets_here() -> list[str]:
    """Values of this process's environment that must not be written down, by the names of their variables; longest first."""
    found = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET and not os.path.exists(value)
    }
    return sorted(found, key=len, reverse=True)


def redact(value: Any, secrets: list[str] | None = None) -> Any:
    """A JSON value with every secret in its texts replaced: those of the environment, and what looks like a key."""
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
    """A reply as it may be written down: without secrets, and not without end."""
    known = secrets_here()
    return replace(
        reply,
        message=redact(reply.message, known),
        problem=redact(reply.problem, known),
        prompt=shortened(redact(reply.prompt, known), _PROMPT),
        text=shortened(redact(reply.text, known), _TEXT),
    )


def as_reply(said: Any) -> Reply:
    """What an agent returned, as a `Reply`."""
    return said if isinstance(said, Reply) else Reply(said)


def estimate_of(agent: Agent, role: Role, context: Context) -> Estimate:
    """What a call of an agent takes at most; nothing, for one that does not say."""
    return agent.estimate(role, context) if isinstance(agent, Estimating) else Estimate()
