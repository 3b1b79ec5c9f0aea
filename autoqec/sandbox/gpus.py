"""Whether a process may use a GPU, found out without torch; its limit of memory depends on it.

When CUDA starts, it reserves address space for the memory of all GPUs and of the machine, hundreds of gigabytes. So where a GPU
is used, the limit cannot be one of address space.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

#: Where NVIDIA's driver for Linux tells which GPUs there are.
GPUS = Path("/proc/driver/nvidia/gpus")

#: The variable that says which of them a process may use: none if it is empty, all if it is not set.
CHOSEN = "CUDA_VISIBLE_DEVICES"

#: What a process that uses a GPU inherits of the choice of its user, or of a batch system.
_CHOICE = (CHOSEN, "CUDA_DEVICE_ORDER")


def gpu_variables(*, wanted: bool) -> dict[str, str]:
    """The variables by which a child process finds its GPU, or finds none."""
    if not wanted:
        return {CHOSEN: ""}
    return {name: os.environ[name] for name in _CHOICE if name in os.environ}


def sees_gpu(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a process with these variables may use a GPU of this machine."""
    if environment.get(CHOSEN, "all").strip() in ("", "-1"):
        return False
    try:
        return any(GPUS.iterdir())
    except OSError:
        return False


def gpu_model() -> str:
    """The model of the first GPU that torch may use here; empty for none."""
    if not sees_gpu() or version("torch").endswith("+cpu"):
        return ""
    for told in sorted(GPUS.glob("*/information")):
        for line in told.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Model":
                return value.strip()
    return ""


def limit_memory(most_bytes: int, *, for_good: bool = True) -> None:
    """Limit the memory of this process: its address space, or where it may use a GPU the memory that it can write to (Linux).

    Args:
        most_bytes: The limit.
        for_good: Whether the process cannot raise it again, and its children inherit it; else it is a soft limit.
    """
    kinds = resource.RLIMIT_AS, resource.RLIMIT_DATA
    limited, other = reversed(kinds) if sees_gpu() else kinds
    _, most = resource.getrlimit(other)
    resource.setrlimit(other, (most, most))  # a parent may have a soft limit of its own
    _, most = resource.getrlimit(limited)
    soft = most_bytes if most == resource.RLIM_INFINITY or for_good else min(most_bytes, most)
    resource.setrlimit(limited, (soft, soft if for_good else most))
