"""The processes of several decoders: at most so many work at the same time, and a slow decoder gets more of them.

A decoder gets another process once it has worked for longer than its processes took to start: for a fast one that would be waste.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from autoqec.comparing.decoder_process import Answers, DecoderFault, DecoderProcess, Ready
from autoqec.results.decoder_comparison import DecodingTime
from autoqec.scoring.gated_references import decode_chosen

#: Told what a decoder does, and how many shots of those that it was asked about it has decoded.
Told = Callable[[int, int], None]


def processors() -> int:
    """How many processors this process may use, which are not always all that the machine has."""
    return len(os.sched_getaffinity(0))


class DecoderPool:
    """Use as a context manager.

    Args:
        openers: Start a process of each decoder.
        jobs: Processes that work at the same time.
    """

    def __init__(self, openers: Sequence[Callable[[], DecoderProcess]], jobs: int):
        self._openers = openers
        self._threads = ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="decoder")
        self._changed = threading.Condition()
        self._closed = False
        self._idle: list[list[DecoderProcess]] = [[] for _ in openers]
        self._all: list[list[DecoderProcess]] = [[] for _ in openers]
        self._starting, self._working = (
            [0.0] * len(openers),
            [0.0] * len(openers),
        )  # seconds of each decoder's processes

    def start(self, place: int) -> None:
        """Start a decoder's first process: it loads while you go on."""
        self._give_back(place, self._open(place))

    def ready(self, place: int) -> Ready | DecoderFault:
        """Wait until a decoder is compiled in a process of its own.

        Raises:
            UsageError, NotFoundError: It cannot be made as it was named.
        """
        process = self._take(place)
        began = time.monotonic()
        try:
            return process.ready()
        finally:
            self._starting[place] += time.monotonic() - began
            self._give_back(place, process)

    def measure(self, place: int, syndromes: np.ndarray, seconds: float) -> DecodingTime | DecoderFault:
        """Measure a decoder's times; nothing else must be asked meanwhile."""
        process = self._take(place)
        try:
            return process.measure(syndromes, seconds)
        finally:
            self._give_back(place, process)

    def submit(self, place: int, syndromes: np.ndarray, told: Told | None = None) -> Future[Answers | DecoderFault]:
        """Have a decoder decode a batch as soon as one of the processes is free."""
        return self._threads.submit(self._decode, place, syndromes, told)

    def submit_all(
        self, syndromes: np.ndarray, places: Iterable[int], gates: Mapping[int, int], told: Told | None = None
    ) -> dict[int, Future[Answers | DecoderFault]]:
        """Have several decoders decode a batch.

        Args:
            syndromes: The batch.
            places: The decoders.
            gates: Of those behind a gate: the decoder that chooses their shots, which is among `places`.
            told: See `submit`.
        """
        choosers = {gates[place] for place in places if place in gates}
        found = {
            place: self._threads.submit(self._choose, place, syndromes)
            if place in choosers
            else self.submit(place, syndromes, told)
            for place in places
            if place not in gates
        }
        # Tasks begin in the order in which they are handed out, so the one that others wait for has begun before them.
        behind = [place for place in places if place in gates]
        return found | {p: self._threads.submit(self._behind, p, syndromes, found[gates[p]], told) for p in behind}

    def _choose(self, place: int, syndromes: np.ndarray) -> Answers | DecoderFault:
        # The sample follows from the shots themselves, so that a replay draws the same.
        sample = int.from_bytes(hashlib.sha256(np.ascontiguousarray(syndromes).tobytes()).digest()[:8], "big") >> 1
        process = self._take(place)
        try:
            return process.choose(syndromes, sample)
        finally:
            self._give_back(place, process)

    def _behind(
        self, place: int, syndromes: np.ndarray, gate: Future[Answers | DecoderFault], told: Told | None
    ) -> Answers | DecoderFault:
        answers = gate.result()
        if isinstance(answers, DecoderFault):
            return DecoderFault("unusable", "the decoder that chooses its shots failed")
        assert answers.chosen is not None
        chosen = answers.chosen
        found = self._decode(place, syndromes[np.concatenate([chosen.sent, chosen.sampled])], told)
        if isinstance(found, DecoderFault):
            return found
        decoded, counts = decode_chosen(chosen, syndromes, lambda some: found.decoded)
        return Answers(decoded, found.seconds, gate=counts)

    def _decode(self, place: int, syndromes: np.ndarray, told: Told | None) -> Answers | DecoderFault:
        process = self._take(place)
        began = time.monotonic()
        try:
            process.ready()
            between = time.monotonic()
            self._starting[place] += between - began
            try:
                return process.decode(syndromes, *(() if told is None else (lambda done: told(place, done),)))
            finally:
                self._working[place] += time.monotonic() - between
        finally:
            self._give_back(place, process)

    def _open(self, place: int) -> DecoderProcess:
        process = self._openers[place]()
        with self._changed:
            self._all[place].append(process)
            late = self._closed
        if late:
            process.close()
        return process

    def _take(self, place: int) -> DecoderProcess:
        with self._changed:
            while not self._idle[place]:
                worth_it = self._working[place] > self._starting[place]
                if not self._all[place] or worth_it or self._closed:
                    break
                self._changed.wait()
            else:
                return self._idle[place].pop()
        return self._open(place)

    def _give_back(self, place: int, process: DecoderProcess) -> None:
        with self._changed:
            self._idle[place].append(process)
            self._changed.notify_all()

    def close(self) -> None:
        """End all processes; what they are asked now is answered by a fault."""
        with self._changed:
            self._closed = True
            processes = [process for each in self._all for process in each]
            self._changed.notify_all()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.close()
        self._threads.shutdown(wait=True)

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
