"""What an agent is: it plays roles by replying to a context with a JSON object. It gets text, never a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from autoqec.agents.context_parts import (
    BudgetLeft,
    HypothesisMessage,
    MachineFacts,
    ProfileLimits,
    Progress,
    StageKindFacts,
    UnseenRound,
)
from autoqec.errors import AutoQECError
from autoqec.json_values import JsonObject
from autoqec.results.figures import Holdout
from autoqec.results.metrics import Metrics
from autoqec.results.note_form import write_record
from autoqec.results.verdict_parts import ShareOfGap

Role = Literal["ideator", "coder", "analyst"]

ROLES: tuple[Role, ...] = ("ideator", "coder", "analyst")

#: Called with the progress of a reply: `{"tokens": …}`, `{"waiting": seconds, "why": …}`, or `{"seconds_at_most": …}`.
Report = Callable[[Progress], None]


class AgentUnavailable(AutoQECError):
    """The agent cannot be asked now — no key, no network, no such program. The round stays open for `autoqec resume`."""

    code = "agent_unavailable"


class ReplyAwaited(AgentUnavailable):
    """Somebody outside is to reply, by `autoqec agents reply`; the round stays open until then."""

    code = "reply_awaited"

    def __init__(self, run: str, number: int, role: Role):
        super().__init__(
            f"round {run}/{number} waits for the {role}",
            hint=f"autoqec agents prompt {role} --run {run}/{number}, then autoqec agents reply {role} --run {run}/{number} FILE",
        )
        self.role = role


@dataclass(frozen=True)
class PastRound:
    """A round as agents see it.

    Attributes:
        name: `run/number`.
        status: `ok` or how it failed.
        reason: Why it failed, if it did, in words.
        code: What kind of failure it was, one of `autoqec.error_codes`; empty if it did not fail, or before errors had codes.
        about: What that error was about.
        fork_from: Its parents; none for the baseline.
        compose: `none`, `pure` or `with_edit`.
        hypothesis: What it tried.
        files: Its candidate's canonical files.
        metrics: Its development metrics, if it was scored.
        decision: The Analyst's.
        summary: What the Analyst saw, in a sentence.
        next_seed: The Analyst's thought for the next Ideator.
        verdict: The verifier's word, if it was judged. On recorded shots it is VERIFIED or FAILED, and no reason or figure comes
            with it: the next look is at the same shots.
        verdict_reason: The code of its reason.
        holdout: The verdict's figures, from shots nobody had seen; None if there is no verdict.
        seconds: Wall clock from claim to close; None while it is open.
        share_of_gap: How much of the gap to a decoder near maximum likelihood it closes, if the verdict says so.
        screen: `only` if it asked for its screen alone, else `auto`.
        beside: Rounds that were open when it began, and whose results it did not know.
    """

    name: str
    status: str
    reason: str | None = None
    fork_from: tuple[str, ...] = ()
    compose: str = "none"
    hypothesis: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    metrics: Metrics | None = None
    decision: str | None = None
    summary: str = ""
    next_seed: str = ""
    verdict: str | None = None
    verdict_reason: str | None = None
    holdout: Holdout | None = None
    seconds: float | None = None
    code: str = ""
    about: JsonObject = field(default_factory=dict)
    share_of_gap: ShareOfGap | None = None
    screen: str = "auto"
    beside: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        told = dict(vars(self))
        told["share_of_gap"] = write_record(self.share_of_gap) if self.share_of_gap else None
        return told | {name: each.to_note() if each else None for name, each in self._results()}

    def _results(self) -> tuple[tuple[str, Metrics | Holdout | None], ...]:
        return ("metrics", self.metrics), ("holdout", self.holdout)


@dataclass(frozen=True)
class FamilyRound:
    """A round of another environment of this lab that has the same kinds of code, noise and decoder.

    Attributes:
        environment: The other environment's fields.
        past: The round.
    """

    environment: JsonObject
    past: PastRound

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"environment": self.environment, "past": self.past.to_dict()}


@dataclass(frozen=True)
class Context:
    """Everything that a role receives, from git alone except `machine` and `budget`; `to_dict` gives JSON values.

    Attributes:
        environment: The environment's fields.
        run: The run.
        round: The number of the round at hand.
        seed: 64-bit seed for an agent that draws lots.
        stages: Stage kinds by name: `{"schema": JSON schema of stage.yaml, "space": values worth trying}`.
        limits: The profile: shots and seconds of training, scored shots.
        history: Past rounds of this run, oldest first.
        open_rounds: Other rounds of this run that are open now, as far as they are known; with an idea at least.
        unseen: Rounds of this run that were claimed before this one and of which nothing else is known, oldest first.
        family: For the Ideator: scored rounds of other environments of the same kinds, those of the lowest ratios to the plain
            decoder, worst first. Two runs on one environment do not see each other.
        front: Names of the rounds on the run's front, best gain first.
        failed_composes: Sets of rounds whose merge conflicted, never to be proposed again.
        machine: What rounds run on: `cores`, `memory_gib`, `device`, and what rounds took here.
        budget: What is left: any of `rounds`, `seconds`, `tokens`, `cost`.
        formats: JSON schemas of the candidate's other files, `output.yaml`, `training.yaml`, `gate.yaml` and, where the decoder
            offers solutions, `ensemble.yaml`, by path.
        steering: What the lab's owner wrote in `.autoqec/steering.md`, as it is committed.
        hypothesis: For Coder and Analyst: the Ideator's message.
        parent_files: For the Coder: the files it starts from. For the Analyst: those of the round.
        metrics: For the Analyst: what was measured.
        repair: What was wrong with the previous reply, if this is a second try.
        previous: That reply, as it was said, cut to length.
    """

    environment: JsonObject
    run: str
    round: int
    seed: int
    stages: Mapping[str, StageKindFacts]
    limits: ProfileLimits
    history: tuple[PastRound, ...] = ()
    front: tuple[str, ...] = ()
    failed_composes: tuple[tuple[str, ...], ...] = ()
    machine: MachineFacts = field(default_factory=MachineFacts)
    budget: BudgetLeft = field(default_factory=BudgetLeft)
    formats: Mapping[str, JsonObject] = field(default_factory=dict)
    steering: str = ""
    open_rounds: tuple[PastRound, ...] = ()
    unseen: tuple[UnseenRound, ...] = ()
    family: tuple[FamilyRound, ...] = ()
    hypothesis: HypothesisMessage | None = None
    parent_files: Mapping[str, str] = field(default_factory=dict)
    metrics: Metrics | None = None
    repair: str | None = None
    previous: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, for agents that talk to something else."""
        metrics = self.metrics.to_note() if self.metrics else None
        rounds = {
            name: tuple(each.to_dict() for each in getattr(self, name)) for name in ("history", "open_rounds", "family")
        }
        return dict(vars(self)) | rounds | {"metrics": metrics}


@dataclass(frozen=True)
class Usage:
    """Tokens of a call, as its service counts them.

    Attributes:
        input_tokens: Read anew, neither from a cache nor into one.
        output_tokens: Written, thinking included.
        cache_read_tokens, cache_write_tokens: Read from a cache, and put into one.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total(self) -> int:
        """All of them: what `--max-tokens` counts."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Estimate:
    """What a call takes at most; it is reserved before the call is made.

    Attributes:
        prompt_tokens: Of the prompt.
        tokens: Of prompt and reply together.
        cost: In US dollars; None where the price is not known.
    """

    prompt_tokens: int = 0
    tokens: int = 0
    cost: float | None = 0.0


@dataclass(frozen=True)
class Reply:
    """What an agent said, and what it took.

    Attributes:
        message: The message, a JSON object if the call succeeded; the caller validates it.
        problem: Why there is no message (cut off, refused, not JSON), in words that help to correct it; empty if there is one.
        model: Which model spoke.
        prompt: The full prompt as it was sent; empty for an agent that is not told in words.
        text: The full reply as it came.
        usage: Tokens; None for an agent that has none.
        cost: In US dollars; None where the price is not known.
    """

    message: Any
    problem: str = ""
    model: str = ""
    prompt: str = ""
    text: str = ""
    usage: Usage | None = None
    cost: float | None = 0.0


class Agent(Protocol):
    """An agent as a plugin offers it."""

    def reply(self, role: Role, context: Context, report: Report) -> Reply | JsonObject:
        """Answer as a role.

        Args:
            role: Which message is wanted: ideator → `Hypothesis`, coder → `Proposal`, analyst → `Analysis`.
            context: What the role knows; `autoqec.agents.prompt.render` makes a prompt of it.
            report: Told of progress.

        Returns:
            The message as a JSON object, or a `Reply` with what it took; it is validated, and may come back once with
            `context.repair` set.

        Raises:
            AgentUnavailable: It cannot be asked now; the round stays open.
            AutoQECError: It cannot answer at all; the round ends as `agent_error`.
        """
        ...


@runtime_checkable
class Estimating(Protocol):
    """An agent whose calls take tokens or money says beforehand how many at most."""

    def estimate(self, role: Role, context: Context) -> Estimate:
        """What `reply` would take at most; calls nobody."""
        ...


@runtime_checkable
class CheckingAgent(Protocol):
    """An agent that needs a key, a program or a login says before a round begins whether it has them."""

    def require_ready(self) -> None:
        """Check what can be known without asking anybody. It takes no money, and no network.

        Raises:
            AgentUnavailable: It cannot be asked.
        """
        ...


def ignore(progress: Progress) -> None:
    """A report that nobody reads."""
