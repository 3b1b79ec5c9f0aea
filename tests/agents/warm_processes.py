"""Children and commands of tests as forks of a warm process: they have imported what each would import for two seconds.

In all else they are the processes that they stand for: direct children of whoever starts them, with their own session, folder,
environment, limits and lock. Not theirs are `/proc/self/environ`, the seed of Python's hashes and addresses in memory, which are
those of the warm process. `fresh_processes` starts them anew.

A process that is forked, and may start children itself, first forks a warm process of its own, while it is still empty.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

#: The interpreter whose children are forked; that of another environment may have other plugins.
_PYTHON = sys.executable

#: What is forked: the arguments of an interpreter, up to those of the program.
_CHILD = ["-I", "-m", "autoqec.sandbox.child"]
_COMMAND = ["-m", "autoqec"]
_ROUND = ["-P", "-m", "autoqec.loop.serve_round"]

#: Targets of children that start no child.
_LEAVES = ("autoqec.runner.worker:", "autoqec.sandbox.fork_server:")

#: What the kernel calls a warm process that another process forked for its own children.
_NAME = "warm"
_PR_SET_NAME = 15

#: Variables that are read when something is imported; who changes one gets a fresh process.
_READ_EARLY = ("PYTHON", "NUMBA_CACHE", "NUMBA_DISABLE", "LD_", "MPL", "LANG", "LC_")

#: x86-64 and arm64 (Linux): the number of the system call `clone`, and its flag for a child of the caller's parent.
_CLONE = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine)
_CLONE_PARENT = 0x8000

_MOST_BYTES, _MOST_DESCRIPTORS = 2**18, 16

_execute = subprocess.Popen._execute_child
_signature = inspect.signature(_execute)


class _Warm:
    """The warm process of this one, from the first child on."""

    def __init__(self) -> None:
        self.on = False
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def began_with(self, control: socket.socket) -> None:
        self._socket = control

    def start(self) -> None:
        from autoqec.sandbox.child import _environment

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            environment = _environment(1, tempfile.gettempdir()) | {"PYTHONDONTWRITEBYTECODE": ""}
            self._process = subprocess.Popen(
                [_PYTHON, "-I", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                start_new_session=True,
            )
        self._socket = ours

    def fork(self, request: dict[str, Any], streams: list[int], inherited: list[int]) -> int | None:
        """The id of a new child of this process; None if there can be none."""
        with self._lock:
            if self._socket is None:
                # The kernel ties a child's life to the thread that made the warm process.
                if threading.current_thread() is not threading.main_thread():
                    return None
                self.start()
            assert self._socket is not None
            socket.send_fds(self._socket, [json.dumps(request).encode()], [*streams, *inherited])
            pid = int(self._socket.recv(64))
            return pid if pid > 0 else None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.wait()
            self._process = None


_WARM = _Warm()


def _wanted(arguments: list[str]) -> tuple[str, list[str]] | None:
    """What a command line would run: a module and its arguments, if that is one of those that are forked."""
    if arguments[:1] != [_PYTHON]:
        return None
    for beginning in (_CHILD, _COMMAND, _ROUND):
        if arguments[1 : 1 + len(beginning)] == beginning:
            return beginning[-1], arguments[1 + len(beginning) :]
    return None


def _execute_child(self: subprocess.Popen[Any], args: Any, *rest: Any) -> None:
    """In the place of `subprocess.Popen._execute_child`."""
    told = _signature.bind(self, args, *rest).arguments
    wanted = None if isinstance(args, str | bytes) else _wanted([os.fspath(each) for each in args])
    environment = {os.fsdecode(k): os.fsdecode(v) for k, v in (told["env"] or os.environ).items()}
    early = any(name.startswith(_READ_EARLY) and os.environ.get(name) != value for name, value in environment.items())
    pid = None
    if wanted and not early and not told["preexec_fn"]:
        ends = [told[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        streams = [number if end == -1 else end for number, end in enumerate(ends)]
        request = {
            "module": wanted[0],
            "arguments": wanted[1],
            "environment": environment,
            "folder": os.fspath(told["cwd"] or os.getcwd()),
            "session": bool(told["start_new_session"]),
            "inherited": list(told["pass_fds"]),
        }
        pid = _WARM.fork(request, streams, list(told["pass_fds"]))
    if pid is None:
        _execute(self, args, *rest)
        return
    self.pid, self._child_created = pid, True
    names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
    self._close_pipe_fds(*[told[name] for name in names])


@contextlib.contextmanager
def warm_processes() -> Iterator[None]:
    """Children and commands are forks while this is open."""
    if _CLONE is None or sys.platform != "linux":
        yield
        return
    subprocess.Popen._execute_child = _execute_child
    try:
        yield
    finally:
        subprocess.Popen._execute_child = _execute
        _WARM.close()


@contextlib.contextmanager
def fresh_processes() -> Iterator[None]:
    """Children and commands are processes of their own kind while this is open."""
    before = subprocess.Popen._execute_child
    subprocess.Popen._execute_child = _execute
    try:
        yield
    finally:
        subprocess.Popen._execute_child = before


def children(pid: int) -> list[int]:
    """The children of a process, but for the warm one that it has in tests alone."""
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [each for each in found if Path(f"/proc/{each}/comm").read_text().strip() != _NAME]


def _import() -> None:
    """Import what a round's processes import."""
    for name in (
        "autoqec.cli.main",
        "autoqec.loop.one_round",
        "autoqec.runner.training",
        "autoqec.runner.warm_up",
        "autoqec.runner.worker",
        "autoqec.scoring.decoder_set",
        "autoqec.scoring.executor_contract",
        "autoqec.scoring.first_start",
        "autoqec.scoring.matcher",
        "autoqec.scoring.shard",
        "autoqec.scoring.verification",
        "autoqec.testing",
        "autoqec_plugins.neural_bp.neural_bp_stage",
    ):
        importlib.import_module(name)


def _decode() -> None:
    """Have the kernels of the tiny environment's decoder, and of belief propagation, loaded from numba's cache.

    Nothing that a process does before it is locked is done here, but for our own stage: what a lock's warm-up leaves out is seen.
    """
    from autoqec.plugins import load_plugins, own_plugins
    from autoqec.problem.environment import ENVIRONMENT_FILE
    from autoqec.runner.warm_up import sample_candidate, warm_up_predictions
    from autoqec.sandbox.sealed import SealedCandidate
    from autoqec.scoring import first_start
    from autoqec.scoring.scoring_requests import ScoringTask
    from autoqec.shared_threads import close_threads
    from autoqec.testing import TINY_ENVIRONMENT, tiny_problem

    environment = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}
    files = {"gate.yaml": b"kind: gap\nthreshold: 4.0\n", "training.yaml": b"loss: logical_gap\n"}
    task = ScoringTask(environment=environment, sealed=SealedCandidate(files, b""), seeds=()).to_message()
    first_start.serve(SimpleNamespace(receive=lambda: task, send=lambda message: None))  # type: ignore[arg-type]
    maker = load_plugins(own_plugins()).maker("stage")
    warm_up_predictions(sample_candidate(['{"kind": "neural_bp"}'], maker), tiny_problem())
    close_threads()


def _clone() -> int:
    """Fork; the new process is a child of this one's parent."""
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid = int(ctypes.PyDLL(None).syscall(_CLONE, _CLONE_PARENT | signal.SIGCHLD, None, None, None, None))
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    return pid


def _tend(control: socket.socket) -> None:
    """Fork whenever that is asked for, until nobody can ask any more."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, _MOST_DESCRIPTORS)
        if not data:
            os._exit(0)
        pid = _clone()
        if pid == 0:
            _live(json.loads(data), descriptors, control)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid < 0:
            control.send(b"-1")


def _call_this(name: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def _live(request: dict[str, Any], descriptors: list[int], control: socket.socket) -> None:
    """Be what was asked for. Never returns."""
    status = 1
    try:
        _call_this("python")
        if request["session"]:
            os.setsid()
        control.send(str(os.getpid()).encode())  # not before: it can be killed as a group from here on
        control.close()
        _take_descriptors(descriptors, request["inherited"])
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        _fork_own(request)
        _begin(request)
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for text in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                text.flush()
        os._exit(status & 0xFF)


def _take_descriptors(descriptors: list[int], inherited: list[int]) -> None:
    """Have each descriptor under the number that it is asked for under, and no other."""
    numbers = [0, 1, 2, *inherited]
    free = max([*numbers, *descriptors]) + 1
    moved = [os.dup2(each, free + place) for place, each in enumerate(descriptors)]
    for each, number in zip(moved, numbers, strict=True):
        os.dup2(each, number)
    kept = set(numbers)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _fork_own(request: dict[str, Any]) -> None:
    """Fork a warm process for this one's own children."""
    if any(each.startswith(_LEAVES) for each in request["arguments"][:1]):
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    if os.fork() == 0:
        from autoqec.sandbox.child import die_with_parent

        die_with_parent(parent)
        _call_this(_NAME)
        ours.close()
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2, *request["inherited"]):
            os.dup2(quiet, number)
        os.close(quiet)
        _tend(theirs)
    theirs.close()
    _WARM.began_with(ours)
    subprocess.Popen._execute_child = _execute_child


def _open_streams() -> None:
    """Python's own, anew: those of the warm process know what its descriptors once were."""
    encoding = sys.stdout.encoding
    sys.stdin = sys.__stdin__ = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        stream = open(number, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        stream.reconfigure(line_buffering=number == 2 or stream.isatty())
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _begin(request: dict[str, Any]) -> None:
    import numpy as np
    import torch

    np.random.seed()
    torch.seed()
    _open_streams()
    torch.set_num_threads(int(request["environment"].get("OMP_NUM_THREADS", "1")))
    sys.argv = [request["module"], *request["arguments"]]
    if request["module"] != _CHILD[-1]:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=False)
    else:
        from autoqec.sandbox.child import _main

        target, memory, parent, apart = request["arguments"]
        _main(target, int(memory), int(parent), apart == "1")


if __name__ == "__main__":
    # Forks pickle nothing and look nothing up here; under one name there is one state.
    sys.modules["warm_processes"] = sys.modules["__main__"]
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    _import()
    _decode()
    assert len(os.listdir("/proc/self/task")) == 1, "a fork copies one thread only"
    gc.collect()
    gc.freeze()
    _tend(socket.socket(fileno=int(sys.argv[1])))
