"""One decoder at one place of a sweep: which shots to ask for next, when to stop, and what is counted.

The stream of shots is counted in order, whichever worker is done first, and counting stops at the shot that reaches a target. So
the counts depend on the key and the targets, and on nothing that a clock or the number of workers decides; `max_seconds` is the
exception.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autoqec.canonical import content_hash
from autoqec.comparing.decoder_names import NamedDecoder
from autoqec.comparing.sweep_file import KEY, LEFT_OUT, SweepFile, Total, task_of
from autoqec.errors import UsageError
from autoqec.json_values import JsonObject
from autoqec.problem.environment_family import Member
from autoqec.results.sinter_rows import SinterRow
from autoqec.results.sweep_records import Ended, LeftOut, Place, SweepPoint

#: Shots of the first request; each further one has at most so many times the shots of the largest before.
_FIRST, _GROWTH = 64, 16

#: How long a request is meant to take: this share of what the task took already, between two ends, in seconds.
_SHARE, _LEAST_SECONDS, _MOST_SECONDS = 0.05, 0.5, 10.0

#: Requests are so much larger than what seems to be missing: one more request costs more than a few shots.
_RESERVE = 1.1

#: A row has so many seconds of decoding, unless it is the last: rows tell a thousandth of a second, and should not be many.
_ROW_SECONDS = 0.5

#: Shots of one request, at most: places of failures are told in 32 bits.
_MOST_SHOTS = 2**24


@dataclass(frozen=True)
class SweepLimits:
    """When counting stops at a point, whichever comes first.

    Attributes:
        relative_error: The relative standard error of the logical error rate, about `1 / sqrt(failures)`; None for no target.
        max_errors: Failures; None for no limit.
        max_shots: Shots.
        max_seconds: Seconds of the decoder's process; None for no limit.
    """

    relative_error: float | None = 0.1
    max_errors: int | None = None
    max_shots: int = 1_000_000
    max_seconds: float | None = 60.0

    def __post_init__(self) -> None:
        """Check the limits.

        Raises:
            UsageError: One is not possible.
        """
        if self.relative_error is not None and not 0.001 <= self.relative_error <= 1:
            raise UsageError(
                f"a relative error of {self.relative_error:g} is not between 0.001 and 1",
                hint="0.1 takes 100 failures, 0.03 takes 1,112",
            )
        if (self.max_errors is not None and self.max_errors < 1) or self.max_shots < 1:
            raise UsageError("a point needs at least one shot and one failure to stop at", hint="--max-shots 100000")
        if self.max_shots > 2**40:
            raise UsageError(f"at most {2**40:,} shots for each point are possible")
        if self.max_seconds is not None and not 0 < self.max_seconds < math.inf:
            raise UsageError("the seconds for each point must be above zero", hint="--max-seconds 60; 0 for no limit")

    @property
    def target(self) -> tuple[float, Ended]:
        """The failures to stop at, and why."""
        wanted = math.inf if self.relative_error is None else math.ceil(round(self.relative_error**-2, 6))
        most = math.inf if self.max_errors is None else self.max_errors
        return (most, "max_errors") if most < wanted else (wanted, "relative_error")


@dataclass(frozen=True)
class Counted:
    """What a worker counted: the places of the failures among `shots` from `start` on, and the decoder's seconds."""

    start: int
    shots: int
    failures: np.ndarray
    seconds: float


@dataclass
class SweepTask:
    """One decoder at one place.

    Attributes:
        member, place: Where.
        named: The decoder.
        key: The key of the sweep's shots, in hexadecimal digits.
        limits: When to stop.
        file: Where rows go.
        fault: Why it gives no answers.
        asked: The first shot that no worker is asked for.
        working: How many workers count for it.
    """

    member: Member
    place: Place
    named: NamedDecoder
    key: str
    limits: SweepLimits
    file: SweepFile
    fault: LeftOut | None = None
    asked: int = 0
    working: int = 0
    _largest: int = 0
    _elapsed: float = 0.0
    _timed: int = 0
    _pending: dict[int, Counted] = field(default_factory=dict)
    _held: Total = field(default_factory=Total)  # counted, and not in the file yet

    def __post_init__(self) -> None:
        self.use_key(self.key)

    def use_key(self, key: str) -> None:
        """Draw the shots from a key; nothing must have been asked for."""
        self.key = key
        self._task = task_of(self.label, self.metadata)
        self._strong_id = content_hash({"decoder": self.label, "metadata": self.metadata})
        self.asked = self.position

    @property
    def label(self) -> str:
        """The decoder's name in the file: that of a round has its digest, so that two sets of weights never mix."""
        digest = self.named.settings().get("digest")
        return self.named.label if digest is None else f"{self.named.label}@{str(digest)[:12]}"

    @property
    def metadata(self) -> JsonObject:
        """What the row says of the task, for `sinter plot` to group by."""
        place = self.place
        known: Mapping[str, Any] = {"d": place.distance, "r": place.rounds, "p": place.p}
        return {
            **{name: value for name, value in known.items() if value is not None},
            "k": self.member.built.num_observables,
            "decoder": self.label,
            "env": place.env,
            "set": dict(place.values),
            "circuit": place.circuit,
            KEY: self.key,
        }

    @property
    def position(self) -> int:
        """How many shots of the sweep's own key are counted."""
        return self.file.position(self._task, self.key) + self._held.shots

    @property
    def total(self) -> Total:
        """What is counted, with all keys."""
        whole = replace(self._held)
        for each in self.file.totals(self._task).values():
            whole.shots, whole.errors = whole.shots + each.shots, whole.errors + each.errors
            whole.seconds += each.seconds
        return whole

    @property
    def ended(self) -> Ended:
        """Why counting is over; `unfinished` if it is not."""
        total, (wanted, why) = self.total, self.limits.target
        if total.errors >= wanted:
            return why
        if total.shots >= self.limits.max_shots:
            return "max_shots"
        if self.limits.max_seconds is not None and total.seconds >= self.limits.max_seconds:
            return "max_seconds"
        return "unfinished"

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to count."""
        return self.fault is not None or self.ended != "unfinished"

    @property
    def seconds_left(self) -> float:
        """How long it seems to take one worker; 0 if nothing is known."""
        total, (wanted, _) = self.total, self.limits.target
        if not self._timed:
            return 0.0
        missing = float(self.limits.max_shots - total.shots)
        if total.errors:
            missing = min(missing, (wanted - total.errors) * total.shots / total.errors)
        seconds = missing * self._elapsed / self._timed
        return seconds if self.limits.max_seconds is None else min(seconds, self.limits.max_seconds - total.seconds)

    def next_shots(self) -> int:
        """How many shots to ask for from `asked` on; 0 if enough are asked for."""
        total, (wanted, _) = self.total, self.limits.target
        ahead = self.asked - self.position
        missing = float(self.limits.max_shots - total.shots - ahead)
        if total.errors and wanted < math.inf:
            missing = min(missing, _RESERVE * (wanted - total.errors) * total.shots / total.errors - ahead)
        elif ahead and not self._timed:
            return 0  # the first request says how fast the decoder is
        seconds = min(_MOST_SECONDS, max(_LEAST_SECONDS, _SHARE * self._elapsed))
        if self.limits.max_seconds is not None:
            seconds = min(seconds, self.limits.max_seconds - total.seconds)
        affordable = seconds * self._timed / self._elapsed if self._elapsed > 0 else _FIRST
        most = max(_FIRST, _GROWTH * self._largest)
        return int(max(0, min(math.ceil(missing), max(1, int(affordable)), most, _MOST_SHOTS)))

    def ask(self, shots: int) -> tuple[int, int]:
        """Take shots of the stream for a worker: the first, and how many."""
        start = self.asked
        self.asked += shots
        self._largest = max(self._largest, shots)
        return start, shots

    def take(self, counted: Counted, elapsed: float) -> bool:
        """Count what a worker counted, as soon as all shots before are counted.

        Args:
            counted: The worker's answer.
            elapsed: Seconds from the request to it.

        Returns:
            Whether another sweep counted some of the shots that were held, so that these are dropped.
        """
        self._elapsed += elapsed
        self._timed += counted.shots
        if counted.start >= self.position:
            self._pending[counted.start] = counted
        while not self.is_over and (part := self._pending.pop(self.position, None)) is not None:
            self._hold(part)
        return self.flush() if self.is_over or self._held.seconds >= _ROW_SECONDS else False

    def _hold(self, part: Counted) -> None:
        """Count the shots of a part that are needed."""
        total, (wanted, _) = self.total, self.limits.target
        shots = min(part.shots, self.limits.max_shots - total.shots)
        missing = wanted - total.errors
        if len(part.failures) >= missing:
            shots = min(shots, int(part.failures[int(missing) - 1]) + 1)
        self._held.shots += shots
        self._held.errors += int(np.searchsorted(part.failures, shots))
        self._held.seconds += part.seconds * shots / part.shots

    def flush(self) -> bool:
        """Write what is held to the file.

        Returns:
            Whether another sweep counted some of these shots, so that they are dropped.
        """
        held, start = self._held, self.position - self._held.shots
        if not held.shots:
            return False
        row = SinterRow(held.shots, held.errors, 0, held.seconds, self.label, self._strong_id, self.metadata)
        self._held = Total()
        if self.file.append(row, self._task, start):
            return False
        self._pending = {start: part for start, part in self._pending.items() if start >= self.position}
        self.asked = max([self.position, *(part.start + part.shots for part in self._pending.values())])
        return True

    def claim(self) -> SinterRow:
        """A row without shots, by which the file has the sweep's key."""
        return SinterRow(0, 0, 0, 0.0, self.label, self._strong_id, self.metadata)

    def leave_out(self, fault: Mapping[str, Any]) -> LeftOut:
        """Note that the decoder gives no answers here, in the file too."""
        self.fault = LeftOut(
            self.place, self.label, str(fault["reason"]), str(fault["problem"]), str(fault.get("hint", ""))
        )
        metadata = {**self.metadata, LEFT_OUT: self.fault.problem}
        strong_id = content_hash({"decoder": self.label, "metadata": metadata})
        self.file.note(SinterRow(0, 0, 0, 0.0, self.label, strong_id, metadata))
        return self.fault

    def point(self) -> SweepPoint:
        """What is counted."""
        total = self.total
        keys: Sequence[str] = [key for key, each in self.file.totals(self._task).items() if each.shots]
        return SweepPoint(
            place=self.place,
            decoder=self.label,
            observables=self.member.built.num_observables,
            shots=total.shots,
            errors=total.errors,
            seconds=total.seconds,
            ended=self.ended,
            keys=tuple(keys),
        )
