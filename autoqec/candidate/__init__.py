"""Candidates: a candidate is a pipeline of stages as files; this room compiles it and counts its cost.

What a stage plugin needs is here by name, and imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

if TYPE_CHECKING:
    from autoqec.candidate.stage_contract import Inference, StageConfig, StageKind

__all__ = [
    "Inference",
    "StageConfig",
    "StageKind",
]

__getattr__ = lazy_names(
    __name__,
    {
        "stage_contract": ("Inference", "StageConfig", "StageKind"),
    },
)
