"""Plain answers are decoded once, whoever asks, and their time is told as it was."""

import numpy as np
import pytest

from autoqec.decoding.decoder_contract import ConfidentDecoder, Decoded
from autoqec.scoring import plain_answers
from autoqec.scoring.plain_answers import PlainAnswers, PlainStore


class Counting:
    """A decoder that answers the first byte and counts the shots it was given; its confidence is the second byte."""

    def __init__(self, kind="gap"):
        self.plain = self.confident = 0
        if kind is not None:
            self.confidence_kind = kind
            self.confidence = self.decode_with_confidence = self._both

    def decode(self, syndromes, beliefs=None):
        self.plain += len(syndromes)
        return self._answer(syndromes)

    def _answer(self, syndromes):
        return Decoded(syndromes[:, :1].copy(), syndromes[:, 0] == 0)

    def _both(self, syndromes, at_most=np.inf):
        self.confident += len(syndromes)
        return self._answer(syndromes), syndromes[:, 1].astype(np.float32)


def shots(seed, count=100):
    return np.random.default_rng(seed).integers(0, 256, (count, 3), dtype=np.uint8)


def kept(decoder, store=None, problem="p"):
    return PlainAnswers(decoder, store or PlainStore(), problem, lambda what, done, shots: None)


def test_a_chunk_is_decoded_once_whoever_asks():
    decoder, store = Counting(), PlainStore()
    one, other = kept(decoder, store), kept(decoder, store)
    first, seconds = one.timed(shots(1))
    again, told = other.timed(shots(1))
    assert decoder.plain == 100
    assert np.array_equal(first.observables, again.observables)
    assert np.array_equal(first.invalid, again.invalid)
    assert seconds == told, "the time that it took is told again"
    assert other.saved == seconds


def test_a_confidence_serves_whoever_asks_for_less_of_it():
    decoder = Counting()
    plain = kept(decoder)
    assert isinstance(plain, ConfidentDecoder)
    for at_most in (6.0, 4.4, 6.0):
        answer, confidence = plain.decode_with_confidence(shots(1), at_most)
        assert np.array_equal(confidence, shots(1)[:, 1])
        assert np.array_equal(answer.observables, shots(1)[:, :1])
    assert decoder.confident == 100
    plain.decode_with_confidence(shots(1), 12.0)
    plain.decode(shots(1))
    assert (decoder.confident, decoder.plain) == (200, 0)


def test_a_confidence_that_costs_nothing_is_kept_at_once():
    decoder = Counting("converged")
    plain = kept(decoder)
    plain.timed(shots(1))
    plain.decode_with_confidence(shots(1), 0.5)
    assert (decoder.confident, decoder.plain) == (100, 0)


class Sharing(Counting):
    """Its first part is unsure where the second byte is below 128, and leaves the third."""

    def __init__(self):
        super().__init__("converged")

    def same_where_sure(self, other):
        return True

    def decode_and_share(self, syndromes):
        decoded, _ = self._both(syndromes)
        unsure = syndromes[:, 1] < 128
        return decoded, (~unsure).astype(np.float32), syndromes[unsure, 2:].astype(np.float32)

    def decode_unsure(self, syndromes, left):
        raise AssertionError


def test_what_the_first_part_leaves_is_given_once_and_not_kept():
    decoder = Sharing()
    plain = kept(decoder)
    answer, seconds, left = plain.shared(shots(1))
    assert np.array_equal(left, shots(1)[shots(1)[:, 1] < 128, 2:])
    again, told, none = plain.shared(shots(1))
    assert (none, told, decoder.confident) == (None, seconds, 100)
    assert np.array_equal(answer.observables, again.observables)
    assert (plain.confidence(shots(1)) == 0).sum() == len(left)
    assert kept(Counting("converged")).shared(shots(1))[2] is None


def test_no_more_is_left_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(plain_answers, "MOST_LEFT_BYTES", 100)
    decoder = Sharing()
    plain = kept(decoder)
    answer, _, left = plain.shared(shots(1))
    assert left is None
    assert np.array_equal(answer.observables, shots(1)[:, :1])
    assert decoder.confident == 100


def test_a_decoder_without_a_confidence_has_none_here():
    assert not isinstance(kept(Counting(None)), ConfidentDecoder)


def test_other_shots_problems_and_beliefs_are_not_confused():
    decoder, store = Counting(), PlainStore()
    kept(decoder, store).decode(shots(1))
    kept(decoder, store).decode(shots(2))
    kept(decoder, store, "q").decode(shots(1))
    kept(decoder, store).decode(shots(1), np.zeros((100, 2), np.float32))
    assert decoder.plain == 400


@pytest.mark.parametrize("entries", [1, 2])
def test_what_was_not_asked_for_the_longest_time_is_dropped(entries):
    decoder, store = Counting(), PlainStore(most_bytes=entries * 200)
    plain = kept(decoder, store)
    for seed in (1, 2, 1, 3):
        plain.decode(shots(seed))
    assert store._bytes <= entries * 200
    before = decoder.plain
    plain.decode(shots(3))
    plain.decode(shots(1))
    assert decoder.plain - before == (0 if entries == 2 else 100)


def test_it_says_how_far_it_is(monkeypatch):
    said = []
    plain = PlainAnswers(Counting(), PlainStore(), "p", lambda *each: said.append(each))
    plain.decode(shots(1))
    assert said[0] == (plain_answers.PLAIN, 0, 100)
