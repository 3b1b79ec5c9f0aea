"""The workers of a sweep: who counts which shots, and what happens to the answers.

Each worker is a process that draws the shots of one point at a time and has one decoder decode them. Workers take tasks in their
order; when no task is left, they help with those that take longest.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Thread

import numpy as np

from autoqec.comparing.decoder_names import TrainedDecoder
from autoqec.comparing.sweep_task import Counted, SweepTask
from autoqec.comparing.sweep_worker import CountShots, open_request, refusal
from autoqec.errors import AutoQECError
from autoqec.results.sweep_records import SweepProgress
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import Child

_WORKER = "autoqec.comparing.sweep_worker:serve"

#: A worker helps where each of those at work has at least so many seconds left: it must compile the point first.
_WORTH_HELP_SECONDS = 5.0


Progress = Callable[[SweepProgress], None]


def count_tasks(tasks: Sequence[SweepTask], jobs: int, progress: Progress, agreed_key: Callable[[], str]) -> None:
    """Count until all tasks are over.

    Args:
        tasks: The tasks, of which some may be over.
        jobs: How many workers.
        agreed_key: Called once the decoders are checked; returns the key of the shots.
        progress: Called with what goes on, in the caller's thread.

    Raises:
        UsageError, NotFoundError: A decoder cannot be made as it was named; nothing was counted.
        AutoQECError: The file cannot be written.
    """
    if all(task.is_over for task in tasks):
        return
    with ExitStack() as opened:
        workers = _Workers(tasks, jobs, progress, opened)
        workers.check_decoders()
        workers.use_key(agreed_key())
        try:
            workers.count()
        finally:  # interrupted too
            for task in tasks:
                task.flush()


@dataclass(eq=False)
class _Worker:
    """A worker process, with what it does.

    Attributes:
        child: The process.
        orders: What its thread is to send it; None ends the thread.
        task: The task that it has open, or opens.
        asked: The shots that it counts: the first, and how many; None while it opens the task, or is idle.
        since: When it was asked.
        busy: Whether its answer is awaited.
    """

    child: Child
    orders: queue.SimpleQueue[Message | None]
    task: SweepTask | None = None
    asked: tuple[int, int] | None = None
    since: float = 0.0
    busy: bool = False


@dataclass(frozen=True)
class _Answer:
    worker: _Worker
    message: Message | AutoQECError


def _relay(worker: _Worker, answers: queue.SimpleQueue[_Answer]) -> None:
    """In a thread of its own: put orders to a worker, and its answers into the queue of all."""
    while (order := worker.orders.get()) is not None:
        try:
            worker.child.tell(order)
            answers.put(_Answer(worker, worker.child.receive()))
        except AutoQECError as error:
            answers.put(_Answer(worker, error))


class _Workers:
    """The worker processes of a sweep, and what each of them counts next."""

    def __init__(self, tasks: Sequence[SweepTask], jobs: int, progress: Progress, opened: ExitStack) -> None:
        self._tasks, self._progress, self._resources = tasks, progress, opened
        self._left = [task for task in tasks if not task.is_over]
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._workers = [self._started() for _ in range(jobs)]

    def _started(self) -> _Worker:
        # Made here, in the caller's thread: the kernel ties a child's life to the thread that made it.
        worker = _Worker(self._resources.enter_context(Child(_WORKER)), queue.SimpleQueue())
        thread = Thread(target=_relay, args=(worker, self._answers), daemon=True)

        def end() -> None:
            # The thread still reads the pipe of a process that has ended; the pipe is closed when it does not any more.
            worker.child.end()
            worker.orders.put(None)
            thread.join()

        self._resources.callback(end)
        thread.start()
        return worker

    def check_decoders(self) -> None:
        """Have each decoder made once, before anything is counted.

        Raises:
            UsageError, NotFoundError: One cannot be made as it was named.
        """
        firsts = {task.label: task for task in reversed(self._left) if not isinstance(task.named, TrainedDecoder)}
        left = [task for task in self._left if firsts.get(task.label) is task]
        for worker in self._workers[: len(left)]:
            self._open(worker, left.pop(0))
        while any(worker.busy for worker in self._workers):
            answer = self._answers.get()
            message = answer.message
            if isinstance(message, Message) and "refused" in message.fields:
                raise refusal(message.fields["refused"])
            worker = self._settled(answer)
            if left:
                self._open(worker, left.pop(0))

    def use_key(self, key: str) -> None:
        """Draw the shots from a key. What is open for another key is opened again."""
        for task in self._tasks:
            if task.key != key:
                task.use_key(key)
                task.working = 0
        for worker in self._workers:
            if worker.task is not None and not worker.task.working:
                worker.task = None

    def count(self) -> None:
        """Count until all tasks are over."""
        for worker in self._workers:
            self._employ(worker)
        while any(worker.busy for worker in self._workers):
            self._employ(self._settled(self._answers.get()))
            for worker in self._workers:  # what was counted may show that a point needs more workers
                if not worker.busy:
                    self._employ(worker)

    def _employ(self, worker: _Worker) -> None:
        """Give an idle worker something to do, if there is something that is worth it."""
        if worker.task is not None and not worker.task.is_over and (shots := worker.task.next_shots()):
            self._ask(worker, worker.task, shots)
            return
        self._left = [task for task in self._left if not task.is_over]
        waiting = [task for task in self._left if not task.working]
        # A worker stays with its decoder, because loading another one takes seconds.
        own = [task for task in waiting if worker.task is not None and task.label == worker.task.label]
        fresh = next(iter(own or waiting), None)
        if fresh is None:
            others = [task for task in self._left if task is not worker.task and task.next_shots()]
            fresh = max(others, key=lambda task: task.seconds_left / (1 + task.working), default=None)
            if fresh is not None and fresh.seconds_left < _WORTH_HELP_SECONDS * (1 + fresh.working):
                fresh = None
        if fresh is not None:
            self._open(worker, fresh)

    def _open(self, worker: _Worker, task: SweepTask) -> None:
        if worker.task is not None:
            worker.task.working -= 1
        worker.task, worker.asked = task, None
        task.working += 1
        key = bytes.fromhex(task.key)
        self._send(worker, open_request(task.named, task.member.loaded, task.place.circuit, key).to_message())
        self._tell(task)

    def _ask(self, worker: _Worker, task: SweepTask, shots: int) -> None:
        worker.asked = task.ask(shots)
        start, shots = worker.asked
        self._send(worker, CountShots(start=start, shots=shots).to_message())

    @staticmethod
    def _send(worker: _Worker, message: Message) -> None:
        worker.busy, worker.since = True, time.monotonic()
        worker.orders.put(message)

    def _settled(self, answer: _Answer) -> _Worker:
        """Take an answer; the worker that is free now, which is a new one where the old one ended."""
        worker, message = answer.worker, answer.message
        task, asked, worker.busy, worker.asked = worker.task, worker.asked, False, None
        assert task is not None
        if isinstance(message, AutoQECError):
            task.working -= 1
            self._leave_out(task, {"reason": "crash", "problem": message.problem, "hint": message.hint or ""})
            self._workers[self._workers.index(worker)] = worker = self._started()
        elif "refused" in message.fields:
            refused = refusal(message.fields["refused"])
            self._leave_out(task, {"reason": "unusable", "problem": refused.problem, "hint": refused.hint or ""})
        elif "fault" in message.fields:
            self._leave_out(task, message.fields["fault"])
        elif asked is not None:
            failures = np.frombuffer(message.blobs["failures"], dtype=np.uint32)
            counted = Counted(*asked, failures, float(message.fields["seconds"]))
            was_over = task.is_over
            task.take(counted, time.monotonic() - worker.since)
            if not was_over:
                self._tell(task)
        return worker

    def _leave_out(self, task: SweepTask, fault: dict[str, str]) -> None:
        if task.fault is None:
            task.leave_out(fault)
            self._tell(task)

    def _tell(self, task: SweepTask) -> None:
        total = task.total
        self._progress(
            SweepProgress(
                done=sum(each.is_over for each in self._tasks),
                total=len(self._tasks),
                decoder=task.label,
                place=task.place.label,
                shots=total.shots,
                errors=total.errors,
                ended=task.ended,
                problem="" if task.fault is None else task.fault.problem,
            )
        )
