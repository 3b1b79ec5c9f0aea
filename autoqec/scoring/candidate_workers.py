"""Provides processes for a matcher's candidates: trusted candidates reuse one process, every other one gets a fresh fork.

All locked processes of a matcher are forks of one fork server, which never runs their code (`autoqec.sandbox.fork_server`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from autoqec.problem.problem import Problem
from autoqec.sandbox.child import Child
from autoqec.sandbox.fork_server import ForkServer, ForkServerFailed
from autoqec.sandbox.worker_requests import WarmUpRequest

_WORKER = "autoqec.runner.worker:serve_predictions"
_WARM_WORKER = "autoqec.runner.worker:warm_predictions"

#: Address space of the process that holds a candidate.
_MEMORY_BYTES = 12 * 2**30


class Workers:
    """Processes for candidates; use as a context manager."""

    def __init__(self) -> None:
        self._spare: Child | None = None
        self._fork_server: ForkServer | None = None
        self._forks = sys.platform == "linux"
        self._expected: tuple[str, tuple[str, ...]] | None = None

    def expect(self, problem: Problem, kinds: Sequence[str]) -> None:
        """Start to load what the next locked candidate will need; does not wait.

        Args:
            problem: The problem that it will answer for.
            kinds: Its stage kinds; only AutoQEC's own are loaded.
        """
        expected = str(problem.dem), tuple(kinds)
        if not self._forks or expected == self._expected:
            return
        if self._fork_server is None:
            self._fork_server = ForkServer(_WARM_WORKER, memory_bytes=_MEMORY_BYTES)
        self._fork_server.warm(WarmUpRequest(expected[1], expected[0].encode()).to_message())
        self._expected = expected

    def take(self, *, locked: bool) -> Child:
        """A process to load a candidate in.

        Args:
            locked: Whether it must never have run any candidate's code.
        """
        spare, self._spare = self._spare, None
        if not locked:
            return spare or Child(_WORKER, memory_bytes=_MEMORY_BYTES)
        if spare is not None:
            spare.kill()
        if self._fork_server is not None:
            try:
                return self._fork_server.fork()
            except ForkServerFailed:  # a fresh process is slower but equivalent, and reports its own failure
                self._fork_server.close()
                self._fork_server, self._forks = None, False
        return Child(_WORKER, memory_bytes=_MEMORY_BYTES, apart=True)

    def give_back(self, child: Child) -> None:
        """Keep the process of a trusted candidate for the next."""
        if self._spare is not None:
            self._spare.kill()
        self._spare = child

    def close(self) -> None:
        """End all processes."""
        with ExitStack() as ends:
            if self._fork_server is not None:
                ends.callback(self._fork_server.close)
            if self._spare is not None:
                ends.callback(self._spare.kill)
        self._spare = self._fork_server = self._expected = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
