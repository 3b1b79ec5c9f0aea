"""This machine as a worker, which decides where two workers differ and there is no third."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from autoqec.scoring.executor_contract import Progress
from autoqec.scoring.remote.task_host import TaskHost
from autoqec.scoring.remote.worker_greeting import WorkerGreeting

#: The name of this machine where it decides. No prefix or address is spelled so.
HERE = "this machine"


class ThisMachine:
    """A `RemoteWorker` in a child process of this one; nothing is started before it is asked.

    Args:
        greeting: What this process says of itself.
    """

    def __init__(self, greeting: WorkerGreeting):
        self.name = HERE
        self.greeting = greeting
        self._host = TaskHost()

    def ask(self, frame: bytes, progress: Progress | None) -> Future[bytes]:
        """See `autoqec.scoring.remote.worker_link.RemoteWorker.ask`."""
        future: Future[bytes] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                future.set_result(self._host.run(frame, progress))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, name="autoqec-compare", daemon=True).start()
        return future

    def end(self) -> None:
        """See `autoqec.scoring.remote.worker_link.RemoteWorker.end`."""
        self._host.close()
