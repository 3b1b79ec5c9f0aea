"""The workers of a Dask cluster, asked through the process that is its client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from autoqec.errors import AutoQECError
from autoqec.installed_package import __version__
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import Child, plain
from autoqec.scoring.executor_contract import Progress
from autoqec.scoring.remote.worker_greeting import WorkerGreeting, greeting_from
from autoqec.scoring.remote.worker_link import RemoteWorker, WorkerLost

from .gateway_messages import GatewayNews, GatewayOrder, GatewayReady, GatewaySetup

#: Seconds that closing a cluster may take, beyond which it is killed.
_CLOSE_SECONDS = 15.0

Joined = Callable[[RemoteWorker], None]
Gone = Callable[[str, str], None]


@dataclass
class DaskWorker:
    """One thread of one worker of Dask's.

    Attributes:
        name: The worker's address, and which of its threads, if it has several.
        greeting: What it said of itself.
        address: The worker's address.
        gateway: Who asks it.
    """

    name: str
    greeting: WorkerGreeting
    address: str
    gateway: Gateway = field(repr=False)

    def ask(self, frame: bytes, progress: Progress | None) -> Future[bytes]:
        """See `autoqec.scoring.remote.worker_link.RemoteWorker.ask`."""
        return self.gateway.ask(self.address, frame, progress)

    def end(self) -> None:
        """Nothing: who asked cancels what it asked."""


class Gateway:
    """The process that is a client of Dask, from its start to its end.

    It is made, opened and closed by one thread; workers may be asked from any.

    Args:
        setup: Which cluster.

    Attributes:
        ready: How another process joins the same cluster.

    Raises:
        AutoQECError: There is no such cluster, or a local one cannot start.
    """

    def __init__(self, setup: GatewaySetup):
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._waiting: dict[int, tuple[Future[bytes], Progress | None]] = {}
        self._workers: dict[str, list[DaskWorker]] = {}
        self._told: tuple[Joined, Gone] | None = None
        self._ended: AutoQECError | None = None
        self._child = Child("autoqec_plugins.dask.dask_gateway:serve")
        try:
            self._child.tell(setup.to_message())
            self.ready = GatewayReady.from_message(self._child.receive())
        except BaseException:
            self._child.kill()
            raise
        self._reader = threading.Thread(target=self._read, name="autoqec-dask", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End the process, and the cluster if it is its own; it may be called twice."""
        self._order(GatewayOrder(what="close"))
        self._reader.join(_CLOSE_SECONDS)
        self._child.end()
        self._reader.join()
        self._child.kill()

    @property
    def is_open(self) -> bool:
        """Whether there is the cluster, as far as is known."""
        return self._ended is None

    def attach(self, joined: Joined, gone: Gone) -> None:
        """Have these called from now on, and `joined` for each worker that is there.

        Raises:
            AutoQECError: The process has ended.
        """
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._told = joined, gone
            there = [worker for workers in self._workers.values() for worker in workers]
        for worker in there:
            joined(worker)

    def detach(self) -> None:
        """Call nobody any more."""
        with self._lock:
            self._told = None

    def ask(self, address: str, frame: bytes, progress: Progress | None) -> Future[bytes]:
        """Have a worker answer a frame; see `RemoteWorker.ask`."""
        future: Future[bytes] = Future()
        with self._lock:
            ended, number = self._ended, next(self._numbers)
            if ended is None:
                self._waiting[number] = future, progress
        if ended is not None:
            future.set_exception(WorkerLost(ended.problem))
            return future
        future.add_done_callback(lambda done: self._stop(number) if done.cancelled() else None)
        self._order(GatewayOrder(what="ask", number=number, worker=address, frame=frame))
        return future

    def _stop(self, number: int) -> None:
        with self._lock:
            known = self._waiting.pop(number, None)
        if known is not None:
            self._order(GatewayOrder(what="stop", number=number))

    def _order(self, order: GatewayOrder) -> None:
        try:
            self._child.tell(order.to_message())
        except AutoQECError:
            return  # the reader finds the process ended, and says so to all who wait

    def _read(self) -> None:
        try:
            while True:
                self._hear(GatewayNews.from_message(self._child.receive()))
        except AutoQECError as error:
            self._end(error)
        except Exception as error:  # whatever was said, who waits hears that nothing will come
            self._end(WorkerLost(f"what the Dask cluster said cannot be used: {type(error).__name__}: {plain(error)}"))

    def _end(self, error: AutoQECError) -> None:
        """Say to all who wait that nothing will come."""
        with self._lock:
            self._ended = error
            waiting, self._waiting = list(self._waiting.values()), {}
            workers, self._workers = [each for some in self._workers.values() for each in some], {}
            told = self._told
        for future, _ in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(WorkerLost(error.problem))
        if told is not None:
            for name in [*(worker.name for worker in workers), "the Dask cluster"]:
                told[1](name, error.problem)

    def _hear(self, news: GatewayNews) -> None:
        if news.what == "joined":
            self._join(news)
        elif news.what == "gone":
            self._leave(news)
        elif news.what == "part":
            with self._lock:
                _, progress = self._waiting.get(news.number, (None, None))
            if progress is not None:
                progress(news.part)
        else:
            self._settle(news)

    def _join(self, news: GatewayNews) -> None:
        try:
            greeting = greeting_from(Message.from_bytes(news.frame), __version__)
        except AutoQECError as error:
            self._leave(GatewayNews(what="gone", worker=news.worker, reason=plain(error)))
            return
        several = news.number > 1
        names = [f"{news.worker} thread {number}" if several else news.worker for number in range(1, news.number + 1)]
        workers = [DaskWorker(name, greeting, news.worker, self) for name in names]
        with self._lock:
            self._workers[news.worker] = workers
            told = self._told
        if told is not None:
            for worker in workers:
                told[0](worker)

    def _leave(self, news: GatewayNews) -> None:
        with self._lock:
            workers, told = self._workers.pop(news.worker, None), self._told
        if told is not None:
            for name in [worker.name for worker in workers or ()] or [news.worker]:
                told[1](name, news.reason)

    def _settle(self, news: GatewayNews) -> None:
        with self._lock:
            future, _ = self._waiting.pop(news.number, (None, None))
        if future is None or not future.set_running_or_notify_cancel():
            return
        if news.what == "answered":
            future.set_result(news.frame)
        else:
            future.set_exception(WorkerLost(f"{news.worker}: {news.reason}"))


#: Clusters that executors of this process share, by the scheduler's address.
_SHARED: dict[str, Gateway] = {}


@contextmanager
def opened_gateway(setup: GatewaySetup) -> Iterator[GatewayReady]:
    """A gateway that all sources of this process with its address use; says how to join the cluster."""
    gateway = Gateway(setup)
    try:
        _SHARED[gateway.ready.address] = gateway
        yield gateway.ready
    finally:
        _SHARED.pop(gateway.ready.address, None)
        gateway.close()


class DaskSource:
    """The workers of a cluster; see `autoqec.scoring.remote.worker_link.WorkerSource`.

    Args:
        setup: Which cluster.
    """

    def __init__(self, setup: GatewaySetup):
        self._setup = setup
        self._gateway: Gateway | None = None
        self._own: Gateway | None = None

    def open(self, joined: Joined, gone: Gone) -> None:
        """Connect, or start a cluster.

        Raises:
            AutoQECError: There is none, or it ended.
        """
        self._gateway = _SHARED.get(self._setup.address)
        if self._gateway is None:
            self._gateway = self._own = Gateway(self._setup)
        self._gateway.attach(joined, gone)

    def expects(self) -> bool:
        """Whether another worker may still join: as long as there is the cluster."""
        return self._gateway is not None and self._gateway.is_open

    def close(self) -> None:
        """End what `open` began."""
        if self._gateway is not None:
            self._gateway.detach()
        if self._own is not None:
            self._own.close()
