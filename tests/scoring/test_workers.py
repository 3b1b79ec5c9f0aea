"""Where candidates get their processes: locked ones are forks of one that is warm, and as good as new."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from warm_processes import children

from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import failure_from, report_of
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import stages_to_warm_up
from autoqec.scoring.candidate_workers import Workers
from autoqec.scoring.matcher import Matcher
from autoqec.scoring.predictor import CandidateFault, Predictor, fault_from
from autoqec.testing import TINY_ENVIRONMENT, custom_module, untrained
from autoqec.testing.tiny import surface_problem, tiny_problem

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked from a warm one on Linux only")

MODULE = custom_module("return beliefs + self.w + torch.tanh(syndromes).mean(1, keepdim=True)")
STAGES = ('{"kind": "custom"}',)
OWN = {"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": MODULE.encode()}


def seal(problem, more=None):
    return untrained(OWN | (more or {}), problem)


@pytest.fixture(scope="module")
def problem():
    return tiny_problem()


@pytest.fixture(scope="module")
def workers(problem):
    with Workers() as made:
        made.expect(problem, ["custom"])
        yield made


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def answers(sealed, problem, workers, locked=True, counted=True):
    stages = stages_to_warm_up(sealed.files, load_plugins())
    with Predictor(sealed, problem, locked=locked, stages=stages, workers=workers) as predictor:
        beliefs, _ = predictor.predict(sample_chunk(problem, 1).syndromes[:100])
        forked = (
            workers is not None
            and workers._fork_server is not None
            and parent(predictor._child.pid) == workers._fork_server.pid
        )
        return beliefs, predictor.lock, predictor.cost() if counted else None, forked


@pytest.mark.fresh_processes
def test_a_fork_answers_and_is_locked_as_a_fresh_process(problem, workers):
    sealed = seal(problem)
    fresh, layers, cost, _ = answers(sealed, problem, None)
    unlocked, _, _, _ = answers(sealed, problem, None, locked=False)
    for _ in range(2):
        beliefs, lock, counted, forked = answers(sealed, problem, workers)
        assert forked
        assert (lock, counted) == (layers, cost)
        assert np.array_equal(beliefs, fresh)
    assert np.array_equal(unlocked, fresh)


def test_forks_throw_dice_of_their_own(problem, workers):
    # None in the trial of eight shots, which would refuse it.
    dice = MODULE.replace("torch.tanh", "(len(beliefs) > 8) * torch.rand(1) + torch.tanh").encode()
    sealed = SealedCandidate(OWN | {"stages/own/module.py": dice}, seal(problem).weights)
    one, two = (answers(sealed, problem, workers, counted=False)[0] for _ in range(2))
    assert not np.array_equal(one, two)


def test_what_was_not_warmed_up_in_the_warm_process_is_warmed_up_in_the_fork(problem, workers):
    more = {
        "stages/net/stage.yaml": b"kind: mlp\nposition: 3\n",
        "stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\n",
    }
    beliefs, _, _, forked = answers(seal(problem, more), problem, workers)
    assert forked
    assert np.isfinite(beliefs).all()


def test_another_problem_can_follow(problem, workers):
    other = surface_problem(3, 0.01)
    sealed = seal(other)
    before, _, _, forked = answers(sealed, other, workers)  # though nobody said so
    assert forked
    workers.expect(other, ["custom", "neural_bp"])
    after, _, _, forked = answers(sealed, other, workers)
    assert forked
    assert np.array_equal(before, after)
    workers.expect(problem, ["custom"])


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGSYS, "hostile_syscall"), (signal.SIGKILL, "crash")])
def test_how_a_fork_ended_is_known_and_the_next_is_well(problem, workers, number, reason):
    sealed, blank = seal(problem), np.zeros((1, problem.syndrome_bytes), dtype=np.uint8)
    with Predictor(sealed, problem, locked=True, stages=STAGES, workers=workers) as predictor:
        predictor.wait()
        os.kill(predictor._child.pid, number)
        with pytest.raises(CandidateFault) as caught:
            predictor.predict(blank)
    assert caught.value.reason == reason
    assert fault_from(failure_from(Message(report_of(caught.value)))).about == {"signal": number.name, "reason": reason}
    with Predictor(sealed, problem, locked=True, stages=STAGES, workers=workers) as predictor:
        assert not predictor.predict(blank)[1].any()


def test_without_a_warm_process_a_fresh_one_does(problem):
    with Workers() as made:
        made.expect(problem, ["custom"])
        os.kill(made._fork_server.pid, signal.SIGKILL)
        _, lock, _, forked = answers(seal(problem), problem, made)
        assert not forked
        assert lock.level >= 1
        made.expect(problem, ["custom"])
        assert made._fork_server is None, "what failed once is not tried again"


def test_a_matcher_that_is_killed_takes_them_all_along(problem):
    data = {"env:environment.yaml": TINY_ENVIRONMENT.encode()} | seal(problem).to_blobs()
    with Matcher(data) as matcher:
        assert matcher.wait(problem.observable_bytes).level >= 1
        below = descendants(matcher._child.pid)
        assert len(below) == 2
        os.kill(matcher._child.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while any(alive(pid) for pid in below):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def descendants(pid):
    own = children(pid)
    return own + [each for child in own for each in descendants(child)]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
