"""What a round would take on an environment, from the measured time of a shot; what a candidate computes is not known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PartTimes:
    """Processor seconds of one shot, of what a round does without its candidate.

    Attributes:
        drawing: Draw it.
        plain: Decode it with the environment's own decoder.
        with_beliefs: The same with beliefs of its own; None for a decoder that takes none.
        references: Decode it with all reference decoders.
    """

    drawing: float
    plain: float
    with_beliefs: float | None
    references: float


@dataclass(frozen=True)
class RoundTime:
    """Processor seconds of a round's steps, without what the candidate computes itself.

    Attributes:
        train_at_most: The profile's limit of training, by the wall.
        train: What training takes by the wall; None if that was not measured.
        score: Scoring the round's metrics.
        verdict_at_most: A verdict with as many shots as it may have.
        us_with_beliefs: A shot that is decoded with beliefs, in microseconds; None for a decoder that takes none.
    """

    train_at_most: float
    score: float
    verdict_at_most: float
    us_with_beliefs: float | None
    train: float | None = None

    def to_row(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        return {name: None if value is None else float(f"{value:.4g}") for name, value in asdict(self).items()}


def round_time(parts: PartTimes, *, train_seconds: float, score_shots: int, verdict_shots: int) -> RoundTime:
    """The time of a round.

    Args:
        parts: The time of a shot.
        train_seconds: The profile's limit of training.
        score_shots: Shots of the metrics.
        verdict_shots: The most shots of a verdict.
    """
    both = parts.drawing + parts.plain + (parts.with_beliefs if parts.with_beliefs is not None else parts.plain)
    with_beliefs = None if parts.with_beliefs is None else 1e6 * parts.with_beliefs
    return RoundTime(train_seconds, score_shots * (both + parts.references), verdict_shots * both, with_beliefs)
