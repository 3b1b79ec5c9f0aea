"""What an agent is: it plays roles by replying to a context with a JSON object. It gets text, never a shell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

Role = Literal["ideator", "coder", "analyst"]

ROLES: tuple[Role, ...] = ("ideator", "coder", "analyst")


@dataclass(frozen=True)
class PastRound:
    """A round as agents see it.

    Attributes:
        name: `run/number`.
        status: `ok` or how it failed.
        reason: Why it failed, if it did.
        fork_from: Its parents; none for the baseline.
        compose: `none`, `pure` or `with_edit`.
        hypothesis: What it tried.
        files: Its candidate's canonical files.
        metrics: Its development metrics, if it was scored.
        decision: The Analyst's.
        verdict: The verifier's word, if it was judged.
    """

    name: str
    status: str
    reason: str | None = None
    fork_from: tuple[str, ...] = ()
    compose: str = "none"
    hypothesis: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] | None = None
    decision: str | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Context:
    """Everything a role is told: plain JSON values, built from git alone.

    Attributes:
        environment: The environment's fields.
        run: The run.
        round: The number of the round at hand.
        seed: 64-bit seed for an agent that draws lots.
        stages: Stage kinds by name: `{"schema": JSON schema of stage.yaml, "space": values worth trying}`.
        limits: The profile: shots and seconds of training, scored shots.
        history: Past rounds of this environment, oldest first.
        failed_composes: Sets of rounds whose merge conflicted, never to be proposed again.
        hypothesis: For Coder and Analyst: the Ideator's message.
        parent_files: For the Coder: the files it starts from.
        metrics: For the Analyst: what was measured.
        repair: What was wrong with the previous reply, if this is a second try.
    """

    environment: Mapping[str, Any]
    run: str
    round: int
    seed: int
    stages: Mapping[str, Any]
    limits: Mapping[str, Any]
    history: tuple[PastRound, ...] = ()
    failed_composes: tuple[tuple[str, ...], ...] = ()
    hypothesis: Mapping[str, Any] | None = None
    parent_files: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] | None = None
    repair: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, for agents that talk to something else."""
        return asdict(self)


class Agent(Protocol):
    """An agent as a plugin offers it."""

    def reply(self, role: Role, context: Context) -> Mapping[str, Any]:
        """Answer as a role.

        Args:
            role: Which message is wanted: ideator → `Hypothesis`, coder → `Proposal`, analyst → `Analysis`.
            context: What the role knows.

        Returns:
            The message as a JSON object; it is validated, and may come back once with `context.repair` set.

        Raises:
            AutoQECError: The agent cannot answer at all.
        """
        ...
