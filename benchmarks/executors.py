"""Executors `local` and `dask` on this machine: throughput from 1 to 4 processes, and what handing out a task costs.

Both score the same chunks of surface_d5_depol, 8,192 shots each. They take turns, and the best turn of each counts. Processor
time is that of all processes below this one. What handing out costs is told by a task that carries the same bytes and does
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from _common import arguments, one_thread, show

one_thread()

from scoring import KEY, sealed_bp  # noqa: E402

from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.scoring.executor_contract import Executor, ExecutorChoice, Task  # noqa: E402
from autoqec.scoring.opened_executor import opened_executor, shared_choice  # noqa: E402
from autoqec.scoring.remote.answer_identity import identity_of  # noqa: E402
from autoqec.scoring.score_stream import ScoreStream  # noqa: E402
from autoqec.scoring.shard import FUNCTION  # noqa: E402

#: No task is asked of two workers: that costs one task in 64.
OPTIONS: dict[str, dict[str, Any]] = {"local": {}, "dask": {"check_one_in": 10**9}}


@contextmanager
def opened(name: str, processes: int) -> Iterator[Executor]:
    """An executor with all its workers."""
    registry = load_plugins()
    choice = ExecutorChoice(name, processes, OPTIONS[name])
    joined: list[str] = []

    def told(news: Any) -> None:
        joined.append(news.worker) if news.what == "joined" else None

    with shared_choice(registry, choice) as shared, opened_executor(registry, shared, told) as executor:
        while name != "local" and len(joined) < processes:
            executor.submit(Task("autoqec.testing.example_tasks:echo")).result()
        yield executor


def processor_seconds() -> float:
    """Of all processes below this one, those that have ended included."""
    ticks, ours = os.sysconf("SC_CLK_TCK"), {os.getpid()}
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            stats[int(entry.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    while more := {pid for pid, (parent, _) in stats.items() if parent in ours} - ours:
        ours |= more
    return sum(stats[pid][1] for pid in ours if pid in stats) / ticks


def measured(executor: Executor, tasks: Sequence[Task]) -> tuple[float, float, list[bytes]]:
    """Seconds by the clock and by processors to have tasks answered, and what counts of the answers."""
    busy, began = processor_seconds(), perf_counter()
    answers = [future.result() for future in [executor.submit(task) for task in tasks]]
    seconds = perf_counter() - began
    return seconds, processor_seconds() - busy, [identity_of(answer) for answer in answers]


def best(turns: Sequence[tuple[float, float, list[bytes]]]) -> tuple[float, float]:
    """The least of each."""
    return min(turn[0] for turn in turns), min(turn[1] for turn in turns)


def scaling(names: Sequence[str], chunk: Callable[[Executor, int], Task], options: Any) -> list[dict[str, Any]]:
    """One row for each number of processes and executor; answers that differ end the benchmark."""
    rows, expected = [], None
    for processes in range(1, options.most + 1):
        with ExitStack() as stack:
            executors = {name: stack.enter_context(opened(name, processes)) for name in names}
            turns: dict[str, list[Any]] = {name: [] for name in names}
            for executor in executors.values():  # decoders are loaded off the clock
                measured(executor, [chunk(executor, place) for place in range(2 * processes)])
            for _ in range(options.repeats):
                for name, executor in executors.items():
                    turn = measured(executor, [chunk(executor, place) for place in range(options.tasks)])
                    expected = expected or turn[2]
                    assert turn[2] == expected, f"{name} with {processes} processes answers otherwise"
                    turns[name].append(turn)
            least = {name: best(each) for name, each in turns.items()}
            rows += [
                {
                    "executor": name,
                    "processes": processes,
                    "shots/s": round(options.tasks * 8192 / seconds),
                    "to local": round(least["local"][0] / seconds, 3),
                    "processor s/task": round(busy / options.tasks, 3),
                    "processor to local": round(busy / least["local"][1], 3),
                }
                for name, (seconds, busy) in least.items()
            ]
    return rows


def handing_out(names: Sequence[str], chunk: Callable[[Executor, int], Task], options: Any) -> dict[str, str]:
    """What a task costs that carries the bytes of a chunk and does nothing, one after another on one worker."""
    with ExitStack() as stack:
        executors = {name: stack.enter_context(opened(name, 1)) for name in names}
        turns = [measured(executors["local"], [chunk(executors["local"], place)]) for place in range(4)]
        real, work = best(turns[1:])  # the first loads decoders
        told = {"a task of 8,192 shots, local": f"{real * 1e3:.0f} ms, {work * 1e3:.0f} ms of processors"}
        for name, executor in executors.items():
            idle = Task("autoqec.testing.example_tasks:echo", chunk(executor, 0).message)
            measured(executor, [idle] * 5)
            seconds, busy = best([measured(executor, [idle] * 30) for _ in range(options.repeats)])
            told[f"handing out, {name}"] = (
                f"{seconds / 30 * 1e3:.1f} ms, {busy / 30 * 1e3:.1f} ms of processors: "
                f"{seconds / 30 / real:.1%} and {busy / 30 / work:.1%} of such a task"
            )
    return told


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__, tasks=(8, "tasks of each turn"), most=(4, "processes at most"), repeats=(3, "turns of each executor")
    )
    environment = find_environment("surface_d5_depol", [builtin_environments()])
    sealed = sealed_bp(environment)

    def chunk(executor: Executor, place: int) -> Task:
        return ScoreStream(executor, environment, sealed, KEY, "dev").task(FUNCTION, [place])

    names = tuple(OPTIONS)
    facts = handing_out(names, chunk, options)
    show("executors", scaling(names, chunk, options), {**facts, "processors": os.cpu_count()}, as_json=options.json)


if __name__ == "__main__":
    main()
