"""A warm process that workers are forked from: what every one of them would load is loaded once, before any of them is there.

A `ForkServer` is trusted and holds only what is public: no code of a candidate, no secret, no repository. It has one thread;
a fork of it leaves the session, the namespaces and every descriptor behind before it serves, and locks itself as any child does.
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
    """It cannot fork: it has threads, or ended. A child of one's own can be started instead."""

    code = "fork_server_failed"


class ForkServer:
    """The warm process, seen from whoever wants workers; use as a context manager, and from one thread.

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
            self._child = Child("autoqec.sandbox.fork_server:tend", memory_bytes=memory_bytes, inherit=inherit)
            undo.callback(self._child.kill)
            self._send(Message({"target": target, "socket": theirs.fileno()}))
            undo.pop_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def warm(self, message: Message) -> None:
        """Say what the next forks will need; does not wait until it is loaded."""
        self._send(Message({**message.fields, "op": "warm"}, message.blobs))

    def fork(self) -> Child:
        """A new worker: a child like any other, of which this process has the pipes and the warm one the death.

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
        """Its answer to a request; for its forks.

        Raises:
            ForkServerFailed: There is none. Whenever and however the process ended, the message says why.
        """
        if self._ended is not None:
            raise ForkServerFailed(self._ended)
        try:
            self._child.send(fields)
            if pass_on:
                # A process that has an error to report may have closed this before it reported: then its answer is the error.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    socket.send_fds(self._socket, [b"."], pass_on)
            return self._child.receive(timeout)
        except (ChannelClosed, ChannelTimeout, ChildFailed, OSError) as error:
            # one answer behind, it would be believed of the wrong process
            self._close(f"the warm process failed: {error}")
            raise ForkServerFailed(f"the warm process failed: {error}") from error

    def close(self) -> None:
        """End it, and with it what is left of its forks."""
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
    """A child forked from a fork server, which reaps it: the process id stays the child's until the server is told to end it."""

    def __init__(self, fork_server: ForkServer):
        self._fork_server = fork_server
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
        # A fork has one thread only: what the others held would stay held, and namespaces cannot be left behind by one of many.
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
    """The fork's life; never returns, since what is further up the stack is the warm process's."""
    status = 1
    try:
        die_with_parent(parent)
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        close_others({0, 1, 2})
        os.chdir(folder)
        # The files under /proc of a process that keeps to itself are root's, and one of them is written here.
        keep_to_oneself(False)
        go_first()
        enter_namespaces()
        # It has its parent's limit, and what counts towards it, already.
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
    """How a fork ended, if it has by then; it stays unreaped, so that nobody else gets its number."""
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
    os.kill(pid, signal.SIGKILL)  # it may not have had time for a group of its own; dead or alive, it is still ours
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
