"""JSON objects of known shape between the core and agents: the parts of a context, progress, and messages before validation.

They are plain dictionaries, because agents pass them on as JSON. `autoqec.agents.role_messages` validates messages; the types
here let a type checker see that an agent in Python writes the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from autoqec.json_values import JsonObject


class Progress(TypedDict, total=False):
    """Progress of a reply: `tokens` written so far, `waiting` (seconds) with `why`, or that it has so many `seconds_at_most`."""

    tokens: int
    waiting: float
    why: str
    seconds_at_most: float


class StageKindFacts(TypedDict):
    """A stage kind: the JSON schema of its `stage.yaml`, and values worth trying by field."""

    schema: JsonObject
    space: Mapping[str, Sequence[Any]]


class ProfileLimits(TypedDict, total=False):
    """The limits of a round: the fields of `autoqec.settings_schema.Profile`."""

    train_shots: int
    train_seconds: float
    screen_shots: int
    memory_gib: float
    score_shots: int
    verify_shots: int
    verify_seconds: float


class RoundTiming(TypedDict):
    """The costs of a past round on this machine."""

    round: str
    params: float | None
    flops_per_shot: float | None
    train_seconds: float | None
    score_seconds: float | None
    latency_us_per_shot: float | None


class KilledRound(TypedDict):
    """A past round that a limit ended."""

    round: str
    reason: str | None


class UnseenRound(TypedDict):
    """A round that was claimed before this one, perhaps in another clone, and of which nothing else is known here.

    `seed` is the one that an agent gets there.
    """

    round: int
    seed: int


class MachineFacts(TypedDict, total=False):
    """The machine that rounds run on, and how long they took there."""

    cores: int
    memory_gib: float
    device: str | None
    timings: Sequence[RoundTiming]
    killed: Sequence[KilledRound]


class BudgetLeft(TypedDict, total=False):
    """The remaining budget; a field is absent if it has no limit."""

    rounds: int
    seconds: float
    tokens: float
    cost: float


class HypothesisMessage(TypedDict):
    """An Ideator's message; see `autoqec.agents.role_messages.Hypothesis`."""

    text: str
    fork_from: NotRequired[Sequence[str]]
    compose: NotRequired[Literal["none", "pure", "with_edit"]]
    screen: NotRequired[Literal["auto", "only"]]
    expected_delta_ler: NotRequired[float | None]
    expected_flops: NotRequired[int | None]
    expected_params: NotRequired[int | None]
    rationale: NotRequired[str]
    hint: NotRequired[str]


class ProposalMessage(TypedDict):
    """A Coder's message; see `autoqec.agents.role_messages.Proposal`."""

    files: Mapping[str, str]
    edit: NotRequired[bool]
    remove: NotRequired[Sequence[str]]
    tier: NotRequired[int]
    message: NotRequired[str]


class AnalysisMessage(TypedDict):
    """An Analyst's message; see `autoqec.agents.role_messages.Analysis`."""

    summary: str
    decision: Literal["candidate", "ignore"]
    next_seed: NotRequired[str]


Message = HypothesisMessage | ProposalMessage | AnalysisMessage
