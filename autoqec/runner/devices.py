"""Chooses the device of training and of inference: a GPU if there is one and it is asked for, else the CPU."""

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
        raise UsageError("training.yaml: device: cuda, but torch sees no GPU", hint="use device: auto", code="no_gpu")
    return torch.device("cpu")


def inference_device(wanted: str) -> torch.device:
    """The device on which a candidate's stages are computed in scoring, set up so that it answers the same each time.

    Args:
        wanted: `cpu` or `cuda`.

    Raises:
        UsageError: A GPU is asked for, and torch sees none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError("device: cuda, but torch sees no GPU", hint="--device cpu", code="no_gpu")
    device = choose_device(wanted)
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # convolutions would keep ten bits of each number
        torch.set_deterministic_debug_mode("error")
    return device


def mixed_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 autocast on a GPU where it is safe and fast; no change on a CPU, so its results stay the same."""
    import torch

    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else contextlib.nullcontext()
