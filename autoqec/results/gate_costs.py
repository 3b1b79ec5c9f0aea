"""What a gated candidate costs on average: a mean over the scored shots that follows from the counts beside it."""

from __future__ import annotations

from dataclasses import dataclass


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


def mean_flops(flops_per_sent_shot: int, sent: int, shots: int, gate_flops: int = 0) -> int:
    """FLOPs of a shot, on average, rounded up.

    Args:
        flops_per_sent_shot: Of the pipeline.
        sent: Shots that went through it.
        shots: All scored shots, at least one.
        gate_flops: Of the gate's own steps on all of these shots together.
    """
    return -(-(flops_per_sent_shot * sent + gate_flops) // shots)


def noted_mean_flops(flops_per_sent_shot: int | None, sent: int | None, shots: int, gate_flops: int) -> int | None:
    """`mean_flops` of what a note says; None where it lacks a count, or says what cannot be."""
    if flops_per_sent_shot is None or sent is None or share_sent(sent, shots) is None or gate_flops < 0:
        return None
    return mean_flops(flops_per_sent_shot, sent, shots, gate_flops)


def share_sent(sent: int | None, shots: int) -> float | None:
    """The share of the scored shots that a gate sent on; None without a gate, or where a note says what cannot be."""
    return None if sent is None or shots < 1 or not 0 <= sent <= shots else sent / shots
