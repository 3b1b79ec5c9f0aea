"""Decodes a fixed number of fresh shots with several decoders, counts failures on the same shots, and takes their times.

Shots come in batches that take a fraction of a second, so that an interrupt loses nothing that was counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import process_time

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.problem.dem import prior_llr
from autoqec.problem.problem import Problem
from autoqec.problem.recording import chunk_of
from autoqec.problem.sampling import CHUNK_SHOTS, Shots, sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.counts import PairedCounts
from autoqec.results.measured_decoder import MeasuredDecoder

#: Processor seconds that a batch is meant to take, and the most that its size grows by.
_BATCH_SECONDS, _GROWTH = 0.25, 8

#: Shots of the first batch, whose time does not count: it may compile, and fills caches.
_FIRST = 16

#: Bytes of the beliefs of a batch, and processor seconds of what is measured beside the counts.
_BELIEF_BYTES, _PART_SECONDS = 64 * 2**20, 1.0

#: Told how many of how many shots a decoder has decoded.
Report = Callable[[str, int, int], None]


@dataclass
class TimedDecoding:
    """Decoders on the same shots.

    Attributes:
        problem: The problem.
        decoders: By label; the first is the baseline.
        key: Of the shots.
        wanted: How many.
        reference_seconds: Processor seconds after which another decoder than the baseline is given no more batches; None for
            no limit.
        report: Told of every batch.
        recorded: Shots to decode in the place of fresh ones, at least as many as are wanted; None for fresh ones.
    """

    problem: Problem
    decoders: Mapping[str, CompiledDecoder]
    key: bytes
    wanted: int
    reference_seconds: float | None
    report: Report
    recorded: Shots | None = None

    def __post_init__(self) -> None:
        self.measured = {label: MeasuredDecoder(label) for label in self.decoders}
        self.drawing_seconds = 0.0
        self._sizes = dict.fromkeys(self.decoders, 0)

    @property
    def chunks(self) -> int:
        """How many chunks hold the shots."""
        return -(-self.wanted // CHUNK_SHOTS)

    def shots_of(self, chunk: int) -> Shots:
        """The shots of a chunk, as far as they are wanted."""
        if self.recorded is not None:
            return chunk_of(self.recorded, chunk)
        drawn = sample_chunk(self.problem, derive_seed(self.key, "check", chunk))
        left = min(CHUNK_SHOTS, self.wanted - chunk * CHUNK_SHOTS)
        return Shots(drawn.syndromes[:left], drawn.observables[:left])

    def run(self) -> bool:
        """Decode.

        Returns:
            Whether all was decoded; False after an interrupt, with what was counted before.
        """
        try:
            for chunk in range(self.chunks):
                began = process_time()
                drawn = self.shots_of(chunk)
                self.drawing_seconds += process_time() - began
                fails: np.ndarray | None = None
                for label in self.decoders:
                    fails = self._decode(label, drawn, fails)
        except KeyboardInterrupt:
            return False
        return True

    def _decode(self, label: str, drawn: Shots, baseline: np.ndarray | None) -> np.ndarray:
        """Decode a chunk, and return whose shots the baseline fails on."""
        decoder, own = self.decoders[label], self.measured[label]
        if not self._sizes[label]:
            decoder.decode(drawn.syndromes[:_FIRST])
            self._sizes[label] = _FIRST
        found, place = [], 0
        while place < len(drawn):
            limit = self.reference_seconds
            if baseline is not None and limit is not None and own.seconds > limit:
                break
            part = slice(place, place + self._sizes[label])
            began = process_time()
            decoded = decoder.decode(drawn.syndromes[part])
            seconds = process_time() - began
            fails = decoded.failures(drawn.observables[part])
            own.batches.append((len(fails), seconds))
            own.counts += _counts(fails, fails if baseline is None else baseline[part])
            found.append(fails)
            place += len(fails)
            self._sizes[label] = _next_size(len(fails), seconds)
            self.report(label, own.shots, self.wanted)
        return baseline if baseline is not None else np.concatenate(found)

    def again(self) -> Iterator[Shots]:
        """The same shots once more."""
        return (self.shots_of(chunk) for chunk in range(self.chunks))


def _counts(fails: np.ndarray, baseline: np.ndarray) -> PairedCounts:
    both = int((fails & baseline).sum())
    return PairedCounts(len(fails), both, int(baseline.sum()) - both, int(fails.sum()) - both)


def _next_size(shots: int, seconds: float) -> int:
    fitting = int(_BATCH_SECONDS * shots / max(seconds, 1e-9))
    return max(1, min(CHUNK_SHOTS, fitting, _GROWTH * shots))


def seconds_with_beliefs(problem: Problem, decoder: CompiledDecoder, drawn: Shots) -> float:
    """Processor seconds of a shot that is decoded with beliefs of its own, as behind a predecoder; measured for a second.

    Args:
        problem: The problem; its priors are the beliefs.
        decoder: One that takes beliefs.
        drawn: Shots, at least one.
    """
    priors = prior_llr(problem.mechanisms.priors)
    most = max(1, min(len(drawn), _BELIEF_BYTES // priors.nbytes))
    beliefs = np.tile(priors, (most, 1))
    decoder.decode(drawn.syndromes[:1], beliefs[:1])
    size, shots, seconds = 1, 0, 0.0
    while shots < len(drawn) and seconds < _PART_SECONDS:
        part = drawn.syndromes[shots : shots + size]
        began = process_time()
        decoder.decode(part, beliefs[: len(part)])
        took = process_time() - began
        shots, seconds = shots + len(part), seconds + took
        size = min(most, _next_size(len(part), took))
    return seconds / shots
