"""A temperature for the loss `logical_gap`, fitted while training runs.

Untrained beliefs are overconfident, because belief propagation counts loops twice. A shot that is wrong and confident has a
large loss, so the first hundred steps of training would only make all gaps smaller, which changes no answer. With a
temperature the loss is `log(1 + exp(-sharpness * gap))`, where the sharpness is the one with the least loss on the gaps of
the last batches. Guo et al. ("On calibration of modern neural networks", ICML 2017) fit it after training. Here it leaves
training with the order and the signs of the gaps, and the signs are the decoder's answers.
"""

from __future__ import annotations

from collections import deque

import numpy as np

#: Batches whose gaps are fitted: one batch has few shots with a small gap.
_BATCHES = 8

_SHARPNESS = np.geomspace(0.05, 2.0, 60)

#: A larger loss is the gap itself, with the other sign; the exponential would not be a number.
_LARGE = 30.0


class Temperature:
    """Fits the sharpness to the gaps of the last batches."""

    def __init__(self) -> None:
        self._gaps: deque[np.ndarray] = deque(maxlen=_BATCHES)
        self._weights: deque[np.ndarray] = deque(maxlen=_BATCHES)

    def rescale(self, loss: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Take note of a batch, and return its losses at the fitted sharpness.

        Args:
            loss: Of each shot at sharpness 1, float32 `[shots]`; 0 for a shot without a known gap.
            weights: Of each shot, float32 `[shots]`; None for 1.

        Returns:
            The loss of each shot, and the factor on its derivatives, both float32 `[shots]`.
        """
        known, gap = _gaps(loss)
        self._gaps.append(gap)
        self._weights.append(np.ones(len(gap)) if weights is None else weights[known].astype(np.float64))
        sharpness = fitted_sharpness(np.concatenate(self._gaps), np.concatenate(self._weights))
        rescaled, factor = np.zeros_like(loss), np.zeros_like(loss)
        rescaled[known] = np.logaddexp(0.0, -sharpness * gap)
        slope = -np.expm1(-loss[known].astype(np.float64))  # of the loss at sharpness 1
        factor[known] = sharpness / (1.0 + np.exp(np.minimum(sharpness * gap, 700.0))) / slope
        return rescaled, factor


def _gaps(loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shots that have a gap, as a mask, and their gaps in nats, float64."""
    known = loss > 0
    values = loss[known].astype(np.float64)
    return known, np.where(values > _LARGE, -values, -np.log(np.expm1(np.minimum(values, _LARGE))))


def fitted_sharpness(gaps: np.ndarray, weights: np.ndarray) -> float:
    """The sharpness with the least loss.

    Args:
        gaps: In nats, negative where the decoder is wrong, float64 `[shots]`.
        weights: Of each shot, float64 `[shots]`.
    """
    losses = [float(weights @ np.logaddexp(0.0, -sharpness * gaps)) for sharpness in _SHARPNESS]
    return float(_SHARPNESS[int(np.argmin(losses))])
