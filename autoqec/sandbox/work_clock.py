"""The time that a child process was given: a busy machine does not use up its limits, and a process that sleeps or hangs does.

Linux counts for each thread how long it waited for a processor (`/proc/PID/schedstat`). The wall clock less that wait is the time
in which the process ran or slept.
"""

from __future__ import annotations

import contextlib
import sys
import time

#: Linux counts the processor time of process p under the clock `~p << 3 | 2` (`man 3 clock_getcpuclockid`).
_CPUCLOCK_SCHED = 2

_NANO = 1e-9


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far, as the kernel counts it; 0 where there is no such clock.

    Raises:
        OSError: There is no such process.
    """
    if sys.platform != "linux":
        return 0.0  # macOS has no such clock
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def waited_seconds(pid: int) -> float:
    """How long the first thread of a process has waited for a processor; 0 where the kernel does not count it."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/schedstat", "rb") as file:
        return _NANO * int(file.read().split()[1])
    return 0.0


class WorkClock:
    """Seconds since it was made in which a process ran or slept; seconds in which it waited for a processor do not count.

    Threads of one process that compete with each other make each other wait, so its processor time counts in any case.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int):
        self._pid = pid
        self._began, self._waited, self._spent = time.monotonic(), waited_seconds(pid), self._processor()
        self._last = 0.0

    def __call__(self) -> float:
        """The seconds so far; they never decrease."""
        by_wall = time.monotonic() - self._began - max(0.0, waited_seconds(self._pid) - self._waited)
        self._last = max(self._last, by_wall, self._processor() - self._spent)
        return self._last

    def _processor(self) -> float:
        with contextlib.suppress(OSError):  # it has ended; its pipe says so
            return processor_seconds(self._pid)
        return 0.0
