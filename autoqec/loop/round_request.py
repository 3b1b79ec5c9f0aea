"""What the process of one round is asked, and what it answers, in frames: events on the way, then how the round ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.sandbox.typed_messages import Request

#: The names of what a process says: an event of its round; what its closed round has; why it ended without closing one.
EVENT, CLOSED, FAILED = "event", "closed", "failed"


@dataclass(frozen=True)
class RoundRequest(Request):
    """One round, in a process of its own.

    Attributes:
        lab: The lab's working tree.
        run: Whose next round it is.
        settings: See `Settings.to_json`.
        seen: Which other rounds it sees, see `Seen.to_details`; None for the run as it stands when the round is claimed.
        rounds_left: See `Session`.
        seconds_left: Seconds after which no further step begins; None for no limit.
        processors, jobs, memory: See `MachineShare`.
        resumes: The number of an open round to resume, in the place of a next one; 0 for none.
        force: Take it over even if its process is on another host and so may be alive.
    """

    lab: str
    run: str
    settings: Mapping[str, Any]
    seen: Mapping[str, Any] | None
    rounds_left: int
    seconds_left: float | None
    processors: tuple[int, ...]
    jobs: int
    memory: int | None = None
    resumes: int = 0
    force: bool = False
