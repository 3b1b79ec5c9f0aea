"""What the next round would take, from parts of it that were measured, and what is a limit and no measurement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class MeasuredRound:
    """Measured parts of a round; what a round does beside them is not known.

    Attributes:
        candidate: With which candidate, in words.
        train_per_second: Training shots a second; None if that is not known.
        train_shots: Training shots that the candidate asks for and may have; 0 if it is not trained.
        train_at_most: Seconds of training at most.
        train_started: Seconds until the first step: the process starts, and looks at the validation loss.
        started: Seconds until the first shot is scored: processes start, and decoders are compiled.
        score_per_second: Scored shots a second, candidate, baseline and references together, on all processes of this command.
        judge_per_second: The same without references, as in a verification's test.
        score_shots: Shots of the metrics, at all rates.
        screen_shots: Shots of a screen, which candidate and rival decode; 0 for no screen.
        verify_shots: Shots of the verification's test at most.
        verify_at_most: Seconds after which an undecided test stops; None for no limit.
        verify_before: Seconds of this run's verifications, their median; None if there was none.
        without_candidate: Whether decoders alone were measured, because scoring a few thousand shots takes too long here.
    """

    candidate: str
    train_per_second: float | None
    train_shots: int
    train_at_most: float
    train_started: float
    started: float
    score_per_second: float
    judge_per_second: float
    score_shots: int
    screen_shots: int
    verify_shots: int
    verify_at_most: float | None
    verify_before: float | None
    without_candidate: bool = False

    @property
    def train(self) -> float | None:
        """Seconds of training; its limit, where what is planned would take longer. None if that is not known."""
        if not self.train_shots:
            return self.train_started
        if self.train_per_second is None:
            return None
        return min(self.train_at_most, self.train_started + self.train_shots / self.train_per_second)

    @property
    def is_cut(self) -> bool:
        """Whether training is cut to fit its time."""
        return self.train is not None and self.train >= self.train_at_most

    @property
    def screen(self) -> float:
        """Seconds of a screen."""
        return self.started + 2 * self.screen_shots / self.judge_per_second if self.screen_shots else 0.0

    @property
    def score(self) -> float:
        """Seconds of scoring."""
        return self.started + self.score_shots / self.score_per_second

    @property
    def test_at_most(self) -> float:
        """Seconds of the verification's test at most."""
        whole = self.started + self.verify_shots / self.judge_per_second
        return whole if self.verify_at_most is None else min(whole, self.verify_at_most)

    @property
    def without_verification(self) -> float:
        """Seconds of a round that is not verified; with the limit of training where that was not measured."""
        return (self.train_at_most if self.train is None else self.train) + self.screen + self.score

    @property
    def at_most(self) -> float:
        """Seconds of a round whose training and test take as long as they may."""
        return self.train_at_most + self.screen + self.score + self.test_at_most

    def to_row(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        seconds = {
            "train_seconds": self.train,
            "screen_seconds": self.screen,
            "score_seconds": self.score,
            "test_seconds_at_most": self.test_at_most,
            "seconds_without_verification": self.without_verification,
        }
        told = asdict(self) | seconds
        return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in told.items()}
