"""What a worker says of itself before it has a task, and why it may be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.sandbox.typed_messages import Request


@dataclass(frozen=True, kw_only=True)
class WorkerGreeting(Request):
    """The first message of a worker.

    Attributes:
        version: Of AutoQEC.
        code: SHA-256 of AutoQEC's own code, as hex digits: a change without a new version is one too.
        python: Version of Python.
        versions: Of the libraries that decide an answer, and of the plugins, by distribution.
        sandbox: The level at which a candidate can be locked there; see `autoqec.sandbox.lock`.
        arithmetic: What rounds alike: the processor's architecture and the instructions that torch and numpy use. Two workers
            of another arithmetic may answer otherwise, rarely, without a fault.
        cores: How many it may use.
        memory_gib: How much memory it has.
        device: The GPU that torch sees there; empty for none.
    """

    version: str
    code: str
    python: str
    versions: Mapping[str, Any]
    sandbox: str
    arithmetic: str
    cores: int
    memory_gib: float
    device: str
