"""Slow references behind a gate: which shots they decode, what the others keep, and what may be missed."""

from contextlib import ExitStack

import numpy as np
import pytest

from autoqec.decoding.compile_decoder import compile_references, without_gate
from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.results.reference_gates import behind_gate, gate_faults
from autoqec.results.statistics import rate_interval
from autoqec.scoring import matcher
from autoqec.scoring.gated_references import choose, decode_chosen, runs_behind_gate
from autoqec.scoring.matcher import DecoderSet
from autoqec.scoring.plain_answers import PlainAnswers, PlainStore
from autoqec.scoring.scored import Scored
from autoqec.testing import TINY_ENVIRONMENT

SHOTS = 4096


class Sure:
    """A decoder that answers 0 and is as sure as it is told; it notes how far it was asked to search."""

    def __init__(self, confidence, kind="gap"):
        self.told, self.confidence_kind, self.asked = np.asarray(confidence, np.float32), kind, []

    def decode(self, syndromes, beliefs=None):
        return Decoded(np.zeros((len(syndromes), 1), np.uint8), np.zeros(len(syndromes), bool))

    def confidence(self, syndromes, at_most=np.inf):
        return self.decode_with_confidence(syndromes, at_most)[1]

    def decode_with_confidence(self, syndromes, at_most=np.inf):
        self.asked.append(at_most)
        rows = syndromes.view(np.uint32)[:, 0]  # each syndrome is its own place
        return self.decode(syndromes), np.where(self.told[rows] > at_most, at_most + 1, self.told[rows])


class Strong:
    """A slow decoder that answers 1 on some shots; it notes which it was given."""

    def __init__(self, ones):
        self.ones, self.given = set(ones), []

    def decode(self, syndromes, beliefs=None):
        rows = syndromes.view(np.uint32)[:, 0]
        self.given += rows.tolist()
        answers = np.array([[row in self.ones] for row in rows.tolist()], np.uint8).reshape(-1, 1)
        return Decoded(answers, np.zeros(len(syndromes), bool))


def places(count=SHOTS):
    return np.arange(count, dtype=np.uint32)[:, None].view(np.uint8).reshape(count, 4)


def test_the_least_sure_tenth_is_sent_and_nothing_surer_than_twelve_nats():
    rng = np.random.default_rng(1)
    gaps = rng.uniform(0, 20, SHOTS)
    chosen = choose(Sure(gaps), places(), 5)
    assert len(chosen.sent) == 410
    assert gaps[chosen.sent].max() <= np.sort(gaps)[409]
    few = np.full(SHOTS, 15.0)
    few[:100] = 11.0
    assert choose(Sure(few), places(), 5).sent.tolist() == list(range(100))


def test_it_searches_no_further_than_the_tenth_needs():
    near, far = Sure(np.linspace(0, 20, SHOTS)), Sure(np.linspace(4, 40, SHOTS))
    choose(near, places(), 5)
    assert near.asked == [6.0]
    chosen = choose(far, places(), 5)
    assert far.asked == [6.0, 12.0]
    assert chosen.sent.tolist() == list(range(410))


def test_where_belief_propagation_converges_or_not_all_that_did_not_are_sent():
    converged = (np.arange(SHOTS) % 4 != 0).astype(float)
    chosen = choose(Sure(converged, "converged"), places(), 5)
    assert chosen.sent.tolist() == list(range(0, SHOTS, 4))


def test_the_sample_is_of_the_others_and_drawn_by_the_seed_alone():
    gaps = np.random.default_rng(2).uniform(0, 20, SHOTS)
    one, same, other = (choose(Sure(gaps), places(), seed) for seed in (5, 5, 6))
    assert np.array_equal(one.sampled, same.sampled)
    assert not np.array_equal(one.sampled, other.sampled)
    assert not set(one.sampled.tolist()) & set(one.sent.tolist())
    assert len(one.sampled) == 116  # a 32nd of 3,686
    drawn = np.concatenate([choose(Sure(gaps), places(), seed).sampled for seed in range(200)])
    counts = np.bincount(drawn, minlength=SHOTS)[np.setdiff1d(np.arange(SHOTS), one.sent)]
    assert counts.mean() == pytest.approx(200 * 116 / 3686)
    assert counts.max() < 30, "no shot is drawn too often"


def test_others_keep_the_plain_answer_and_the_sample_is_only_compared():
    gaps = np.linspace(0, 20, SHOTS)
    chosen = choose(Sure(gaps), places(), 5)
    missed = int(chosen.sampled[3])
    strong = Strong([7, missed])
    answer, counts = decode_chosen(chosen, places(), strong.decode)
    assert np.flatnonzero(answer.observables[:, 0]).tolist() == [7]
    assert counts == {"sent": 410, "sampled": 116, "differing": 1}
    assert sorted(strong.given) == sorted([*chosen.sent.tolist(), *chosen.sampled.tolist()])


def test_a_decoder_set_runs_slow_references_behind_the_gate_and_others_on_all_shots():
    gaps = np.linspace(0, 20, SHOTS)
    slow, fast = Strong([1]), Strong([2])
    plain = PlainAnswers(Sure(gaps), PlainStore(), "p", lambda *told: None)
    for gated in (frozenset({"slow"}), frozenset()):
        slow.given, fast.given = [], []
        decoders = DecoderSet(None, plain, {"slow": slow, "fast": fast}, None, None, {}, gated_references=gated)
        answers, _ = decoders.known(places(), True, 9)
        assert answers["slow"].observables[1, 0] == 1
        assert len(slow.given) == (410 + 116 if gated else SHOTS)
        assert len(fast.given) == SHOTS
        assert ("sent" in decoders.looked["slow"]) == bool(gated)
        assert "sent" not in decoders.looked["fast"]
        assert all(told["seconds"] >= 0 for told in decoders.looked.values())


def test_the_confidence_is_compiled_before_a_reference_is_timed(monkeypatch):
    asked = []
    monkeypatch.setattr(matcher, "choose", lambda decoder, syndromes, seed: asked.append(len(syndromes)))
    monkeypatch.setattr(matcher, "runs_behind_gate", lambda choice, registry: choice.kind == "mwpm_correlated")
    with ExitStack() as resources:
        matcher.open_decoder_set({"env:environment.yaml": TINY_ENVIRONMENT.encode()}, None, None, resources)
        assert asked == [1], "on no real shot"
        matcher.open_decoder_set(
            {"env:environment.yaml": TINY_ENVIRONMENT.encode()}, None, None, resources, ungated=True
        )
    assert asked == [1]


def test_which_references_run_behind_a_gate():
    registry = load_plugins()
    assert runs_behind_gate(Choice(kind="tesseract"), registry)
    assert runs_behind_gate(Choice(kind="tesseract", beam=5), registry)
    assert not runs_behind_gate(Choice(kind="tesseract", gate="none"), registry)
    assert not runs_behind_gate(Choice(kind="mwpm_correlated"), registry)
    assert without_gate(Choice(kind="tesseract", gate="none", beam=5)) == Choice(kind="tesseract", beam=5)
    with pytest.raises(UsageError, match="gate 'wide' is unknown"):
        compile_references([Choice(kind="mwpm_correlated", gate="wide")], None, registry)


def test_the_record_follows_from_its_counts():
    found = behind_gate(4096, 410, 116, 0)
    assert found.share == 410 / 4096
    assert found.missed_at_most == rate_interval(0, 116)[1] * 3686 / 4096
    assert behind_gate(100, 100, 0, 0).missed_at_most == 0.0
    assert behind_gate(100, 10, 0, 0).missed_at_most == 0.9
    assert list(gate_faults("g", found, 4096)) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"share": 0.05}, "g.share"),
        ({"missed_at_most": 0.0}, "g.missed_at_most"),
        ({"sent": 4097}, "g:"),
        ({"differing": 117}, "g:"),
        ({"sampled": 3687}, "g:"),
        ({"shots": 8192}, "g:"),
        ({"differing": -1}, "g:"),
        ({"ungated": 5000}, "g.ungated"),
    ],
)
def test_an_altered_record_is_found(change, place):
    altered = type(found := behind_gate(4096, 410, 116, 0))(**{**vars(found), **change})
    assert [fault for fault in gate_faults("g", altered, 4096) if fault.startswith(place)]


def test_counts_of_chunks_add():
    one = Scored(reference_shots=4096, looked={"t": {"sent": 410, "sampled": 116, "differing": 1, "seconds": 0.5}})
    both = one + one
    assert both.gated("t") == behind_gate(8192, 820, 232, 2)
    assert both.reference_us == {"t": pytest.approx(1e6 / 8192)}
    assert Scored(reference_shots=8, looked={"t": {"seconds": 0.5}}).gated("t") is None
