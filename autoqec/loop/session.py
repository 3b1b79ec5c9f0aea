"""The session: everything that the steps of a round need (ledger, plugins, settings, environment, run), collected once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from autoqec.agents.agent_contract import ROLES, Agent, Role
from autoqec.agents.budget import Limits
from autoqec.agents.tape import Recorder, Tape
from autoqec.config import Settings
from autoqec.errors import AutoQECError, BudgetSpentError, MissingPackageError, UsageError
from autoqec.history import (
    Ledger,
    RoundRecord,
    Run,
    describe_run,
    list_runs,
    load_run,
    new_run_name,
    pull_shared_run,
    read_history,
    record_run,
    record_shared_run,
    resolve_commit,
)
from autoqec.json_values import JsonObject
from autoqec.plugins import Registry
from autoqec.problem.environment import (
    ENVIRONMENT_FILE,
    LoadedEnvironment,
    builtin_environments,
    environment_from_files,
    find_environment,
)
from autoqec.round_events import ObserverFails, RoundEvent
from autoqec.settings_schema import Profile

if TYPE_CHECKING:
    from autoqec.loop.scoring_device import ScoringDevice
    from autoqec.problem.problem import Problem
    from autoqec.problem.sampling import Shots
    from autoqec.scoring.executor_contract import Executor, ExecutorChoice, WorkerNews

#: Called with every event of a session.
Report = Callable[[RoundEvent], None]


def environment_folders(ledger: Ledger | None) -> list[Path]:
    """The folders where environments are found by name: the lab's `envs/`, then the package's."""
    here = [Path(ledger.repo.workdir) / "envs"] if ledger is not None and ledger.repo.workdir else []
    return [*here, builtin_environments()]


def run_environment(run: Run) -> LoadedEnvironment:
    """The environment of a run, from git alone."""
    return environment_from_files(run.env_files, origin=f"the environment of run {run.name}")


@dataclass
class Session:
    """One lab, one run, one process.

    Attributes:
        ledger: The lab's git.
        registry: Installed plugins.
        settings: Effective settings.
        run: The run rounds belong to.
        report: Called with every event, for displays and observers.
        recorder: Records the agents' replies, with `--record`.
        tape: Replays recorded replies, with `--replay`.
        deadline: Time of `time.monotonic` after which no further step begins; None for no deadline.
        memory: Bytes of memory that a training may take, if that is less than the profile's; None for the profile's.
        rounds_left: How many more rounds this command runs, the current one included; None if unknown.
    """

    ledger: Ledger
    registry: Registry
    settings: Settings
    run: Run
    report: Report = field(default=lambda event: None)
    recorder: Recorder | None = None
    tape: Tape | None = None
    deadline: float | None = None
    rounds_left: int | None = None
    memory: int | None = None

    #: What begins when a step needs it, and ends with the session.
    resources: ExitStack = field(default_factory=ExitStack)

    #: What was found in order before work began (`autoqec.loop.preflight`): agents by role, strong references, and executors that
    #: take their options and have a worker.
    ready_for: set[tuple[tuple[Role, str], ...]] = field(default_factory=set)
    strong_references: set[str] = field(default_factory=set)
    executors_found: set[str] = field(default_factory=set)

    #: Workers of an executor, and their machines, that answered wrongly.
    dropped: set[str] = field(default_factory=set)

    @property
    def limits(self) -> Limits:
        """The budget of the run's agents."""
        return Limits(tokens=self.settings["max_tokens"] or None, cost=self.settings["max_cost"] or None)

    def training_memory(self, profile: Profile) -> int:
        """Bytes of memory that a training of a profile may take: less than the profile's where rounds at once share a machine."""
        memory = int(profile.memory_gib * 2**30)
        return memory if self.memory is None else min(memory, self.memory)

    def require_time(self) -> None:
        """Refuse to begin something after the deadline.

        Raises:
            BudgetSpentError: It is past.
        """
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise BudgetSpentError(
                f"the {self.settings['max_wall']:g} seconds of max_wall are spent",
                hint=f"autoqec resume {self.run.name} --max-wall SECONDS",
            )

    @cached_property
    def environment(self) -> LoadedEnvironment:
        """The run's environment, as it was when the run began."""
        return run_environment(self.run)

    @property
    def other_rates(self) -> tuple[float, ...]:
        """Physical error rates of the environment beside its target."""
        noise = self.environment.environment.noise
        return tuple(p for p in noise.p if p != noise.target)

    @cached_property
    def device(self) -> ScoringDevice:
        """Where candidates are computed for their metrics; verdicts are reached on the CPU.

        Raises:
            UsageError: The GPU that is asked for is not there.
        """
        from autoqec.loop.scoring_device import scoring_device

        return scoring_device(self.settings)

    @cached_property
    def problem(self) -> Problem:
        """The run's problem at its target rate."""
        from autoqec.problem.code_contract import build_problem

        return build_problem(self.environment, self.registry.maker("code"))

    @cached_property
    def recording(self) -> str | None:
        """The digest of the environment's recording; None where shots are drawn."""
        from autoqec.problem.recording import is_recorded, recording_of

        return recording_of(self.environment, self.problem).digest if is_recorded(self.environment) else None

    @property
    def training_shots(self) -> Shots | None:
        """The recorded shots for training; None where shots are drawn."""
        from autoqec.problem.recording import is_recorded, recording_of

        return recording_of(self.environment, self.problem).training if is_recorded(self.environment) else None

    @cached_property
    def dems(self) -> tuple[str, ...]:
        """Error models as text: the run's problem at its target rate, then at the `other_rates`."""
        from autoqec.problem.code_contract import build_problem

        code = self.registry.maker("code")
        problems = (self.problem, *(build_problem(self.environment, code, p) for p in self.other_rates))
        return tuple(str(each.dem) for each in problems)

    @property
    def run_seed(self) -> bytes:
        """The key every stream of the run derives from, other than the verifier's."""
        return bytes.fromhex(self.run.settings["seed"])

    def records(self) -> list[RoundRecord]:
        """The rounds of the run, oldest first; none of a run that is only thought of."""
        known = any(run.name == self.run.name for run in list_runs(self.ledger))
        return read_history(self.ledger, self.run.name) if known else []

    @cached_property
    def executor_choice(self) -> ExecutorChoice:
        """The executor that the settings choose, with its options; what all steps share begins now, and ends with the session."""
        from autoqec.scoring.executor_contract import ExecutorChoice
        from autoqec.scoring.opened_executor import shared_choice

        name = self.settings["executor"]
        chosen = ExecutorChoice(name, self.settings.jobs, self.settings.executors.get(name, {}))
        return self.resources.enter_context(shared_choice(self.registry, chosen))

    @property
    def executor_now(self) -> ExecutorChoice:
        """`executor_choice` without the workers that were dropped in an earlier step: each step opens an executor of its own."""
        return replace(self.executor_choice, left_out=tuple(sorted(self.dropped)))

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """The executor that the settings choose; what happens to its workers is an event."""
        from autoqec.scoring.opened_executor import opened_executor

        with opened_executor(self.registry, self.executor_now, self.workers_event) as executor:
            yield executor

    def workers_event(self, news: WorkerNews) -> None:
        """Report what happened to a worker of the executor, and remember who is not to be asked again."""
        if news.what == "dropped":
            self.dropped.update(filter(None, (news.worker, news.machine)))
        self.event("workers", what=news.what, worker=news.worker, reason=news.reason, workers=news.workers)

    def event(self, name: str, **fields: Any) -> None:
        """Report an event to the display and to observer plugins. The display also shows observers that fail."""
        event = cast(RoundEvent, {"event": name, "run": self.run.name, **fields})
        self.report(event)
        for broken in self.registry.notify(event):
            self.report(cast(ObserverFails, {"event": "observer_failed", "run": self.run.name, **vars(broken)}))


def make_agent(session: Session, role: Role, name: str) -> Agent:
    """The agent that plays a role in a session; see `agent_of`."""
    return agent_of(session.registry, session.settings, role, name)


def agent_of(registry: Registry, settings: Settings, role: Role, name: str) -> Agent:
    """The agent that plays a role, with the options that the settings give it.

    Raises:
        NotFoundError: There is none of that name.
        UsageError: It does not take these options.
    """
    entry = registry.get("agent", name)
    roles = entry.capabilities.get("roles", ROLES)
    if role not in roles:
        raise UsageError(
            f"agent {name!r} does not play the {role}", hint=f"it plays: {', '.join(roles)}; autoqec plugins"
        )
    options = dict(settings.agents.get(role, {}))
    if entry.capabilities.get("prices"):
        options["prices"] = settings.prices
    agent: Agent = entry.create(**options)
    return agent


def check_environment(loaded: LoadedEnvironment, registry: Registry) -> None:
    """Refuse, before anything is written, an environment on which no round can run.

    A reference whose package is not installed is not refused: it is left out, and metrics and verdicts say so.

    Raises:
        UsageError, NotFoundError: The circuit, code, decoder or a reference cannot be used; names file, line and field.
    """
    from autoqec.decoding.compile_decoder import compile_decoder, without_gate
    from autoqec.problem.code_contract import build_problem
    from autoqec.problem.locating import at_its_line
    from autoqec.problem.neighbours import at_cell
    from autoqec.problem.recording import require_recording
    from autoqec.scoring.fault_strata import refuse_near_ml, strata_of

    environment, text = loaded.environment, loaded.files[ENVIRONMENT_FILE]
    problem = build_problem(loaded, registry.maker("code"))
    require_recording(loaded, problem)
    by_strata = environment.protocol.by_strata
    try:
        if by_strata:
            strata_of(problem)
            refuse_near_ml(environment.references, registry)
    except AutoQECError as error:
        raise at_its_line(error, loaded.origin, text) from error
    for place, cell in enumerate(environment.protocol.cells or ()):
        try:
            there = build_problem(at_cell(loaded, cell), registry.maker("code"))
            if by_strata:
                strata_of(there)
        except AutoQECError as error:
            found = error.at(f"protocol.cells.{place}")
            raise at_its_line(found, loaded.origin, text) from error
    named = {"decoder": environment.decoder} | {f"references.{i}": ref for i, ref in enumerate(environment.references)}
    for where, choice in named.items():
        try:
            compile_decoder(choice if choice is environment.decoder else without_gate(choice), problem, registry)
        except AutoQECError as error:
            if isinstance(error, MissingPackageError) and choice is not environment.decoder:
                continue
            found = error.at(where)
            raise at_its_line(found, loaded.origin, text) from error


def open_run(
    ledger: Ledger,
    registry: Registry,
    *,
    env: str | LoadedEnvironment,
    env_given: bool = False,
    run_name: str | None,
    fresh: bool,
    seed: int | None,
    dry: bool = False,
    remote: str = "",
) -> Run:
    """The run to continue, or a new one.

    Args:
        ledger: The lab.
        registry: Installed plugins.
        env: Environment by name or path, or one that is loaded, for a new run and to find the latest one.
        env_given: Whether the user named it, and did not just leave the default.
        run_name: A run by name; it is created if it does not exist.
        fresh: Start a new run even if one could continue.
        seed: The seed of a new run, or the expected seed of an existing one; random if None.
        dry: Whether to plan a new run without writing it.
        remote: The remote on which clones share the run; empty for none. What it has of the run is pulled first.

    Raises:
        UsageError, NotFoundError: The environment cannot be used, or a seed is given for a run that has one.
        AutoQECError: This lab does not know the run, and cannot ask the remote for it.
    """
    if remote and run_name is not None:
        _pulled(ledger, run_name, remote)
    runs = list_runs(ledger)
    existing = next((run for run in runs if run.name == run_name), None)
    if existing is not None and fresh:
        raise UsageError(
            f"run {run_name} exists", hint=f"choose another name, or continue it: autoqec round --run {run_name}"
        )
    if run_name is not None and existing is not None and not env_given:
        return _with_seed_unchanged(existing, seed)
    loaded = env if isinstance(env, LoadedEnvironment) else find_environment(env, environment_folders(ledger))
    if existing is not None:
        if existing.env_id != loaded.identity:
            raise UsageError(
                f"run {run_name} is on {existing.env_name}@{existing.env_id[:12]}, not on {loaded.origin}",
                hint="leave out --env, or start a new run with --new",
            )
        return _with_seed_unchanged(existing, seed)
    key = secrets.token_bytes(32) if seed is None else seed.to_bytes(32, "big")
    same = [
        run for run in runs if run.env_id == loaded.identity and (seed is None or run.settings["seed"] == key.hex())
    ]
    if same and run_name is None and not fresh:
        return same[-1]
    check_environment(loaded, registry)
    run = describe_run(
        ledger,
        run_name or new_run_name(loaded.name.replace("_", "-")),
        base=resolve_commit(ledger, "HEAD"),
        env_name=loaded.name,
        env_id=loaded.identity,
        env_files=dict(loaded.files),
        settings={"seed": key.hex()},
    )
    return run if dry else recorded_run(ledger, run, fresh=fresh, seed=seed, remote=remote)


def _pulled(ledger: Ledger, name: str, remote: str) -> None:
    try:
        pull_shared_run(ledger, name, remote)
    except AutoQECError:
        if all(run.name != name for run in list_runs(ledger)):
            raise
        # The run is known here. What is wrong with the remote is said where its rounds are claimed and pushed.


def recorded_run(ledger: Ledger, run: Run, *, fresh: bool, seed: int | None, remote: str = "") -> Run:
    """Record a new run; or return the one of its name, if another process has recorded one meanwhile.

    Two processes that start a run of one name at the same time work on one run, as if one of them had come later. So do two
    clones, if they share it on a remote.

    Args:
        ledger: The lab.
        run: The run as `open_run` described it.
        fresh, seed, remote: See `open_run`.

    Raises:
        UsageError: The other run is on another environment or has another seed than the one that is asked for, or it must be new.
        AutoQECError: The remote is unreachable or refuses the run.
    """
    try:
        if remote:
            record_shared_run(ledger, run, remote)
        else:
            record_run(ledger, run)
        return run
    except UsageError:
        if all(known.name != run.name for known in list_runs(ledger)):
            raise  # it is about the remote
        found = load_run(ledger, run.name)
    if fresh:
        raise UsageError(
            f"another process has started run {run.name} meanwhile", hint="leave out --new, or choose another name"
        )
    if found.env_id != run.env_id:
        raise UsageError(
            f"another process has started run {run.name} meanwhile, on {found.env_name}@{found.env_id[:12]}",
            hint="choose another name for --run",
        )
    return _with_seed_unchanged(found, seed)


def _with_seed_unchanged(run: Run, seed: int | None) -> Run:
    if seed is not None and run.settings["seed"] != seed.to_bytes(32, "big").hex():
        raise UsageError(f"run {run.name} has another seed", hint="leave out --seed, or start a new run with --new")
    return run


def profile_from(fields: JsonObject) -> Profile:
    """A profile as a claim recorded it."""
    return Profile(**fields)
