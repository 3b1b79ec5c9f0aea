"""Workers elsewhere that a test answers for, and a pool whose events run when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import Task
from autoqec.scoring.remote.remote_pool import RemotePool
from autoqec.scoring.remote.worker_greeting import WorkerGreeting
from autoqec.scoring.remote.worker_link import WorkerLost

GREETING = WorkerGreeting(
    version="1", code="a" * 64, python="3.11.7", versions={"numpy": "2.0", "torch": "2.6.0+cpu"}, sandbox=3,
    shots="x86_64, stim avx2", arithmetic="x86_64 avx2", device="", machine="m",
)  # fmt: skip


def answer_of(task: Task) -> Message:
    """What an honest worker answers: the task's number, and how long it took there."""
    return Message({"number": task.message.fields["number"], "predict_seconds": 1.5})


class Worker:
    """A worker that answers at once, or when `answer` is called if it is told to wait."""

    def __init__(self, name: str, does: Callable[[Task], Message] = answer_of, *, waits: bool = False, **greeting):
        self.name, self.greeting = name, replace(GREETING, **{"machine": name} | greeting)
        self.does, self.waits, self.ended = does, waits, False
        self.asked: list[int] = []
        self.open: list[tuple[Task, Future[bytes]]] = []

    def ask(self, frame, progress):
        assert not self.ended, "a worker that was ended is asked"
        task, future = Task.from_message(Message.from_bytes(frame)), Future()
        self.asked.append(task.message.fields["number"])
        self.open.append((task, future))
        if not self.waits:
            self.answer()
        return future

    def answer(self, frame: bytes | None = None):
        task, future = self.open.pop()
        future.set_result(self.does(task).to_bytes() if frame is None else frame)

    def die(self, why="it ended"):
        self.open.pop()[1].set_exception(WorkerLost(why))

    def end(self):
        self.ended = True


class Source:
    """A source to which a test adds workers."""

    def __init__(self, *workers: Worker, more: bool = True):
        self.workers, self.more, self.closed = workers, more, False

    def open(self, joined, gone):
        self.joined, self.gone = joined, gone
        for worker in self.workers:
            joined(worker)

    def expects(self):
        return self.more

    def close(self):
        self.closed = True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class StepPool(RemotePool):
    """A pool without a thread: `step` deals with what has happened."""

    def __init__(self, *workers: Worker, more: bool = True, **options):
        self.source, self.clock, self.news, self.here = Source(*workers, more=more), Clock(), [], []
        options.setdefault("check_one_in", 10**12)
        super().__init__(self.source, 2, ours=GREETING, this_machine=self._make_here, clock=self.clock, **options)
        self.source.open(
            lambda worker: self._events.put(lambda: self._join(worker)),
            lambda name, why: self._events.put(lambda: self._gone(name, why)),
        )
        self.watch(self.news.append)
        self.step()

    def _make_here(self, greeting):
        self.here.append(Worker("this machine"))
        return self.here[-1]

    def step(self):
        while not self._events.empty():
            self._step(self._events.get_nowait())

    def look(self, seconds):
        self.clock.now += seconds
        self._events.put(self._look)
        self.step()

    def ask(self, *numbers: int, **more):
        futures = [self.submit(Task("a:b", Message({"number": number}), **more)) for number in numbers]
        self.step()
        return futures

    def said(self, what):
        return [each.worker for each in self.news if each.what == what]
