"""The JSON objects that commands print about plugins, agents, environments, plans and calls, typed: `views/` draws them too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict, final

from autoqec.json_values import JsonObject


@final  # so that a type checker can tell a row by its keys
class PluginRow(TypedDict):
    """What a plugin registers, as `autoqec plugins` prints it; with `--metadata`, an entry point."""

    schema: str
    kind: str
    name: str
    plugin: str
    distribution: str
    capabilities: JsonObject
    missing: NotRequired[str | None]
    install: NotRequired[str | None]


@final
class BrokenRow(TypedDict):
    """A plugin that failed, as `autoqec plugins` prints it."""

    schema: str
    plugin: str
    distribution: str
    error: str
    file: str | None
    line: int | None


class CheckRow(TypedDict):
    """The result of a check, as `autoqec plugins check` prints it; see `autoqec.testing.plugin_checks.Checked`."""

    schema: str
    plugin: str
    distribution: str
    kind: str
    name: str
    result: str
    reason: str
    file: str | None
    line: int | None
    seconds: float


class AgentRow(TypedDict):
    """An agent, as `autoqec agents list` prints it."""

    name: str
    roles: Sequence[str]
    words: bool
    needs: str
    install: str | None
    plugin: str
    distribution: str


class DegreeRow(TypedDict):
    """Least, mean and largest degree in a Tanner graph."""

    least: int
    mean: float
    largest: int


class RateRow(TypedDict):
    """A decoder's logical error rate with its 95 % interval, and its time; see `autoqec.results.measured_decoder`."""

    ler: float
    ler_ci: Sequence[float]
    shots: int
    failures: int
    same_shots: Mapping[str, int]
    worse: bool
    us_per_shot: float
    us_per_shot_quartiles: Sequence[float]
    batches: int


class GainRow(TypedDict):
    """Which gain a verdict can show; see `autoqec.results.resolvable_gain.ResolvableGain`."""

    shots: int
    level: float
    ler: float
    at_most: bool
    ratio: float | None
    ratio_at_best: float | None


class OddityRow(TypedDict):
    """Something odd about an environment, and where it comes from."""

    field: str
    finding: str
    line: int | None


class SamplingRow(TypedDict):
    """Which sampling pays; see `autoqec.scoring.sampling_advice.sampling_advice`."""

    pays: str
    why: str
    ler: NotRequired[float]
    ler_ci: NotRequired[Sequence[float]]
    worth: NotRequired[float | None]
    speedup: NotRequired[float | None]


class RecordedRow(TypedDict):
    """How a recording is shared out; see `autoqec.scoring.recorded_parts.recorded_parts`."""

    digest: str
    shots: int
    training: int
    development: int
    holdout: int
    least_gain: Mapping[str, float | None]


class RoundTimeRow(TypedDict):
    """What a round would take; see `autoqec.results.round_time.RoundTime`."""

    train_at_most: float
    score: float
    verdict_at_most: float
    us_with_beliefs: float | None
    train: float | None


class EnvironmentRow(TypedDict):
    """An environment, as `autoqec env check` prints it; see `autoqec.scoring.baseline.describe_environment`."""

    name: str
    identity: str
    detectors: int
    observables: int
    mechanisms: int
    graph_like: int
    graph_like_share: float
    incidences: int
    matching_edges: int | None
    matchable: bool
    components: int
    mechanism_degree: DegreeRow
    detector_degree: DegreeRow
    fingerprint: str
    decoders: Mapping[str, RateRow]
    requested_shots: int
    interrupted: bool
    drawing_us_per_shot: float
    sampling: SamplingRow
    recorded: NotRequired[RecordedRow]
    gain: GainRow
    round: RoundTimeRow | None
    findings: Sequence[OddityRow]


class PlannedCallRow(TypedDict):
    """A call that a round will make, as `autoqec round --dry-run` prints it; see `autoqec.loop.dry_run.PlannedCall`."""

    role: str
    agent: str
    prompt_tokens: int
    tokens: int
    cost: float | None


class PlanRow(TypedDict):
    """A round before it is run, as `autoqec round --dry-run` prints it.

    Attributes:
        calls: One call for each role.
        tokens: Tokens of all calls, at most.
        cost: Their cost in US dollars, at most; None where a price is not known.
        seconds: What rounds of this run took; None if there was none.
        seconds_at_most: Of a round whose training and verification take as long as they may; None if that was not measured.
        measured: Its parts; see `autoqec.results.round_plan.MeasuredRound`. None if they were not measured.
    """

    calls: Sequence[PlannedCallRow]
    tokens: int
    cost: float | None
    seconds: float | None
    seconds_at_most: float | None
    measured: JsonObject | None


class UsageRow(TypedDict):
    """Tokens of a call; see `autoqec.agents.agent_contract.Usage`."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


class EstimateRow(TypedDict):
    """What was reserved for a call; see `autoqec.agents.agent_contract.Estimate`."""

    prompt_tokens: int
    tokens: int
    cost: float | None


class ReplyRow(TypedDict):
    """A reply without its texts; see `autoqec.agents.agent_contract.Reply`."""

    message: object
    problem: str
    model: str
    usage: UsageRow | None
    cost: float | None


class CallRow(TypedDict):
    """A call of an agent, as `autoqec show --trace` prints it; see `autoqec.agents.calls.Call`."""

    round: int
    role: str
    attempt: int
    agent: str
    seconds: float
    reply: ReplyRow | None
    estimate: EstimateRow
    lost: int
    prompt: str
    text: str
    said: str


class ExportRow(TypedDict):
    """The manifest of an exported round, as far as it is shown."""

    round: str
    verdict: str | None
    digest: str
    files: Sequence[str]
