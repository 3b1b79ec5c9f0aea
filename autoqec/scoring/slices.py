"""Decodes a batch in slices, so that slow decoders can say how far they are, and that a limit can be one of each slice.

A decoder answers each shot by itself (`CompiledDecoder`), so slices change no answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded

_T = TypeVar("_T")

#: Called with what is being done, the shots that are done, and how many there are.
Note = Callable[[str, int, int], None]

#: Shots of the first slice, the fewest of any, and how long one is meant to take.
_FIRST, _LEAST, _SECONDS = 16, 8, 0.5


def decode_in_slices(
    decoder: CompiledDecoder, syndromes: np.ndarray, beliefs: np.ndarray | None, note: Callable[[int], None]
) -> Decoded:
    """Decode a batch.

    Args:
        decoder: The decoder.
        syndromes, beliefs: See `CompiledDecoder.decode`.
        note: Called with the shots that are done, before each slice.
    """

    def decode(piece: slice) -> Decoded:
        # Without beliefs the argument is left out: a decoder that takes none may lack it.
        return decoder.decode(syndromes[piece], *(() if beliefs is None else (beliefs[piece],)))

    return joined(in_slices(decode, len(syndromes), note))


def in_slices(work: Callable[[slice], _T], shots: int, note: Callable[[int], None]) -> list[_T]:
    """Work on some shots slice by slice, on an empty one if there are none.

    Args:
        work: What to do with a slice of them.
        shots: How many.
        note: Called with the shots that are done, before each slice.
    """
    parts: list[_T] = []
    done, size = 0, _FIRST
    while done < shots or not parts:
        note(done)
        began = time.perf_counter()
        parts.append(work(slice(done, done + size)))
        done += size
        size = max(_LEAST, int(size * min(_SECONDS / max(time.perf_counter() - began, 1e-9), 1e6)))
    return parts


def joined(parts: Sequence[Decoded]) -> Decoded:
    """The results for slices as one."""
    if len(parts) == 1:
        return parts[0]
    return Decoded(
        np.concatenate([part.observables for part in parts]), np.concatenate([part.invalid for part in parts])
    )
