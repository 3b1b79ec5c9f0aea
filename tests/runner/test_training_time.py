"""What fits in the time is measured, and the plan is cut to it; a training that fits is not touched."""

import numpy as np
import pytest
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm

from autoqec.candidate.schema import read_candidate
from autoqec.plugins import load_plugins
from autoqec.runner import training, training_time
from autoqec.runner.stopping import EarlyStopping
from autoqec.runner.training_time import TrainingTime
from autoqec.testing import surface_problem


class Clock:
    """A clock that only the test moves."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(training_time.time, "monotonic", lambda: self.now)


def walked(clock, steps, seconds, per_step, first=0.0, look=0.0, between=10, pause=0.0):
    """Walk as training does; returns how many steps are done, and every cut."""
    plan, cuts, done = TrainingTime(steps, between, seconds, clock.now), [], 0
    while done < steps and not plan.is_over():
        cut = plan.cut(done)
        if cut is not None:
            cuts.append((done, cut))
            steps = cut
        clock.now += per_step + (first if done == 0 else 0.0)
        done += 1
        if done % plan.between == 0:
            with plan.looking():
                clock.now += look
        if done == between:
            with plan.pausing():
                clock.now += pause
    return done, cuts, plan.telemetry()


def test_a_plan_that_fits_is_not_cut(monkeypatch):
    assert walked(Clock(monkeypatch), 400, 100.0, 0.2, first=15.0) == (400, [], {})


def test_a_plan_that_does_not_fit_is_cut_once_the_steps_have_taken_a_second(monkeypatch):
    clock = Clock(monkeypatch)
    done, cuts, told = walked(clock, 400, 100.0, 1.0, first=20.0, look=5.0)
    assert cuts[0][0] == 2
    assert done == cuts[-1][1] == told["steps_cut_to"]
    assert clock.now <= 200.0
    assert 50 <= done <= 75
    assert told["seconds_a_step"] == pytest.approx(1.0)
    assert told["seconds_allowed"] == 100.0


def test_where_the_plan_is_cut_slow_looks_take_a_tenth_of_the_time(monkeypatch):
    """The validation shots are drawn for the plan, so a look may take as long as many steps."""
    clock = Clock(monkeypatch)
    done, cuts, _ = walked(clock, 4000, 100.0, 0.1, look=2.0, between=20)
    assert cuts
    assert clock.now <= 202.0
    assert done >= 800  # of 1,000 steps without any look; it was 500 with a look every twenty steps


def test_a_wait_for_others_is_no_time_of_the_training(monkeypatch):
    whole, waited = (walked(Clock(monkeypatch), 400, 100.0, 1.0, look=5.0, pause=pause) for pause in (0.0, 1000.0))
    assert waited == whole


def test_a_slow_first_step_alone_cuts_nothing(monkeypatch):
    clock = Clock(monkeypatch)
    plan = TrainingTime(10, 5, 100.0, clock.now)
    clock.now += 60.0
    assert plan.cut(1) is None


def test_without_a_limit_nothing_is_measured(monkeypatch):
    assert walked(Clock(monkeypatch), 400, float("inf"), 1.0)[:2] == (400, [])


def test_training_tells_what_it_was_cut_to_and_its_rate_falls_to_zero(monkeypatch):
    clock, rates = Clock(monkeypatch), []
    take = training._take_step

    def slow(course, step, optimiser, parameters, losses):
        clock.now += 1.0
        loss = take(course, step, optimiser, parameters, losses)
        rates.append((optimiser._done, optimiser._steps))
        return loss

    monkeypatch.setattr(training, "_take_step", slow)
    files = {"training.yaml": b"shots: 6400\nbatch_size: 64\n", "stages/s/stage.yaml": b"kind: mlp\n"}
    candidate = read_candidate(files, load_plugins().maker("stage"))
    told = []
    found = training.train(
        candidate, [surface_problem(3, 0.01)], None, seed=bytes(32), max_shots=6400, initial={}, inherit=False,
        report=told.append, seconds=30.0, validation_shots=64,
    ).telemetry  # fmt: skip
    assert found["out_of_time"]
    assert found["steps_planned"] == 100
    assert found["steps"] == found["steps_cut_to"] < 31
    assert rates[-1] == (found["steps"], found["steps"])
    assert told[0].steps == 100
    assert told[-1].steps == found["steps"] < told[-1].planned == 100


BP = "kind: neural_bp\niterations: 3\nsharing: per_check\nmemory: per_mechanism\n"


@pytest.mark.parametrize("sampling", ["all", "gated"])
def test_weights_do_not_depend_on_the_number_of_threads(sampling, threads):
    problem = surface_problem(3, 0.01)
    settings = f"loss: logical_gap\nshots: 2048\nbatch_size: 512\nsampling: {sampling}\nsampled_share: 0.5\n"
    files = {"training.yaml": settings.encode(), "stages/s/stage.yaml": BP.encode()}
    candidate = read_candidate(files, load_plugins().maker("stage"))

    def weights(count):
        threads(count)
        trained = training.train(
            candidate, [problem], [Mwpm().compile(problem)], seed=bytes(32), max_shots=2048, initial={}, inherit=False,
            report=lambda progress: None, validation_shots=512,
        )  # fmt: skip
        assert trained.telemetry["threads"] == count
        assert trained.telemetry["validation_after"] < trained.telemetry["validation_before"]
        return np.concatenate([trained.tensors[name].ravel() for name in sorted(trained.tensors)])

    one, two, three = (weights(count) for count in (1, 2, 3))
    assert (one == two).all()
    assert (one == three).all()


@pytest.fixture
def threads():
    from autoqec.shared_threads import limit_threads

    yield limit_threads
    limit_threads(None)


def stopping_after(*falls, patience=2):
    """Looks until training stops, where each look's losses are lower than the one before by a fall, with some noise."""
    import torch

    rng, each = np.random.default_rng(3), np.full(400, 5.0)
    stopping = EarlyStopping(torch.nn.Linear(1, 1), patience, paired=True)
    assert not stopping.look(0, each.mean(), each)
    for number, fall in enumerate(falls, start=1):
        each = each - fall + 0.1 * rng.normal(size=400)
        if stopping.look(number, each.mean(), each):
            return number
    return None


def test_a_fall_within_its_standard_error_is_no_progress():
    assert stopping_after(*[0.0] * 12) is not None
    assert stopping_after(*[0.1] * 12) is None


def test_a_fall_too_slow_for_one_look_counts_once_it_has_added_up():
    """Each look falls by half a standard error of a look's noise; against the last progress, it shows after a few."""
    assert stopping_after(*[0.005] * 12, patience=10) is None
