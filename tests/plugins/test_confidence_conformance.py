"""`check_decoder` holds a decoder's confidence to its contract: each way to be wrong is named."""

import numpy as np
import pytest
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm
from autoqec_plugins.osd.osd_decoder import Osd

from autoqec.decoding import Decoded
from autoqec.testing import check_decoder, tiny_problem


class Altered:
    """`mwpm` without beliefs, with one thing changed."""

    takes_beliefs = False

    def __init__(self, change):
        self._change = change

    def compile(self, problem):
        return type("Compiled", (Compiled,), self._change)(Mwpm().compile(problem))


class Compiled:
    confidence_kind = "gap"

    def __init__(self, true):
        self.true = true

    def decode(self, syndromes, beliefs=None):
        return self.true.decode(syndromes)

    def confidence(self, syndromes, at_most=np.inf):
        return self.decode_with_confidence(syndromes, at_most)[1]

    def decode_with_confidence(self, syndromes, at_most=np.inf):
        return self.true.decode_with_confidence(syndromes, at_most)


def changed(change):
    """A decoder whose confidence is changed by a function of it, the syndromes and the limit."""

    def decode_with_confidence(self, syndromes, at_most=np.inf):
        decoded, confidence = self.true.decode_with_confidence(syndromes, at_most)
        return decoded, change(confidence, syndromes, at_most)

    return {"decode_with_confidence": decode_with_confidence, "confidence_kind": "own"}


def other_answer(self, syndromes, at_most=np.inf):
    decoded, confidence = self.true.decode_with_confidence(syndromes, at_most)
    return Decoded(decoded.observables ^ (confidence < 1).astype(np.uint8)[:, None], decoded.invalid), confidence


def doubtful(self, syndromes):
    decoded, confidence = self.true.decode_with_confidence(syndromes)
    return Decoded(decoded.observables, (confidence > 7.5) & (confidence < 7.6)), confidence


WRONG = {
    "lacks decode_with_confidence": {"confidence_kind": "gap", "decode_with_confidence": property()},
    "must be a word": {"confidence_kind": 3},
    "other than none": {"confidence_kind": "none"},
    "must be an array": changed(lambda c, s, a: c.tolist()),
    "must be float32": changed(lambda c, s, a: c.astype(np.float64)),
    "must have shape": changed(lambda c, s, a: c[:, None]),
    "must not be NaN": changed(lambda c, s, a: np.where(c < 1, np.float32(np.nan), c)),
    "must not be negative": changed(lambda c, s, a: c - np.float32(9)),
    "other shots of a batch": changed(lambda c, s, a: c + np.float32(len(s))),
    "order of a batch": changed(lambda c, s, a: c + np.float32(len(c) > 16) * (np.arange(len(c)) == 40)),
    "up to at_most": changed(lambda c, s, a: c * np.float32(0.5 if np.isfinite(a) else 1)),
    "stay above": changed(lambda c, s, a: np.where(np.isfinite(a) & (c > a), np.float32(0.5) * c, c)),
    "same confidence": {"confidence": lambda self, s, at_most=np.inf: 2 * self.true.confidence(s, at_most / 2)},
    "what decode answers": {"decode_with_confidence": other_answer},
    "fail less often": {
        "confidence_kind": "own",
        "decode_with_confidence": lambda self, s, at_most=np.inf: (
            self.true.decode(s),
            1 / (1 + self.true.confidence(s)),
        ),
    },
    "without a valid answer": {
        "decode": lambda self, s, beliefs=None: doubtful(self, s)[0],
        "decode_with_confidence": lambda self, s, at_most=np.inf: doubtful(self, s),
    },
    "lightest solution in any other class": {
        "decode_with_confidence": lambda self, s, at_most=np.inf: (
            self.true.decode(s),
            np.float32(1.1) * self.true.confidence(s, at_most / 1.1),
        )
    },
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_confidence_is_named(words):
    with pytest.raises(AssertionError, match=words):
        check_decoder(Altered(WRONG[words]), tiny_problem())


def test_a_right_confidence_passes():
    check_decoder(Altered({}), tiny_problem())
    check_decoder(Altered(changed(lambda c, s, a: np.minimum(c, 30))), tiny_problem())


def test_a_decoder_that_offers_none_passes():
    class Silent:
        takes_beliefs = False

        def compile(self, problem):
            true = Mwpm().compile(problem)
            return type("Plain", (), {"decode": lambda self, s, b=None: true.decode(s)})()

    check_decoder(Silent(), tiny_problem())


def test_ours_pass():
    check_decoder(Mwpm(), tiny_problem())
    check_decoder(Osd(), tiny_problem())
