"""Opens the executor that the settings choose, and passes on what happens to its workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from autoqec.errors import AutoQECError
from autoqec.plugins import Registry
from autoqec.scoring.executor_contract import (
    Executor,
    ExecutorChoice,
    SelectiveExecutor,
    SharingFactory,
    ToldNews,
    WatchedExecutor,
)


@contextmanager
def shared_choice(registry: Registry, choice: ExecutorChoice) -> Iterator[ExecutorChoice]:
    """The executor that each step of a command opens, so that all of them, in any process, share what is costly to begin.

    Args:
        registry: Installed plugins.
        choice: What the settings choose.

    Raises:
        NotFoundError, UsageError, AutoQECError: As for `opened_executor`.
    """
    entry = registry.get("executor", choice.name)
    factory = entry.load()
    if not isinstance(factory, SharingFactory):
        yield choice
        return
    with ExitStack() as begun:
        try:
            options = dict(begun.enter_context(factory.shared(choice.jobs, **choice.options)))
        except AutoQECError:
            raise
        except Exception as error:
            raise entry.failure(error, "cannot start") from error
        yield replace(choice, options=options)


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
        if isinstance(executor, SelectiveExecutor) and choice.left_out:
            executor.leave_out(choice.left_out)
        if isinstance(executor, WatchedExecutor):
            executor.watch(told)
        yield executor
