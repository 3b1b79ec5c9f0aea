"""What each of several rounds at once may use of this machine: its processors, worker processes and memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoqec.config import BUILTIN, Settings
from autoqec.errors import UsageError

_CGROUPS = Path("/sys/fs/cgroup")
_GIB = 2**30

#: Address space that a training needs: importing the libraries takes most of the first gibibyte.
LEAST_MEMORY = 2 * _GIB


@dataclass(frozen=True)
class MachineShare:
    """What one round uses.

    Attributes:
        processors: The processors that its processes run on. Whatever asks how many there are gets this number.
        jobs: Its worker processes.
        memory: Bytes of memory that its training may take, if that is less than the profile's; None for the profile's.
    """

    processors: tuple[int, ...]
    jobs: int
    memory: int | None = None


def shares(
    at_once: int, jobs: int, processors: Sequence[int] | None = None, memory: int | None = None
) -> tuple[MachineShare, ...]:
    """Share out processors and worker processes among rounds. Each round gets at least one of both.

    Rounds that get the same processor share its time; this happens only if there are more rounds than processors.

    Args:
        at_once: Rounds at once.
        jobs: Worker processes of all rounds together.
        processors: The processors that may be used; by default those of this process.
        memory: Of each; see `memory_share`.
    """
    here = sorted(os.sched_getaffinity(0) if processors is None else processors)
    return tuple(
        MachineShare(
            tuple(_share(here, at_once, place)) or (here[place % len(here)],),
            max(1, len(_share(range(jobs), at_once, place))),
            memory,
        )
        for place in range(at_once)
    )


def _share(what: Sequence[int], parts: int, place: int) -> Sequence[int]:
    """One part of a sequence that is cut into so many parts of nearly the same length: neighbours stay together."""
    return what[len(what) * place // parts : len(what) * (place + 1) // parts]


def memory_share(settings: Settings, at_once: int, there: int | None = None) -> int | None:
    """Bytes of memory that the training of each of several rounds may take here; None where nothing is to be shared.

    A round's profile stays as it is, so that the same rounds come out for any number at once: where the machine has less than
    `memory_gib` for each, its training is limited to this share, and is killed only if it needs more.

    Args:
        settings: Their profile has `memory_gib`, and they say where candidates are trained.
        at_once: Rounds at once.
        there: Bytes of memory that may be used; by default those of this process.

    Raises:
        UsageError: A share is too small for any training.
    """
    here = settings["train_on"] == "here" or settings["executor"] == BUILTIN["executor"]
    if at_once < 2 or not here:
        return None
    memory = memory_here() if there is None else there
    share, wanted = memory // at_once, int(settings.profile.memory_gib * _GIB)
    if share >= wanted:
        return None
    if share < min(LEAST_MEMORY, wanted):
        fits = memory // min(LEAST_MEMORY, wanted)
        raise UsageError(
            f"--parallel {at_once}: each round has {share / _GIB:.1f} of the {memory / _GIB:.1f} GiB of memory here, and a"
            f" training needs {min(LEAST_MEMORY, wanted) / _GIB:g}",
            hint=f"--parallel {fits}" if fits >= 2 else "one round at a time",
            code="too_little_memory",
        )
    return share


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
