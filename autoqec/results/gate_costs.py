"""What a candidate with a gate or an ensemble costs on average: a mean over the scored shots, which follows from counts."""

from __future__ import annotations

from dataclasses import dataclass

#: The most passes about a shot that an ensemble can have.
MOST_PASSES = 64


@dataclass(frozen=True)
class UsPerShot:
    """Microseconds of a shot, as the mean of all scored shots, by what takes them.

    Attributes:
        plain, gate: Of a gated candidate: plain decoding, and the rest of the gate.
        predict, decode: The pipeline, and the decoding of its beliefs.
    """

    plain: float
    gate: float
    predict: float
    decode: float

    @property
    def whole(self) -> float:
        """All of it."""
        return round(self.plain + self.gate + self.predict + self.decode, 2)


def mean_flops(flops_per_sent_shot: int, passes: int, shots: int, gate_flops: int = 0) -> int:
    """FLOPs of a shot, on average, rounded up.

    Args:
        flops_per_sent_shot: Of one pass of the pipeline.
        passes: How many times it was asked about a shot: once for each that was sent on, more often in an ensemble.
        shots: All scored shots, at least one.
        gate_flops: Of the gate's own steps on all of these shots together.
    """
    return -(-(flops_per_sent_shot * passes + gate_flops) // shots)


def noted_mean_flops(
    flops_per_sent_shot: int | None, sent: int | None, passes: int | None, shots: int, gate_flops: int
) -> int | None:
    """`mean_flops` of what a note says; None where it lacks a count, or says what cannot be."""
    if flops_per_sent_shot is None or sent is None or not counts_fit(sent, passes, shots) or gate_flops < 0:
        return None
    return mean_flops(flops_per_sent_shot, sent if passes is None else passes, shots, gate_flops)


def counts_fit(sent: int, passes: int | None, shots: int) -> bool:
    """Whether so many of some shots can have been sent on, each for at least one of so many passes."""
    if passes is not None and not sent <= passes <= MOST_PASSES * sent:
        return False
    return share_sent(sent, shots) is not None


def passes_each(passes: int | None, sent: int | None, shots: int) -> float | None:
    """How many times an ensemble's pipeline was asked about a shot that was sent on, on average.

    None without an ensemble, where nothing was sent on, or where a note says what cannot be.
    """
    if passes is None or not sent or not counts_fit(sent, passes, shots):
        return None
    return passes / sent


def share_sent(sent: int | None, shots: int) -> float | None:
    """The share of the scored shots that a gate sent on; None without a gate, or where a note says what cannot be."""
    return None if sent is None or shots < 1 or not 0 <= sent <= shots else sent / shots
