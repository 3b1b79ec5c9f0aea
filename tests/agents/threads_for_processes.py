"""Children of this process that are threads of it, for tests of what processes say to each other and not of how they are apart.

A process of a round imports torch, numba and stim for two seconds before it works for a tenth of one. What is locked stays a
process, and so does what a fork server makes. A thread cannot be killed: a test of an end by force needs a process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from autoqec_plugins.local.local_executor import LocalExecutor

from autoqec.sandbox.channel import Channel
from autoqec.sandbox.child import Child, find_function, serve

#: Where a module starts a child.
USERS = (
    "autoqec.runner.reading",
    "autoqec.runner.train",
    "autoqec.scoring.candidate_workers",
    "autoqec.scoring.first_start",
    "autoqec.scoring.matcher",
    "autoqec.scoring.verification",
    "autoqec_plugins.local.local_executor",
)

#: Seconds in which a thread ends whose channel is closed; one that waits for a candidate's process waits longer.
_SECONDS = 120.0


class ThreadChild(Child):
    """A child that is a thread; `pid` is that of this process."""

    def __init__(self, target: str):
        self._compiling = lambda name, seconds: None  # nothing is told of a thread; see `one_process`
        with self._opened() as opened:
            its_in, to_it = os.pipe()
            from_it, its_out = os.pipe()
            self._to_it = os.fdopen(to_it, "wb", 0)
            self._talk(opened, os.fdopen(from_it, "rb", 0), self._to_it)
            self._thread = threading.Thread(target=_serve, args=(target, its_in, its_out), name=target, daemon=True)
            self._thread.start()

    @property
    def pid(self) -> int:
        """The id of the process that the thread is in."""
        return os.getpid()

    def _status(self, seconds: float) -> int | None:
        self._thread.join(seconds)
        return None if self._thread.is_alive() else 0

    def end(self) -> None:
        """Close its standard input, which is all that tells it to end."""
        self._to_it.close()

    def kill(self) -> None:
        """Close its channel and wait for it."""
        super().kill()
        self._thread.join(_SECONDS)
        assert not self._thread.is_alive(), f"{self._thread.name} does not end"


def _serve(target: str, its_in: int, its_out: int) -> None:
    try:
        serve(lambda channel: find_function(target)(channel), Channel(its_in, its_out), 0)
    finally:
        for descriptor in (its_in, its_out):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def child(target: str, *, memory_bytes=None, threads=1, apart=False, inherit=(), **told) -> Child:
    """What stands in the place of `Child`."""
    if apart or inherit:
        return Child(target, memory_bytes=memory_bytes, threads=threads, apart=apart, inherit=inherit, **told)
    return ThreadChild(target)


def _one_job(jobs: int) -> LocalExecutor:
    assert jobs == 1, "threads of two jobs would share what shard.py keeps between tasks"
    return LocalExecutor(jobs)


@contextlib.contextmanager
def one_process() -> Iterator[None]:
    """Children are as `child` makes them. Scoring keeps what it has loaded in a variable, so there must be one job at a time."""
    from autoqec.scoring import matcher, shard

    shard._forget_decoder_set()
    with pytest.MonkeyPatch.context() as patch:
        for user in USERS:
            patch.setattr(f"{user}.Child", child)
        patch.setattr(matcher, "_limit_memory", lambda: None)
        # It is told of the whole process.
        patch.setattr("autoqec.sandbox.child.compiling_told", lambda told: contextlib.nullcontext())
        patch.setattr("autoqec_plugins.local.local_executor.LocalExecutor", _one_job)
        # Two threads that load plugins at once would leave the standard output redirected.
        kept = {"redirect_stdout": lambda to: contextlib.nullcontext()}
        patch.setattr("autoqec.plugins.contextlib", SimpleNamespace(**vars(contextlib) | kept))
        # Of locked training, too: threads that wait for small tasks spin, on a busy machine for a minute.
        patch.setattr("autoqec.runner.train.TRAINING_THREADS", 1)
        try:
            yield
        finally:
            shard._forget_decoder_set()
            if "torch" in sys.modules:
                sys.modules["torch"].set_deterministic_debug_mode("default")
