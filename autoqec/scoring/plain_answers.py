"""Keeps the plain decoder's answers to recent chunks: baseline, gates, references and ablations ask for the same ones."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from math import inf

import numpy as np

from autoqec.decoding.decoder_contract import (
    CompiledDecoder,
    ConfidentDecoder,
    Decoded,
    SharingDecoder,
    confidence_kind,
)
from autoqec.scoring.slices import Note, decode_in_slices

#: What plain decoding is called.
PLAIN = "the environment's decoder"

#: Bytes of answers that one process keeps.
MOST_BYTES = 64 * 2**20

#: Bytes of what a decoder's first part leaves that are held for a batch; beyond them nothing is, and references run it again.
MOST_LEFT_BYTES = 256 * 2**20

#: The confidence that a decoder finds on its way to an answer, so that it costs nothing more.
_FREE = "converged"


@dataclass(frozen=True)
class _Kept:
    """Answers to one batch, and the confidence in them where it was asked for, with the seconds that each took."""

    decoded: Decoded
    seconds: float
    confidence: np.ndarray | None = None
    at_most: float = -inf
    with_confidence: float = 0.0

    @property
    def bytes(self) -> int:
        confidence = 0 if self.confidence is None else self.confidence.nbytes
        return self.decoded.observables.nbytes + self.decoded.invalid.nbytes + confidence


class PlainStore:
    """Answers of plain decoders to batches of shots, the most recent ones."""

    def __init__(self, most_bytes: int = MOST_BYTES):
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def get(self, key: bytes) -> _Kept | None:
        """What is kept under a key."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, kept: _Kept) -> None:
        """Keep something, and drop what was not asked for the longest time."""
        before = self._kept.pop(key, None)
        self._bytes += kept.bytes - (before.bytes if before else 0)
        self._kept[key] = kept
        while self._bytes > self._most and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].bytes


class PlainAnswers:
    """A decoder whose answers without beliefs are kept; itself a decoder, with a confidence if the other has one.

    Args:
        decoder: The environment's decoder.
        store: Where answers are kept.
        problem: What tells the decoder and its problem from others in that store.
        note: Told what is being decoded, and how far it is.

    Attributes:
        saved: Seconds that answers took which were found before, whenever they were given again: a clock around this decoder
            misses them.
    """

    def __init__(self, decoder: CompiledDecoder, store: PlainStore, problem: str, note: Note):
        self.decoder, self._store, self._problem, self._note = decoder, store, problem.encode(), note
        self.saved = 0.0
        self._free = confidence_kind(decoder) == _FREE
        kind = confidence_kind(decoder)
        if kind is not None:  # else there are no such attributes, so that this is no `ConfidentDecoder`
            self.confidence_kind = kind
            self.confidence = self._confidence
            self.decode_with_confidence = self._decode_with_confidence

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """See `CompiledDecoder.decode`."""
        if beliefs is not None:
            return self.decoder.decode(syndromes, beliefs)
        return self.timed(syndromes)[0]

    def timed(self, syndromes: np.ndarray) -> tuple[Decoded, float]:
        """The plain answers, and the seconds that they took when they were found."""
        kept, _ = self._asked(syndromes, inf if self._free else None)
        return kept.decoded, kept.seconds

    def shared(self, syndromes: np.ndarray) -> tuple[Decoded, float, np.ndarray | None]:
        """As `timed`, with what the first part of a `SharingDecoder` left; None if the answers were found before."""
        kept, left = self._asked(syndromes, inf, share=isinstance(self.decoder, SharingDecoder))
        return kept.decoded, kept.seconds, left

    def _confidence(self, syndromes: np.ndarray, at_most: float = inf) -> np.ndarray:
        return self._decode_with_confidence(syndromes, at_most)[1]

    def _decode_with_confidence(self, syndromes: np.ndarray, at_most: float = inf) -> tuple[Decoded, np.ndarray]:
        kept, _ = self._asked(syndromes, inf if self._free else at_most)
        assert kept.confidence is not None
        return kept.decoded, kept.confidence

    def _asked(
        self, syndromes: np.ndarray, at_most: float | None, *, share: bool = False
    ) -> tuple[_Kept, np.ndarray | None]:
        """The answers to a batch, with confidences up to `at_most`; None for none. And what is left, see `shared`."""
        data = np.ascontiguousarray(syndromes).tobytes()
        key = hashlib.sha256(len(self._problem).to_bytes(8, "big") + self._problem + data).digest()
        kept = self._store.get(key)
        if kept is not None and (at_most is None or kept.at_most >= at_most):
            self.saved += kept.seconds if at_most is None else kept.with_confidence
            return kept, None
        asked = _Asked(self.decoder, at_most, share=share)
        shots, began = len(syndromes), time.perf_counter()
        decoded = decode_in_slices(asked, syndromes, None, lambda done: self._note(PLAIN, done, shots))
        took = time.perf_counter() - began
        seconds = took if kept is None else kept.seconds
        kept = _Kept(decoded, seconds)
        if at_most is not None:
            kept = _Kept(decoded, seconds, np.concatenate(asked.seen), at_most, took)
        self._store.put(key, kept)
        return kept, np.concatenate(asked.left) if asked.share else None


class _Asked:
    """A decoder that is asked for its confidence too, which it keeps, and for what it shares, up to `MOST_LEFT_BYTES`."""

    def __init__(self, decoder: CompiledDecoder, at_most: float | None, *, share: bool):
        self._decoder, self._at_most, self.share = decoder, at_most, share
        self.seen: list[np.ndarray] = []
        self.left: list[np.ndarray] = []

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        if self._at_most is None:
            return self._decoder.decode(syndromes)
        if self.share:
            assert isinstance(self._decoder, SharingDecoder)
            decoded, confidence, left = self._decoder.decode_and_share(syndromes)
            self.left.append(left)
            if sum(each.nbytes for each in self.left) > MOST_LEFT_BYTES:
                self.share = False
                self.left.clear()
        else:
            assert isinstance(self._decoder, ConfidentDecoder)
            decoded, confidence = self._decoder.decode_with_confidence(syndromes, self._at_most)
        self.seen.append(confidence)
        return decoded
