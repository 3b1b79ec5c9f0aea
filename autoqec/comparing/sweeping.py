"""Sweeps: logical error rates of several decoders over a family of environments, counted by several workers.

`plan_sweep` checks all that can be known before anything is counted, and `count_sweep` counts, with workers
(`autoqec.comparing.sweep_workers`). `sweep` does both.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import stim

from autoqec.comparing.decoder_names import NamedDecoder, read_decoders
from autoqec.comparing.decoder_pool import processors
from autoqec.comparing.sweep_file import KEY_BYTES, SweepFile, is_key, task_of
from autoqec.comparing.sweep_task import SweepLimits, SweepTask
from autoqec.comparing.sweep_workers import Progress, count_tasks
from autoqec.counted_words import counted
from autoqec.errors import UsageError
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.environment import LoadedEnvironment
from autoqec.problem.environment_family import Member, Varied, checked_rates, members_of, read_rates, read_varied
from autoqec.problem.model_size import check_circuit, check_model
from autoqec.problem.recording import refuse_to_draw
from autoqec.results.piece_rates import Per
from autoqec.results.sweep_records import Place, Sweep, SweepProgress

#: Most workers.
MOST_JOBS = 1024


@dataclass(frozen=True)
class SweepPlan:
    """A sweep that can begin: all of it is checked, and its file is open.

    Attributes:
        env: The environment's name.
        axes: The fields that vary by themselves.
        tasks: Each decoder at each place.
        decoders: The labels of the decoders.
        jobs: Workers.
        per: What rates are per.
        file: Where the counts go.
        has_key: Whether the key is given, or shots of it are counted; otherwise another sweep of the file may choose it first.
    """

    env: str
    axes: tuple[str, ...]
    tasks: tuple[SweepTask, ...]
    decoders: tuple[str, ...]
    jobs: int
    per: Per
    file: SweepFile
    has_key: bool

    @property
    def places(self) -> int:
        """How many environments there are."""
        return len(self.tasks) // len(self.decoders)

    @property
    def summary(self) -> str:
        """What is to be done, in a sentence."""
        left = sum(not task.is_over for task in self.tasks)
        what = f"{counted(self.places, 'environment')}, {counted(len(self.decoders), 'decoder')}"
        todo = f"{left:,} of {len(self.tasks):,} points to count, {counted(self.jobs, 'worker')}"
        where = f"; counts are in {self.file.name}" if self.file.name else ""
        return f"{what}: {todo if left else 'all points are counted'}{where}"

    def result(self) -> Sweep:
        """What is counted so far."""
        kept = [task for task in self.tasks if task.fault is None]
        return Sweep(
            env=self.env,
            decoders=self.decoders,
            axes=self.axes,
            points=tuple(task.point() for task in kept),
            left_out=tuple(task.fault for task in self.tasks if task.fault is not None),
            per=self.per,
            file=self.file.name,
        )


def sweep(
    decoders: Sequence[str | NamedDecoder],
    env: LoadedEnvironment,
    *,
    sets: Sequence[str | Varied] | Mapping[str, Sequence[Any]] = (),
    p: str | Sequence[float] = (),
    limits: SweepLimits | None = None,
    jobs: int = 0,
    per: str = "shot",
    file: str | Path | None = None,
    key: str | None = None,
    lab: str | Path = ".",
    registry: Registry | None = None,
    progress: Progress = lambda event: None,
) -> Sweep:
    """Count failures of several decoders over a family of environments.

    Args:
        decoders: By name (`autoqec.comparing.decoder_names`), the first one first in tables.
        env: The environment that the family is like.
        sets: Fields with their values: texts as for `--set`, or a mapping from fields to values. The family has all combinations.
        p: Physical error rates: a list, or a text as for `--p`; none to keep the environment's own.
        limits: When to stop at a point.
        jobs: Workers; 0 for one per processor.
        per: What the rates are per that are drawn, and whose curves cross.
        file: A CSV file of sinter's format, which a further sweep goes on from; None to keep the counts in memory.
        key: The key of the shots, 32 hexadecimal digits; by default that of the file, or a new one.
        lab: A path in the lab that has the rounds.
        registry: Installed plugins; by default all that are found.
        progress: Called with what goes on, in the caller's thread.

    Raises:
        UsageError, NotFoundError, MissingPackageError: Something cannot be used as it was given; nothing was counted.
        AutoQECError: The file cannot be written. What was counted is in it.
    """
    plan = plan_sweep(
        decoders, env, sets=sets, p=p, limits=limits, jobs=jobs, per=per, file=file, key=key, lab=lab, registry=registry
    )
    return count_sweep(plan, progress)


def plan_sweep(
    decoders: Sequence[str | NamedDecoder],
    env: LoadedEnvironment,
    *,
    sets: Sequence[str | Varied] | Mapping[str, Sequence[Any]] = (),
    p: str | Sequence[float] = (),
    limits: SweepLimits | None = None,
    jobs: int = 0,
    per: str = "shot",
    file: str | Path | None = None,
    key: str | None = None,
    lab: str | Path = ".",
    registry: Registry | None = None,
) -> SweepPlan:
    """Check a sweep, and open its file; see `sweep` for arguments and errors."""
    registry = registry or load_plugins()
    if not decoders:
        raise UsageError("a sweep needs at least one decoder", hint="autoqec plugins --kind decoder lists them")
    if per not in get_args(Per):
        raise UsageError(f"rates are per {', '.join(get_args(Per))}, not per {per}", hint="--per shot")
    if not 0 <= jobs <= MOST_JOBS:
        raise UsageError(f"between 1 and {MOST_JOBS:,} workers are possible, not {jobs}", hint="--jobs 0")
    named = _named(decoders, registry, lab)
    rates = read_rates(p) if isinstance(p, str) else checked_rates(p, "p")
    varied = _varied(sets)
    members = members_of(env, varied, rates, registry.maker("code"))
    _check_members(members, per)
    limits = limits or SweepLimits()
    opened = SweepFile(None if file is None else Path(file))
    places = [_place(member) for member in members]
    tasks = [
        SweepTask(member, place, each, "", limits, opened)
        for member, place in zip(members, places, strict=True)
        for each in named
    ]
    chosen = _key(key, tasks, opened)
    for task in tasks:
        task.use_key(chosen)
    axes = tuple(field for field in members[0].values if field not in _followers(varied))
    jobs = min(jobs or processors(), max(1, sum(not task.is_over for task in tasks)))
    labels = tuple(task.label for task in tasks[: len(named)])
    has_key = key is not None or any(task.position for task in tasks)
    return SweepPlan(env.name, axes, tuple(tasks), labels, jobs, cast(Per, per), opened, has_key)


def _named(decoders: Sequence[str | NamedDecoder], registry: Registry, lab: str | Path) -> tuple[NamedDecoder, ...]:
    names = [each for each in decoders if isinstance(each, str)]
    read = iter(read_decoders(names, registry, lab=lab))
    found = tuple(next(read) if isinstance(each, str) else each for each in decoders)
    labels = [each.label for each in found]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"decoder {label} is named twice", hint="name each decoder once")
    return found


def _varied(sets: Sequence[str | Varied] | Mapping[str, Sequence[Any]]) -> list[Varied]:
    if isinstance(sets, Mapping):
        return [Varied(field, values if isinstance(values, str) else tuple(values)) for field, values in sets.items()]
    return [read_varied(each) if isinstance(each, str) else each for each in sets]


def _followers(varied: Sequence[Varied]) -> set[str]:
    return {each.field for each in varied if isinstance(each.values, str)}


def _check_members(members: Sequence[Member], per: str) -> None:
    """Check what is cheap to check of circuits and error models.

    Raises:
        UsageError: One cannot be decoded, or two of them are the same.
    """
    digests: dict[str, Member] = {}
    for member in members:
        refuse_to_draw(member.loaded.files)
        where = f"environment {member.loaded.name}" + (f" with {member.label}" if member.values else "")
        if isinstance(member.built, stim.Circuit):
            check_circuit(member.built, where)
        else:
            check_model(member.built, where)
        if not member.built.num_detectors or not member.built.num_observables:
            missing = "observables" if member.built.num_detectors else "detectors"
            raise UsageError(f"{where} has no {missing}, so there is nothing to decode")
        if per == "round" and member.number("rounds") is None:
            raise UsageError(f"--per round: {where} does not say how many rounds it has", hint="--per shot")
        twin = digests.setdefault(member.digest, member)
        if twin is not member:
            raise UsageError(
                f"{where} has the same circuit as {twin.label}", hint="leave out values that change nothing"
            )


def _place(member: Member) -> Place:
    return Place(
        env=member.loaded.name,
        values=member.values,
        p=member.rate,
        distance=member.number("distance"),
        rounds=member.number("rounds"),
        circuit=member.digest,
    )


def _key(given: str | None, tasks: Sequence[SweepTask], file: SweepFile) -> str:
    """The key of the shots: the given one, the one that most shots of these points in the file have, or a new one.

    Raises:
        UsageError: The given one is none.
    """
    if given is not None:
        if is_key(given.lower()):
            return given.lower()
        raise UsageError(f"a key has {2 * KEY_BYTES} hexadecimal digits, not {given[:80]!r}", hint="leave it out")
    shots: dict[str, int] = {}
    for task in tasks:
        for key, total in file.totals(task_of(task.label, task.metadata)).items():
            if is_key(key):
                shots[key] = shots.get(key, 0) + total.shots
    return max(shots, key=lambda each: shots[each], default=file.key or secrets.token_hex(KEY_BYTES))


def count_sweep(plan: SweepPlan, progress: Progress = lambda event: None) -> Sweep:
    """Count what a plan has left to count.

    Args:
        plan: The sweep.
        progress: Called with what goes on, in the caller's thread.

    Raises:
        UsageError, NotFoundError: A decoder cannot be made as it was named; nothing was counted.
        AutoQECError: The file cannot be written. What was counted is in it.
    """
    if plan.file.repaired:
        said = f"the last row of {plan.file.name} was cut off, and is removed"
        progress(SweepProgress(0, len(plan.tasks), message=said))

    def agreed_key() -> str:
        first = plan.tasks[0]
        return first.key if plan.has_key else plan.file.claim_key(first.claim())

    count_tasks(plan.tasks, plan.jobs, progress, agreed_key)
    return plan.result()
