"""Child processes: each has its own session, exchanges frames over its standard streams, and is killed with all it started.

The parent starts `module:function` with `Child(...)`; in the child that function is called with a `Channel` and serves
until the channel closes. A child does not outlive its parent. Before any message there may be frames `{"compiling", "seconds"}`,
one for each kernel that the child compiles; `Child` passes them on and its users never see them.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, Any

from autoqec.compiled_once import Told, compiling_told, say_compiling
from autoqec.errors import AutoQECError, code_of
from autoqec.plugin_errors import explained
from autoqec.sandbox.channel import MAX_FRAME_BYTES, Channel, ChannelClosed, ChannelTimeout, Message
from autoqec.sandbox.gpus import gpu_variables, limit_memory
from autoqec.sandbox.lock import ALLOW_VARIABLE, enter_namespaces
from autoqec.sandbox.work_clock import WorkClock

#: The last bytes of a child's standard error that are kept to explain its death.
_STDERR_TAIL = 4096

#: Characters of an error's text that are kept.
_LONGEST_TEXT = 2000

#: The form of a code and of a name in `about`; and how many such names are kept.
_CODE = re.compile("[a-z][a-z0-9_]{0,39}")
_MOST_WORDS = 32

#: Characters of the name of a kernel, seconds that compiling it may take, and how many kernels of one child are told of.
_LONGEST_NAME = 200
_MOST_SECONDS = 3600.0
_MOST_KERNELS = 32

#: Seconds to wait for the end of a process that has closed its pipes, and for its last message. Such a process is ending, so even
#: on a busy machine the wait is short. Only a process that closes its pipes and keeps running uses it up.
_LAST_WORDS_SECONDS = 10.0
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


class ChildFailed(AutoQECError):
    """The child answered with an error of its own; it has that error's code, and `kind` is the error's class name there."""

    def __init__(
        self,
        problem: str,
        *,
        kind: str = "",
        hint: str | None = None,
        code: str | None = None,
        about: Mapping[str, Any] | None = None,
    ):
        super().__init__(problem, hint=hint, code=code, about=about)
        self.kind = kind


class Child:
    """A running child process; use as a context manager.

    Args:
        target: `module:function` to call in the child with its `Channel`.
        memory_bytes: Limit of the child's address space (RLIMIT_AS), or of its data where it may use a GPU; None for no limit.
        threads: What numerical libraries in the child may use.
        apart: Whether the child starts in namespaces of its own, if the kernel allows it. It must do so while it has one
            thread; the rest of the lock comes later (`autoqec.sandbox.lock`).
        inherit: Descriptors that it inherits besides its standard streams.
        compiling: Called with the name of each kernel that it compiles, and about how many seconds that takes.
        gpu: Whether it, or a child of it, may use a GPU. One that starts apart has none: a locked process has not the files and
            system calls by which the driver is reached.
    """

    def __init__(
        self,
        target: str,
        *,
        memory_bytes: int | None = None,
        threads: int = 1,
        apart: bool = False,
        inherit: Sequence[int] = (),
        compiling: Told = say_compiling,
        gpu: bool = True,
    ):
        self._compiling = compiling
        with self._opened() as opened:
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
                env=_environment(threads, self._folder.name, gpu=gpu and not apart),
                cwd=self._folder.name,
                start_new_session=True,
                pass_fds=inherit,
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._talk(opened, self._process.stdout, self._process.stdin)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[contextlib.ExitStack]:
        """Open the resources of a child; all of them are closed again if the child cannot be started."""
        self._final: Message | None = None
        self._killed = False
        self._kernels = 0
        with contextlib.ExitStack() as opened:
            # An empty folder, not the lab. Files that the child leaves there must not cause a failure.
            self._folder = tempfile.TemporaryDirectory(prefix="autoqec-", ignore_cleanup_errors=True)
            opened.callback(_remove, self._folder)
            # A file, not a pipe: a child that floods its standard error must neither block nor fill our memory.
            self._stderr: IO[bytes] = opened.enter_context(tempfile.TemporaryFile())
            yield opened
            self._resources = opened.pop_all()

    def _talk(self, opened: contextlib.ExitStack, from_it: IO[bytes], to_it: IO[bytes]) -> None:
        for stream in (from_it, to_it):
            opened.callback(_close_quietly, stream)
        self._channel = Channel(from_it.fileno(), to_it.fileno())

    @property
    def pid(self) -> int:
        """Process id, which is also its process group."""
        return self._process.pid

    def _status(self, seconds: float) -> int | None:
        """Its exit status, or minus the signal that ended it; None if it is still running after the wait."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill its process group and reap it. Its pipes stay open, so that a thread that reads them sees the end."""
        if not self._killed:
            self._killed = True
            _end_group(self._process)

    def tell(self, message: Message) -> None:
        """Send a message; see `send`."""
        self.send(dict(message.fields), **message.blobs)

    def send(self, fields: dict[str, Any], **blobs: bytes) -> None:
        """Send a message; see `Channel.send`.

        Raises:
            ChildFailed: The child reported an error and ended; `receive` would say the same.
            ChannelClosed: It died; see `receive`.
        """
        try:
            self._channel.send(Message(fields, blobs))
        except ChannelClosed as error:
            raise self._last_words(error) from error

    def answer(
        self, seconds: float, most_bytes: int = MAX_FRAME_BYTES, waiting: Callable[[], None] | None = None
    ) -> Message:
        """Receive a message within so many seconds in which the child ran or slept; see `WorkClock`.

        Args:
            seconds: Its limit; what other processes take from it does not count.
            most_bytes, waiting: See `Channel.receive`.

        Raises:
            ChildFailed, ChannelClosed, ChannelTimeout: As for `receive`.
        """
        return self.receive(seconds, most_bytes, clock=WorkClock(self.pid), waiting=waiting)

    def receive(
        self,
        timeout: float | None = None,
        most_bytes: int = MAX_FRAME_BYTES,
        *,
        clock: Callable[[], float] = time.monotonic,
        waiting: Callable[[], None] | None = None,
    ) -> Message:
        """Receive a message; see `Channel.receive`.

        Raises:
            ChildFailed: The child reported an error.
            ChannelClosed: It died; the message holds its exit status and the end of its standard error.
            ChannelTimeout: It did not answer in time.
        """
        if self._final is not None:
            raise failure_from(self._final)
        try:
            message = self._channel.receive(timeout, most_bytes, clock=clock, waiting=waiting, aside=self._passed_on)
        except ChannelClosed as error:
            raise self._explained(error) from error
        if "error" in message.fields:
            raise failure_from(message)
        return message

    def _passed_on(self, message: Message) -> bool:
        """Whether a message only says what is compiled. A child may run others' code, so what it says is limited."""
        if message.fields.keys() != {"compiling", "seconds"} or message.blobs:
            return False
        name, seconds = message.fields["compiling"], message.fields["seconds"]
        known = isinstance(name, str) and isinstance(seconds, int | float) and 0 <= seconds <= _MOST_SECONDS
        if known and self._kernels < _MOST_KERNELS:
            self._kernels += 1
            self._compiling(plain(name[:_LONGEST_NAME]), seconds)
        return True

    def _last_words(self, error: ChannelClosed) -> AutoQECError:
        """Why a child that no longer reads has ended: the error it reported, or else how it died.

        Whether the pipe is still open when a message is sent depends on timing. The error it reported does not.
        """
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        with contextlib.suppress(ChannelClosed, ChannelTimeout):
            while self._final is None:
                message = self._channel.receive(max(0.0, deadline - time.monotonic()), most_bytes=0)
                self._final = message if "error" in message.fields else None
        return self._explained(error) if self._final is None else failure_from(self._final)

    def _explained(self, error: ChannelClosed) -> ChannelClosed:
        if error.bad_frame:
            return error
        status = self._status(_LAST_WORDS_SECONDS)
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
        with self._resources:
            self.end()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and everything in its group, reap it, and close our ends of its pipes."""
    _end_group(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            _close_quietly(stream)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _remove(folder: tempfile.TemporaryDirectory[str]) -> None:
    """Remove a child's folder as far as that goes: thousands of folders in each other are too deep for Python."""
    with contextlib.suppress(OSError, RecursionError):
        folder.cleanup()


def _close_quietly(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # Data still in the buffer has no reader any more.
        stream.close()


def failure_from(message: Message) -> ChildFailed:
    """The error that a child reported, by a message as `report_of` makes it."""
    hint = message.fields.get("hint")
    return ChildFailed(
        plain(message.fields["error"]),
        kind=plain(message.fields.get("kind", "")),
        hint=None if hint is None else plain(hint),
        code=_plain_code(message.fields.get("code")),
        about=_plain_about(message.fields.get("about")),
    )


def _plain_code(value: Any) -> str:
    """Sanitise an error code that another process reports."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ChildFailed.code


def _plain_about(value: Any) -> dict[str, Any]:
    """Sanitise `about` of an error that another process reports: a few words and numbers by name."""
    if not isinstance(value, dict):
        return {}
    named = [(name, each) for name, each in value.items() if isinstance(name, str) and _CODE.fullmatch(name)]
    return {name: _plain_value(each) for name, each in named[:_MOST_WORDS]}


def _plain_value(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(each) for each in value[:_MOST_WORDS]]
    return value if value is None or isinstance(value, bool | int | float) else plain(value)


def report_of(error: BaseException) -> dict[str, Any]:
    """An exception as fields of a message, which make a `ChildFailed` of it at the other end."""
    fields = {"kind": type(error).__name__, "code": code_of(error)}
    if isinstance(error, AutoQECError):
        return fields | {"error": error.problem, "hint": error.hint, "about": error.about}
    return fields | {"error": explained(error)}


def plain(text: object) -> str:
    """Text of another process, made safe for a terminal and a note: no control characters, limited length."""
    line = " ".join(str(text)[:_LONGEST_TEXT].split("\n"))
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _environment(threads: int, folder: str, *, gpu: bool = True) -> dict[str, str]:
    """A child's environment variables: paths of programs and caches, and the number of threads. No secrets, no settings.

    Its temporary files are in its own folder. A killed child cannot remove the files of its own children, so the folder's
    owner removes both.
    """
    kept = "PATH HOME LANG LC_ALL XDG_CACHE_HOME NUMBA_CACHE_DIR AUTOQEC_LOAD_PLUGINS".split()
    inherited = {name: os.environ[name] for name in (*kept, ALLOW_VARIABLE) if name in os.environ}
    count = str(threads)
    # glibc: reuse freed memory for large blocks. Otherwise the kernel clears the same pages for every tensor again, which takes
    # as long as computing it.
    malloc = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_TOP_PAD_": str(2**26)}
    return (
        inherited
        | malloc
        | gpu_variables(wanted=gpu)
        | {
            "TMPDIR": folder,
            # OpenMP's threads wait actively for their next task by default, and take the cores from the threads of compiled code
            # and from all other processes: training takes twice the processor time then, on a busy machine ten times.
            "OMP_WAIT_POLICY": "PASSIVE",
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
    """Forbid other processes of this user to read this one's memory or attach to it (Linux): it may hold keys and observables."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, int(not alone))


def go_first() -> None:
    """If the machine runs out of memory, have the kernel kill this process and not its judge (Linux)."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def settle(memory_bytes: int) -> Channel:
    """Set up a child: apply limits, block other processes, and open a channel on the standard streams for frames only.

    Args:
        memory_bytes: Limit of memory, see `Child`; 0 for none.
    """
    keep_to_oneself()
    # The parent decides, and kills the whole group. A batch system that ends a job signals each of its processes: if this one
    # ended first, its parent would take that for the candidate's own failure, and the round would be over.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)
    if memory_bytes:
        limit_memory(memory_bytes)
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
    """Serve until the channel closes; report what is compiled, and any error, to the parent."""

    def told(name: str, seconds: float) -> None:
        channel.send(Message({"compiling": name, "seconds": seconds}))

    try:
        with compiling_told(told):
            work(channel)
    except ChannelClosed:
        return
    except MemoryError as error:
        _report(channel, report_of(error) | {"error": f"out of memory (limit {memory_bytes / 2**30:.1f} GiB)"})
    except AutoQECError as error:
        _report(channel, report_of(error))
    except Exception as error:
        import traceback

        traceback.print_exc()
        _report(channel, report_of(error))


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
