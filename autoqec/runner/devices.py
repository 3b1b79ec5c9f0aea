"""Chooses the training device: a GPU if there is one and the candidate allows it, else the CPU."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from autoqec.errors import UsageError

if TYPE_CHECKING:
    import torch


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`.

    Raises:
        UsageError: A GPU is asked for, and torch sees none.
    """
    import torch

    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        # Without it cuBLAS sums in an order that changes from run to run, and torch's deterministic mode refuses that.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        return torch.device("cuda")
    if wanted == "cuda":
        raise UsageError("training.yaml: device: cuda, but torch sees no GPU", hint="use device: auto")
    return torch.device("cpu")


def mixed_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 autocast on a GPU where it is safe and fast; no change on a CPU, so its results stay the same."""
    import torch

    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else contextlib.nullcontext()
