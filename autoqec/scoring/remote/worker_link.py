"""How a worker elsewhere is asked, whatever carries the bytes: an engine such as Dask, or the standard streams of a command."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from autoqec.errors import AutoQECError
from autoqec.scoring.executor_contract import Progress
from autoqec.scoring.remote.worker_greeting import WorkerGreeting


class WorkerLost(AutoQECError):
    """A worker ended, or no longer answers; its task is asked elsewhere."""

    code = "worker_lost"


class RemoteWorker(Protocol):
    """One worker, which does one task at a time.

    Attributes:
        name: As the user knows it: an address, or a command. No two workers of a source that work at the same time share one.
        greeting: What it said of itself.
    """

    name: str
    greeting: WorkerGreeting

    def ask(self, frame: bytes, progress: Progress | None) -> Future[bytes]:
        """Have it run a task.

        Args:
            frame: A `Task` as one frame: `task.to_message().to_bytes()`.
            progress: Told how far it is, from any thread, if the worker can say it.

        Returns:
            A future of the frame of its answer: the function's message, or what `report_of` makes of an error. It raises
            `WorkerLost` if no answer will come. Cancelling it stops the task where that can be done.
        """
        ...

    def end(self) -> None:
        """Have it do nothing more for us. It may be called twice, and for a worker that is lost."""
        ...


class WorkerSource(Protocol):
    """Where workers come from; they may come and go as long as it is open."""

    def open(self, joined: Callable[[RemoteWorker], None], gone: Callable[[str, str], None]) -> None:
        """Begin. It does not wait for workers.

        Args:
            joined: Called with each worker that is there, from any thread.
            gone: Called with the name of a worker that is lost or could not be reached, and why.

        Raises:
            AutoQECError: There cannot be any worker; the message names the address or the command.
        """
        ...

    def expects(self) -> bool:
        """Whether another worker may still join; a source that says no has called `gone` with the reasons before."""
        ...

    def close(self) -> None:
        """End all that it started; it may be called twice."""
        ...
