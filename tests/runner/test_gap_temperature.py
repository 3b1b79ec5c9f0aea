"""The temperature of the gap loss: it is the one with the least loss, and derivatives are those of the loss at it."""

import numpy as np
import pytest
import torch
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm

from autoqec.candidate.schema import Training
from autoqec.problem.sampling import Draw
from autoqec.runner.gap_temperature import Temperature, fitted_sharpness
from autoqec.runner.losses import batch_loss
from autoqec.runner.shot_losses import fits_temperature
from autoqec.testing import surface_problem


def loss_of(gaps, sharpness=1.0):
    return np.logaddexp(0.0, -sharpness * np.asarray(gaps, dtype=np.float64))


def overconfident(shots=400):
    """Gaps that are three times the log-odds of being right."""
    rng = np.random.default_rng(5)
    log_odds = rng.exponential(2.0, shots)
    right = rng.random(shots) < 1 / (1 + np.exp(-log_odds))
    return 3 * np.where(right, log_odds, -log_odds)


def test_the_sharpness_undoes_overconfidence_and_has_the_least_loss():
    gaps, weights = overconfident(20_000), np.ones(20_000)
    sharpness = fitted_sharpness(gaps, weights)
    assert sharpness == pytest.approx(1 / 3, rel=0.1)
    for other in (0.8 * sharpness, 1.25 * sharpness):
        assert loss_of(gaps, sharpness).sum() < loss_of(gaps, other).sum()


def test_weights_count_as_repetitions():
    gaps = overconfident()
    weights = np.random.default_rng(6).integers(1, 5, len(gaps))
    repeated = np.repeat(gaps, weights)
    assert fitted_sharpness(gaps, weights.astype(float)) == fitted_sharpness(repeated, np.ones(len(repeated)))


def test_losses_and_factors_are_those_at_the_fitted_sharpness():
    gaps = np.concatenate([overconfident(), [40.0, -40.0, 80.0]])
    sharpness = fitted_sharpness(gaps, np.ones(len(gaps)))
    loss, factor = Temperature().rescale(loss_of(gaps).astype(np.float32), None)
    assert loss == pytest.approx(loss_of(gaps, sharpness), rel=1e-4)
    slope = sharpness / (1 + np.exp(sharpness * gaps))
    assert factor / (1 + np.exp(gaps)) == pytest.approx(slope, rel=1e-3)


def test_a_shot_without_a_gap_has_no_loss_and_no_slope():
    loss, factor = Temperature().rescale(np.float32([0.0, 0.7, 0.0]), np.float32([5.0, 1.0, 5.0]))
    assert (loss[[0, 2]] == 0).all()
    assert (factor[[0, 2]] == 0).all()
    assert loss[1] > 0


def test_it_is_fitted_to_the_last_batches_together():
    first, second = overconfident(), overconfident() / 3
    temperature = Temperature()
    temperature.rescale(loss_of(first).astype(np.float32), None)
    loss, _ = temperature.rescale(loss_of(second).astype(np.float32), None)
    both = fitted_sharpness(np.concatenate([first, second]), np.ones(2 * len(first)))
    assert loss == pytest.approx(loss_of(second, both), rel=1e-4)
    assert both != fitted_sharpness(second, np.ones(len(second)))


def test_the_gradient_of_the_loss_is_that_at_the_fitted_sharpness():
    problem = surface_problem(3, 0.02)
    decoder = Mwpm().compile(problem)
    shots = Draw(problem, 256, 7, labels=False).take()
    priors = torch.from_numpy(problem.priors_llr)
    # Six times as sure as the problem: then the fitted sharpness is far from 1.
    start = (6 * priors).expand(256, -1).contiguous()
    at_one = start.clone().requires_grad_()
    plain = batch_loss("logical_gap", at_one, shots, priors, decoder)
    plain.sum().backward()
    expected, factor = Temperature().rescale(plain.detach().numpy(), None)
    beliefs = start.clone().requires_grad_()
    loss = batch_loss("logical_gap", beliefs, shots, priors, decoder, Temperature())
    loss.sum().backward()
    assert loss.detach().numpy() == pytest.approx(expected)
    assert loss.sum() < 0.8 * plain.sum()
    assert beliefs.grad.numpy() == pytest.approx(at_one.grad.numpy() * factor[:, None], rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({"loss": "logical_gap", "temperature": "fitted"}, True),
        ({"loss": "logical_gap"}, False),
        ({"loss": "bce", "temperature": "fitted"}, False),
    ],
)
def test_only_the_gap_loss_has_a_temperature_and_only_if_it_is_asked_for(fields, fits):
    assert fits_temperature(Training(**fields), surface_problem(3, 0.02)) is fits
