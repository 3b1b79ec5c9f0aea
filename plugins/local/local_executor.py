"""A pool of child processes, one thread apiece, that serve tasks over pipes and die with their parent."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock

from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import Child
from autoqec.scoring.executor_contract import Task


class LocalExecutor:
    """Runs tasks on `jobs` processes of this machine. Tasks of one kind go to one process as long as others have work too.

    Args:
        jobs: How many processes.
    """

    def __init__(self, jobs: int):
        self.jobs = jobs
        # Children are made here, in the caller's thread: the kernel ties a child's life to the thread that made it.
        self._children: list[Child] = []
        self._idle: list[Child] = []
        self._kinds: dict[Child, str] = {}  # of the last task of each child
        self._waiting: list[tuple[Task, Future[Message]]] = []
        self._lock = Lock()
        with ExitStack() as opened:
            for _ in range(jobs):
                self._children.append(opened.enter_context(Child("autoqec.scoring.executor_contract:serve_tasks")))
                self._idle.append(self._children[-1])
            self._open = opened.pop_all()
        self._threads = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="autoqec-local")

    def submit(self, task: Task) -> Future[Message]:
        """See `autoqec.scoring.executor_contract.Executor.submit`."""
        future: Future[Message] = Future()
        with self._lock:
            self._waiting.append((task, future))
        # One call for each task, and no more threads than children: a call finds a task and an idle child.
        self._threads.submit(self._serve_one)
        return future

    def _serve_one(self) -> None:
        with self._lock:
            place, child = self._chosen()
            task, future = self._waiting.pop(place)
            self._idle.remove(child)
            self._kinds[child] = task.kind
        try:
            if future.set_running_or_notify_cancel():
                _settle(future, task, child)
        finally:
            with self._lock:
                self._idle.append(child)

    def _chosen(self) -> tuple[int, Child]:
        """The place of the next task, and its child: one that has loaded what the task needs, if there is one.

        Otherwise a task of a kind that no child has, and failing that one of the kind with the most tasks waiting.
        """
        for child in self._idle:
            for place, (task, _) in enumerate(self._waiting):
                if self._kinds.get(child) == task.kind:
                    return place, child
        taken = set(self._kinds.values())
        left = Counter(task.kind for task, _ in self._waiting)
        places = range(len(self._waiting))
        place = max(places, key=lambda each: (self._kind(each) not in taken, left[self._kind(each)], -each))
        return place, self._idle[0]

    def _kind(self, place: int) -> str:
        return self._waiting[place][0].kind

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            for _, future in self._waiting:
                future.cancel()
        # A thread that waits for an answer still reads a pipe and explains the end: both are closed when it has.
        with self._open, self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for child in self._children:
                child.end()


def _settle(future: Future[Message], task: Task, child: Child) -> None:
    """Run a task on a child, and have its future hold the answer or the error."""
    try:
        child.tell(task.to_message())
        while "progress" in (message := child.receive()).fields:
            if task.progress is not None:
                task.progress(message.fields["progress"])
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(message)
