"""Threads for compiled code that releases the GIL: one pool for a process, as large as the machine grants.

Callers split their work in parts that do not depend on the number of threads, and add up in the order of the parts, so results
are the same on every machine. torch has threads of its own (`autoqec.runner.train.TRAINING_THREADS`): its sums do depend on them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

#: Threads at most: each takes address space, of which a training process has a limited amount.
_MOST = 16

_Part = TypeVar("_Part")
_Done = TypeVar("_Done")


class _Pool:
    """The pool of this process; a fork has none of its parent's threads, so it makes its own."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._process = 0
        self._limit: int | None = None

    @property
    def size(self) -> int:
        return self._limit or min(len(os.sched_getaffinity(0)), _MOST)

    def limit(self, threads: int | None) -> None:
        self.close()
        self._limit = threads

    def close(self) -> None:
        if self._executor is not None and self._process == os.getpid():
            self._executor.shutdown()
        self._executor = None

    def open(self) -> ThreadPoolExecutor:
        if self._executor is None or self._process != os.getpid():
            self._executor, self._process = ThreadPoolExecutor(self.size, "autoqec"), os.getpid()
        return self._executor


_POOL = _Pool()


def thread_count() -> int:
    """How many parts run at the same time."""
    return _POOL.size


def limit_threads(threads: int | None) -> None:
    """Use so many threads from now on; None for as many as the machine grants."""
    _POOL.limit(threads)


def close_threads() -> None:
    """End the pool's threads; the next call of `in_parallel` starts new ones.

    A process calls this before it is locked, because some layers of a lock cover only threads that start afterwards.
    """
    _POOL.close()


def in_parallel(work: Callable[[_Part], _Done], parts: Sequence[_Part]) -> list[_Done]:
    """Call `work` on each part, on all threads; returns the results in the order of the parts.

    A single part runs in the calling thread. `work` must not call `in_parallel`.
    """
    if len(parts) < 2 or _POOL.size == 1:
        return [work(part) for part in parts]
    return list(_POOL.open().map(work, parts))


def slices(count: int, size: int) -> list[slice]:
    """Cut `range(count)` into slices of `size`."""
    return [slice(first, min(first + size, count)) for first in range(0, count, size)]
