"""What a recording has for each purpose, and what gain its holdout can show, for `autoqec env check`."""

from __future__ import annotations

from typing import Any

import numpy as np

from autoqec.problem.recording import Recording
from autoqec.problem.sampling import Shots
from autoqec.results.measured_decoder import MeasuredDecoder
from autoqec.results.resolvable_gain import ResolvableGain, least_gain
from autoqec.results.statistics import look_alpha, rate_interval

#: The looks whose least gain is told.
_LOOKS = (1, 5)


def checked_shots(recording: Recording, wanted: int) -> Shots:
    """The recorded shots on which the decoders of an environment are measured: for development, then for training.

    Nobody looks at the holdout before a candidate does.
    """
    parts = recording.development, recording.training
    return Shots(
        np.concatenate([part.syndromes for part in parts])[:wanted],
        np.concatenate([part.observables for part in parts])[:wanted],
    )


def recorded_gain(recording: Recording, baseline: MeasuredDecoder, alpha: float) -> ResolvableGain:
    """What the holdout can show at the first look, by McNemar's exact test on expected counts.

    Args:
        recording: The recording.
        baseline: As measured.
        alpha: The environment's error budget.
    """
    shots = len(recording.holdout)
    ler = baseline.failures / baseline.shots
    if not baseline.failures:
        ler = rate_interval(0, baseline.shots)[1]
    ratio, at_best = (least_gain(shots, ler, alpha, 1, at_best=best) for best in (False, True))
    return ResolvableGain(shots, look_alpha(alpha, 1), ler, not baseline.failures, ratio, at_best)


def recorded_parts(recording: Recording, ler: float, alpha: float) -> dict[str, Any]:
    """What is told of a recording: its digest, shots in all and by part, and the least gain by look.

    Args:
        recording: The recording.
        ler: The baseline's rate.
        alpha: The environment's error budget.
    """
    shots = {name: len(getattr(recording, name)) for name in ("training", "development", "holdout")}
    least = {str(look): least_gain(shots["holdout"], ler, alpha, look) for look in _LOOKS}
    return {"digest": recording.digest, "shots": recording.shots, **shots, "least_gain": least}
