"""Opens the session of a run: its time limit starts, and what is compiled meanwhile is an event."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from autoqec.agents.agent_contract import ROLES
from autoqec.agents.tape import Recorder, Tape
from autoqec.compiled_once import compiling_told
from autoqec.config import Settings
from autoqec.history import Ledger, Run
from autoqec.loop.progress_writer import ProgressWriter
from autoqec.loop.session import Report, Session
from autoqec.plugins import Registry
from autoqec.round_events import RoundEvent


@contextmanager
def opened_session(
    ledger: Ledger,
    registry: Registry,
    settings: Settings,
    run: Run,
    report: Report,
    *,
    recorder: Recorder | None = None,
    tape: Tape | None = None,
) -> Iterator[Session]:
    """Make a session whose time limit starts now; see `Session` for the arguments."""
    deadline = time.monotonic() + settings["max_wall"] if settings["max_wall"] else None
    writer = ProgressWriter(ledger)

    def both(event: RoundEvent) -> None:
        writer.event(event)
        report(event)

    session = Session(ledger, registry, settings, run, both, recorder=recorder, tape=tape, deadline=deadline)
    try:
        with (
            compiling_told(lambda what, seconds: session.event("compiling", what=what, seconds=seconds)),
            session.resources,
        ):
            yield session
    finally:
        writer.close()


def require_plugins(settings: Settings, registry: Registry) -> None:
    """Refuse, before anything is written, settings that name what is not there.

    Raises:
        NotFoundError: There is no such agent, verifier or executor.
        UsageError: There is no such profile.
    """
    for role in ROLES:
        registry.get("agent", settings[role])
    registry.get("verifier", settings["verifier"])
    registry.get("executor", settings["executor"])
    settings.profile  # noqa: B018 - raises if there is none
