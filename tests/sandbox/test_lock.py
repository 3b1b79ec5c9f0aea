"""The lock: it holds in every thread, fails closed, and says how thick it is."""

import platform
import subprocess
import sys

import pytest

from autoqec.sandbox import seccomp
from autoqec.sandbox.syscalls import ALLOWED, ARCHITECTURES, FILTERED, HOSTILE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="filters of system calls are Linux's")

#: A kernel without such filters, as far as this process and its children can tell: `seccomp` has no number any more.
WITHOUT_FILTERS = """
import ctypes, os, struct
from autoqec.sandbox import seccomp
from autoqec.sandbox.syscalls import ARCHITECTURES
import platform
number = ARCHITECTURES[platform.machine()].seccomp
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
program = b"".join(struct.pack("<HBBI", *step) for step in steps)
buffer = ctypes.create_string_buffer(program, len(program))
header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(header), 0, 0) == 0
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def test_every_call_has_a_number_wherever_the_architecture_has_the_call():
    old = {"poll", "select", "time"}  # calls that aarch64 never had
    for name, architecture in ARCHITECTURES.items():
        missing = {call for call in [*ALLOWED, *HOSTILE, *FILTERED] if call not in architecture.numbers}
        assert missing == (set() if name == "x86_64" else old), name
        assert len(set(architecture.numbers.values())) == len(architecture.numbers), "two calls with one number"
        assert len(seccomp.build_filter(architecture, 1)) // 8 < 4096, "the kernel takes no longer program"


def test_threads_that_were_there_before_are_locked_too():
    done = run(
        "import threading; from autoqec.sandbox.lock import lock\n"
        "go, said = threading.Event(), []\n"
        "def peek():\n"
        "    go.wait()\n"
        "    try: open('/etc/passwd'); said.append('read')\n"
        "    except OSError as error: said.append(error.strerror)\n"
        "thread = threading.Thread(target=peek); thread.start(); level = lock([]).level; go.set(); thread.join()\n"
        "print(level, said)"
    )
    level, said = done.stdout.split(maxsplit=1)
    assert int(level) >= 1, done.stderr
    assert said.strip() == "['Permission denied']"


def test_a_canary_that_gets_out_ends_it():
    done = run(
        "from autoqec.sandbox import lock\nlock._CANARIES['computing'] = lambda: 1 + 1\nlock.lock([])\nprint('went on')"
    )
    assert "went on" not in done.stdout
    assert "SandboxUnavailable: the sandbox does not prevent: computing" in done.stderr


def test_without_a_first_wall_nothing_runs_unless_somebody_said_so():
    refused = run(WITHOUT_FILTERS + "from autoqec.sandbox.lock import lock\nlock([])\nprint('went on')")
    assert "went on" not in refused.stdout
    assert "cannot sandbox a candidate's own code" in refused.stderr
    allowed = run(
        WITHOUT_FILTERS + "from autoqec.sandbox.lock import lock\nprint(lock([]).level)", AUTOQEC_ALLOW_UNSANDBOXED="1"
    )
    assert allowed.stdout.strip() == "0", allowed.stderr


def test_descriptors_and_the_environment_are_gone():
    done = run(
        "import os; from autoqec.sandbox.lock import lock\n"
        "secret = os.open('/etc/passwd', os.O_RDONLY); lock([])\n"
        "try: print(os.read(secret, 10))\n"
        "except OSError as error: print(error.strerror)\n"
        "print(dict(os.environ))",
        SECRET="1",
    )
    assert done.stdout.splitlines() == ["Bad file descriptor", "{}"], done.stderr


def test_computing_goes_on():
    done = run(
        "import threading, numpy, time; from autoqec.sandbox.lock import lock; lock([])\n"
        "thread = threading.Thread(target=lambda: print(numpy.ones((300, 300)).dot(numpy.ones(300)).sum()))\n"
        "thread.start(); thread.join(); time.sleep(0.01); print(time.time() > 0, len(bytearray(10**8)))"
    )
    assert done.stdout.split() == ["90000.0", "True", "100000000"], done.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the other convention is that of x86-64")
def test_a_hostile_call_and_a_foreign_convention_end_the_process():
    for call in ("libc.ptrace(0, 0, 0, 0)", "libc.syscall(0x40000000 + 39)"):
        done = run(
            f"import ctypes; from autoqec.sandbox.lock import lock; libc = ctypes.CDLL(None); lock([]); {call}; print('on')"
        )
        assert (done.returncode, done.stdout) == (-31, ""), call
