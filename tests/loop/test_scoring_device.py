"""Where a candidate is computed for its metrics: chosen once, told to every task, and noted; verdicts stay on the CPU."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from autoqec.errors import UsageError
from autoqec.loop import measuring, scoring_device, screening
from autoqec.loop.preflight import require_judge
from autoqec.loop.scoring_device import ScoringDevice
from autoqec.loop.session import Session
from autoqec.reporting.compared_rounds import _time_of
from autoqec.results.metrics_parts import Provenance
from autoqec.results.note_form import read_record, write_record
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.score_stream import ScoreStream
from autoqec.scoring.shard import FUNCTION

H200 = ScoringDevice("cuda", "NVIDIA H200")
CPU = ScoringDevice()
SEALED = SealedCandidate({}, b"")


@pytest.mark.parametrize(
    ("wanted", "executor", "model", "device"),
    [
        ("cpu", "local", "NVIDIA H200", CPU),
        ("auto", "local", "NVIDIA H200", H200),
        ("auto", "local", "", CPU),
        ("auto", "command", "NVIDIA H200", CPU),
        ("cuda", "local", "NVIDIA H200", H200),
        ("cuda", "command", "", ScoringDevice("cuda", "cuda")),
    ],
)
def test_the_device_is_chosen_once_for_all_tasks(monkeypatch, wanted, executor, model, device):
    monkeypatch.setattr(scoring_device, "gpu_model", lambda: model)
    assert scoring_device.scoring_device({"device": wanted, "executor": executor}) == device


def test_a_gpu_that_is_not_there_is_refused_before_a_round_begins(session, monkeypatch):
    monkeypatch.setattr(scoring_device, "gpu_model", lambda: "")
    with pytest.raises(UsageError, match="torch sees no GPU here") as caught:
        require_judge(session(device="cuda"))
    assert (caught.value.code, caught.value.hint) == ("no_gpu", "--device cpu")


def test_every_task_of_the_metrics_says_the_device_and_none_of_a_verdict(session, monkeypatch):
    made, seen = session(), []
    made.__dict__["device"] = H200

    class Enough(Exception):
        pass

    def score(stream, *args, **more):
        seen.append(stream.device)
        raise Enough

    monkeypatch.setattr(Session, "executor", lambda self: nullcontext())
    monkeypatch.setattr(ScoreStream, "score", score)
    state = SimpleNamespace(sealed=SEALED, claim=SimpleNamespace(number=1))
    for work in (measuring.measure, lambda *told: screening.score_screen(made, 1, SEALED, made.settings.profile)):
        with pytest.raises(Enough):
            work(made, state, made.settings.profile, bytes(32))
    assert seen == ["cuda", "cuda"]
    stream = ScoreStream(None, made.environment, SEALED, bytes(32), "dev")
    there = replace(stream, device="cuda")
    tasks = [each.task(FUNCTION, [0]) for each in (stream, there)]
    assert [(task.message.fields["device"], task.prefers_gpu) for task in tasks] == [("cpu", False), ("cuda", True)]
    assert tasks[0].kind != tasks[1].kind, "a worker keeps what it has loaded for one device"


def test_of_a_candidate_with_code_of_its_own_the_note_names_no_gpu(session):
    made = session()
    made.__dict__["device"] = H200
    for file, name in ("module.py", "cpu"), ("stage.yaml", H200.name):
        sealed = SealedCandidate({f".autoqec/candidate/stages/a/{file}": b"kind: gnn\n"}, b"")
        assert measuring._computed_on(made, sealed) == name


def test_the_note_names_a_gpu_and_times_are_compared_on_the_same_one():
    made = Provenance(machine="x86_64", device="NVIDIA H200")
    assert read_record(Provenance, write_record(made)).device == "NVIDIA H200"
    assert "device" not in write_record(Provenance(machine="x86_64")), "old notes stay as they are"

    def kind(provenance):
        measured = SimpleNamespace(provenance=provenance)
        results = SimpleNamespace(metrics=SimpleNamespace(measured=measured), verdict=None)
        row = SimpleNamespace(holdout=None, costs=SimpleNamespace(latency_us_per_shot=3.0))
        return _time_of(SimpleNamespace(row=row, results=results))

    assert kind(made) == (3.0, "x86_64 NVIDIA H200")
    assert kind(replace(made, device="cpu")) == (3.0, "x86_64")
