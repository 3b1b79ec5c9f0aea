"""The processes that count: shot streams, decoders, and the candidate's process. No torch and no candidate code.

The names that verifier and executor plugins need are public here. Each is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoqec.results.verdict import Verdict
    from autoqec.scoring.executor_contract import Executor, Task, run_task
    from autoqec.scoring.predictor import CandidateFault
    from autoqec.scoring.score_stream import Scored, ScoreStream
    from autoqec.scoring.verifier_contract import Report, VerificationRequest, Verifier

__all__ = [
    "CandidateFault",
    "Executor",
    "Report",
    "ScoreStream",
    "Scored",
    "Task",
    "Verdict",
    "VerificationRequest",
    "Verifier",
    "run_task",
]

_HOME = {
    "Executor": "executor_contract",
    "Task": "executor_contract",
    "run_task": "executor_contract",
    "CandidateFault": "predictor",
    "Scored": "score_stream",
    "ScoreStream": "score_stream",
    "Report": "verifier_contract",
    "Verdict": "verifier_contract",
    "VerificationRequest": "verifier_contract",
    "Verifier": "verifier_contract",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
