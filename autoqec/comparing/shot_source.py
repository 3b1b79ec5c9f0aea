"""Where the shots of a comparison come from: the one thing that knows the true observables, in the caller's process.

Decoders' processes get syndromes. A source of another kind, such as recorded shots, offers the same three things.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from string import hexdigits
from typing import Protocol

from autoqec.errors import UsageError
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import CHUNK_SHOTS, Shots, sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.decoder_comparison import KEYED, ComparedShots

#: Bytes of a comparison's key.
KEY_BYTES = 32

#: Domains of a comparison's key: the shots that are counted, and those that only the clock sees.
COUNTED, TIMED = "compare", "compare time"

#: Chunks that are kept: one is decoded in pieces.
_KEPT = 4


class ShotSource(Protocol):
    """A stream of shots."""

    @property
    def record(self) -> ComparedShots:
        """What a saved comparison says of it."""
        ...

    @property
    def total(self) -> int | None:
        """How many shots there are; None for as many as wanted."""
        ...

    def take(self, first: int, count: int) -> Shots:
        """Shots of the stream: the same whenever they are asked for.

        Args:
            first: The place of the first one.
            count: How many; all lie between two multiples of `CHUNK_SHOTS`.
        """
        ...

    def apart(self, count: int) -> Shots:
        """Up to so many shots to measure times on; keyed ones are none of the stream."""
        ...


def read_key(text: str, name: str) -> bytes:
    """The key of a comparison's shots.

    Args:
        text: 64 hexadecimal digits.
        name: The option or argument, for messages.

    Raises:
        UsageError: It is something else.
    """
    if len(text) != 2 * KEY_BYTES or not all(digit in hexdigits for digit in text):
        raise UsageError(f"{name} is not {2 * KEY_BYTES} hexadecimal digits", hint="leave it out for a new key")
    return bytes.fromhex(text)


class KeyedShots:
    """Fresh shots, fixed by a key: anybody who has the key can draw them again.

    Args:
        problem: What they are shots of.
        key: `KEY_BYTES` bytes; None for a new one.
    """

    def __init__(self, problem: Problem, key: bytes | None = None) -> None:
        self.key = secrets.token_bytes(KEY_BYTES) if key is None else key
        self.total: int | None = None

        @lru_cache(maxsize=_KEPT)
        def chunk(domain: str, index: int) -> Shots:
            return sample_chunk(problem, derive_seed(self.key, domain, index))

        self._chunk = chunk

    @property
    def record(self) -> ComparedShots:
        """See `ShotSource.record`."""
        return ComparedShots(KEYED, self.key.hex())

    def take(self, first: int, count: int) -> Shots:
        """See `ShotSource.take`."""
        index, begin = divmod(first, CHUNK_SHOTS)
        return part_of(self._chunk(COUNTED, index), begin, count)

    def apart(self, count: int) -> Shots:
        """See `ShotSource.apart`."""
        return part_of(self._chunk(TIMED, 0), 0, count)


def part_of(shots: Shots, begin: int, count: int) -> Shots:
    """Some shots of a batch, in their order."""
    return Shots(shots.syndromes[begin : begin + count], shots.observables[begin : begin + count])
