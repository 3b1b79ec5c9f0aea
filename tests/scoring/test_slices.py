"""Decoding in slices: the same answers as at once, slices that fit the decoder, and a word before each."""

import numpy as np
import pytest

from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import AutoQECError
from autoqec.sandbox.channel import ChannelTimeout, Message
from autoqec.scoring import matcher as matcher_module
from autoqec.scoring import slices
from autoqec.scoring.matcher import Matcher
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.scoring_requests import DecodingRequest
from autoqec.scoring.slices import decode_in_slices


class Echo:
    """A decoder that answers a shot's first byte, with the first of its beliefs added, and takes some time for each shot."""

    def __init__(self, monkeypatch, seconds):
        self.sizes, self.now, self.seconds = [], 0.0, seconds
        monkeypatch.setattr(slices.time, "perf_counter", lambda: self.now)

    def decode(self, syndromes, beliefs=None):
        self.sizes.append(len(syndromes))
        self.now += self.seconds * len(syndromes)
        more = 0 if beliefs is None else beliefs[:, :1].astype(np.uint8)
        return Decoded(syndromes[:, :1] + more, syndromes[:, 0] == 3)


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("shots", [0, 1, 16, 17, 1000])
def test_slices_answer_as_one_batch_does(monkeypatch, seconds, shots):
    rng = np.random.default_rng(shots)
    syndromes = rng.integers(0, 9, (shots, 3), dtype=np.uint8)
    beliefs = rng.integers(0, 9, (shots, 2)).astype(np.float32)
    for told in (None, beliefs):
        decoder, said = Echo(monkeypatch, seconds), []
        found = decode_in_slices(decoder, syndromes, told, said.append)
        whole = Echo(monkeypatch, 0.0).decode(syndromes, told)
        assert np.array_equal(found.observables, whole.observables)
        assert np.array_equal(found.invalid, whole.invalid)
        assert said == [sum(decoder.sizes[:n]) for n in range(len(decoder.sizes))]


def test_a_slow_decoder_gets_small_slices_and_a_fast_one_large_ones(monkeypatch):
    syndromes = np.zeros((4096, 1), dtype=np.uint8)
    slow = Echo(monkeypatch, 0.1)
    decode_in_slices(slow, syndromes, None, lambda done: None)
    assert max(slow.sizes[1:]) == 8
    fast = Echo(monkeypatch, 1e-6)
    decode_in_slices(fast, syndromes, None, lambda done: None)
    assert fast.sizes == [16, 4080]


class Child:
    """A matcher's process that says what it does, and then nothing."""

    def __init__(self, *words):
        self.words = list(words)

    def tell(self, message):
        pass

    def answer(self, seconds):
        if not self.words:
            raise ChannelTimeout("no complete answer before the deadline")
        return Message(dict(zip(("doing", "done", "shots"), self.words.pop(0), strict=True)))


def hung(monkeypatch, *words):
    monkeypatch.setattr(matcher_module, "Child", lambda target, **more: Child(*words))
    return Matcher({"weights": b""})


def test_the_error_names_the_decoder_that_hangs_its_limit_and_what_helps(monkeypatch):
    matcher = hung(monkeypatch, ("reference osd_cs", 24, 4096))
    parts = []
    matcher.progress = parts.append
    with pytest.raises(AutoQECError) as caught:
        matcher._exchange(DecodingRequest("known"), 300, blame=False)
    assert caught.value.code == "decoder_time"
    assert "reference osd_cs, at shot 24 of 4,096" in caught.value.problem
    assert "300 s" in caught.value.problem
    assert "autoqec round --new" in caught.value.hint
    assert parts == [24 / 4096]


def test_a_decoder_that_hangs_over_beliefs_is_the_candidates_fault(monkeypatch):
    matcher = hung(monkeypatch, ("the environment's decoder on the candidate's beliefs", 0, 512))
    with pytest.raises(CandidateFault) as caught:
        matcher._exchange(DecodingRequest("candidate"), 300, blame=True)
    assert caught.value.reason == "timeout"
    assert "on the candidate's beliefs, at shot 0 of 512" in caught.value.problem
