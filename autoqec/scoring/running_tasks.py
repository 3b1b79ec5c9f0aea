"""Tasks that an executor runs, and how far they are: told in the thread that waits, whichever thread an executor reports from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import partial

from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import Executor, Task

#: Seconds between two looks at how far the tasks are.
_LOOK_SECONDS = 0.5


class RunningTasks:
    """Tasks given to an executor, and how far they are.

    Args:
        executor: Where they run.
        tasks: In the order of their futures.
    """

    def __init__(self, executor: Executor, tasks: Sequence[Task]):
        self._parts = [0.0] * len(tasks)
        self.futures = [
            executor.submit(replace(task, progress=partial(self._note, place))) for place, task in enumerate(tasks)
        ]

    def _note(self, place: int, part: float) -> None:
        """Note a report of a task, which comes from any thread and may be anything."""
        if isinstance(part, int | float) and 0.0 <= part <= 1.0:
            self._parts[place] = max(self._parts[place], part)

    def each(self, finished: Callable[[float], None]) -> Iterator[Future[Message]]:
        """Futures as they are done; `finished` is told how many are, with the parts of the others, whenever that has grown."""
        pending, told = set(self.futures), 0.0
        while pending:
            done, pending = wait(pending, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            yield from done
            now = sum(1.0 if future.done() else part for future, part in zip(self.futures, self._parts, strict=True))
            if now > told:
                finished(now)
                told = now

    def cancel(self) -> None:
        """Begin no other task."""
        for future in self.futures:
            future.cancel()
