"""The events of a round, as displays and observer plugins get them: JSON objects, told apart by `event`.

Every event names its `run`, and all but `observer_failed` its `round` where they belong to one. Later versions may add fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict


class RoundBegins(TypedDict):
    """A round begins or continues; `steps` are all its steps in order, and `attempt` is the identity of its claim."""

    event: Literal["round"]
    run: str
    round: int
    steps: Sequence[str]
    attempt: str


class StepBegins(TypedDict):
    """A step begins that has work to do: the `agent` that it asks if any, and the limit of its seconds if it has one."""

    event: Literal["step"]
    run: str
    round: int
    step: str
    agent: NotRequired[str]
    seconds_at_most: NotRequired[float]


class StepSkipped(TypedDict):
    """A step has nothing to do, and `why`: this round does not need it. Steps that are done already have no event."""

    event: Literal["skipped"]
    run: str
    round: int
    step: str
    why: str


class AgentWorks(TypedDict):
    """An agent writes its reply (`tokens` so far), waits (`waiting` seconds, and `why`), or has so many `seconds_at_most`."""

    event: Literal["agent"]
    run: str
    round: int
    tokens: NotRequired[int]
    waiting: NotRequired[float]
    why: NotRequired[str]
    seconds_at_most: NotRequired[float]


class AgentsSpent(TypedDict):
    """What the agents of the run have taken so far: see `autoqec.agents.budget.Spent`."""

    event: Literal["spent"]
    run: str
    round: int
    calls: int
    tokens: int
    cost: float
    unpriced: int


class Compiling(TypedDict):
    """A kernel is compiled, which a first start does once: what it is, and about how many seconds that takes."""

    event: Literal["compiling"]
    run: str
    what: str
    seconds: float


class TrainingGoesOn(TypedDict):
    """Steps of training done, of how many, the shots they took and the loss; `planned` steps, more where the time is short.

    An executor tells only which part of a training is done: then there is no loss, and the steps follow from that part.
    """

    event: Literal["train"]
    run: str
    step: int
    steps: int
    shots: int
    loss: NotRequired[float]
    planned: int


class ScreeningGoesOn(TypedDict):
    """Development shots of a round's screen scored, of how many: first by the candidate, then by its rival."""

    event: Literal["screen"]
    run: str
    shots: int
    total: int


class ScoringGoesOn(TypedDict):
    """Development shots scored, of how many, those at the environment's other rates included."""

    event: Literal["score"]
    run: str
    shots: int
    total: int


class VerifyingGoesOn(TypedDict):
    """Holdout shots counted, of at most how many; `stage` names a part of the verdict beside the sequential test.

    An undecided test stops after `max_seconds`; 0 or none for no limit.
    """

    event: Literal["verify"]
    run: str
    shots: int
    max_shots: int
    max_seconds: NotRequired[float | None]
    log_e_better: NotRequired[float]
    stage: NotRequired[str]


class WorkersChange(TypedDict):
    """What happened to a `worker` of the executor: `joined`, `refused`, `lost` or `dropped`; why, and how many work now."""

    event: Literal["workers"]
    run: str
    what: Literal["joined", "refused", "lost", "dropped"]
    worker: str
    reason: str
    workers: int


class RoundCloses(TypedDict):
    """A round ends: its status, and the verifier's word if it has one."""

    event: Literal["closed"]
    run: str
    round: int
    status: str
    verdict: str | None


class ObserverFails(TypedDict):
    """An observer plugin raised an error and gets no further events. The display gets this event; the other observers do not."""

    event: Literal["observer_failed"]
    run: str
    plugin: str
    distribution: str
    error: str
    file: str | None
    line: int | None


class RecordConflicts(TypedDict):
    """Another record stands where this process writes its own; `problem` says which, `code` is that of `autoqec.error_codes`."""

    event: Literal["record_conflict"]
    run: str
    round: int
    code: str
    problem: str


class VerdictUnsigned(TypedDict):
    """A verdict is about to be reached that will not count here, because nobody signs it and the user asks for signatures."""

    event: Literal["verdict_unsigned"]
    run: str
    round: int


RoundEvent = (
    RoundBegins
    | StepBegins
    | StepSkipped
    | AgentWorks
    | AgentsSpent
    | Compiling
    | TrainingGoesOn
    | ScreeningGoesOn
    | ScoringGoesOn
    | VerifyingGoesOn
    | WorkersChange
    | RoundCloses
    | ObserverFails
    | RecordConflicts
    | VerdictUnsigned
)
