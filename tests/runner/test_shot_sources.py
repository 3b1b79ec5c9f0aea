"""Sampled shots: the expected loss and gradient are those of all shots drawn, exactly."""

import itertools

import numpy as np
import pytest
import torch
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm, MwpmCorrelated

from autoqec.candidate.compile import build_modules
from autoqec.candidate.schema import read_candidate
from autoqec.decoding.gate_file import Gate
from autoqec.decoding.gating import open_gate
from autoqec.decoding.short_bp import ShortBP
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import Draw, Shots, sample_labelled
from autoqec.runner import shot_sources
from autoqec.runner.gap_temperature import Temperature
from autoqec.runner.shot_losses import ShotLosses, sampled_validation_size
from autoqec.runner.shot_sources import (
    AllShots,
    SampledShots,
    importance,
    inclusion_probabilities,
    systematic_sample,
)
from autoqec.runner.worker import _decoders
from autoqec.testing import surface_problem

SHOTS, SHARE = 96, 0.25


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.02)


@pytest.fixture(scope="module")
def decoder(problem):
    return Mwpm().compile(problem)


def starts(chances):
    """Random starts that give different samples: the middle of each interval, and its length."""
    edges = np.unique(np.concatenate([[0.0, 1.0], 1.0 - np.cumsum(chances) % 1.0]))
    return [((a + b) / 2, b - a) for a, b in itertools.pairwise(edges) if b - a > 1e-9]


@pytest.mark.parametrize("wanted", [1, 7, 60, 100, 130])
@pytest.mark.parametrize("spread", [0.0, 1.0, 5.0])
def test_chances_are_proportional_to_sizes_and_add_up(wanted, spread):
    sizes = np.exp(spread * np.random.default_rng(wanted).normal(size=100))
    chances = inclusion_probabilities(sizes, wanted)
    assert chances.sum() == pytest.approx(min(wanted, 100))
    assert chances.max() <= 1.0
    assert chances.min() > 0.0
    below = chances < 1.0
    if below.any():
        assert np.ptp(chances[below] / sizes[below]) < 1e-9 * sizes.max()
        assert sizes[~below].min(initial=np.inf) >= sizes[below].max()


def test_each_row_is_taken_with_its_chance_and_the_estimate_is_exact_on_average():
    rng = np.random.default_rng(4)
    chances, values = inclusion_probabilities(np.exp(rng.normal(size=40)), 9), rng.normal(size=40)
    taken, estimate = np.zeros(40), 0.0
    for start, length in starts(chances):
        rows = systematic_sample(chances, start)
        assert len(rows) == 9
        taken[rows] += length
        estimate += length * (values[rows] / chances[rows]).sum()
    assert taken == pytest.approx(chances)
    assert estimate == pytest.approx(values.sum())


class Start:
    """Stands in for a random generator that gives one number."""

    def __init__(self, number):
        self.number = number

    def random(self):
        return self.number


def losses_from(source, problem, decoder, settings):
    stage = "kind: neural_bp\niterations: 3\nsharing: per_check\ndamping: per_iteration\n"
    files = {"training.yaml": settings.encode(), "stages/s/stage.yaml": stage.encode()}
    candidate = read_candidate(files, load_plugins().maker("stage"))
    modules = build_modules(candidate, problem)
    parts = ShotLosses(modules, [problem], [decoder], source, candidate.training, torch.device("cpu"), bytes(32), 64)
    return parts, list(modules.parameters())


def gradient(source, problem, decoder, settings):
    losses, parameters = losses_from(source, problem, decoder, settings)
    loss = losses.gradients(0, 1)
    return float(loss), torch.cat([p.grad.flatten() for p in parameters]).double().numpy()


@pytest.mark.parametrize("loss", ["logical_gap", "bce"])
def test_the_expected_gradient_is_that_of_all_shots(loss, problem, decoder, monkeypatch):
    settings = f"loss: {loss}\nbatch_size: {SHOTS}\n"
    labels = loss == "bce"
    sampled = SampledShots([problem], [decoder], SHARE, labels=labels)
    expected = gradient(AllShots([problem], labels=labels), problem, decoder, settings)
    seed = shot_sources.np.random.default_rng  # not yet replaced
    drawn = Draw(problem, SHOTS, shot_seed(), labels=False)
    sizes = importance(decoder.confidence(drawn.syndromes, shot_sources._SUREST), "gap")
    chances = inclusion_probabilities(sizes, round(SHARE * SHOTS))
    order = np.argsort(sizes, kind="stable")
    total_loss, total_gradient = 0.0, np.zeros_like(expected[1])
    found = starts(chances[order])
    assert len(found) > 20
    for start, length in found:
        monkeypatch.setattr(shot_sources.np.random, "default_rng", lambda seed, start=start: Start(start))
        each = gradient(sampled, problem, decoder, settings + f"sampling: gated\nsampled_share: {SHARE}\n")
        total_loss += length * each[0]
        total_gradient += length * each[1]
    monkeypatch.setattr(shot_sources.np.random, "default_rng", seed)
    assert total_loss == pytest.approx(expected[0], rel=1e-5)
    assert total_gradient == pytest.approx(expected[1], rel=1e-3, abs=1e-5 * np.abs(expected[1]).max())


def shot_seed():
    from autoqec.problem.streams import derive_seed

    return derive_seed(bytes(32), "batch", 0)


def test_the_least_sure_shots_are_taken_for_sure_and_others_weigh_more():
    problem = surface_problem(5, 0.004)
    decoder = Mwpm().compile(problem)
    drawn = SampledShots([problem], [decoder], 0.2, labels=False).draw(0, 500, 3)
    gaps = decoder.confidence(drawn.syndromes)
    assert len(drawn.syndromes) == 100
    assert drawn.drawn == 500
    assert (drawn.weights[gaps < np.quantile(gaps, 0.2)] == 1.0).all()
    assert drawn.weights.max() > 5.0
    everything = np.sort(decoder.confidence(Draw(problem, 500, 3, labels=False).syndromes))
    assert (np.sort(gaps)[:20] == everything[:20]).all()


def test_of_another_confidence_only_the_order_counts():
    converged = np.array([1.0] * 93 + [0.0] * 7, dtype=np.float32)
    chances = inclusion_probabilities(importance(converged, "converged"), 20)
    assert (chances[93:] == 1.0).all()
    assert chances[:93] == pytest.approx(13 / 93)
    one, two = (importance(f(np.arange(1.0, 9.0, dtype=np.float32)), "words") for f in (np.sqrt, np.exp))
    assert (one == two).all()
    assert (np.diff(one) < 0).all()


def test_taken_shots_have_their_own_labels(problem, decoder):
    everything = sample_labelled(problem, 300, 5)
    rows = np.array([3, 200, 17])
    drawn = Draw(problem, 300, 5, labels=True).take(rows)
    assert (drawn.fired == everything.fired[rows]).all()
    bits = np.unpackbits(drawn.syndromes, axis=1, count=problem.num_detectors, bitorder="little")
    assert (bits == everything.syndromes[rows]).all()
    assert (drawn.observables[:, 0] == everything.observables[rows, 0]).all()
    assert Draw(problem, 300, 5, labels=False).take(rows).fired is None


def test_a_decoder_without_a_confidence_is_named(problem):
    class Registry:
        def get(self, kind, name):
            class Entry:
                def create(self, **fields):
                    return MwpmCorrelated()

            return Entry()

    settings = read_candidate({"training.yaml": b"sampling: gated\n"}, None).training
    with pytest.raises(UsageError, match="mwpm_correlated") as raised:
        _decoders(settings, {"kind": "mwpm_correlated"}, [problem], Registry())
    assert raised.value.about["choices"] == ["all"]
    assert _decoders(read_candidate({}, None).training, {"kind": "mwpm_correlated"}, [problem], Registry()) is None


def test_validation_takes_a_tenth_of_the_training():
    for steps, looks in ((400, 7), (100, 12), (4000, 3)):
        drawn = steps * 1024
        assert looks * sampled_validation_size(drawn, looks) / 2 <= 0.1 * drawn
    assert sampled_validation_size(100, 2) == 1024


def test_a_sampled_validation_is_near_that_of_all_and_repeats(problem, decoder):
    settings = "loss: logical_gap\nbatch_size: 64\n"
    everything, _ = losses_from(AllShots([problem], labels=False), problem, decoder, settings)
    some = SampledShots([problem], [decoder], 0.3, labels=False)
    sampled, _ = losses_from(some, problem, decoder, settings + "sampling: gated\n")
    everything._validation_shots = sampled._validation_shots = 4096
    one, two = sampled.validation(), sampled.validation()
    assert one.mean == two.mean == pytest.approx(one.each.sum() / 4096)
    assert one.mean == pytest.approx(everything.validation().mean, rel=0.1)


@pytest.mark.parametrize(
    "gate",
    [
        Gate(kind="gap", threshold=3.0),
        Gate(events=3),
        Gate(kind="gap", threshold=6.0, events=4),
        Gate(short_bp=4),
        Gate(kind="gap", threshold=6.0, events=4, short_bp=4),
    ],
)
def test_only_shots_that_the_candidates_gate_sends_on_are_taken(gate, problem, decoder):
    shots = 512
    drawn = Draw(problem, shots, 11, labels=False)
    sent = np.bitwise_count(drawn.syndromes).sum(axis=1) >= gate.events
    if gate.kind == "gap":
        sent &= decoder.confidence(drawn.syndromes) <= gate.threshold
    if gate.short_bp:
        sent &= ~ShortBP(problem, gate.short_bp).explain(drawn.syndromes).shots
    assert (open_gate(gate, decoder, problem).split(drawn.syndromes).sent == sent).all()  # what the judge sends
    assert 0 < sent.sum() < shots
    taken = SampledShots([problem], [decoder], 1.0, gate=gate, labels=False).draw(0, shots, 11)
    assert (taken.syndromes == drawn.syndromes[sent]).all()
    assert (taken.weights == 1).all()
    assert taken.drawn == shots
    few = SampledShots([problem], [decoder], 0.5 * sent.sum() / shots, gate=gate, labels=False).draw(0, shots, 11)
    assert len(few.syndromes) == round(0.5 * sent.sum())
    assert {row.tobytes() for row in few.syndromes} <= {row.tobytes() for row in drawn.syndromes[sent]}


def test_a_gate_that_the_decoder_does_not_offer_is_named(problem, decoder):
    with pytest.raises(UsageError, match="not 'converged'"):
        SampledShots([problem], [decoder], 0.5, gate=Gate(kind="converged"), labels=False)


def test_a_batch_of_which_nothing_is_sent_on_is_still_a_batch(problem, decoder):
    taken = SampledShots([problem], [decoder], 0.1, gate=Gate(events=1000), labels=False).draw(0, 100, 1)
    assert len(taken.syndromes) == 10


def test_the_validation_loss_has_the_temperature_that_suits_its_own_shots(problem, decoder):
    source = AllShots([problem], labels=False)
    plain, _ = losses_from(source, problem, decoder, "loss: logical_gap\nbatch_size: 64\n")
    fitted, _ = losses_from(source, problem, decoder, "loss: logical_gap\nbatch_size: 64\ntemperature: fitted\n")
    together = plain.validation().each.astype(np.float32)
    assert fitted.validation().each == pytest.approx(Temperature().rescale(together, None)[0], rel=1e-5)
    assert fitted.validation().mean < plain.validation().mean


def marked(problem, count):
    """Recorded shots of which each is another one."""
    marks = np.zeros((count, problem.syndrome_bytes), np.uint8)
    marks[:, :2] = np.arange(count, dtype="<u2").view(np.uint8).reshape(count, 2)
    return Shots(marks, (np.arange(count)[:, None] % 2).astype(np.uint8))


def numbers(taken):
    return taken.syndromes[:, :2].copy().view("<u2").ravel()


def test_recorded_shots_serve_for_training_and_those_for_validation_for_nothing_else(problem):
    source = AllShots([problem, problem], labels=False, recorded=marked(problem, 400))
    trained, validated = (source.draw(0, 300, seed, validation=seed == 2) for seed in (1, 2))
    assert set(numbers(validated)) <= set(range(0, 400, 8))
    assert not set(numbers(validated)) & set(numbers(trained))
    assert len(set(numbers(trained))) == 300, "no shot twice, while there are enough"
    assert (trained.observables[:, 0] == numbers(trained) % 2).all()
    assert (numbers(source.draw(0, 300, 1)) == numbers(trained)).all()
    assert (trained.fired, trained.drawn) == (None, 300)


def test_where_mechanisms_are_asked_for_and_at_other_rates_shots_are_those_of_the_error_model(problem):
    drawn = Draw(problem, 64, 3, labels=False).take().syndromes
    for source, rate in (
        (AllShots([problem], labels=True, recorded=marked(problem, 400)), 0),
        (AllShots([problem, problem], labels=False, recorded=marked(problem, 400)), 1),
        (AllShots([problem], labels=False, recorded=marked(problem, 7)), 0),
    ):
        assert (source.draw(rate, 64, 3).syndromes == drawn).all()


def test_recorded_shots_are_sampled_by_confidence_too(problem, decoder):
    events, flips = problem.circuit.compile_detector_sampler(seed=4).sample(
        2_000, separate_observables=True, bit_packed=True
    )
    source = SampledShots([problem], [decoder], 0.2, labels=False, recorded=Shots(events, flips))
    taken = source.draw(0, 500, 3)
    assert {row.tobytes() for row in taken.syndromes} <= {row.tobytes() for row in events}
    assert (len(taken.syndromes), taken.drawn) == (100, 500)
