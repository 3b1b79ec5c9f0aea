"""Counts a stretch of shots: which decoders failed which shots together, with digests of shots and answers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from autoqec.comparing.decoder_process import Answers
from autoqec.problem.sampling import CHUNK_SHOTS, Shots
from autoqec.results.decoder_comparison import ComparedPart
from autoqec.scoring.reference_runs import GateCounts

#: Digits of the digest of a decoder's answers: they tell decoders apart that fail equally often, and prove nothing.
_ANSWER_DIGITS = 16

#: Shots of the first piece. Pieces double within the first chunk, so that slow decoders show something soon.
_FIRST_PIECE = 256

#: A part has at most this share of all shots before it, so that a record of many shots stays small.
_PART_SHARE = 16


def pieces(first: int, last: int, cuts: tuple[int, ...] = ()) -> Iterator[tuple[int, int]]:
    """Cut a stretch of the stream into pieces that are decoded at once: first shot and number of shots of each.

    Args:
        first, last: The stretch, without `last`.
        cuts: Further places where a piece ends.
    """
    while first < last:
        chunk_ends = (first // CHUNK_SHOTS + 1) * CHUNK_SHOTS
        ends = [last, chunk_ends, *(cut for cut in cuts if cut > first)]
        if first < CHUNK_SHOTS:
            ends.append(max(_FIRST_PIECE, 1 << first.bit_length() if first & (first - 1) else 2 * first))
        yield first, min(ends) - first
        first = min(ends)


def part_size(before: int) -> int:
    """Shots after which a part ends and is looked at, given the shots before it."""
    return max(1, before // _PART_SHARE)


class CountedPart:
    """A stretch of shots that grows by pieces.

    Args:
        decoders: How many decoders there are.
        took: Those that decode it.
    """

    def __init__(self, decoders: int, took: tuple[int, ...]):
        self._decoders, self.took = decoders, took
        self.shots = 0
        self._failed: Counter[int] = Counter()
        self._drawn = [hashlib.sha256(), hashlib.sha256()]
        self._answers = {place: [hashlib.sha256(), hashlib.sha256()] for place in took}
        self._invalid = dict.fromkeys(took, 0)
        self._seconds = dict.fromkeys(took, 0.0)
        self._gates: dict[int, GateCounts] = {}

    def add(self, shots: Shots, answers: Mapping[int, Answers]) -> None:
        """Add a piece, with the answers of every decoder that decodes this part."""
        self.shots += len(shots)
        for digest, array in zip(self._drawn, (shots.syndromes, shots.observables), strict=True):
            digest.update(np.ascontiguousarray(array).tobytes())
        together = np.zeros(len(shots), dtype=np.int64)
        for place in self.took:
            decoded = answers[place].decoded
            together |= decoded.failures(shots.observables).astype(np.int64) << place
            for digest, array in zip(self._answers[place], (decoded.observables, decoded.invalid), strict=True):
                digest.update(np.ascontiguousarray(array).tobytes())
            self._invalid[place] += int(decoded.invalid.sum())
            self._seconds[place] += answers[place].seconds
            if (gate := answers[place].gate) is not None:
                self._gates[place] = self._gates.get(place, GateCounts(0, 0, 0)) + gate
        found, numbers = np.unique(together[together != 0], return_counts=True)
        self._failed.update({int(mask): int(number) for mask, number in zip(found, numbers, strict=True)})

    def record(self) -> ComparedPart:
        """What is kept of it. It does not depend on how it was cut into pieces, but for the seconds."""
        places = range(self._decoders)
        return ComparedPart(
            shots=self.shots,
            digest=_joined(self._drawn),
            took=sum(1 << place for place in self.took),
            failed={str(mask): number for mask, number in sorted(self._failed.items())},
            answers=tuple(
                _joined(self._answers[place])[:_ANSWER_DIGITS] if place in self._answers else "" for place in places
            ),
            invalid=tuple(self._invalid.get(place, 0) for place in places),
            seconds=tuple(round(self._seconds.get(place, 0.0), 6) for place in places),
            gates={str(place): (gate.sent, gate.sampled, gate.differing) for place, gate in self._gates.items()},
        )


def _joined(digests: list[hashlib._Hash]) -> str:
    return hashlib.sha256(b"".join(each.digest() for each in digests)).hexdigest()
