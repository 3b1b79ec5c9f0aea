"""The phases of a round, from its events: what displays show and what `autoqec status` reads is told apart here, once."""

from __future__ import annotations

import time
from collections.abc import Callable

from autoqec.phases import Phase
from autoqec.round_events import (
    AgentWorks,
    RoundEvent,
    ScoringGoesOn,
    ScreeningGoesOn,
    StepBegins,
    TrainingGoesOn,
    VerifyingGoesOn,
)

_TRAINING, _SCORING = "training", "scoring against the plain decoder"

#: What each step does, in words; of a step that asks an agent, first what it does without one.
_TITLES = {
    "ideate": ("hypothesis", "ideator: what to try"),
    "code": ("candidate", "coder: the candidate"),
    "train": (_TRAINING, _TRAINING),
    "score": (_SCORING, _SCORING),
    "analyse": ("analysis", "analyst"),
    "verify": ("starting the verifier", "starting the verifier"),
}

_SCREEN, _AFTER_SCREEN = "screen after a tenth of the training", "training after its screen"


class RoundPhases:
    """Follows the events of a round.

    Args:
        clock: The time in seconds.

    Attributes:
        phase: What is done now; None if nothing is.
        step: The name of the round's step; empty before the first one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self.phase: Phase | None = None
        self.step = ""
        self._workers: int | None = None  # of the step's executor, if they are elsewhere
        self._training_left: float | None = None  # of its limit, while a screen holds training up

    def take(self, event: RoundEvent) -> bool:
        """Note an event; tells whether another phase has begun or the last one is over."""
        before = self.phase
        if event["event"] == "round" or event["event"] == "closed":
            self.phase, self.step = None, ""
        elif event["event"] == "step":
            self._begin_step(event)
        elif event["event"] == "agent":
            self._agent(event)
        elif event["event"] == "train":
            self._train(event)
        elif event["event"] == "screen":
            self._screen(event)
        elif event["event"] == "score":
            self._count(event)
        elif event["event"] == "verify":
            self._verify(event)
        elif event["event"] == "workers":
            self._workers = event["workers"]
            if self.phase is not None:
                self.phase.workers = self._workers
        return self.phase is not before

    def _begin_step(self, event: StepBegins) -> None:
        self.step, self._training_left, self._workers = event["step"], None, None
        if self.step in _TITLES:
            self._begin(_TITLES[self.step]["agent" in event], event.get("seconds_at_most"))
        else:
            self.phase = None  # closing takes no time

    def _begin(self, title: str, seconds_at_most: float | None = None) -> Phase:
        self.phase = Phase(title, self._clock(), seconds_at_most=seconds_at_most, workers=self._workers)
        return self.phase

    def _now(self, title: str, seconds_at_most: float | None = None) -> Phase:
        """The phase with a title, begun with a limit if another one was at work."""
        phase = self.phase
        return phase if phase is not None and phase.title == title else self._begin(title, seconds_at_most)

    def _agent(self, event: AgentWorks) -> None:
        phase = self.phase
        if phase is None:
            return
        if "seconds_at_most" in event:
            phase.seconds_at_most = self._clock() - phase.began + event["seconds_at_most"]
        elif "waiting" in event:
            phase.note = f"{event.get('why', 'trouble')}: continues in {event['waiting']:.0f} s"
        else:
            phase.note = f"{event.get('tokens', 0):,} tokens"

    def _train(self, event: TrainingGoesOn) -> None:
        title = _TRAINING if self._training_left is None else _AFTER_SCREEN
        phase = self._now(title, self._training_left)
        phase.unit = "steps"
        told = [f"loss {event['loss']:.3f}"] if "loss" in event else []
        if event["steps"] < event["planned"]:
            told.append(f"cut from {event['planned']:,} steps to fit the time")
        phase.advance(self._clock(), event["step"], event["steps"], made=event["shots"], note=", ".join(told))

    def _screen(self, event: ScreeningGoesOn) -> None:
        """A screen's time is not the training's: its limit waits meanwhile."""
        held = self.phase
        if held is not None and held.title == _TRAINING and held.seconds_at_most is not None:
            held.outcome = "a tenth done"
            self._training_left = held.began + held.seconds_at_most - self._clock()
        self._now(_SCREEN).advance(self._clock(), event["shots"], event["total"])

    def _count(self, event: ScoringGoesOn) -> None:
        self._now(_SCORING).advance(self._clock(), event["shots"], event["total"])

    def _verify(self, event: VerifyingGoesOn) -> None:
        """Each part of a verification counts its own shots. The test stops as soon as the evidence suffices."""
        part = event.get("stage", "test")
        phase = self._now(f"verifying ({part})")
        note = f"log evidence {event['log_e_better']:.1f}" if "log_e_better" in event else ""
        if part == "test":
            phase.open_ended = True
            phase.seconds_at_most = event.get("max_seconds") or None
        phase.advance(self._clock(), event["shots"], event["max_shots"], note=note or phase.note)
