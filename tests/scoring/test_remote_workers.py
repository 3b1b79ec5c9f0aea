"""What a worker elsewhere says of itself, how it runs tasks, and what of its answers must be the same everywhere."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pool_stand_ins import GREETING

from autoqec.error_codes import CODES
from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import Task
from autoqec.scoring.remote import greeting_here as here
from autoqec.scoring.remote.answer_identity import MACHINE_CODES, identity_of, may_be_the_machine
from autoqec.scoring.remote.greeting_here import code_digest, greeting_here, level_asked_for, refusal, sandbox_level
from autoqec.scoring.remote.task_host import TaskHost
from autoqec.scoring.remote.this_machine import ThisMachine
from autoqec.scoring.remote.worker_greeting import ForeignWorker, greeting_from


def frame(function: str, **fields) -> bytes:
    return Task(f"autoqec.testing.{function}", Message(fields, {"blob": b"\0\1"})).to_message().to_bytes()


def test_this_process_is_not_refused_by_itself():
    ours = greeting_here(level_asked_for())
    theirs = greeting_here(sandbox_level())
    assert refusal(ours, theirs) is None
    assert greeting_from(theirs.to_message(), "0") == theirs
    assert theirs.versions["numpy"]
    assert "stim" in theirs.shots


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": "2"}, "AutoQEC 2 there, 1 here"),
        ({"code": "b" * 64}, "the code of AutoQEC is bbbbbbbbbbbb there, aaaaaaaaaaaa here"),
        ({"python": "3.12.1"}, "Python 3.12.1 there, 3.11.7 here"),
        ({"versions": {"numpy": "2.1", "torch": "2.6.0"}}, "numpy is 2.1 there, 2.0 here"),
        ({"versions": {"torch": "2.6.0"}}, "numpy is not installed there, 2.0 here"),
        ({"versions": {**GREETING.versions, "a": "1"}}, "a is 1 there, not installed here"),
        ({"shots": "arm64, stim neon"}, "a seed draws other shots: arm64, stim neon there, x86_64, stim avx2 here"),
        ({"sandbox": 0}, "its sandbox has level 0, and a candidate's own code needs 1"),
        ({"python": "3.11.9", "versions": {**GREETING.versions, "torch": "2.6.0+cu124"}, "device": "H100"}, None),
        ({"arithmetic": "x86_64 avx512f", "sandbox": 1}, None),
    ],
)
def test_a_worker_is_refused_for_what_changes_answers_and_for_nothing_else(changed, said):
    assert refusal(replace(GREETING, sandbox=1), replace(GREETING, **changed)) == said


def test_workers_are_compared_if_they_round_alike():
    assert replace(GREETING, sandbox=1).comparable == GREETING.comparable
    for changed in ({"arithmetic": "arm"}, {"device": "H100"}, {"versions": {"torch": "2.6.0"}}):
        assert replace(GREETING, **changed).comparable != GREETING.comparable


def test_the_level_asked_for_is_none_only_where_the_user_allows_it(monkeypatch):
    assert level_asked_for() == 1
    monkeypatch.setenv("AUTOQEC_ALLOW_UNSANDBOXED", "1")
    assert level_asked_for() == 0


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            Message({"version": "0.0.9", "code": "x"}),
            r"AutoQEC 0.0.9 there and 0.1.0 here do not understand each other",
        ),
        (Message({"hello": 1}), "what answers is no worker of AutoQEC"),
        (
            Message({**GREETING.to_message().fields, "versions": {"numpy": ["2"]}}),
            "is not one version for each library",
        ),
        (Message({**GREETING.to_message().fields, "version": 3}), "what answers is no worker of AutoQEC"),
    ],
)
def test_what_is_no_greeting_of_this_version_is_said_so(message, said):
    with pytest.raises(ForeignWorker, match=said):
        greeting_from(message, "0.1.0")


def test_the_digest_of_the_code_changes_with_a_byte_or_a_name(tmp_path, monkeypatch):
    class Spec:
        def __init__(self, folder):
            self.origin = str(folder / "__init__.py")

    for name in ("autoqec", "autoqec_plugins"):
        shutil.copytree(Path(here.__file__).parent, tmp_path / name)
    monkeypatch.setattr(here, "find_spec", lambda name: Spec(tmp_path / name))
    found = [code_digest.__wrapped__()]
    path = tmp_path / "autoqec_plugins/task_host.py"
    path.write_bytes(path.read_bytes() + b"\n")
    found.append(code_digest.__wrapped__())
    path.rename(path.with_name("task_hosts.py"))
    found.append(code_digest.__wrapped__())
    (tmp_path / "autoqec/notes.txt").write_text("no code")
    assert code_digest.__wrapped__() == found[-1]
    assert len(set(found)) == 3


def test_a_host_runs_tasks_says_how_far_they_are_and_goes_on_after_any_end():
    told, compiled = [], []
    with TaskHost(lambda *kernel: compiled.append(kernel)) as host:
        echoed = Message.from_bytes(host.run(frame("example_tasks:echo", number=7)))
        assert (echoed.fields, dict(echoed.blobs)) == ({"number": 7}, {"blob": b"\0\1"})
        refused = Message.from_bytes(host.run(frame("example_tasks:refuse"))).fields
        assert (refused["kind"], refused["code"], refused["hint"]) == ("UsageError", "usage", "ask for something else")
        assert Message.from_bytes(host.run(b"junk")).fields["kind"] == "ChannelClosed"
        ended = Message.from_bytes(host.run(frame("misbehave:speak_and_exit"))).fields
        assert (ended["code"], ended["about"]) == ("process_ended", {"exit_status": 3})
        assert Message.from_bytes(host.run(frame("misbehave:half_way"), told.append)).fields == {"done": True}
        assert told == [0.5]
        host.run(frame("misbehave:compile_kernels", names=["a kernel"]))
        assert compiled == [("a kernel", 9)]
        running = threading.Event()
        threading.Thread(target=lambda: (running.wait(60), host.stop())).start()
        stopped = Message.from_bytes(host.run(frame("misbehave:begin_and_hang"), lambda part: running.set())).fields
        assert stopped["about"] == {"signal": "SIGKILL"}
        assert "number" in Message.from_bytes(host.run(frame("example_tasks:echo", number=7))).fields
    host.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        host.run(frame("example_tasks:echo"))


def test_this_machine_answers_as_a_worker_and_starts_nothing_before():
    machine = ThisMachine(GREETING)
    try:
        assert machine._host._child is None
        answer = Message.from_bytes(machine.ask(frame("example_tasks:echo", number=7), None).result(60))
        assert answer.fields == {"number": 7}
    finally:
        machine.end()
    machine.end()
    assert isinstance(machine.ask(frame("example_tasks:echo"), None).exception(60), RuntimeError)


SCORE = {
    "chunks": [
        {
            "counts": {"shots": 4, "both": 1}, "predict_seconds": 1.0, "cpu_seconds": 2.0, "digest": "d", "answers": "a",
            "lock": {"level": 3}, "reference_runs": {"osd": {"seconds": 2.0, "sent": 3}},
        }
    ]
}  # fmt: skip


def changed(path, value):
    *way, last = path
    found = {"chunks": [{**SCORE["chunks"][0]}]}
    place = found["chunks"][0]
    for name in way:
        place[name] = {**place[name]}
        place = place[name]
    place[last] = value
    return Message(found)


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        (["predict_seconds"], 9.0, True),
        (["cpu_seconds"], 9.0, True),
        (["lock"], None, True),
        (["reference_runs", "osd", "seconds"], 9.0, True),
        (["reference_runs", "osd", "sent"], 4, False),
        (["counts", "both"], 2, False),
        (["digest"], "e", False),
        (["answers"], "b", False),
    ],
)
def test_answers_are_compared_by_what_counts(path, value, same):
    assert (identity_of(changed(path, value)) == identity_of(Message(SCORE))) is same


def test_blobs_count_whatever_their_order_and_of_errors_the_code_and_kind():
    one, two = {"x": b"1", "y": b"2"}, {"y": b"2", "x": b"1"}
    assert identity_of(Message({}, one)) == identity_of(Message({}, two))
    assert identity_of(Message({}, one)) != identity_of(Message({}, {"x": b"12", "y": b""}))
    error = {"error": "crash: process 7", "kind": "CandidateFault", "code": "process_ended"}
    assert identity_of(Message(error)) == identity_of(Message({**error, "error": "crash: process 8", "hint": "h"}))
    assert identity_of(Message(error)) != identity_of(Message({**error, "code": "no_answer"}))
    assert may_be_the_machine(Message(error))
    assert not may_be_the_machine(Message({**error, "code": "bad_value"}))
    assert not may_be_the_machine(Message({"code": "raised"}))
    assert CODES.keys() >= MACHINE_CODES
    assert "timeout" in MACHINE_CODES, "a slow worker must not end a candidate alone"
