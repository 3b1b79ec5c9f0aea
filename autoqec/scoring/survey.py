"""A task that describes a problem before a shot is drawn: which weights belong to it, and which shape they need."""

from __future__ import annotations

import sys

from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import environment_from_files
from autoqec.sandbox.channel import Message
from autoqec.scoring.scoring_requests import ScoringTask

_BUILDS = "stim._stim_"

FUNCTION = "autoqec.scoring.survey:survey"


def survey(message: Message) -> Message:
    """Compile an environment's problem at its target.

    Args:
        message: A `ScoringTask`; only its environment is used.

    Returns:
        Fields `fingerprint` and `structure`, 64 hex digits each, and `simd`, the build of stim that draws shots here: from
        the same seed, another build draws other shots.

    Raises:
        UsageError: The environment cannot be compiled.
    """
    loaded = environment_from_files(ScoringTask.from_message(message).environment, origin="the environment")
    problem = build_problem(loaded, load_plugins().maker("code"))
    return Message({"fingerprint": problem.fingerprint, "structure": problem.structure, "simd": stim_build()})


def stim_build() -> str:
    """Which of its builds stim runs on this processor, such as `sse2`."""
    return next((name.removeprefix(_BUILDS) for name in sys.modules if name.startswith(_BUILDS)), "unknown")
