"""A clock that many threads share, of which one runs at a time: the one whose time is earliest.

What a thread computes between two waits takes as long as the processor worked for it, children included; a wait takes as long
as it says. So the work of many machines interleaves by their own times, on one machine of any load.
"""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count


def processor_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass(order=True)
class _Turn:
    """When a thread goes on."""

    at: float
    order: int
    gate: threading.Event = field(compare=False, default_factory=threading.Event)


class VirtualClock:
    """Virtual time in seconds; `start` threads, then `run` until all have ended.

    Attributes:
        now: The time of the thread that runs.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.failed: BaseException | None = None
        self._turns: list[_Turn] = []
        self._order = count()
        self._began = 0.0
        self._ended = threading.Event()

    def start(self, work: Callable[[], None], at: float = 0.0) -> None:
        """Have a thread begin to work at a time."""
        turn = _Turn(at, next(self._order))
        heapq.heappush(self._turns, turn)

        def whole() -> None:
            turn.gate.wait()
            self._began = processor_seconds()
            try:
                work()
            except BaseException as error:
                self.failed = self.failed or error
                self._turns.clear()
            self._next()

        threading.Thread(target=whole, daemon=True).start()

    def run(self) -> None:
        """Let the threads work until none is left.

        Raises:
            BaseException: What the first thread that failed raised; the others are not continued.
        """
        self._next()
        self._ended.wait()
        if self.failed is not None:
            raise self.failed

    def time(self) -> float:
        """The time now of the thread that runs: that of its turn, and its work since."""
        return self.now + processor_seconds() - self._began

    def sleep(self, seconds: float) -> None:
        """Let the threads go on that come first within so many seconds."""
        turn = _Turn(self.time() + max(seconds, 0.0), next(self._order))
        heapq.heappush(self._turns, turn)
        self._next()
        turn.gate.wait()
        self._began = processor_seconds()

    def unmeasured(self, work: Callable[[], None]) -> float:
        """Do something that takes no virtual time, such as what happens on another machine; its processor seconds."""
        before = processor_seconds()
        work()
        spent = processor_seconds() - before
        self._began += spent
        return spent

    def _next(self) -> None:
        if not self._turns:
            self._ended.set()
            return
        turn = heapq.heappop(self._turns)
        self.now = turn.at
        turn.gate.set()
