"""What training can do in its time: the first second of steps is measured, and the plan is cut to what fits.

A training whose plan is cut has a learning rate that still falls to zero, and it says so. One that is broken off at its deadline
ends at a high rate, with most of its work wasted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, isfinite

#: Measure steps for so long before the plan may be cut; a short limit is measured for a part of it.
_MEASURED_SECONDS = 1.0
_MEASURED_SHARE = 0.05

#: Where the plan does not fit, looks at the validation loss take at most this share of the time of the steps.
_LOOKS_SHARE = 0.1

#: Plan for this share of the time that is left, because a machine does not always run at the same speed.
_RESERVE = 0.95


class TrainingTime:
    """Measures steps, and cuts the plan.

    Args:
        steps: Steps planned.
        between: Steps between two looks at the validation loss.
        seconds: How long training may step; infinite for no limit.
        began: When it began, by the monotonic clock.
    """

    def __init__(self, steps: int, between: int, seconds: float, began: float) -> None:
        self._steps, self._between, self._seconds, self._began = steps, between, seconds, began
        self._planned = steps
        self._first: tuple[int, float] | None = None
        self._looks, self._looked = 0, 0.0
        self._per_step: float | None = None
        self._checked = 0

    @property
    def planned(self) -> int:
        """How many steps were planned at first."""
        return self._planned

    @property
    def between(self) -> int:
        """Steps between two looks at the validation loss; more than at first where the plan does not fit."""
        return self._between

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Around a look at the validation loss, whose time is none of the steps'."""
        began = time.monotonic()
        yield
        self._looks += 1
        self._looked += time.monotonic() - began

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Around a wait for others, whose time is none of the training's."""
        began = time.monotonic()
        yield
        waited = time.monotonic() - began
        self._began += waited
        self._first = None if self._first is None else (self._first[0], self._first[1] + waited)

    @property
    def spent(self) -> float:
        """Seconds since it began, without those of waits."""
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        """Whether no further step may begin."""
        return time.monotonic() > self._began + self._seconds

    def cut(self, done: int) -> int | None:
        """Before the step after so many: to how many steps the plan must be cut; None if what is planned fits.

        The first step is not measured: it compiles code and touches fresh memory. Later steps are measured once they have taken
        a second, and again whenever twice as many are done, because a machine can become slower.
        """
        now = time.monotonic()
        if not isfinite(self._seconds) or done == 0:
            return None
        if self._first is None:
            self._first = (done, now - self._looked)
        first, since = self._first
        spent = now - self._looked - since
        if done < max(2, 2 * self._checked) or spent < min(_MEASURED_SECONDS, _MEASURED_SHARE * self._seconds):
            return None
        self._checked = done
        self._per_step = spent / (done - first)
        look = self._looked / self._looks if self._looks else 0.0
        each = self._per_step + look / self._between
        left = self._began + self._seconds - now - look
        if (self._steps - done) * each <= left:
            return None
        # The validation shots were drawn for the whole plan: where a shorter one has less time for them, they are looked at less.
        self._between = max(self._between, ceil(look / (_LOOKS_SHARE * self._per_step)))
        each = self._per_step + look / self._between
        self._steps = min(self._steps, done + max(1, int(_RESERVE * left / each)))
        return self._steps

    def telemetry(self) -> dict[str, float | int]:
        """What is worth telling: steps the plan was cut to, seconds of a step, and the limit; empty where nothing was cut."""
        if self._steps == self._planned or self._per_step is None:
            return {}
        return {
            "steps_cut_to": self._steps,
            "seconds_a_step": round(self._per_step, 4),
            "seconds_allowed": round(self._seconds, 1),
        }
