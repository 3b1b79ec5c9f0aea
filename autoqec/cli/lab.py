"""What commands that work in a lab begin with: open it, read its settings, set up the session and its display."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from autoqec.history import Ledger, Run, adopt_bundle, open_ledger

if TYPE_CHECKING:
    from autoqec.agents.agent_contract import ReplyAwaited
    from autoqec.agents.tape import Recorder, Tape
    from autoqec.config import Settings
    from autoqec.loop.session import Session
    from autoqec.plugins import Registry


def open_history() -> Ledger:
    """The lab around the current directory. In a fresh clone of a bundle, what the bundle holds is taken up first.

    Raises:
        NotFoundError, AutoQECError: No lab here, or one that cannot be used.
    """
    ledger = open_ledger(".")
    report = adopt_bundle(ledger)
    if report is not None:
        from autoqec.views.console import say
        from autoqec.views.sync_text import moved

        say(f"taken up from the bundle that this was cloned from: {moved(report.received)}")
    return ledger


def open_lab(flags: Mapping[str, Any] | None = None) -> tuple[Ledger, Settings]:
    """The lab around the current directory, and its settings.

    Raises:
        NotFoundError, AutoQECError, UsageError: No lab here, one that cannot be used, or settings that are wrong.
    """
    from autoqec.config import load_settings

    ledger = open_history()
    if ledger.identity_is_fallback:
        from autoqec.views.console import say

        say("git knows no user.name here; commits are signed autoqec <autoqec@localhost> (git config user.name ...)")
    return ledger, load_settings(ledger.workdir, flags)


@contextmanager
def run_session(
    ledger: Ledger,
    registry: Registry,
    settings: Settings,
    run: Run,
    *,
    quiet: bool,
    recorder: Recorder | None = None,
    tape: Tape | None = None,
) -> Iterator[Session]:
    """A session of a run with its display on standard error; its time, if that is limited, begins now."""
    import time

    from autoqec.loop.session import Session
    from autoqec.views.progress import RoundDisplay

    deadline = time.monotonic() + settings["max_wall"] if settings["max_wall"] else None
    with RoundDisplay(quiet=quiet) as display:
        yield Session(ledger, registry, settings, run, display.show, recorder=recorder, tape=tape, deadline=deadline)


def waits(error: ReplyAwaited) -> int:
    """Say who is awaited; that a round waits for a person is no failure."""
    from autoqec.views.console import say

    say(f"{error.problem}: {error.hint}")
    return 0


def share_results(session: Session) -> None:
    """Push the run of a session that shares its rounds (`--remote`); one that cannot be pushed is said, and is no failure."""
    from autoqec.errors import AutoQECError
    from autoqec.history import push

    remote = session.settings["claim_remote"]
    if not remote:
        return
    try:
        push(session.ledger, remote, session.run.name)
    except AutoQECError as error:
        from autoqec.views.console import say

        say(f"warning: the results are here and not on {remote}: {error.problem}; autoqec push {remote}")
