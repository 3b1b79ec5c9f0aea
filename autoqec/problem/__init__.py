"""The decoding problem: environments, circuits, error models, Tanner and matching graphs, and seeded shots.

What a code plugin needs is here by name, and imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

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

__getattr__ = lazy_names(
    __name__,
    {
        "code_contract": ("Code", "build_problem"),
        "environment": ("Environment", "LoadedEnvironment"),
        "noise": ("Noise",),
        "problem": ("Problem",),
    },
)
