"""A pool of child processes, one thread apiece, that serve tasks over pipes and die with their parent."""

from __future__ import annotations

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import Child
from autoqec.scoring.executor_contract import Task


class LocalExecutor:
    """Runs tasks on `jobs` processes of this machine.

    Args:
        jobs: How many processes.
    """

    def __init__(self, jobs: int):
        self.jobs = jobs
        # Children are made here, in the caller's thread: the kernel ties a child's life to the thread that made it.
        self._children: list[Child] = []
        self._idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        with ExitStack() as opened:
            for _ in range(jobs):
                self._children.append(opened.enter_context(Child("autoqec.scoring.executor_contract:serve_tasks")))
                self._idle.put(self._children[-1])
            self._open = opened.pop_all()
        self._threads = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="autoqec-local")

    def submit(self, task: Task) -> Future[Message]:
        """See `autoqec.scoring.executor_contract.Executor.submit`."""
        return self._threads.submit(self._run, task)

    def _run(self, task: Task) -> Message:
        child = self._idle.get()
        try:
            child.tell(task.to_message())
            return child.receive()
        finally:
            self._idle.put(child)

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *exception: object) -> None:
        # A thread that waits for an answer still reads a pipe and explains the end: both are closed when it has.
        with self._open, self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for child in self._children:
                child.end()
