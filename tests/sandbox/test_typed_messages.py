"""Requests between processes: each goes there and back whole, and what is not exactly one is refused by the name of its field."""

import ast
import dataclasses
import os
from pathlib import Path

import pytest

import autoqec
from autoqec.comparing.decoder_serving import DecodeRequest, OpenRequest
from autoqec.comparing.sweep_worker import CountShots, OpenPoint
from autoqec.loop.round_request import RoundRequest
from autoqec.loop.training_task import TrainingAnswer, TrainingTask
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.results.verdict_parts import OutOfTime
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.typed_messages import BadMessage, Request
from autoqec.sandbox.worker_requests import (
    CandidateRequest,
    PredictionRequest,
    Preparation,
    ProgramRequest,
    ReadingRequest,
    ScreenPassed,
    TrainingPreparation,
    TrainingRequest,
    WarmUpRequest,
)
from autoqec.scoring.executor_contract import ExecutorChoice, Task
from autoqec.scoring.fault_tasks import EXAMINE, OUTLINE, STRATA
from autoqec.scoring.remote.worker_frames import FromWorker, ToWorker
from autoqec.scoring.remote.worker_greeting import WorkerGreeting
from autoqec.scoring.scoring_requests import (
    MODELS,
    AgainTask,
    DecoderSetRequest,
    DecodingRequest,
    FaultTask,
    OutlineTask,
    ScoringTask,
    StrataTask,
)
from autoqec.scoring.shard import AGAIN
from autoqec.scoring.verification import VerificationTask
from autoqec.scoring.verifier_contract import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT

FILES = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode(), "code/a b.txt": b"\x00\xff"}
SEALED = SealedCandidate({"stages/bp/stage.yaml": b"kind: neural_bp\n", "training.yaml": b""}, b"\x01weights")
PARENTS = {"r-1/2": SEALED, "a:b": SealedCandidate({}, b"")}
LOADED = environment_from_files(FILES, origin="the environment")
EXAMPLES = [
    Preparation(stages=('{"kind": "mlp"}',), dem=b"error(0.1) D0", lock=True),
    CandidateRequest(SEALED),
    ReadingRequest({"stages/bp/stage.yaml": b"kind: neural_bp\n"}),
    PredictionRequest("predict", b"\x05"),
    PredictionRequest("cost"),
    ProgramRequest(sealed=SEALED, stages=("bp", "own"), programs={"own": b"\x00"}),
    WarmUpRequest(("custom", "mlp"), b"error(0.1) D0"),
    TrainingPreparation(
        stages=(), dem=b"a", other_dems={"1": b"b", "10": b"c"}, decoder={"kind": "mwpm", "x": [1, None]}, training="{}",
        lock=True,
    ),
    TrainingRequest(sealed=SEALED, seed=bytes(32), max_shots=10, inherit=False, seconds=1.5),
    ScreenPassed(),
    ScoringTask(
        environment=FILES, sealed=SEALED, seeds=(2**63, 0), p=0.01, references=True, strong="osd", drift=0.02
    ),
    ScoringTask(environment={}, sealed=SEALED),
    AgainTask(environment=FILES, sealed=SEALED, seeds=(1,), rates=(0.004, 0.006)),
    OutlineTask(environment=FILES, sealed=SEALED, most=3),
    StrataTask(environment=FILES, sealed=SEALED, most_listed=5),
    FaultTask(environment=FILES, sealed=SEALED, weight=2, first=7, count=9),
    DecoderSetRequest(environment=FILES, sealed=SEALED, p=1.0),
    DecodingRequest("known", True, b"\x07"),
    VerificationRequest(LOADED, SEALED, "0" * 40, parents=PARENTS),
    VerificationTask(
        environment=LOADED, sealed=SEALED, commit="0" * 40, attempt=3, verified_before=1, seed_key=b"\x00" * 32, max_shots=7,
        strong_reference="osd", parents=PARENTS, alpha=0.01, beacon="b", full_certificate=True, max_seconds=2.5,
        stop=OutOfTime("p 0.01", 3, 2.5), verifier="holdout",
        executor=ExecutorChoice("dask", 2, {"address": "tcp://a:1", "prefixes": ["ssh b"]}),
    ),
    OpenRequest(
        environment=FILES, kind="environment", name="tiny", p=0.01, decoder="osd", fields={"order": 10}, built_in=False,
        folders=("/a b",),
    ),
    DecodeRequest(syndromes=b"\x05", measure=0.5, choose=True, sample=2**63),
    OpenPoint(
        environment=LOADED, kind="trained", decoder="exp/r/1", fields={}, trained={"weights": b"\x01"},
        about=("exp/r/1", "0" * 40, ""), key=None, circuit="", python_path="/a:/b",
    ),
    CountShots(start=2**40, shots=1024),
    WorkerGreeting(
        version="1", code="a" * 64, python="3.11.7", versions={"numpy": "2"}, sandbox=3, shots="x86_64, stim avx2",
        arithmetic="x86_64", device="", machine="m",
    ),
    TrainingTask(
        sealed=SEALED, dems={"0": b"a", "1": b"b"}, decoder={"kind": "mwpm"}, teacher={}, stages=("{}",), seed=bytes(32),
        max_shots=3, inherit=True, locked=False, seconds=1.5, memory_bytes=2**33, screen_share=0.1, recorded_shots=1,
        recorded_syndromes=b"\x05", recorded_observables=b"\x01",
    ),
    TrainingAnswer(weights=b"\x01", telemetry={"steps": 3}, cost={"params": 2}, lock={"level": 3}, screened=True, host="a"),
    ToWorker(op="ask", number=7, frame=b"\x01"),
    FromWorker(op="answer", number=7, frame=b"\x01"),
    RoundRequest(
        lab="/a", run="r", settings={"jobs": 2}, seen={"closed": [1], "open": []}, rounds_left=3, seconds_left=None,
        processors=(0, 1), jobs=2,
    ),
]  # fmt: skip
IDS = [f"{type(example).__name__}{place}" for place, example in enumerate(EXAMPLES)]


def over_a_pipe(message):
    read, write = os.pipe()
    try:
        Channel(-1, write).send(message)
        return Channel(read, -1).receive(10)
    finally:
        os.close(read)
        os.close(write)


def test_there_is_an_example_of_every_request():
    """Read from the sources: which classes are loaded depends on the tests that ran before."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for path in Path(autoqec.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }

    def is_request(name):
        return name == Request.__name__ or any(is_request(base) for base in bases.get(name, ()))

    requests = {name for name in bases if is_request(name)} - {Request.__name__}
    assert requests == {type(example).__name__ for example in EXAMPLES}


@pytest.mark.parametrize("request_", EXAMPLES, ids=IDS)
def test_each_goes_there_and_back(request_):
    assert type(request_).from_message(over_a_pipe(request_.to_message())) == request_


@pytest.mark.parametrize("request_", EXAMPLES, ids=IDS)
def test_what_is_unknown_is_refused(request_):
    sent = request_.to_message()
    for message in (
        Message({**sent.fields, "more": 1}, sent.blobs),
        Message(sent.fields, {**sent.blobs, "more": b""}),
    ):
        refused(type(request_), message, "more")


@pytest.mark.parametrize("request_", EXAMPLES, ids=IDS)
def test_what_is_missing_is_refused(request_):
    sent = request_.to_message()
    for name in sent.fields:
        refused(type(request_), Message({k: v for k, v in sent.fields.items() if k != name}, sent.blobs), name)
    for name in {item.name for item in dataclasses.fields(request_)} & set(sent.blobs) | {"weights"} & set(sent.blobs):
        refused(type(request_), Message(sent.fields, {k: v for k, v in sent.blobs.items() if k != name}), name)


@pytest.mark.parametrize("request_", EXAMPLES, ids=IDS)
def test_what_is_of_the_wrong_type_is_refused(request_):
    """Each field in turn becomes an object that none of them may be."""
    sent = request_.to_message()
    for name, value in sent.fields.items():
        wrong = [1.5] if isinstance(value, dict) or name == "stop" else {"an": "object"}
        refused(type(request_), Message({**sent.fields, name: wrong}, sent.blobs), name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seeds", [1, True]),
        ("seeds", ["1"]),
        ("seeds", [1.0]),
        ("p", "0.1"),
        ("p", True),
        ("references", 1),
        ("strong", 3),
    ],
)
def test_types_are_not_guessed(field, value):
    sent = next(each for each in EXAMPLES if type(each) is ScoringTask).to_message()
    refused(ScoringTask, Message({**sent.fields, field: value}, sent.blobs), field)


@pytest.mark.parametrize("op", ["Predict", "", None, 1])
def test_an_operation_is_one_of_those_there_are(op):
    refused(PredictionRequest, Message({"op": op}, {"syndromes": b""}), "op")


def test_names_of_parents_are_each_one_parent():
    (example,) = (each for each in EXAMPLES if isinstance(each, VerificationTask))
    sent = example.to_message()
    for names in (["r-1/2", "r-1/2"], ["r-1/2", 3], "r-1/2"):
        refused(VerificationTask, Message({**sent.fields, "parents": names}, sent.blobs), "parents")
    for stop in (
        {"cell": None, "shots": 3},
        {"cell": None, "shots": 3.5, "seconds": 1},
        {**sent.fields["stop"], "more": 1},
    ):
        refused(VerificationTask, Message({**sent.fields, "stop": stop}, sent.blobs), "stop")
    for key in ("0g", 7, "abc"):
        refused(VerificationTask, Message({**sent.fields, "seed_key": key}, sent.blobs), "seed_key")


def refused(model, message, field):
    with pytest.raises(BadMessage) as caught:
        model.from_message(message)
    assert caught.value.code == "bad_message"
    assert caught.value.about == {"message": model.__name__, "field": field}
    assert repr(field) in caught.value.problem


def test_a_task_has_a_function():
    task = Task("a:b", Message({"x": 1}, {"y": b"z"}))
    assert Task.from_message(over_a_pipe(task.to_message())) == task
    with pytest.raises(BadMessage, match="function"):
        Task.from_message(Message({"x": 1}))


def test_models_are_of_functions_that_there_are():
    assert set(MODELS) == {OUTLINE, EXAMINE, STRATA, AGAIN}
