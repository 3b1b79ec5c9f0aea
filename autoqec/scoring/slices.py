"""Decodes a batch in slices, so that slow decoders can say how far they are, and that a limit can be one of each slice.

A decoder answers each shot by itself (`CompiledDecoder`), so slices change no answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded

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
    parts: list[Decoded] = []
    done, size = 0, _FIRST
    while done < len(syndromes) or not parts:
        note(done)
        piece = slice(done, done + size)
        began = time.perf_counter()
        # Without beliefs the argument is left out: a decoder that takes none may lack it.
        told = () if beliefs is None else (beliefs[piece],)
        parts.append(decoder.decode(syndromes[piece], *told))
        done += size
        size = max(_LEAST, int(size * min(_SECONDS / max(time.perf_counter() - began, 1e-9), 1e6)))
    if len(parts) == 1:
        return parts[0]
    return Decoded(
        np.concatenate([part.observables for part in parts]), np.concatenate([part.invalid for part in parts])
    )
