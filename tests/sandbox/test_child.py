"""Children: errors come back as errors, deaths are explained, nothing outlives its parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from autoqec.compiled_once import compiling_told
from autoqec.sandbox.channel import ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import Child, ChildFailed

# The functions children run are real modules: a child starts isolated and sees only what is installed.
ECHO = "autoqec.scoring.executor_contract:serve_tasks"


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "Z"


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_an_error_in_the_child_is_an_error_here():
    with Child(ECHO) as child:
        child.send({"function": "autoqec.canonical:no_such_function"})
        with pytest.raises(ChildFailed, match="AttributeError") as caught:
            child.receive(60)
        assert caught.value.kind == "AttributeError"
        child.send({"function": "autoqec.canonical:no_such_function"})
        with pytest.raises(ChildFailed):
            child.receive(60)  # it is still there


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_job_leaves_the_decision_to_the_parent(asked):
    """Otherwise a job that is preempted would end its round as if the candidate had died."""
    with Child(ECHO) as child:
        child.send({"function": "autoqec.testing.misbehave:shout"})
        child.receive(60)  # it is set up
        os.kill(child.pid, asked)
        child.send({"function": "autoqec.testing.misbehave:shout"})
        assert child.receive(60).fields == {"answer": "whole"}


def test_what_code_in_a_child_prints_is_no_frame():
    with Child(ECHO) as child:
        for _ in range(2):
            child.send({"function": "autoqec.testing.misbehave:shout"})
            assert child.receive(60).fields == {"answer": "whole"}
        child.send({"function": "autoqec.testing.misbehave:speak_and_exit"})
        with pytest.raises(ChannelClosed, match="exit status 3"):
            child.receive(60)
        child._stderr.seek(0)
        said = child._stderr.read().decode()
        assert [said.count(who) for who in ("from Python", "from nobody", "from C")] == [2, 2, 2]


def test_a_target_that_does_not_exist_is_explained():
    with Child("autoqec.nowhere:nothing") as child, pytest.raises(ChildFailed, match="autoqec.nowhere"):
        child.receive(60)


def test_a_child_that_is_killed_leaves_no_folder_that_it_gave_to_its_own_children(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Child(ECHO) as child:
        child.send({"function": "autoqec.testing.misbehave:start_child"})
        folder = child.receive(60).fields["folder"]
        assert [path.name for path in tmp_path.iterdir()] == [os.path.basename(folder)]
        assert [name for name in os.listdir(folder) if name.startswith("autoqec-")]
    assert list(tmp_path.iterdir()) == []


def test_folders_too_deep_to_remove_are_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Child(ECHO):
        (folder,) = tmp_path.iterdir()
        monkeypatch.chdir(folder)
        for _ in range(1500):
            os.mkdir("deeper")
            os.chdir("deeper")
    monkeypatch.undo()
    subprocess.run(["rm", "-r", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="waitid")
def test_an_error_is_told_even_if_the_child_has_ended_before_it_is_sent_anything():
    with Child("autoqec.nowhere:nothing") as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        for _ in range(2):
            with pytest.raises(ChildFailed, match="autoqec.nowhere") as caught:
                child.send({"function": "any"}, much=bytes(10**6))
            assert caught.value.kind == "ModuleNotFoundError"
        with pytest.raises(ChildFailed, match="autoqec.nowhere"):
            child.receive(20)


@pytest.mark.skipif(sys.platform != "linux", reason="waitid")
def test_a_death_is_told_by_whatever_finds_out():
    with Child(ECHO) as child:
        os.kill(child.pid, signal.SIGSEGV)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ChannelClosed, match="SIGSEGV") as caught:
            child.send({"function": "any"})
        assert caught.value.status == -signal.SIGSEGV


def test_a_child_that_is_ended_is_explained_to_who_still_reads_it():
    with Child(ECHO) as child:
        child.end()
        with pytest.raises(ChannelClosed, match="SIGKILL"):
            child.receive(20)
        child.end()  # once more does nothing


def test_a_child_that_is_killed_is_explained():
    with Child(ECHO) as child:
        os.kill(child.pid, signal.SIGSEGV)
        with pytest.raises(ChannelClosed, match="SIGSEGV"):
            child.receive(60)


def test_silence_is_a_timeout_and_leaving_kills():
    with Child(ECHO) as child:
        with pytest.raises(ChannelTimeout):
            child.receive(0.2)
        pid = child.pid
    assert gone(pid)


def test_memory_is_limited():
    limit = 600 * 2**20
    with Child(ECHO, memory_bytes=limit) as child:
        child.send({"function": "autoqec.testing.misbehave:allocate"})
        with pytest.raises(ChildFailed, match="MemoryError"):
            child.receive(60)


def test_secrets_of_the_environment_do_not_reach_a_child(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    with Child(ECHO) as child, open(f"/proc/{child.pid}/environ", "rb") as environ:
        wait_until(lambda: b"OMP_NUM_THREADS" in environ.read() or environ.seek(0))
        environ.seek(0)
        assert b"secret" not in environ.read()


def test_threads_of_a_child_that_have_nothing_to_do_leave_the_cores_to_others():
    with Child(ECHO) as child, open(f"/proc/{child.pid}/environ", "rb") as environ:
        wait_until(lambda: b"OMP_NUM_THREADS" in environ.read() or environ.seek(0))
        environ.seek(0)
        assert b"OMP_WAIT_POLICY=PASSIVE" in environ.read().split(b"\0")


def test_a_child_is_nowhere_in_particular():
    with Child(ECHO) as child:
        folder = os.readlink(f"/proc/{child.pid}/cwd")
        assert folder != os.getcwd()
        assert os.listdir(folder) == []
    assert not os.path.exists(folder)


def test_a_child_dies_with_its_parent():
    script = (
        "import sys, time\nfrom autoqec.sandbox.child import Child, ChildFailed\n"
        f"child = Child({ECHO!r})\nchild.send({{'function': 'no:such'}})\n"
        # What answers has begun, and has asked for its parent's signal before.
        "try:\n    child.receive(60)\nexcept ChildFailed:\n    print(child.pid, flush=True)\ntime.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert not gone(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(pid))


@pytest.mark.parametrize("deeper", [False, True])
def test_what_a_child_compiles_is_told_here_however_deep_it_is(deeper):
    told = []
    with Child(ECHO, compiling=lambda *of: told.append(of)) as child:
        child.send({"function": "autoqec.testing.misbehave:compile_kernels", "names": ["matching"], "deeper": deeper})
        assert child.receive(60).fields == {"done": True}
    assert told == [("matching", 9)]


def test_without_a_listener_of_its_own_a_child_tells_that_of_the_process():
    told = []
    with compiling_told(lambda *of: told.append(of)), Child(ECHO) as child:
        child.send({"function": "autoqec.testing.misbehave:compile_kernels", "names": ["gap"]})
        child.receive(60)
    assert told == [("gap", 9)]


def test_a_child_can_say_little_about_what_it_compiles(monkeypatch):
    told = []
    with Child(ECHO, compiling=lambda *of: told.append(of)) as child:
        odd = [{"compiling": 5, "seconds": 8}, {"compiling": "x", "seconds": "8"}, {"compiling": "x", "seconds": -1}]
        many = [{"compiling": f"\x1b{number}" + "x" * 1000, "seconds": 8} for number in range(1000)]
        left = [Message(fields) for fields in (*odd, *many, {"step": 1}, {"compiling": "x", "seconds": 8, "step": 2})]
        monkeypatch.setattr(child._channel, "_frame", lambda deadline, most_bytes: left.pop(0))
        assert child.receive(60).fields == {"step": 1}
        assert child.receive(60).fields["step"] == 2, "an answer is an answer, whatever else it holds"
    assert len(told) == 32
    assert told[0] == ("?0" + "x" * 198, 8)
