"""What is said to the process that is a client of Dask, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autoqec.sandbox.typed_messages import Request


@dataclass(frozen=True, kw_only=True)
class GatewaySetup(Request):
    """The first message: which cluster.

    Attributes:
        address: Of the scheduler to join; empty to start a cluster of processes on this machine.
        processes: How many processes such a cluster has.
        tls_ca: Certificate of who signed those of the cluster, as PEM; empty for no TLS, or for what Dask's own settings say.
        tls_cert, tls_key: The client's certificate and key, as PEM.
        connect_seconds: How long the scheduler may take to answer.
        variables: Environment variables by which Dask finds its own settings.
    """

    address: str = ""
    processes: int = 0
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = field(default="", repr=False)
    connect_seconds: float
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class GatewayReady(Request):
    """The first answer: how another process joins the same cluster; as in `GatewaySetup`."""

    address: str
    tls_ca: str
    tls_cert: str
    tls_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class GatewayOrder(Request):
    """What is asked for.

    Attributes:
        what: `ask` has a worker answer a frame; `stop` ends that; `close` ends everything.
        number: Of the question.
        worker: Address of the worker.
        frame: The task.
    """

    what: Literal["ask", "stop", "close"]
    number: int = 0
    worker: str = ""
    frame: bytes = b""


@dataclass(frozen=True, kw_only=True)
class GatewayNews(Request):
    """What happened.

    Attributes:
        what: A worker `joined` or is `gone`; a question is `answered`, its worker is `lost`, or its task is at `part`.
        worker: Address of the worker.
        number: Of the question; of a worker that joined, how many tasks it runs at once.
        part: How much of the task is done, from 0 to 1.
        reason: Why a worker is gone or lost.
        frame: The answer; of a worker that joined, its greeting.
    """

    what: Literal["joined", "gone", "answered", "lost", "part"]
    worker: str = ""
    number: int = 0
    part: float = 0.0
    reason: str = ""
    frame: bytes = b""
