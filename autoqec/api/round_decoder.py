"""A round's predecoder and the classical decoder behind it, as an object that decodes arrays."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Self

from autoqec.exchange.array_decoder import ArrayDecoder
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.isolated_round import IsolatedRound
from autoqec.exchange.package import Package
from autoqec.json_values import JsonObject
from autoqec.plugins import Registry
from autoqec.sandbox.stage_files import needs_lock


class RoundDecoder(ArrayDecoder):
    """The decoder of a round: its predecoder, and the classical decoder of its environment.

    Get one by `Round.decoder`. It decodes the circuit and noise of its environment; its answers are those of the judge. Where the
    round's own code runs locked, processes belong to it: `close` ends them, and so do a `with` statement and the end of the
    object. Keep one object for many batches, since starting those processes takes seconds.
    """

    def __init__(self, package: Package, registry: Registry, *, trust_code: bool) -> None:
        locked = not trust_code and needs_lock(package.sealed.files, registry)
        self._isolated = IsolatedRound(package, registry) if locked else None
        super().__init__(self._isolated or Deployed(package, registry))
        self._package = package
        self._end = weakref.finalize(self, self._isolated.close) if self._isolated is not None else None

    @property
    def name(self) -> str:
        """The round, `exp/<run>/<N>`."""
        return self._package.name

    @property
    def locked(self) -> bool:
        """Whether the round's own code runs in a locked process, and not in this one."""
        return self._isolated is not None

    @property
    def metadata(self) -> JsonObject:
        """Round, commit, environment, digest and verdict, for the records of your own experiments."""
        return self._package.metadata()

    def close(self) -> None:
        """End the decoder's processes, if it has any; the next batch starts new ones."""
        if self._isolated is not None:
            self._isolated.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<decoder of {self.name}, {'in a locked process' if self.locked else 'in this process'}>"
