"""A round's decoder in Python answers as the judge's does, on arrays of both forms, and keeps the code of others locked away."""

import numpy as np
import pytest

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.package import package_of
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk

RUN = "tiny-abcd"


@pytest.fixture(scope="module")
def shots(recorded):
    """A chunk of shots of the tiny environment; its problem, and what the round answers in scoring."""
    deployed = Deployed(package_of(recorded.ledger, RUN, 1), load_plugins())
    batch = sample_chunk(deployed.problem, 11)
    return deployed, batch.syndromes[:1500]


def bits(packed, count):
    return np.unpackbits(packed, axis=1, count=count, bitorder="little").astype(bool)


def test_both_forms_get_answers_of_their_own_form(lab, shots):
    deployed, packed = shots
    decoder = lab.round(f"{RUN}/1").decoder()
    answers = decoder.decode(packed)
    assert (answers.dtype, answers.shape) == (np.uint8, (1500, 1))
    assert (answers == deployed.decode(packed).observables).all()
    plain = bits(packed, decoder.problem.num_detectors)
    told = decoder.decode(plain)
    assert (told.dtype, told.shape) == (np.bool_, (1500, 1))
    assert (told == bits(answers, 1)).all()
    assert told.any()
    assert (decoder.decode(plain[:3].tolist()) == told[:3]).all()
    observables, valid = decoder.decode_checked(plain)
    assert (observables == told).all()
    assert valid.all()
    assert decoder.decode(plain[:0]).shape == (0, 1)
    confidence = decoder.confidence(plain)
    assert (confidence.dtype, confidence.shape) == (np.float32, (1500,))
    assert (confidence == deployed.confidence(packed)).all()
    assert decoder.locked is False
    assert repr(decoder) == f"<decoder of exp/{RUN}/1, in this process>"
    assert decoder.metadata["round"] == f"exp/{RUN}/1"


def test_a_large_batch_is_decoded_in_parts_with_the_same_answers(lab, shots, monkeypatch):
    deployed, packed = shots
    monkeypatch.setattr("autoqec.exchange.array_decoder._MOST", 400)
    decoder = lab.round(f"{RUN}/1").decoder()
    asked = []
    whole = Deployed.decode
    monkeypatch.setattr(Deployed, "decode", lambda self, part: asked.append(len(part)) or whole(self, part))
    assert (decoder.decode(packed) == whole(deployed, packed).observables).all()
    assert asked == [400, 400, 400, 300]


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (lambda plain, packed: plain[0], "syndromes[None]"),
        (lambda plain, packed: plain.astype(np.uint8), "syndromes.astype(bool)"),
        (lambda plain, packed: plain[:, 1:], "another circuit"),
        (lambda plain, packed: packed.astype(np.int64), "another circuit"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(lab, shots, array, hint):
    decoder = lab.round(f"{RUN}/1").decoder()
    plain = bits(shots[1], decoder.problem.num_detectors)
    with pytest.raises(UsageError, match="syndromes must be bool") as caught:
        decoder.decode(array(plain, shots[1]))
    assert hint in caught.value.hint


def test_code_that_is_not_ours_runs_locked_unless_it_is_trusted(lab, shots):
    _, packed = shots
    found = lab.round(f"exp/{RUN}/2")
    with found.decoder() as locked:
        assert locked.locked
        assert repr(locked) == f"<decoder of exp/{RUN}/2, in a locked process>"
        answers = locked.decode(packed)
        confidence = locked.confidence(packed)
    trusted = found.decoder(trust_code=True)
    assert not trusted.locked
    assert (trusted.decode(packed) == answers).all()
    assert (trusted.confidence(packed) == confidence).all()


def test_a_round_without_weights_has_no_decoder(lab):
    with pytest.raises(NotFoundError, match="has no weights in this lab"):
        lab.round(f"{RUN}/3").decoder()


def test_weights_that_were_not_scored_are_refused(tmp_path):
    import autoqec
    from autoqec.testing import figures, make_tiny_lab, record_round, record_run

    ledger = make_tiny_lab(tmp_path)
    told = figures() | {"candidate": "a" * 64}
    record_round(ledger, record_run(ledger, "one"), {}, weights=b"w", metrics=told)
    with pytest.raises(AutoQECError, match="differ from those that were scored"):
        autoqec.open(tmp_path).round("one/1").decoder()
