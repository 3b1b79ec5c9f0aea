"""Candidates: a candidate is a pipeline of stages as files; this room compiles it and counts its cost.

What a stage plugin needs is here by name, and imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoqec.candidate.stage_contract import Inference, StageConfig, StageKind

__all__ = [
    "Inference",
    "StageConfig",
    "StageKind",
]

_HOME = {
    "Inference": "stage_contract",
    "StageConfig": "stage_contract",
    "StageKind": "stage_contract",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
