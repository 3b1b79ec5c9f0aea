"""The processes that count: shot streams, decoders, and the candidate's process. No torch and no candidate code.

The names that verifier and executor plugins need are public here. Each is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

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

__getattr__ = lazy_names(
    __name__,
    {
        "verifier_contract": ("Verdict", "Report", "VerificationRequest", "Verifier"),
        "executor_contract": ("Executor", "Task", "run_task"),
        "predictor": ("CandidateFault",),
        "score_stream": ("Scored", "ScoreStream"),
    },
)
