"""When a point of a sweep stops: at the same shot, whatever the workers and their speed."""

import random
from math import comb
from types import SimpleNamespace

import numpy as np
import pytest

from autoqec.comparing.sweep_file import SweepFile
from autoqec.comparing.sweep_task import Counted, SweepLimits, SweepTask
from autoqec.errors import UsageError
from autoqec.results.sweep_records import Place

PLACE = Place("toy", {"noise.p": 0.01}, 0.01, 3, 3, "c" * 64)
fails = np.flatnonzero(np.random.default_rng(4).random(100_000) < 0.02)


class Named:
    label = "toy"

    def settings(self):
        return {}


def made(limits, file=None, key="00"):
    member = SimpleNamespace(built=SimpleNamespace(num_observables=1), loaded=None)
    return SweepTask(member, PLACE, Named(), key, limits, file or SweepFile(None))


def answer(start, shots, seconds=1e-6):
    own = fails[(fails >= start) & (fails < start + shots)] - start
    return Counted(start, shots, own.astype(np.uint32), seconds * shots)


def run(task, workers, seed):
    """Workers that answer in any order."""
    random.seed(seed)
    asked = []
    while not task.is_over:
        while len(asked) < workers and (shots := task.next_shots()):
            asked.append(task.ask(shots))
        task.take(answer(*asked.pop(random.randrange(len(asked)))), random.choice([1e-6, 1e-3, 1.0]))
    return task.point()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_it_stops_at_the_failure_that_reaches_the_target(workers):
    point = run(made(SweepLimits(0.1)), workers, workers)
    assert (point.errors, point.ended) == (100, "relative_error")
    assert point.shots == fails[99] + 1


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("limits", "shots", "errors", "ended"),
    [
        (SweepLimits(0.1, max_errors=7), fails[6] + 1, 7, "max_errors"),
        (SweepLimits(0.1, max_shots=777), 777, int((fails < 777).sum()), "max_shots"),
        (SweepLimits(None, max_shots=5000), 5000, int((fails < 5000).sum()), "max_shots"),
        (SweepLimits(0.1, max_shots=1), 1, 0, "max_shots"),
    ],
)
def test_it_stops_at_a_limit(limits, shots, errors, ended, workers):
    point = run(made(limits), workers, 3)
    assert (point.shots, point.errors, point.ended) == (shots, errors, ended)


def test_it_stops_after_the_seconds_of_its_decoder():
    task = made(SweepLimits(0.01, max_seconds=5.0))
    while not task.is_over:
        start, shots = task.ask(task.next_shots())
        task.take(answer(start, shots, seconds=0.02), shots * 0.02)
    assert task.ended == "max_seconds"
    assert 250 <= task.point().shots <= 350


def test_it_goes_on_from_its_file_to_the_same_counts(tmp_path):
    limits = SweepLimits(0.1)
    first = made(SweepLimits(0.2), SweepFile(tmp_path / "a.csv"))
    assert run(first, 2, 1).errors == 25
    second = made(limits, SweepFile(tmp_path / "a.csv"))
    assert second.asked == first.point().shots
    assert run(second, 2, 1).shots == fails[99] + 1
    third = made(limits, SweepFile(tmp_path / "a.csv"))
    assert third.is_over
    assert third.point().errors == 100


def test_counts_of_another_key_count_too(tmp_path):
    run(made(SweepLimits(0.2), SweepFile(tmp_path / "a.csv"), key="11"), 1, 1)
    point = run(made(SweepLimits(0.1), SweepFile(tmp_path / "a.csv")), 1, 1)
    assert point.errors == 100
    assert point.keys == ("11", "00")
    assert point.shots == fails[24] + 1 + fails[74] + 1


def test_what_another_sweep_counted_meanwhile_is_dropped(tmp_path):
    limits = SweepLimits(None, max_shots=1000)
    one, two = (made(limits, SweepFile(tmp_path / "a.csv")) for _ in range(2))
    for task in (one, two):
        task.take(answer(*task.ask(64)), 0.1)
    assert one.flush() is False
    assert two.flush() is True
    assert (two.position, two.asked, two.total.shots) == (64, 64, 64)
    assert run(two, 2, 5).errors == int((fails < 1000).sum())
    assert run(one, 2, 5).shots == 1000


def test_few_rows_are_written(tmp_path):
    path = tmp_path / "a.csv"
    run(made(SweepLimits(0.05), SweepFile(path)), 1, 2)
    assert len(path.read_text().splitlines()) == 2


def test_what_is_left_out_is_in_the_file(tmp_path):
    task = made(SweepLimits(), SweepFile(tmp_path / "a.csv"))
    left = task.leave_out({"reason": "unusable", "problem": "does not fit"})
    assert task.is_over
    assert (left.problem, left.decoder) == ("does not fit", "toy")
    line = (tmp_path / "a.csv").read_text().splitlines()[1]
    assert '""left_out"":""does not fit""' in line
    assert line.split(",")[0].strip() == "0"


@pytest.mark.parametrize(
    "limits",
    [{"relative_error": 0.0}, {"relative_error": 2.0}, {"relative_error": 1e-6}, {"max_errors": 0}, {"max_shots": 0},
     {"max_shots": 2**50}, {"max_seconds": -1.0}, {"max_seconds": float("inf")}],
)  # fmt: skip
def test_limits_that_cannot_be_are_refused(limits):
    with pytest.raises(UsageError):
        SweepLimits(**limits)


def test_intervals_hold_the_truth_when_counting_stops_at_a_target():
    """Exactly: over all numbers of shots at which the target can be reached, and the limit of shots."""
    from autoqec.results.statistics import rate_interval

    def held_at(chances, outcomes, rate):
        return sum(chance for chance, each in zip(chances, outcomes, strict=True) if rate_holds(*each, rate))

    def rate_holds(errors, shots, rate):
        low, high = rate_interval(errors, shots)
        return low <= rate <= high

    for rate, target, most in ((0.1, 10, 150), (0.05, 5, 120)):
        reached, short = range(target, most + 1), range(target)
        ways = [comb(n - 1, target - 1) * rate**target * (1 - rate) ** (n - target) for n in reached]
        held = held_at(ways, [(target, n) for n in reached], rate)
        ways = [comb(most, errors) * rate**errors * (1 - rate) ** (most - errors) for errors in short]
        held += held_at(ways, [(errors, most) for errors in short], rate)
        assert held >= 0.95
