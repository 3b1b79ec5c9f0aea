"""What this process says of itself as a worker, and why a worker that says something else is refused."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from autoqec.installed_package import LIBRARIES, __version__
from autoqec.plugins import load_plugins
from autoqec.sandbox.child import Child
from autoqec.sandbox.gpus import gpu_model
from autoqec.sandbox.lock import ALLOW_VARIABLE, Lock, SandboxUnavailable
from autoqec.scoring.remote.worker_greeting import WorkerGreeting
from autoqec.scoring.survey import stim_build

#: Distributions whose version may decide an answer.
_DECISIVE = (*LIBRARIES, "chromobius", "mwpf", "relay-bp", "tesseract-decoder")

#: What a plugin of others offers that decides an answer.
_DECISIVE_KINDS = ("decoder", "stage", "code")

#: The packages of AutoQEC's own code.
_OWN = ("autoqec", "autoqec_plugins")

#: Fields of `/proc/cpuinfo` that name a processor, and the instructions that floating-point libraries choose their code by.
_PROCESSOR = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
_INSTRUCTIONS = ("avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "amx_tile", "asimd", "sve")

#: Seconds that finding out the level of the sandbox may take.
_TRIAL_SECONDS = 60.0


def greeting_here(sandbox: int) -> WorkerGreeting:
    """What this process says of itself.

    Args:
        sandbox: The level of its sandbox, as `sandbox_level` finds it; or the level that it asks of others, `level_asked_for`.
    """
    machine = platform.machine()
    return WorkerGreeting(
        version=__version__,
        code=code_digest(),
        python=platform.python_version(),
        versions=_versions(),
        sandbox=sandbox,
        shots=f"{machine}, stim {_stim_build()}",
        arithmetic=f"{machine} {_processor()}".strip(),
        device=gpu_model(),
        machine=_machine(),
    )


def sandbox_level() -> int:
    """The level at which a candidate can be locked on this machine; 0 for none."""
    try:
        with Child("autoqec.sandbox.lock:serve_trial", apart=True) as child:
            return Lock.from_dict(child.receive(_TRIAL_SECONDS).fields["lock"]).level
    except SandboxUnavailable:
        return 0


def level_asked_for() -> int:
    """The least level of a worker's sandbox: one layer, unless this user allows none."""
    return 0 if os.environ.get(ALLOW_VARIABLE) == "1" else 1


def refusal(ours: WorkerGreeting, theirs: WorkerGreeting) -> str | None:
    """Why a worker cannot have tasks of ours; None if it can.

    Args:
        ours: What this process says of itself, with `level_asked_for`.
        theirs: What the worker says.
    """
    return next(_differences(ours, theirs), None)


def _differences(ours: WorkerGreeting, theirs: WorkerGreeting) -> Iterator[str]:
    if theirs.version != ours.version:
        yield f"AutoQEC {theirs.version} there, {ours.version} here"
    if theirs.code != ours.code:
        yield f"the code of AutoQEC is {theirs.code[:12]} there, {ours.code[:12]} here"
    if _minor(theirs.python) != _minor(ours.python):
        yield f"Python {theirs.python} there, {ours.python} here"
    for name in sorted({*ours.versions, *theirs.versions}):
        there, here = (_public(each.versions.get(name)) for each in (theirs, ours))
        if there != here:
            yield f"{name} is {there} there, {here} here"
    if theirs.shots != ours.shots:
        yield f"a seed draws other shots: {theirs.shots} there, {ours.shots} here"
    if theirs.sandbox < ours.sandbox:
        yield f"its sandbox has level {theirs.sandbox}, and a candidate's own code needs {ours.sandbox}"


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _public(release: object) -> str:
    """A version without its local part: a build for GPUs computes on a processor as one without."""
    return "not installed" if release is None else str(release).partition("+")[0]


@cache
def code_digest() -> str:
    """SHA-256 of all modules of AutoQEC and its plugins, by path and contents, as hex digits."""
    found = hashlib.sha256()
    for package in _OWN:
        spec = find_spec(package)
        folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
        if folder is None:
            continue
        for path in sorted(folder.rglob("*.py"), key=lambda each: each.relative_to(folder).as_posix()):
            name = f"{package}/{path.relative_to(folder).as_posix()}"
            found.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in _DECISIVE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    for entry in load_plugins().all():
        name, _, release = entry.distribution.partition(" ")
        if entry.kind in _DECISIVE_KINDS and name != "autoqec":
            found[name] = release
    return found


def _stim_build() -> str:
    import stim  # noqa: F401  the build that fits this processor shows once it is loaded

    return stim_build()


def _processor() -> str:
    """The processor's kind and instructions, as far as the kernel says them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in text.splitlines())]
    first = dict(reversed(pairs))
    flags = f"{first.get('flags', '')} {first.get('Features', '')}".split()
    named = [first[name] for name in _PROCESSOR if name in first]
    return " ".join([*named, *(each for each in _INSTRUCTIONS if each in flags)])


def _machine() -> str:
    """A digest that all processes of this machine share, in containers too, and none of another machine."""
    try:
        found = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        found = f"{uuid.getnode()} {platform.node()}"
    return hashlib.sha256(found.encode()).hexdigest()[:32]
