"""Child processes: each in its own session, talking frames over its standard streams, killed with everything it started.

The parent starts `module:function` with `Child(...)`; in the child that function is called with a `Channel` and serves
until the channel closes. A child does not outlive its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Any

from autoqec.errors import AutoQECError
from autoqec.plugin_errors import explained
from autoqec.sandbox.channel import MAX_FRAME_BYTES, Channel, ChannelClosed, Message
from autoqec.sandbox.lock import ALLOW_VARIABLE, enter_namespaces

#: The last bytes of a child's standard error that are kept to explain its death.
_STDERR_TAIL = 4096

#: Characters of an error's text that are kept.
_LONGEST_TEXT = 2000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


class ChildFailed(AutoQECError):
    """The child answered with an error of its own; `kind` is the error's class name there."""

    def __init__(self, problem: str, *, kind: str = "", hint: str | None = None):
        super().__init__(problem, hint=hint)
        self.kind = kind


class Child:
    """A running child process; use as a context manager.

    Args:
        target: `module:function` to call in the child with its `Channel`.
        memory_bytes: Address-space limit of the child (RLIMIT_AS); None for no limit.
        threads: What numerical libraries in the child may use.
        apart: Whether the child begins in namespaces of its own where the kernel lets, which it can only do while it has
            one thread; the rest of a lock it puts on itself (`autoqec.sandbox.lock`).
        inherit: Descriptors that it has from its parent, besides its standard streams.
    """

    def __init__(
        self,
        target: str,
        *,
        memory_bytes: int | None = None,
        threads: int = 1,
        apart: bool = False,
        inherit: Sequence[int] = (),
    ):
        self._open()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-m",
                "autoqec.sandbox.child",
                target,
                str(memory_bytes or 0),
                str(os.getpid()),
                str(int(apart)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(threads),
            cwd=self._folder.name,
            start_new_session=True,
            pass_fds=inherit,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._talk(self._process.stdout, self._process.stdin)

    def _open(self) -> None:
        # A file, not a pipe: a child that floods its standard error must neither block nor fill our memory.
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `kill`
        self._folder = tempfile.TemporaryDirectory(prefix="autoqec-")  # not the lab: a child is nowhere in particular

    def _talk(self, from_it: IO[bytes], to_it: IO[bytes]) -> None:
        self._pipes = (to_it, from_it)
        self._channel = Channel(from_it.fileno(), to_it.fileno())

    @property
    def pid(self) -> int:
        """Process id, which is also its process group."""
        return self._process.pid

    def _status(self, seconds: float) -> int | None:
        """Its exit status, or minus the signal that ended it; None if it has not ended by then."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def _end(self) -> None:
        """Kill its process group and reap it."""
        end_group(self._process)

    def send(self, fields: dict[str, Any], **blobs: bytes) -> None:
        """Send a message; see `Channel.send`."""
        try:
            self._channel.send(Message(fields, blobs))
        except ChannelClosed as error:
            raise self._explained(error) from error

    def receive(self, timeout: float | None = None, most_bytes: int = MAX_FRAME_BYTES) -> Message:
        """Receive a message; see `Channel.receive`.

        Raises:
            ChildFailed: The child reported an error.
            ChannelClosed: It died; the message holds its exit status and the end of its standard error.
            ChannelTimeout: It did not answer in time.
        """
        try:
            message = self._channel.receive(timeout, most_bytes)
        except ChannelClosed as error:
            raise self._explained(error) from error
        if "error" in message.fields:
            hint = message.fields.get("hint")
            raise ChildFailed(
                plain(message.fields["error"]),
                kind=plain(message.fields.get("kind", "")),
                hint=None if hint is None else plain(hint),
            )
        return message

    def _explained(self, error: ChannelClosed) -> ChannelClosed:
        status = self._status(seconds=2)
        if status is None:
            return error
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - _STDERR_TAIL))
        lines = [line for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        last = plain(lines[-1]) if lines else ""
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return ChannelClosed(f"the process ended with {how}" + (f": {last}" if last else ""), status=status)

    def kill(self) -> None:
        """End the child and everything in its process group, and reap it."""
        self._end()
        self._close()

    def _close(self) -> None:
        for stream in (*self._pipes, self._stderr):
            with contextlib.suppress(BrokenPipeError):  # What we had not yet sent has no reader any more.
                stream.close()
        self._folder.cleanup()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and everything in its group, reap it, and close our ends of its pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # What we had not yet sent has no reader any more.
                stream.close()


def plain(text: object) -> str:
    """What another process wrote, fit for a terminal and a note: no control characters, and not without end."""
    line = " ".join(str(text)[:_LONGEST_TEXT].split("\n"))
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _environment(threads: int) -> dict[str, str]:
    """What a child inherits: where to find programs and caches, and how many threads to use. No secrets, no settings."""
    kept = "PATH HOME TMPDIR LANG LC_ALL XDG_CACHE_HOME NUMBA_CACHE_DIR AUTOQEC_LOAD_PLUGINS".split()
    inherited = {name: os.environ[name] for name in (*kept, ALLOW_VARIABLE) if name in os.environ}
    count = str(threads)
    # glibc: keep memory that is freed and take large blocks from it, rather than have the kernel clear the same pages for
    # every tensor anew, which takes as long as computing it.
    malloc = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_TOP_PAD_": str(2**26)}
    return (
        inherited
        | malloc
        | {
            "OMP_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
            "OPENBLAS_NUM_THREADS": count,
            "NUMBA_NUM_THREADS": count,
        }
    )


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends (Linux); exit at once if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def keep_to_oneself(alone: bool = True) -> None:
    """Let no other process of this user read this one's memory or attach to it (Linux): some of ours hold keys and truths."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, int(not alone))


def go_first() -> None:
    """When the machine is out of memory, have the kernel end this process and not its judge (Linux)."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def settle(memory_bytes: int) -> Channel:
    """Begin as a child does: limited, left alone, and with a channel on its standard streams, which frames then own.

    Args:
        memory_bytes: Address-space limit; 0 for none.
    """
    keep_to_oneself()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides; it kills the whole group.
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Frames own the real standard output; whatever a library prints goes to standard error instead.
    frames = os.dup(1)
    os.dup2(2, 1)
    channel = Channel(os.dup(0), frames)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    return channel


def find_function(target: str) -> Callable[..., Any]:
    """What `module:function` names."""
    module, _, function = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def serve(work: Callable[[Channel], None], channel: Channel, memory_bytes: int) -> None:
    """Serve until the channel closes; what goes wrong is reported to the parent."""
    try:
        work(channel)
    except ChannelClosed:
        return
    except MemoryError:
        _report(channel, {"error": f"out of memory (limit {memory_bytes / 2**30:.1f} GiB)", "kind": "MemoryError"})
    except AutoQECError as error:
        _report(channel, {"error": error.problem, "kind": type(error).__name__, "hint": error.hint})
    except Exception as error:
        import traceback

        traceback.print_exc()
        _report(channel, {"error": explained(error), "kind": type(error).__name__})


def _report(channel: Channel, fields: dict[str, Any]) -> None:
    try:
        channel.send(Message(fields))
    except ChannelClosed:
        return


def _main(target: str, memory_bytes: int, parent: int, apart: bool) -> None:
    die_with_parent(parent)
    if apart:
        go_first()
        enter_namespaces()
    serve(lambda channel: find_function(target)(channel), settle(memory_bytes), memory_bytes)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1")
