"""Both logical classes of a shot: weights against brute force, the loss against the decoder, gradients against differences."""

import itertools

import numpy as np
import pytest
import torch
from autoqec_plugins.mwpm.classes import both_classes
from autoqec_plugins.mwpm.cover import double_cover
from autoqec_plugins.mwpm.forced_classes import ForcedClasses
from autoqec_plugins.mwpm.matching_kernel import WEIGHTS_PER_NAT
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm, MwpmCorrelated
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP

from autoqec.candidate.schema import Candidate, Output, Stage, Training
from autoqec.decoding.decoder_contract import TeachingDecoder
from autoqec.decoding.edges import edge_log_odds, edge_log_odds_gradient, edge_uses
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk, sample_labelled
from autoqec.runner.training import train
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.worker_requests import TrainingPreparation, TrainingRequest
from autoqec.testing.tiny import surface_problem


def ladder():
    """Two rounds of a three-bit line with a boundary at either end, in which one boundary flips the observable."""
    import stim

    pieces = ["D0", "D0 D1", "D1 L0", "D2", "D2 D3", "D3 L0", "D0 D2", "D1 D3", "D0 D3", "D1 D2"]
    return problem_from_dem(
        stim.DetectorErrorModel("\n".join(f"error(0.1) {piece}" for piece in pieces)), name="ladder"
    )


def all_sets(problem):
    """Every set of edges: which edges, its syndrome as a number, its parity."""
    edges = problem.edges
    chosen = np.array(list(itertools.product((0, 1), repeat=len(edges))))
    ends = np.zeros((len(edges), problem.num_detectors), dtype=int)
    for edge, pair in enumerate(edges.ends):
        ends[edge, pair[pair >= 0]] = 1
    return chosen, (chosen @ ends) % 2, (chosen @ edges.observables[:, 0]) % 2


@pytest.mark.parametrize("seed", range(4))
def test_both_classes_are_the_lightest_there_are(seed):
    problem = ladder()
    rng = np.random.default_rng(seed)
    chosen, syndromes, sides = all_sets(problem)
    parity = problem.edges.observables[:, 0].copy()
    cover = double_cover(problem.edges, problem.num_detectors)
    for syndrome in itertools.product((0, 1), repeat=problem.num_detectors):
        log_odds = rng.normal(1.0, 1.5, len(problem.edges)).astype(np.float32)
        packed = np.packbits(syndrome, bitorder="little")
        weights, solutions = np.empty(2, np.int64), np.empty((2, len(problem.edges)), np.uint8)
        assert both_classes(packed, log_odds, parity, cover, weights, solutions)
        explains = (syndromes == syndrome).all(axis=1)
        least = [(chosen[explains & (sides == side)] @ log_odds).min() for side in range(2)]
        assert (weights[1] - weights[0]) / WEIGHTS_PER_NAT == pytest.approx(least[1] - least[0], abs=0.02)
        for side in range(2):
            assert parity[solutions[side] > 0].sum() % 2 == side
            assert solutions[side] @ log_odds == pytest.approx(least[side], abs=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_a_general_solver_finds_the_lightest_of_both_classes_too(seed):
    problem, rng = ladder(), np.random.default_rng(seed)
    chosen, syndromes, sides = all_sets(problem)
    parity = problem.edges.observables[:, 0].copy()
    forced = ForcedClasses(parity, double_cover(problem.edges, problem.num_detectors))
    assert forced.possible
    for syndrome in itertools.product((0, 1), repeat=problem.num_detectors):
        log_odds = rng.normal(1.0, 1.5, len(problem.edges)).astype(np.float32)
        weights, solutions = np.empty(2, np.int64), np.empty((2, len(problem.edges)), np.uint8)
        assert forced.solve(np.packbits(syndrome, bitorder="little"), log_odds, weights, solutions)
        explains = (syndromes == syndrome).all(axis=1)
        least = [(chosen[explains & (sides == side)] @ log_odds).min() for side in range(2)]
        assert (weights[1] - weights[0]) / WEIGHTS_PER_NAT == pytest.approx(least[1] - least[0], abs=0.02)
        for side in range(2):
            assert parity[solutions[side] > 0].sum() % 2 == side
            assert solutions[side] @ log_odds == pytest.approx(least[side], abs=0.02)


def test_both_solvers_agree_on_drawn_shots():
    problem = surface_problem(5, 0.008)
    shots, beliefs = shots_and_beliefs(problem)
    log_odds = edge_log_odds(beliefs, edge_uses(problem.edges))
    parity = problem.edges.observables[:, 0].copy()
    cover = double_cover(problem.edges, problem.num_detectors)
    forced, found = ForcedClasses(parity, cover), 0
    for shot in range(300):
        one, other = (np.empty(2, np.int64) for _ in range(2))
        solutions = np.empty((2, len(problem.edges)), np.uint8)
        if both_classes(shots.syndromes[shot], log_odds[shot], parity, cover, one, solutions):
            assert forced.solve(shots.syndromes[shot], log_odds[shot], other, solutions)
            assert (one == other).all()
            found += 1
    assert found > 200


def test_clusters_that_are_too_large_for_the_kernel_have_a_loss():
    problem = surface_problem(5, 0.02)
    shots, beliefs = shots_and_beliefs(problem)
    syndromes, llr, truth = (part[:400] for part in (shots.syndromes, beliefs, shots.observables))
    decoder = Mwpm().compile(problem)
    log_odds = edge_log_odds(llr, edge_uses(problem.edges))
    parity = problem.edges.observables[:, 0].copy()
    cover = double_cover(problem.edges, problem.num_detectors)
    room = np.empty(2, np.int64), np.empty((2, len(problem.edges)), np.uint8)
    large = np.array([not both_classes(*row, parity, cover, *room) for row in zip(syndromes, log_odds, strict=True)])
    loss, gradient = decoder.logical_gap_loss(syndromes, llr, truth)
    failed = decoder.decode(syndromes, llr).failures(truth)
    assert large.sum() > 20
    assert (loss > 0).all()
    tied = np.abs(loss - np.log(2)) < 2 / WEIGHTS_PER_NAT
    assert ((loss > np.log(2)) == failed)[large & ~tied].all()
    assert (np.abs(gradient[large & (loss > 0.01)]).sum(axis=1) > 0).all()


def test_without_gauges_or_without_a_class_there_is_no_answer():
    import stim

    def forced(text):
        problem = problem_from_dem(stim.DetectorErrorModel(text), name="small")
        made = ForcedClasses(problem.edges.observables[:, 0].copy(), double_cover(problem.edges, problem.num_detectors))
        return made, np.ones(len(problem.edges), np.float32)

    ring = "error(0.1) D0 D1\nerror(0.1) D1 D2\nerror(0.1) D2 D0 L0"
    assert not forced(ring)[0].possible
    line, log_odds = forced("error(0.1) D0 D1\nerror(0.1) D1 L0")
    room = np.empty(2, np.int64), np.empty((2, 2), np.uint8)
    assert line.possible
    assert not line.solve(np.array([1], np.uint8), log_odds, *room)


def shots_and_beliefs(problem, seed=3):
    shots = sample_chunk(problem, seed)
    noise = np.random.default_rng(seed).uniform(0.6, 1.3, (len(shots), len(problem.mechanisms)))
    return shots, (problem.priors_llr * noise).astype(np.float32)


def test_the_loss_is_above_one_bit_just_where_the_decoder_fails():
    problem = surface_problem(5, 0.006)
    shots, beliefs = shots_and_beliefs(problem)
    decoder = Mwpm().compile(problem)
    assert isinstance(decoder, TeachingDecoder)
    loss, _ = decoder.logical_gap_loss(shots.syndromes, beliefs, shots.observables)
    failed = decoder.decode(shots.syndromes, beliefs).failures(shots.observables)
    found = loss > 0
    assert found.mean() > 0.99
    assert failed[found].sum() > 20
    tied = np.abs(loss - np.log(2)) < 2 / WEIGHTS_PER_NAT
    assert ((loss > np.log(2)) == failed)[found & ~tied].all()


def test_the_gradient_of_edges_is_that_of_torch():
    problem = surface_problem(3, 0.01)
    rng = np.random.default_rng(2)
    beliefs = rng.normal(1.0, 2.0, (6, len(problem.mechanisms))).astype(np.float32)
    uses = edge_uses(problem.edges)
    log_odds = edge_log_odds(beliefs, uses)
    by_log_odds = rng.normal(size=log_odds.shape).astype(np.float32)
    llr = torch.from_numpy(beliefs).double().requires_grad_()
    edges = [
        2 * torch.atanh(torch.tanh(llr[:, uses.mechanism[a:b]] / 2).prod(dim=1))
        for a, b in itertools.pairwise(uses.start)
    ]
    (torch.stack(edges, dim=1) * torch.from_numpy(by_log_odds)).sum().backward()
    found = edge_log_odds_gradient(beliefs, log_odds, by_log_odds, uses)
    assert found == pytest.approx(llr.grad.numpy(), abs=2e-4, rel=2e-3)


def test_the_gradient_is_the_slope_of_the_loss():
    problem = surface_problem(3, 0.02)
    shots, beliefs = shots_and_beliefs(problem)
    decoder = Mwpm().compile(problem)
    loss, _ = decoder.logical_gap_loss(shots.syndromes, beliefs, shots.observables)
    hard = np.argsort(-loss)[:300]
    syndromes, llr, truth = shots.syndromes[hard], beliefs[hard], shots.observables[hard]
    direction = np.random.default_rng(8).normal(size=llr.shape).astype(np.float32)
    _, gradient = decoder.logical_gap_loss(syndromes, llr, truth)
    ahead, behind = (
        decoder.logical_gap_loss(syndromes, llr + np.float32(step) * direction, truth)[0] for step in (0.02, -0.02)
    )
    # A few shots change their solution on the way; there the loss has a kink.
    assert np.corrcoef((gradient * direction).sum(axis=1), (ahead - behind) / 0.04)[0, 1] > 0.98


def test_training_on_the_gap_lowers_it():
    problem = surface_problem(3, 0.01)
    config = NeuralBPConfig(iterations=4, sharing="per_check", scale=0.5)
    candidate = Candidate(
        Output(), Training(shots=8192, learning_rate=0.05, loss="logical_gap"), (Stage("bp", NeuralBP(), config),)
    )
    trained = train(
        candidate,
        [problem],
        [Mwpm().compile(problem)],
        seed=bytes(32),
        max_shots=8192,
        initial={},
        inherit=False,
        report=lambda progress: None,
    )
    telemetry = trained.telemetry
    assert telemetry["validation_after"] < 0.97 * telemetry["validation_before"]


def test_a_decoder_that_knows_no_gap_is_named():
    from autoqec.plugins import load_plugins
    from autoqec.runner.worker import _teacher

    problem = surface_problem(3, 0.01)
    assert not isinstance(MwpmCorrelated().compile(problem), TeachingDecoder)
    with pytest.raises(UsageError, match="mwpm_correlated"):
        _teacher({"kind": "mwpm_correlated"}, problem, load_plugins())


def test_training_at_many_rates_loads_the_plugins_once(monkeypatch):
    from autoqec.runner import worker

    class Channel:
        def __init__(self, requests):
            self.requests, self.sent = requests, []

        def receive(self):
            return self.requests.pop(0)

        def send(self, message):
            self.sent.append(message)

    loaded = []
    # All plugins, not only those that are ours: the tests may run from a source tree beside an installed copy.
    monkeypatch.setattr(worker, "load_plugins", lambda entries: loaded.append(1) or load_plugins())
    dem, *others = (str(surface_problem(3, p).dem).encode() for p in (0.01, 0.02, 0.005))
    files = {"training.yaml": b"loss: logical_gap\nshots: 0\n", "stages/bp/stage.yaml": b"kind: neural_bp\n"}
    preparation = TrainingPreparation(
        stages=(),
        dem=dem,
        lock=False,
        other_dems={"1": others[0], "2": others[1]},
        decoder={"kind": "mwpm"},
        training='{"loss": "logical_gap"}',
    )
    request = TrainingRequest(
        sealed=SealedCandidate(files, b""), seed=bytes(32), max_shots=0, inherit=False, seconds=60
    )
    channel = Channel([preparation.to_message(), request.to_message()])
    worker.serve_training(channel)
    assert channel.sent[-1].fields["done"]
    assert len(loaded) == 1


def test_labels_hold_the_observables_that_the_loss_is_told():
    problem = surface_problem(3, 0.02)
    shots = sample_labelled(problem, 64, 1)
    assert shots.observables.shape == (64, problem.num_observables)
