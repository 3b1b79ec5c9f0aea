"""Where a candidate's stages are computed for its metrics: chosen once for a command, so all tasks of a round do the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoqec.config import Settings
from autoqec.errors import UsageError
from autoqec.sandbox.gpus import gpu_model

#: The executor whose tasks run on this machine.
_HERE = "local"


@dataclass(frozen=True)
class ScoringDevice:
    """Where stages that torch runs are computed, and its name for the note: `cpu`, or the GPU as far as it is known."""

    kind: Literal["cpu", "cuda"] = "cpu"
    name: str = "cpu"


def scoring_device(settings: Settings) -> ScoringDevice:
    """The device that the settings choose. `auto` is a GPU of this machine if tasks run here; it knows nothing of workers.

    Raises:
        UsageError: A GPU is asked for, tasks run here, and there is none.
    """
    wanted, here = settings["device"], settings["executor"] == _HERE
    if wanted == "cpu" or (wanted == "auto" and not here):
        return ScoringDevice()
    model = gpu_model() if here else ""
    if model:
        return ScoringDevice("cuda", model)
    if wanted == "auto":
        return ScoringDevice()
    if here:
        raise UsageError("device: cuda, but torch sees no GPU here", hint="--device cpu", code="no_gpu")
    return ScoringDevice("cuda", "cuda")
