"""Slow references behind a gate: which shots they decode, what the others keep, and what may be missed."""

import json
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from autoqec_plugins.osd.osd_decoder import CompiledOsd

from autoqec.decoding.compile_decoder import compile_decoder, compile_references, without_gate
from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, Choice, environment_from_files
from autoqec.problem.sampling import sample_chunk
from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Costs, Figures
from autoqec.results.metrics import Metrics, parse_metrics
from autoqec.results.metrics_parts import Measured
from autoqec.results.reference_gates import behind_gate, gate_faults
from autoqec.results.statistics import rate_interval
from autoqec.scoring import decoder_set
from autoqec.scoring.decoder_set import DecoderSet
from autoqec.scoring.gated_references import choose, decode_chosen, runs_behind_gate
from autoqec.scoring.plain_answers import PlainAnswers, PlainStore
from autoqec.scoring.reference_runs import GateCounts, ReferenceRun
from autoqec.scoring.scored import Scored
from autoqec.testing import TINY_ENVIRONMENT
from autoqec.views.figures_text import metrics_rows

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


class Counted(CompiledOsd):
    """The decoder `osd`; it counts the shots it is given, and those of them that it needs no belief propagation for."""

    shots = begun = 0

    def decode(self, syndromes, beliefs=None):
        self.shots += len(syndromes)
        return super().decode(syndromes, beliefs)

    def decode_unsure(self, syndromes, left):
        self.begun += len(syndromes)
        return super().decode_unsure(syndromes, left)


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
    assert counts == GateCounts(sent=410, sampled=116, differing=1)
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
        assert (decoders.reference_runs["slow"].gate is not None) == bool(gated)
        assert decoders.reference_runs["fast"].gate is None
        assert all(run.seconds >= 0 for run in decoders.reference_runs.values())


def test_the_confidence_is_compiled_before_a_reference_is_timed(monkeypatch):
    asked = []
    monkeypatch.setattr(decoder_set, "choose", lambda decoder, syndromes, seed: asked.append(len(syndromes)))
    monkeypatch.setattr(decoder_set, "runs_behind_gate", lambda choice, registry: choice.kind == "mwpm_correlated")
    with ExitStack() as resources:
        decoder_set.open_decoder_set({"env:environment.yaml": TINY_ENVIRONMENT.encode()}, None, None, resources)
        assert asked == [1], "on no real shot"
        decoder_set.open_decoder_set(
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
    one = Scored(reference_shots=4096, reference_runs={"t": ReferenceRun(0.5, GateCounts(410, 116, 1))})
    both = one + one
    assert both.gated("t") == behind_gate(8192, 820, 232, 2)
    assert both.reference_us == {"t": round(1e6 / 8192, 3)}
    assert Scored(reference_shots=8, reference_runs={"t": ReferenceRun(0.5)}).gated("t") is None
    assert replace(both, references={"t": 3, "other": 5}).gates == {"t": both.gated("t")}


def test_a_reference_with_the_same_belief_propagation_decodes_only_the_shots_on_which_it_does_not_converge():
    environment = TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: osd").replace("p: [0.005]", "p: [0.02]")
    registry = load_plugins()
    loaded = environment_from_files({ENVIRONMENT_FILE: environment.encode()}, origin="a test")
    problem = build_problem(loaded, registry.maker("code"), 0.02)
    sweep = Choice(kind="osd", method="osd_cs", order=4)
    plain, decoder = (compile_decoder(each, problem, registry) for each in (Choice(kind="osd"), sweep))
    given = Counted(problem, decoder._config)
    shots = sample_chunk(problem, 3).syndromes
    baseline = PlainAnswers(plain, PlainStore(), "a problem", lambda *told: None)
    decoders = DecoderSet(problem, baseline, {"cs": given}, None, plain, {})
    unsure = plain.confidence(shots) == 0
    whole = decoder.decode(shots)
    # The first time it goes on where the plain decoder's propagation ended; then that is known no more, but for its answers.
    for begun, again in ((unsure.sum(), 0), (unsure.sum(), unsure.sum())):
        found = decoders.known(shots, True)[0]["cs"]
        assert (given.begun, given.shots) == (begun, again)
        assert (found.observables == whole.observables).all()
        assert (found.invalid == whole.invalid).all()
    assert 0 < given.shots < len(shots)
    others = (Choice(kind="osd", bp_iterations=31), Choice(kind="bp_lsd"))
    assert not any(plain.same_where_sure(compile_decoder(each, problem, registry)) for each in others)


def test_uninformative_beliefs_say_their_own_seconds():
    one = Scored(neutral=PairedCounts(4096, 1, 1, 1), neutral_seconds=0.25)
    assert (one + one).neutral_us == round(1e6 * 0.5 / 8192, 3)
    assert Scored().neutral_us is None


def test_metrics_say_what_a_gated_reference_was_run_on():
    gated, counts = behind_gate(4096, 410, 116, 1), PairedCounts(4096, 10, 5, 3)
    measured = Measured(counts=counts, gated={"t": gated}, reference_us={"t": 900.0}, neutral_us=12.5)
    note = json.loads(json.dumps(Metrics.of(Figures.of(counts), Costs(1, 1, 1.0, 1.0, 1.0), measured, {}).to_note()))
    again = parse_metrics(note).record
    assert again.measured.gated == {"t": gated}
    assert (again.measured.reference_us, again.measured.neutral_us) == ({"t": 900.0}, 12.5)
    assert "t ran on the 10.0% of shots" in str(metrics_rows(again, None))
