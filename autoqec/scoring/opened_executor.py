"""Opens the executor that the settings choose, and passes on what happens to its workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autoqec.plugins import Registry
from autoqec.scoring.executor_contract import Executor, ExecutorChoice, ToldNews, WatchedExecutor


@contextmanager
def opened_executor(registry: Registry, choice: ExecutorChoice, told: ToldNews) -> Iterator[Executor]:
    """An executor, for a `with` statement.

    Args:
        registry: Installed plugins.
        choice: Which one.
        told: Called with what happens to its workers, if it has workers elsewhere.

    Raises:
        NotFoundError, UsageError, AutoQECError: There is none of that name, it does not take these options, or it cannot start.
    """
    with registry.get("executor", choice.name).create(jobs=choice.jobs, **choice.options) as executor:
        if isinstance(executor, WatchedExecutor):
            executor.watch(told)
        yield executor
