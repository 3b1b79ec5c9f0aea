"""What each of several rounds at once may use of this machine: its processors, worker processes and memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoqec.config import BUILTIN, Settings
from autoqec.errors import UsageError
from autoqec.settings_schema import Profile

_CGROUPS = Path("/sys/fs/cgroup")
_GIB = 2**30


@dataclass(frozen=True)
class MachineShare:
    """What one round uses.

    Attributes:
        processors: The processors that its processes run on. Whatever asks how many there are gets this number.
        jobs: Its worker processes.
    """

    processors: tuple[int, ...]
    jobs: int


def shares(at_once: int, jobs: int, processors: Sequence[int] | None = None) -> tuple[MachineShare, ...]:
    """Share out processors and worker processes among rounds. Each round gets at least one of both.

    Rounds that get the same processor share its time; this happens only if there are more rounds than processors.

    Args:
        at_once: Rounds at once.
        jobs: Worker processes of all rounds together.
        processors: The processors that may be used; by default those of this process.
    """
    here = sorted(os.sched_getaffinity(0) if processors is None else processors)
    return tuple(
        MachineShare(
            tuple(_share(here, at_once, place)) or (here[place % len(here)],),
            max(1, len(_share(range(jobs), at_once, place))),
        )
        for place in range(at_once)
    )


def _share(what: Sequence[int], parts: int, place: int) -> Sequence[int]:
    """One part of a sequence that is cut into so many parts of nearly the same length: neighbours stay together."""
    return what[len(what) * place // parts : len(what) * (place + 1) // parts]


def require_room(settings: Settings, at_once: int) -> None:
    """Refuse more rounds at once than this machine has memory to train, unless workers elsewhere train.

    Raises:
        UsageError: As for `require_memory`.
    """
    if settings["train_on"] == "here" or settings["executor"] == BUILTIN["executor"]:
        require_memory(settings.profile, settings["profile"], at_once)


def require_memory(profile: Profile, name: str, at_once: int, there: int | None = None) -> None:
    """Refuse more rounds at once than there is memory for their training processes.

    Args:
        profile: Its `memory_gib` limits each of these processes.
        name: The profile's name.
        at_once: Rounds at once.
        there: Bytes of memory that may be used; by default those of this process.

    Raises:
        UsageError: There is less memory than these processes may take together.
    """
    memory = memory_here() if there is None else there
    wanted = profile.memory_gib * at_once * _GIB
    if at_once < 2 or wanted <= memory:
        return
    fits = int(memory / (profile.memory_gib * _GIB))
    fewer = f"--parallel {fits}, or " if fits >= 2 else ""
    each = max(1.0, int(10 * memory / at_once / _GIB) / 10)
    raise UsageError(
        f"--parallel {at_once}: training may take {wanted / _GIB:.4g} GiB in all, because memory_gib of the profile {name} is"
        f" {profile.memory_gib:g}, and {memory / _GIB:.1f} GiB are here",
        hint=f"{fewer}set memory_gib = {each:g} below [profiles.{name}] in .autoqec/config.toml",
        code="too_little_memory",
    )


def memory_here(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory that this process may use: the machine's, or the limit of its control group, as a batch system sets it.

    Args:
        cgroups: Where control groups are, in version 2.
        own: The file that names this process's.
    """
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        path = next(line[3:] for line in [*own.read_text().splitlines(), "0::/"] if line.startswith("0::"))
        group = cgroups / path.strip("/")
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):
                found = min(found, int((folder / "memory.max").read_text()))  # without a limit it says `max`
            if folder == cgroups:
                break
    return found
