"""Workers that commands start: one thread keeps one place, starts its command, and starts it again if a worker is lost."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autoqec.errors import AutoQECError, UsageError
from autoqec.scoring.remote.worker_greeting import ForeignWorker
from autoqec.scoring.remote.worker_link import RemoteWorker

from .command_worker import CommandWorker

#: How often in a row a place is started again after a worker was lost without an answer, and the first wait in seconds.
_MOST_STARTS = 3
_FIRST_WAIT = 2.0

#: Parts of the names of variables that are secrets. A prefix such as `srun` takes all variables along.
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")


@dataclass(frozen=True)
class Place:
    """Where one worker is started: its name, and the words of the command."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Surroundings:
    """Where commands start: environment variables and folder."""

    variables: Mapping[str, str]
    folder: str

    def require_program(self, name: str, hint: str) -> None:
        """Refuse a program that is not there.

        Raises:
            UsageError: It is not there.
        """
        path = os.path.join(self.folder, name) if os.path.dirname(name) else name
        if shutil.which(path, path=self.variables.get("PATH")) is None:
            raise UsageError(f"executors.command: prefixes: there is no program {name!r} here", hint=hint)


@dataclass(frozen=True)
class _End:
    """How a worker ended.

    Attributes:
        why: In words; empty if it was ended from here.
        answered: How many tasks it answered.
        again: Whether it is to be started again.
    """

    why: str = ""
    answered: int = 0
    again: bool = False


class CommandSource:
    """A `WorkerSource` of commands.

    Args:
        places: One for each worker.
        surroundings: Where they are started from.
        greeting_seconds: How long a worker may take until it greets.
        first_wait: Seconds before a command is started again; twice as many each further time.
    """

    def __init__(
        self,
        places: Sequence[Place],
        surroundings: Surroundings,
        greeting_seconds: float,
        first_wait: float = _FIRST_WAIT,
    ):
        self._places, self._surroundings = places, surroundings
        self._greeting_seconds, self._first_wait = greeting_seconds, first_wait
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._working: dict[str, CommandWorker] = {}
        self._lock = threading.Lock()
        self._kept = len(places)

    def open(self, joined: Callable[[RemoteWorker], None], gone: Callable[[str, str], None]) -> None:
        """See `autoqec.scoring.remote.worker_link.WorkerSource.open`."""
        for place in self._places:
            thread = threading.Thread(
                target=self._keep, args=(place, joined, gone), name=f"autoqec-{place.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def expects(self) -> bool:
        """See `autoqec.scoring.remote.worker_link.WorkerSource.expects`."""
        return self._kept > 0

    def close(self) -> None:
        """See `autoqec.scoring.remote.worker_link.WorkerSource.close`."""
        self._closing.set()
        with self._lock:
            working = list(self._working.values())
        for worker in working:
            worker.end()
        for thread in self._threads:
            thread.join()

    def _keep(self, place: Place, joined: Callable[[RemoteWorker], None], gone: Callable[[str, str], None]) -> None:
        starts, over = 0, False
        while not over:
            end = self._work(place, joined, again=starts > 0)
            starts = 1 if end.answered else starts + 1
            over = not end.again or starts >= _MOST_STARTS or self._closing.is_set()
            if end.why and not self._closing.is_set():
                gone(place.name, end.why)
            if over:
                with self._lock:
                    self._kept -= 1  # after it is told, so that who sees that none comes can know why
            if not over:
                self._closing.wait(self._first_wait * 2 ** (starts - 1))

    def _work(self, place: Place, joined: Callable[[RemoteWorker], None], *, again: bool) -> _End:
        """Have one worker from its start to its end; `again` tells that one was there before, so that it may be back soon."""
        try:
            worker = CommandWorker(place.name, place.argv, self._surroundings.variables, self._surroundings.folder)
        except OSError as error:
            return _End(f"{place.argv[0]} cannot be started: {error.strerror}")
        with self._lock:
            self._working[place.name] = worker
        try:
            if self._closing.is_set():
                return _End()
            worker.greet(self._greeting_seconds)
            joined(worker)
            why = worker.serve()
            return _End() if why is None else _End(why, worker.answered, again=True)
        except AutoQECError as error:
            said = f"{error.problem}; {error.hint}" if error.hint else error.problem
            return _End(said, again=again and not isinstance(error, ForeignWorker))
        except Exception as error:  # else this thread would end, and tasks would wait for a worker that nobody starts
            return _End(f"it cannot be used: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                del self._working[place.name]
            worker.close()


def own_variables() -> dict[str, str]:
    """Our variables, for the prefix to find its configuration by, without those that are secrets."""
    return {name: value for name, value in os.environ.items() if not any(part in name.upper() for part in _SECRET)}
