"""Every way out that we know: behind the lock it leads nowhere, and without the lock it leads out."""

import contextlib
import ctypes
import importlib.util
import os
import platform
import signal
import socket
import sys
from pathlib import Path

import pytest

from autoqec.sandbox.channel import ChannelClosed, Message
from autoqec.sandbox.child import Child
from autoqec.sandbox.fork_server import ForkServer

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="filters of system calls are Linux's"),
    pytest.mark.fresh_processes,
]

FILES = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_"))
SECRET = ctypes.create_string_buffer(b"SECRET")

#: Names that a file may define: `ENDS` = "SIGSYS" (else the attempt must be refused), `CANNOT_HERE` (why it may lead nowhere
#: even without the lock), `LOCKED_ONLY` (not to be tried without), `MACHINE`, `LEVEL` (the least number of layers it needs),
#: `ROOT_MAY` (why root of the machine is not held).


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def target(tmp_path):
    """What an attempt is aimed at: files, sockets, and this process."""
    for name in ("secret", "victim"):
        (tmp_path / name).write_text("SECRET")
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        for name in (str(tmp_path / "socket"), f"\0autoqec-{os.getpid()}"):
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(name)
            server.listen()
        yield {
            "secret": str(tmp_path / "secret"),
            "victim": str(tmp_path / "victim"),
            "folder": str(tmp_path),
            "git": str(tmp_path / "lab.git"),
            "mark": str(tmp_path / "mark"),
            "unix": str(tmp_path / "socket"),
            "abstract": f"autoqec-{os.getpid()}",
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "address": ctypes.addressof(SECRET),
        }


MEMORY = 2 * 2**30
SERVE = "autoqec.testing.misbehave:serve_attempt"


@pytest.fixture(scope="module")
def fork_server():
    """A warm process, whose forks make the same attempts; it and one sibling are there all the time."""
    with ForkServer("autoqec.testing.misbehave:warm_up", memory_bytes=MEMORY) as made:
        made.warm(Message({"serve": SERVE}))
        with made.fork() as sibling:
            yield made
            assert made.fork().kill() is None, "it still forks"
            os.kill(sibling.pid, 0)


def attempt(path, target, *, locked, start=None):
    """What came of it in a child: evidence, why it was refused, the signal that ended it; and the level of the lock."""
    evidence, refused, ended, level = "", "", None, 0
    with start() if start else Child(SERVE, memory_bytes=MEMORY if locked else None, apart=locked) as child:
        child.send({"source": path.read_text(), "lock": locked, "target": target})
        level = child.receive(60).fields["locked"]
        try:
            answer = child.receive(60).fields
            evidence, refused = answer.get("evidence", ""), answer.get("refused", "")
        except ChannelClosed as error:
            ended = error.status
        session = child.pid
    assert session_members(session) == []
    if Path(target["mark"]).exists():
        evidence += "a mark"
    return evidence, refused, ended, level


def session_members(session):
    """Living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, number = stat.read_text().rsplit(")", 1)[1].split()[:4]
            if int(number) == session and state != "Z":
                found.append(stat.parent.name)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_gets_out_only_without_the_lock(path, target, fork_server):
    trick = load(path)
    if getattr(trick, "MACHINE", platform.machine()) != platform.machine():
        pytest.skip(f"a trick of {trick.MACHINE}")
    if os.getuid() == 0 and hasattr(trick, "ROOT_MAY"):
        pytest.skip(trick.ROOT_MAY)
    for start in (None, fork_server.fork):
        evidence, refused, ended, level = attempt(path, target, locked=True, start=start)
        assert level >= 1
        if level < getattr(trick, "LEVEL", 1):
            pytest.skip(f"needs a lock of level {trick.LEVEL}")
        assert evidence == ""
        if getattr(trick, "ENDS", None) == "SIGSYS":
            assert ended == -signal.SIGSYS
        else:
            assert refused.split(":")[0] in ("OSError", "PermissionError", "MemoryError", "RuntimeError"), (
                refused,
                ended,
            )
    if getattr(trick, "LOCKED_ONLY", False):
        return
    evidence, refused, ended, _ = attempt(path, target, locked=False)
    if not hasattr(trick, "CANNOT_HERE"):
        assert evidence, f"without the lock it must get out, or this shows nothing: {refused or ended}"


def test_there_are_enough_of_them():
    assert len(FILES) >= 20
