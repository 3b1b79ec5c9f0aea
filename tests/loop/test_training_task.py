"""Training as a task of an executor: what it asks for, and what becomes of answers, whoever gives them."""

from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from autoqec.candidate.weights import save_weights
from autoqec.errors import AutoQECError
from autoqec.loop import training_task
from autoqec.loop.training_task import TrainingAnswer, TrainingTask, numbered, train_as_task, train_on
from autoqec.problem.sampling import Shots
from autoqec.runner.train import Limits, ScreenAt, TrainingFailed, TrainingResult
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed, failure_from, report_of
from autoqec.sandbox.lock import Lock
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.typed_messages import BadMessage
from autoqec.sandbox.worker_requests import PredictionRequest
from autoqec.scoring.executor_contract import run_task

STAGE = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 4\n"}
OWN = {"stages/own/stage.yaml": b"kind: custom\n", "stages/own/module.py": b"never run"}
WEIGHTS = save_weights({"bp.w": np.ones(2, dtype=np.float32)}, fingerprints=["f" * 64])
TELEMETRY = {"steps": 4, "shots": 512, "device": "cpu", "inherited": ["bp.w", "bp.v"], "loss": "bce"}
DONE = TrainingAnswer(
    weights=WEIGHTS, telemetry=TELEMETRY, cost={"flops_per_shot": 9, "params": 2, "constants": 0}, host="gpu-3\x1b[2J"
)


class Far:
    """An executor that gives prepared answers, or does the tasks; it notes them."""

    jobs = 1

    def __init__(self, *answers):
        self.answers, self.tasks = [each.to_message() for each in answers], []

    @contextmanager
    def opened(self):
        yield self

    def submit(self, task):
        self.tasks.append(task)
        future = Future()
        task.progress(0.5)
        sent = Message.from_bytes(task.to_message().to_bytes())
        try:
            answer = self.answers.pop(0) if self.answers else run_task(task.from_message(sent))
            future.set_result(answer)
        except AutoQECError as error:
            future.set_exception(failure_from(Message(report_of(error))))
        return future


def ask(far, files=STAGE, *, progress=lambda part: None, screen=None, recorded=None, **more):
    told = {
        "sealed": SealedCandidate(files, WEIGHTS),
        "dems": numbered(["first", "second"]),
        "decoder": {"kind": "mwpm"},
        "teacher": {},
        "stages": ('{"kind": "neural_bp"}',),
        "seed": bytes(range(32)),
        "max_shots": 512,
        "inherit": True,
        "locked": False,
        "seconds": 60.0,
        "memory_bytes": 2**33,
    }
    task = TrainingTask(**told | more).with_recorded(recorded)
    return train_on(far.opened, task, progress=progress, screen=screen)


def test_the_result_is_checked_and_says_where_it_was_made():
    parts = []
    result = ask(far := Far(DONE), progress=parts.append)
    assert (result.weights, result.lock) == (WEIGHTS, None)
    assert result.cost == {"flops_per_shot": 9, "params": 2}
    told = result.telemetry
    assert (told["host"], told["device"], told["steps"]) == ("gpu-3?[2J", "cpu", 4)
    assert told["inherited"] == ["bp.w"], "only of tensors that there are"
    assert parts == [1.0]
    (task,) = far.tasks
    labelled = replace(DONE, cost={"flops_per_shot": 9, "params": 1})
    assert ask(Far(labelled)).cost["params"] == 1, "names of orbits are weights and no parameters"
    assert not task.same_everywhere


@pytest.mark.parametrize(
    ("answer", "error", "problem"),
    [
        (replace(DONE, weights=b"evil"), TrainingFailed, "not a safetensors file"),
        (replace(DONE, weights=b""), TrainingFailed, "not a safetensors file"),
        (replace(DONE, lock={"level": 1, "more": 2}), BadMessage, "lock"),
        (PredictionRequest("cost"), BadMessage, "weights"),
    ],
)
def test_what_is_no_training_is_refused(answer, error, problem):
    with pytest.raises(error, match=problem):
        ask(Far(answer))


def test_a_candidate_that_must_be_locked_is_never_taken_from_a_process_that_was_not():
    with pytest.raises(BadMessage, match="must be locked"):
        ask(Far(DONE), OWN, locked=True)
    locked = replace(DONE, lock=Lock(level=2).to_dict(), cost={"flops_per_shot": 9, "params": 0, "constants": 3})
    result = ask(Far(locked), OWN, locked=True)
    assert result.cost["params"] == 5, "parameters are counted here"
    assert result.lock == Lock(level=2)


def test_an_error_that_is_not_the_trainings_stays_what_it_is(monkeypatch):
    """The executor's own trouble, and a status that no training has, leave the round open."""
    for kind, about in [("WorkerLost", {"status": "train_error"}), ("TrainingFailed", {"status": "ok"})]:
        error = ChildFailed("it is lost", kind=kind, about=about)

        def train(message, error=error):
            raise error

        monkeypatch.setattr(training_task, "train_as_task", train)
        with pytest.raises(AutoQECError, match="it is lost") as caught:
            ask(Far())
        assert not isinstance(caught.value, TrainingFailed)


@pytest.mark.parametrize(("passes", "tasks"), [(True, 2), (False, 1)])
def test_a_screened_training_ends_at_its_screen_and_a_second_task_trains_the_whole(passes, tasks):
    seen, half = [], replace(DONE, screened=True, telemetry={**TELEMETRY, "steps": 1})
    screen = ScreenAt(0.25, lambda result: seen.append(result) or passes)
    result = ask(far := Far(half, DONE), screen=screen)
    asked = [TrainingTask.from_message(task.message) for task in far.tasks]
    assert [each.screen_share for each in asked] == [0.25, 0.0][:tasks]
    assert [each.telemetry["steps"] for each in seen] == [1]
    assert result.telemetry["steps"] == (4 if passes else 1)
    # One that was over before its screen is not screened.
    result = ask(far := Far(DONE), screen=ScreenAt(0.25, seen.append))
    assert result.telemetry["steps"] == 4
    assert (len(far.tasks), len(seen)) == (1, 1)


@pytest.mark.parametrize(
    ("files", "more", "wants"),
    [
        (STAGE, {}, True),
        ({**STAGE, "training.yaml": b"device: cuda\n"}, {}, True),
        ({**STAGE, "training.yaml": b"device: cpu\n"}, {}, False),
        (STAGE, {"max_shots": 0}, False),
        (OWN, {"locked": True}, False),
    ],
)
def test_a_worker_with_a_gpu_is_wanted_where_one_helps(files, more, wants):
    answer = replace(DONE, lock=Lock().to_dict() if more.get("locked") else None)
    ask(far := Far(answer), files, **more)
    assert [task.prefers_gpu for task in far.tasks] == [wants]


def test_a_worker_trains_what_it_is_asked_for_and_locks_code_of_others_by_itself(monkeypatch):
    calls = []

    def train(files, dems, decoder, **more):
        calls.append((files, dems, decoder, more))
        more["report"]({"step": 1, "steps": 4})
        if more["screen"]:
            assert not more["screen"].passes(None)
        if more["max_shots"] == 1:
            raise TrainingFailed("compile_error", "it is not valid", code="bad_value", about={"field": "x"})
        return TrainingResult(WEIGHTS, TELEMETRY, {"params": 2}, Lock(level=1) if more["locked"] else None)

    monkeypatch.setattr(training_task, "train_candidate", train)
    shots = Shots(np.arange(6, dtype=np.uint8).reshape(3, 2), np.zeros((3, 1), dtype=np.uint8))
    result = ask(Far(), recorded=shots, teacher={"kind": "osd"}, screen=ScreenAt(0.1, lambda result: True))
    assert (result.lock, result.telemetry["host"] != "") == (None, True)
    files, dems, decoder, more = calls.pop()
    assert (files, dems, decoder) == (STAGE, ["first", "second"], {"kind": "mwpm"})
    assert (more["parents"], more["seed"], more["inherit"]) == (WEIGHTS, bytes(range(32)), True)
    assert (more["locked"], more["teacher"], more["screen"]) == (False, {"kind": "osd"}, None)
    assert (more["limits"], more["stages"]) == (Limits(60.0, 2**33), ('{"kind": "neural_bp"}',))
    assert np.array_equal(more["recorded"].syndromes, shots.syndromes)
    assert np.array_equal(more["recorded"].observables, shots.observables)
    (first,) = calls
    assert first[3]["screen"].share == 0.1
    ask(far := Far(DONE), OWN)
    assert TrainingAnswer.from_message(train_as_task(far.tasks[0].message)).lock is not None
    assert calls[-1][3]["locked"], "though nobody asked for it"
    with pytest.raises(TrainingFailed, match="it is not valid") as caught:
        ask(Far(), max_shots=1)
    assert (caught.value.status, caught.value.code, caught.value.about) == (
        "compile_error",
        "bad_value",
        {"field": "x"},
    )
