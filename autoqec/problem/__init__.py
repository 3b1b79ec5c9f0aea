"""The decoding problem: environments, circuits, error models, Tanner and matching graphs, and seeded shots.

What a code plugin needs is here by name, and imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoqec.problem.code_contract import Code, build_problem
    from autoqec.problem.environment import Environment, LoadedEnvironment
    from autoqec.problem.noise import Noise
    from autoqec.problem.problem import Problem

__all__ = [
    "Code",
    "Environment",
    "LoadedEnvironment",
    "Noise",
    "Problem",
    "build_problem",
]

_HOME = {
    "Code": "code_contract",
    "build_problem": "code_contract",
    "Environment": "environment",
    "LoadedEnvironment": "environment",
    "Noise": "noise",
    "Problem": "problem",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
