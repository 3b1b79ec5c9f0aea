"""Forks of a warm process: children like any other, which share nothing with it that matters, and leave nothing."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from open_files import open_files, opened_since

from autoqec.sandbox.channel import ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import Child, ChildFailed
from autoqec.sandbox.fork_server import ForkServer, ForkServerFailed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked from a warm one on Linux only")

MEMORY = 2 * 2**30
WARM = "autoqec.testing.misbehave:warm_up"
SERVE = {"serve": "autoqec.scoring.executor_contract:serve_tasks"}
LOOK = {"function": "autoqec.testing.misbehave:look_around"}


@pytest.fixture(scope="module")
def fork_server():
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(SERVE))
        yield made


def state(pid):
    """The letter that the kernel has for a process; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_errors_come_back_and_it_goes_on(fork_server):
    with fork_server.fork() as child:
        for _ in range(2):
            child.send({"function": "autoqec.canonical:no_such_function"})
            with pytest.raises(ChildFailed, match="AttributeError") as caught:
                child.receive(20)
            assert caught.value.kind == "AttributeError"


def test_what_it_has_is_its_own(fork_server):
    found = []
    with fork_server.fork() as one, fork_server.fork() as two:
        for child in (one, two):
            child.send(LOOK)
            fields = child.receive(20).fields
            found.append(fields)
            assert (fields["session"], fields["group"], fields["parent"]) == (child.pid, child.pid, fork_server.pid)
            assert (fields["memory"], fields["out_of_memory"], fields["threads"]) == (MEMORY, 1000, 1)
            assert fields["keeps_to_itself"]
            kinds = sorted(link.partition(":")[0] for link in fields["descriptors"].values())
            log = [link for link in fields["descriptors"].values() if link.endswith("(deleted)")]
            assert len(log) == 2, "standard output and error are the log"
            assert [kind for kind in kinds if kind == "socket"] == [], "the way to the warm process is closed"
            assert kinds.count("pipe") == 2
            assert [link for link in fields["descriptors"].values() if link == "/dev/null"]
            assert len(kinds) <= 7, fields["descriptors"]
            assert os.listdir(fields["folder"]) == []
        with Child(SERVE["serve"], apart=True) as fresh:
            fresh.send(LOOK)
            usual = fresh.receive(20).fields
    assert sorted(found[0]["descriptors"]) == sorted(usual["descriptors"]), (
        "neither more nor less than a child of one's own"
    )
    assert found[0]["dice"] != found[1]["dice"]
    own = [os.readlink(f"/proc/self/ns/{name}") for name in ("user", "net", "ipc", "uts")]
    if usual["namespaces"] != own:  # where the kernel lets
        everybody = [name for each in (*found, usual, {"namespaces": own}) for name in each["namespaces"]]
        assert len(set(everybody)) == 16, "no two share a namespace"
    assert not any(os.path.exists(fields["folder"]) for fields in found)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGSYS, signal.SIGKILL])
def test_a_death_is_explained_and_hurts_no_other(fork_server, number):
    with fork_server.fork() as child, fork_server.fork() as other:
        os.kill(child.pid, number)
        for _ in range(2):
            with pytest.raises(ChannelClosed, match=number.name) as caught:
                child.receive(20)
            assert caught.value.status == -number
        pid = child.pid
        child.kill()
        assert state(pid) == "", "reaped"
        other.send(LOOK)
        assert other.receive(20).fields["session"] == other.pid
    with fork_server.fork() as after:
        after.send(LOOK)
        assert after.receive(20).fields["session"] == after.pid


def test_last_words_and_the_exit_status_are_told(fork_server):
    with fork_server.fork() as child:
        child.send({"function": "autoqec.testing.misbehave:speak_and_exit"})
        with pytest.raises(ChannelClosed, match="exit status 3: last words"):
            child.receive(20)


def test_memory_is_limited(fork_server):
    with fork_server.fork() as child:
        child.send({"function": "autoqec.testing.misbehave:allocate"})
        with pytest.raises(ChildFailed, match="MemoryError"):
            child.receive(20)


def test_silence_is_a_timeout_and_leaving_kills_the_whole_group(fork_server):
    with fork_server.fork() as child:
        child.send({"function": "autoqec.testing.misbehave:fork_and_hang"})
        with pytest.raises(ChannelTimeout):
            child.receive(1)
        pid, folder = child.pid, child._folder.name
        group = members(pid)
        assert len(group) == 3
    child.kill()  # once more does nothing
    assert state(pid) == ""
    assert not os.path.exists(folder)
    wait_until(lambda: not members(pid))


def members(group):
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            letter, _, number = stat.read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(number) == group and letter != "Z":
            found.append(int(stat.parent.name))
    return found


def test_nothing_piles_up(fork_server):
    root = os.getuid() == 0  # only root sees what a process that keeps to itself has open
    fork_server.fork().kill()  # what a first fork waits for: the warm process has opened all it needs
    before = open_files(), open_files(fork_server.pid) if root else None
    for _ in range(5):
        fork_server.fork().kill()
    assert opened_since(before[0]) == []
    assert not root or opened_since(before[1], fork_server.pid) == []
    assert Path(f"/proc/{fork_server.pid}/task/{fork_server.pid}/children").read_text() == ""


def test_it_does_not_fork_while_it_has_threads_or_nothing_to_serve():
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        with pytest.raises(ForkServerFailed, match="not warm"):
            made.fork()
        made.warm(Message(SERVE | {"thread": True}))
        with pytest.raises(ForkServerFailed, match="2 threads"):
            made.fork()


BROKEN = {"serve": "autoqec.nowhere:nothing"}


def ended(pid):
    """Wait until a child of this process has ended; it stays to be reaped by whoever made it."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def opened():
    """What a leak would show in: this process's descriptors and children, and the folders of its children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    folders = map(str, Path(tempfile.gettempdir()).glob("autoqec-*"))
    return open_files() + Counter(f"child {pid}" for pid in children) + Counter(folders)


def left(before):
    """What there is now and was not then; what an earlier test left may end at any time."""
    return sorted((opened() - before).elements())


@pytest.fixture
def pipes(tmp_path):
    """Named pipes for a warm process that says how far it has come, and waits to be told to go on."""
    found = {"reached": str(tmp_path / "reached"), "go on": str(tmp_path / "go on")}
    for path in found.values():
        os.mkfifo(path)
    return found


def on_send(monkeypatch, act):
    """Have something happen right after a fork's descriptors were sent, or could not be: the warm process has not read them."""
    send = socket.send_fds

    def sent(*arguments):
        try:
            return send(*arguments)
        finally:
            act()

    monkeypatch.setattr(socket, "send_fds", sent)


def release(pipes):
    return lambda: open(pipes["go on"], "w").close()


def test_the_reason_is_told_when_it_has_ended_before_it_is_asked(own_folders):
    before = opened()
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(BROKEN))
        ended(made.pid)
        for _ in range(2):
            with pytest.raises(ForkServerFailed, match="autoqec.nowhere"):
                made.fork()
        assert left(before) == [], "nothing is left, even before it is closed"


def test_the_reason_is_told_when_it_fails_after_it_is_asked(pipes, monkeypatch, own_folders):
    before = opened()
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(BROKEN | pipes))
        open(pipes["reached"]).close()
        on_send(monkeypatch, release(pipes))
        with pytest.raises(ForkServerFailed, match="autoqec.nowhere"):
            made.fork()
        assert left(before) == []


def test_the_reason_is_told_when_its_socket_is_closed_before_it_reports(pipes, monkeypatch, own_folders):
    """The order of a process that fails while it loads: what it had open goes first, then it says why, then it ends."""
    before = opened()
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(BROKEN | pipes | {"shut": True}))
        open(pipes["reached"]).close()
        on_send(monkeypatch, release(pipes))
        with pytest.raises(ForkServerFailed, match="autoqec.nowhere"):
            made.fork()
        assert left(before) == []


def test_the_reason_is_told_when_it_is_asked_while_it_is_told_more(own_folders):
    """A message that has no answer finds out first: the reason is kept for the one that has."""
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(BROKEN))
        ended(made.pid)
        made.warm(Message(SERVE))
        with pytest.raises(ForkServerFailed, match="autoqec.nowhere"):
            made.fork()


@pytest.mark.parametrize("when", ["before it is asked", "after it is asked"])
def test_a_death_without_a_word_is_told_as_such(pipes, monkeypatch, own_folders, when):
    before = opened()
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(SERVE | pipes))
        open(pipes["reached"]).close()
        if when == "before it is asked":
            os.kill(made.pid, signal.SIGKILL)
            ended(made.pid)
        else:
            on_send(monkeypatch, lambda: os.kill(made.pid, signal.SIGKILL))
        with pytest.raises(ForkServerFailed, match="SIGKILL"):
            made.fork()
        assert left(before) == []


def test_the_reason_stays_whoever_asks_first(own_folders):
    """A fork that is asked how it ended finds out that the warm process is gone; who wants a fork is told why all the same."""
    before = opened()
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(SERVE))
        with made.fork() as child:
            made.warm(Message(BROKEN))
            ended(made.pid)
            with pytest.raises(ChannelClosed):
                child.receive(20)
            with pytest.raises(ForkServerFailed, match="autoqec.nowhere"):
                made.fork()
        assert left(before) == []


@pytest.fixture
def own_folders(monkeypatch, tmp_path):
    """A place for the folders of children where nobody else makes any."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("fails", ["os.pipe", "subprocess.Popen", "tempfile.TemporaryFile", "socket.send_fds"])
def test_what_cannot_be_made_leaves_nothing_open(monkeypatch, own_folders, fails):
    def refuse(*arguments, **more):
        raise OSError(24, "Too many open files")

    before = opened()
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(SERVE))
        with monkeypatch.context() as patched:
            patched.setattr(fails, refuse)
            with pytest.raises((OSError, ForkServerFailed), match="Too many open files"):
                made.fork() if fails not in ("subprocess.Popen",) else ForkServer(WARM, memory_bytes=MEMORY)
    assert left(before) == []


def test_one_that_fails_is_an_error_and_takes_its_forks_along():
    with ForkServer(WARM, memory_bytes=MEMORY) as made:
        made.warm(Message(SERVE))
        with made.fork() as child:
            made.warm(Message(BROKEN))
            with pytest.raises(ForkServerFailed, match="autoqec.nowhere"):
                made.fork()
            wait_until(lambda: state(child.pid) in ("", "Z"))
            with pytest.raises(ChannelClosed):
                child.receive(20)


def test_all_die_with_whoever_owns_them():
    script = (
        "import time\nfrom autoqec.sandbox.fork_server import ForkServer, Message\n"
        f"fork_server = ForkServer({WARM!r}, memory_bytes={MEMORY})\nfork_server.warm(Message({SERVE!r}))\n"
        "children = [fork_server.fork(), fork_server.fork()]\n"
        f"for child in children:\n    child.send({LOOK!r})\n    child.receive(20)\n"
        "print(fork_server.pid, *[child.pid for child in children], flush=True)\ntime.sleep(60)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pids = list(map(int, owner.stdout.readline().split()))
    assert [state(pid) in ("S", "R") for pid in pids] == [True] * 3
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: all(state(pid) in ("", "Z") for pid in pids))
