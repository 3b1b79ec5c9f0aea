"""The process that is a client of Dask: frames to and from the executor, and nothing that it holds is worth reading.

Dask unpickles what a scheduler and its workers send. So its client runs in a process of its own, which has neither key nor lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import threading
from collections.abc import AsyncIterator
from typing import Any

from autoqec.errors import AutoQECError, MissingPackageError
from autoqec.sandbox.channel import Channel, ChannelClosed
from autoqec.sandbox.child import plain

from .gateway_messages import GatewayNews, GatewayOrder, GatewayReady, GatewaySetup

#: Seconds between two looks at which workers there are, where no event says that they changed.
_LOOK_SECONDS = 5.0

#: Tasks that a worker gets at once, at most, whatever it says.
_MOST_THREADS = 1024

#: Seconds that closing a cluster may take.
_CLOSE_SECONDS = 10.0

#: Dask's own settings for a cluster of this machine: no web pages, and no profile of what its threads do.
_LOCAL_SETTINGS = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
}

#: Dask's own settings of the client: a task is as large as its frame.
_CLIENT_SETTINGS = {"distributed.admin.large-graph-warning-threshold": "1GiB"}


class SchedulerUnreachable(AutoQECError):
    """No scheduler of Dask answers at an address."""

    code = "scheduler_unreachable"


class SchedulerLost(AutoQECError):
    """The scheduler ended, or can no longer be reached."""

    code = "scheduler_lost"


def serve(channel: Channel) -> None:
    """The process: a setup, then orders until the channel closes."""
    setup = GatewaySetup.from_message(channel.receive())
    os.environ.update(setup.variables)
    asyncio.run(_serve(channel, setup))


async def _serve(channel: Channel, setup: GatewaySetup) -> None:
    import dask

    dask.config.set(_CLIENT_SETTINGS)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what a user has to know goes through the channel
    async with _connected(setup) as (client, ready):
        channel.send(ready.to_message())
        await Gateway(client, channel).run()


@contextlib.asynccontextmanager
async def _connected(setup: GatewaySetup) -> AsyncIterator[tuple[Any, GatewayReady]]:
    """A client of the cluster, and how others join it."""
    from distributed import Client

    async with contextlib.AsyncExitStack() as opened:
        address, security = setup.address, _security(setup)
        if not address:
            security = _own_security()
            address = await opened.enter_async_context(_local_cluster(setup.processes, security))
        try:
            client = await Client(
                address,
                asynchronous=True,
                security=security,
                timeout=setup.connect_seconds,
                set_as_default=False,
                name="autoqec",
            )
        except Exception as error:  # a foreign program at the other end makes Dask raise almost anything
            raise SchedulerUnreachable(
                f"no Dask scheduler answers at {address}: {plain(error)}",
                hint=_connecting_hint(address, secure=bool(_pem(security)["tls_key"])),
                about={"address": address},
            ) from error
        opened.push_async_callback(_close, client)
        yield client, GatewayReady(address=address, **_pem(security))


async def _close(what: Any) -> None:
    """Close a client or a cluster; a scheduler that is gone does not hold us."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(what.close(), _CLOSE_SECONDS)


@contextlib.asynccontextmanager
async def _local_cluster(processes: int, security: Any) -> AsyncIterator[str]:
    """A cluster of processes on this machine, which ends with this process; its scheduler's address."""
    import dask
    from distributed import LocalCluster

    dask.config.set(_LOCAL_SETTINGS)
    cluster = await LocalCluster(
        n_workers=processes,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        worker_dashboard_address=None,
        memory_limit=0,  # what a task needs is in its children, which Dask does not see
        security=security,
        asynchronous=True,
    )
    try:
        yield str(cluster.scheduler_address)
    finally:
        await _close(cluster)


def _security(setup: GatewaySetup) -> Any:
    """The client's side of TLS; what is not set is as Dask's own settings say."""
    from distributed import Security

    given = {"tls_ca_file": setup.tls_ca, "tls_client_cert": setup.tls_cert, "tls_client_key": setup.tls_key}
    return Security(**{name: value for name, value in given.items() if value})


def _connecting_hint(address: str, *, secure: bool) -> str:
    """What to look at where no scheduler answers.

    Args:
        address: Of the scheduler.
        secure: Whether there is a certificate of ours.
    """
    if not re.search(r":\d+$", address):
        return f"an address has a port: {address}:8786"
    if address.startswith("tls://") and not secure:
        return "a scheduler with TLS asks for certificates: set tls_ca_file, tls_cert and tls_key of [executors.dask]"
    if not address.startswith("tls://"):
        return "look whether the scheduler runs there; the address of one that uses TLS begins with tls://"
    return "look whether the scheduler runs there, and whether it has the same tls_ca_file"


def _own_security() -> Any:
    """TLS with a certificate made now: another user of this machine must not have our cluster run code."""
    from distributed import Security

    try:
        return Security.temporary()
    except ImportError as error:
        raise MissingPackageError(
            "a local cluster of the executor dask needs the package cryptography",
            hint="pip install 'autoqec[dask]'",
        ) from error


def _pem(security: Any) -> dict[str, str]:
    names = {"tls_ca": "tls_ca_file", "tls_cert": "tls_client_cert", "tls_key": "tls_client_key"}
    return {ours: getattr(security, theirs) or "" for ours, theirs in names.items()}


class Gateway:
    """Passes questions on to workers, and says who comes and goes.

    Args:
        client: Of Dask, asynchronous.
        channel: To the executor.
    """

    def __init__(self, client: Any, channel: Channel):
        self._client, self._channel = client, channel
        self._topic = f"autoqec-{secrets.token_hex(8)}"
        self._known: set[str] = set()  # addresses of workers that are there
        self._asked: dict[int, tuple[str, asyncio.Task[None]]] = {}  # by number: the worker, and who waits for it
        self._greetings: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve until the channel closes.

        Raises:
            SchedulerLost: The scheduler no longer answers.
        """
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def read() -> None:
            with contextlib.suppress(ChannelClosed):
                while (order := GatewayOrder.from_message(self._channel.receive())).what != "close":
                    loop.call_soon_threadsafe(self._obey, order)
            loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=read, name="autoqec-orders", daemon=True).start()
        self._client.subscribe_topic(self._topic, self._part)
        self._client.subscribe_topic("all", self._event)
        watching, ending = asyncio.create_task(self._watch()), asyncio.create_task(closed.wait())
        done, _ = await asyncio.wait({watching, ending}, return_when=asyncio.FIRST_COMPLETED)
        for task in {watching, ending, *self._greetings, *(task for _, task in self._asked.values())} - done:
            task.cancel()
        # The scheduler tells who listens of each client that leaves: where that is us, it would log an error.
        for topic in (self._topic, "all"):
            self._client.unsubscribe_topic(topic)
        for task in done:
            task.result()

    def _tell(self, news: GatewayNews) -> None:
        self._channel.send(news.to_message())

    def _event(self, event: tuple[float, Any]) -> None:
        """Look at the workers when the scheduler says that there is one more or one less."""
        if isinstance(event[1], dict) and event[1].get("action") in ("add-worker", "remove-worker"):
            self._changed.set()

    def _part(self, event: tuple[float, Any]) -> None:
        """Pass on how far a task is."""
        number, part = (event[1].get(name) for name in ("number", "part")) if isinstance(event[1], dict) else (0, 0)
        if number in self._asked and isinstance(part, int | float):
            self._tell(GatewayNews(what="part", number=number, part=float(part)))

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            try:
                found = (await self._client.scheduler.identity(n_workers=-1))["workers"]
            except Exception as error:
                raise SchedulerLost(
                    f"the Dask scheduler at {self._client.scheduler.address} no longer answers: {plain(error)}",
                    hint="start it again, then `autoqec resume`",
                ) from error
            for address in self._known - found.keys():
                self._forget(address, "it left the Dask cluster")
            for address in found.keys() - self._known:
                self._known.add(address)
                self._begin_greeting(address, min(int(found[address]["nthreads"]), _MOST_THREADS))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _LOOK_SECONDS)

    def _forget(self, address: str, reason: str) -> None:
        self._known.discard(address)
        for number, (worker, task) in list(self._asked.items()):
            if worker == address:
                task.cancel()
                self._lose(number, address, reason)
        self._tell(GatewayNews(what="gone", worker=address, reason=reason))

    def _lose(self, number: int, address: str, reason: str) -> None:
        if self._asked.pop(number, None) is not None:
            self._tell(GatewayNews(what="lost", worker=address, number=number, reason=reason))

    def _begin_greeting(self, address: str, threads: int) -> None:
        task = asyncio.create_task(self._greet(address, threads))
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)

    async def _greet(self, address: str, threads: int) -> None:
        """Ask a worker that is new what it is."""
        from . import far_side

        try:
            frame = await self._run(address, far_side.greet)
        except Exception as error:
            if address in self._known:
                self._tell(GatewayNews(what="gone", worker=address, reason=_words(error)))
            return
        if address in self._known:
            self._tell(GatewayNews(what="joined", worker=address, number=threads, frame=frame))

    async def _run(self, address: str, function: Any, *arguments: Any) -> bytes:
        """Call a function of ours on a worker, there and nowhere else."""
        future = self._client.submit(
            function,
            *arguments,
            key=f"autoqec-{function.__name__}-{secrets.token_hex(16)}",
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        try:
            found = await future
        finally:
            # Cancelled, so that a worker that is at it stops; else the result is kept there as long as we know of it.
            await future.cancel(force=True) if not future.done() else future.release()
        if not isinstance(found, bytes):
            raise AutoQECError(f"it answers with {type(found).__name__}, not with bytes")
        return found

    def _obey(self, order: GatewayOrder) -> None:
        if order.what == "stop":
            _, task = self._asked.pop(order.number, (None, None))
            if task is not None:
                task.cancel()
        elif order.worker not in self._known:
            self._tell(GatewayNews(what="lost", worker=order.worker, number=order.number, reason="it has left"))
        else:
            self._asked[order.number] = order.worker, asyncio.create_task(self._ask(order))

    async def _ask(self, order: GatewayOrder) -> None:
        from . import far_side

        try:
            found = await self._run(order.worker, far_side.answer, order.frame, self._topic, order.number)
        except Exception as error:
            self._lose(order.number, order.worker, _words(error))
            return
        if self._asked.pop(order.number, None) is not None:
            self._tell(GatewayNews(what="answered", worker=order.worker, number=order.number, frame=found))


def _words(error: BaseException) -> str:
    """Why a worker could not run what we asked for."""
    if isinstance(error, ImportError):
        return f"AutoQEC cannot be imported there: {plain(error)}"
    return plain(error) or type(error).__name__
