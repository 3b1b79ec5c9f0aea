"""The fork server: a warm process that loads common modules once and then forks workers.

A `ForkServer` is trusted and holds only public data: no code of a candidate, no secret, no repository. It has one thread. Before
a fork serves, it leaves the session and the namespaces and closes every descriptor; then it locks itself like any child.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from autoqec.compiled_once import say_compiling
from autoqec.errors import AutoQECError
from autoqec.sandbox.channel import Channel, ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.child import (
    Child,
    ChildFailed,
    die_with_parent,
    find_function,
    go_first,
    keep_to_oneself,
    serve,
    settle,
)
from autoqec.sandbox.lock import close_others, enter_namespaces

#: Seconds it may take to warm up, and to answer once it is warm.
_WARM_SECONDS = 180.0
_ANSWER_SECONDS = 60.0

#: Seconds between looks at a process that should have ended.
_PAUSE = 0.005

#: Descriptors that each fork is given: its standard streams.
_STREAMS = 3


class ForkServerFailed(AutoQECError):
    """It cannot fork: it has threads, or has ended. The caller can start a child instead."""

    code = "fork_server_failed"


class ForkServer:
    """The owner's side of the fork server; use as a context manager, and from one thread.

    It warms up while its owner does other things. It and its forks do not outlive the owner.

    Args:
        target: `module:function` to call there with a message (what `warm` is given); returns what each fork calls with its
            `Channel`. It must start no thread.
        memory_bytes: Address-space limit, its own and that of each fork.
    """

    def __init__(self, target: str, *, memory_bytes: int):
        if sys.platform != "linux":
            raise ForkServerFailed(f"processes are not forked from a warm one on {sys.platform}")
        self._ended: str | None = None
        self._socket, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo, theirs:
            undo.callback(self._socket.close)
            inherit = (theirs.fileno(),)
            self._child = Child(
                "autoqec.sandbox.fork_server:tend", memory_bytes=memory_bytes, inherit=inherit, gpu=False
            )
            undo.callback(self._child.kill)
            self._send(Message({"target": target, "socket": theirs.fileno()}))
            undo.pop_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def warm(self, message: Message) -> None:
        """Start to load what the next forks will need; does not wait."""
        self._send(Message({**message.fields, "op": "warm"}, message.blobs))

    def fork(self) -> Child:
        """A new worker, used like any child. This process holds its pipes; the fork server reaps it.

        Raises:
            ForkServerFailed: See the class.
        """
        return _Fork(self)

    def _send(self, message: Message) -> None:
        with contextlib.suppress(ChannelClosed, ChildFailed):  # told by what is asked next
            self._child.tell(message)

    def ask(
        self, fields: dict[str, Any], timeout: float = _ANSWER_SECONDS, pass_on: list[int] | None = None
    ) -> Message:
        """Send a request and return the answer; the forks use it.

        Raises:
            ForkServerFailed: There is no answer. The message always says why the process ended.
        """
        if self._ended is not None:
            raise ForkServerFailed(self._ended)
        try:
            self._child.send(fields)
            if pass_on:
                # The process may have closed its end before it reported an error: then the answer is that error.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(self._socket, [b"."], pass_on)
            return self._child.answer(timeout)
        except (ChannelClosed, ChannelTimeout, ChildFailed, OSError) as error:
            # answers would be off by one from here on, and would be taken for those of another fork
            self._close(f"the warm process failed: {error}")
            raise ForkServerFailed(f"the warm process failed: {error}") from error

    def close(self) -> None:
        """End it and all its remaining forks."""
        self._close("the warm process was ended")

    def _close(self, why: str) -> None:
        if self._ended is None:
            self._ended = why
            with self._socket:
                self._child.kill()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Fork(Child):
    """A child forked from a fork server. The server reaps it, so the process id is not reused before the server ends it."""

    def __init__(self, fork_server: ForkServer):
        self._fork_server = fork_server
        self._compiling = say_compiling
        self._ended: int | None = None
        with self._opened() as opened, contextlib.ExitStack() as theirs:
            their_in, to_it = os.pipe()
            theirs.callback(os.close, their_in)
            writer = opened.enter_context(os.fdopen(to_it, "wb", 0))
            from_it, their_out = os.pipe()
            theirs.callback(os.close, their_out)
            self._talk(opened, os.fdopen(from_it, "rb", 0), writer)
            fields = {"op": "fork", "folder": self._folder.name}
            answer = fork_server.ask(fields, _WARM_SECONDS, [their_in, their_out, self._stderr.fileno()]).fields
            if "refused" in answer:
                raise ForkServerFailed(f"the warm process does not fork: {answer['refused']}")
            self._pid = int(answer["pid"])

    @property
    def pid(self) -> int:
        """Process id, which is also its process group."""
        return self._pid

    def _status(self, seconds: float) -> int | None:
        if self._ended is None:
            with contextlib.suppress(ForkServerFailed):
                status = self._fork_server.ask({"op": "wait", "pid": self._pid, "seconds": seconds}).fields["status"]
                return None if status is None else int(status)
        return self._ended

    def end(self) -> None:
        """Kill its process group; the warm process reaps it."""
        if self._ended is None:
            # Without a fork server none of its forks is left: the kernel ends them with it.
            with contextlib.suppress(ForkServerFailed):
                self._ended = int(self._fork_server.ask({"op": "end", "pid": self._pid}).fields["status"])


def tend(channel: Channel) -> None:
    """The warm process. First message: `target` and `socket`, the descriptor over which those of its forks come.

    Then `{"op": "warm", …}`, which has no answer; `{"op": "fork", "folder"}`, answered by `{"pid"}` or `{"refused"}`;
    `{"op": "wait", "pid", "seconds"}` and `{"op": "end", "pid"}`, answered by `{"status"}` as `subprocess` gives it.
    """
    first = channel.receive().fields
    with socket.socket(fileno=first["socket"]) as control:
        _serve_requests(channel, control, find_function(first["target"]))


def _serve_requests(
    channel: Channel, control: socket.socket, prepare: Callable[[Message], Callable[[Channel], None]]
) -> None:
    work: Callable[[Channel], None] | None = None
    while True:
        request = channel.receive()
        fields = request.fields
        if fields["op"] == "warm":
            work = prepare(request)
            del request
            gc.collect()
            gc.freeze()  # a fork that collects need neither look at what is shared nor copy it
        elif fields["op"] == "fork":
            _, streams, _, _ = socket.recv_fds(control, 1, _STREAMS)
            try:
                answer = _fork(work, streams, str(fields["folder"]))
            finally:
                for stream in streams:
                    os.close(stream)
            channel.send(Message(answer))
        else:
            pid = int(fields["pid"])
            status = _wait(pid, float(fields["seconds"])) if fields["op"] == "wait" else _end(pid)
            channel.send(Message({"status": status}))


def _fork(work: Callable[[Channel], None] | None, streams: list[int], folder: str) -> dict[str, Any]:
    threads = len(os.listdir("/proc/self/task"))
    if work is None or threads != 1:
        # A fork copies one thread only: locks held by other threads would stay locked, and it could not leave its namespaces.
        return {"refused": "it is not warm" if work is None else f"it has {threads} threads"}
    if len(streams) != _STREAMS:  # there was no room for more
        return {"refused": f"it received {len(streams)} of {_STREAMS} descriptors"}
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        return {"refused": str(error)}
    if pid == 0:
        _live(work, streams, folder, parent)
    return {"pid": pid}


def _live(work: Callable[[Channel], None], streams: list[int], folder: str, parent: int) -> None:
    """Run the fork. Never returns, because the rest of the stack belongs to the fork server."""
    status = 1
    try:
        die_with_parent(parent)
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        close_others({0, 1, 2})
        os.chdir(folder)
        # /proc files of a non-dumpable process belong to root, and one of them must be written here.
        keep_to_oneself(False)
        go_first()
        enter_namespaces()
        # It already has its parent's limit and memory use.
        serve(work, settle(0), resource.getrlimit(resource.RLIMIT_AS)[0])
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for text in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                text.flush()
        os._exit(status & 0xFF)


def _wait(pid: int, seconds: float) -> int | None:
    """How a fork ended, if it has; it is not reaped, so that its process id is not reused."""
    deadline = time.monotonic() + seconds
    while True:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        if time.monotonic() > deadline:
            return None
        time.sleep(_PAUSE)


def _end(pid: int) -> int:
    """Kill a fork with its group, and reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)  # it may not have its own group yet; it is not reaped, so the id is still its own
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
