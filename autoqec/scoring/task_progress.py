"""How far a scoring task is: each pass over the shots of a chunk has a weight, and is reported as it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from autoqec.scoring.executor_contract import report_progress
from autoqec.scoring.matcher import Matcher

#: What the passes of baseline and references weigh together, beside one of the candidate.
_WITH_REFERENCES = 3.0


class TaskProgress:
    """How far a task is, reported as it goes on.

    Args:
        matcher: Does the work.
        chunks: How many chunks the task has.
        with_references: Whether each of them is decoded by the references, and on uninformative beliefs, too.
    """

    def __init__(self, matcher: Matcher, chunks: int, with_references: bool):
        self._matcher = matcher
        self._known, self._neutral = (_WITH_REFERENCES, 1.0) if with_references else (1.0, 0.0)
        self._gate = float(matcher.gated)
        self._whole = chunks * (self._known + self._neutral + self._gate + float(matcher.has_candidate))
        self._done = 0.0

    @contextmanager
    def pass_over(self, kind: Literal["known", "gate", "neutral", "candidate"], part: float = 1.0) -> Iterator[None]:
        """A pass over a part of a chunk's shots."""
        weight = part * {"known": self._known, "gate": self._gate, "neutral": self._neutral, "candidate": 1.0}[kind]
        self._matcher.progress = lambda done: report_progress(min(1.0, (self._done + weight * done) / self._whole))
        yield
        self._done += weight
        self._matcher.progress(0.0)
