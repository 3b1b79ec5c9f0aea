"""What a worker says of itself before it has a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import plain
from autoqec.sandbox.typed_messages import BadMessage, Request


class ForeignWorker(AutoQECError):
    """What is at the other end is no worker of this version of AutoQEC."""

    code = "foreign_worker"


@dataclass(frozen=True, kw_only=True)
class WorkerGreeting(Request):
    """The first message of a worker.

    Attributes:
        version: Of AutoQEC.
        code: SHA-256 of AutoQEC's own code, as hex digits: a change without a new version is one too.
        python: Version of Python.
        versions: Of the libraries that decide an answer, and of the plugins of others, by distribution; None for one that is
            not installed.
        sandbox: The level at which a candidate can be locked there; see `autoqec.sandbox.lock`.
        shots: What draws the same shots from a seed: the processor's architecture and the build of stim.
        arithmetic: What rounds alike: the processor's kind and instructions. Two workers of another arithmetic may answer
            otherwise, rarely, without a fault.
        device: The GPU that it has; empty for none.
        machine: Which machine it is on: workers of one machine share its faults, so they are one witness of an answer.
    """

    version: str
    code: str
    python: str
    versions: Mapping[str, Any]
    sandbox: int
    shots: str
    arithmetic: str
    device: str
    machine: str

    @property
    def comparable(self) -> tuple[str, ...]:
        """Workers that say the same here give the same answer to a task, bit by bit."""
        return (self.arithmetic, self.device, str(self.versions.get("torch")))


def greeting_from(message: Message, here: str) -> WorkerGreeting:
    """Read a worker's first message.

    Args:
        message: It, of any version of AutoQEC, or of something else.
        here: The version of AutoQEC here.

    Raises:
        ForeignWorker: It is no greeting of this version.
    """
    try:
        found = WorkerGreeting.from_message(message)
        if not all(each is None or isinstance(each, str) for each in found.versions.values()):
            raise BadMessage("WorkerGreeting", "versions", "is not one version for each library")
        return found
    except BadMessage as error:
        there = message.fields.get("version")
        if isinstance(there, str):
            said = f"AutoQEC {plain(there)} there and {here} here do not understand each other: {error.problem}"
            raise ForeignWorker(said, hint="install the same AutoQEC there as here") from error
        raise ForeignWorker(f"what answers is no worker of AutoQEC: {error.problem}") from error
