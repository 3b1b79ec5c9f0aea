"""Setup for commands that work in a lab: open it, read its settings, make the session and its display."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoqec.history import Ledger, Run, fetch_bundle, open_ledger

if TYPE_CHECKING:
    from autoqec.agents.agent_contract import ReplyAwaited
    from autoqec.agents.tape import Recorder, Tape
    from autoqec.config import Settings
    from autoqec.loop.session import Session
    from autoqec.plugins import Registry
    from autoqec.views.progress import RoundDisplay


def open_history() -> Ledger:
    """Open the lab around the current directory. In a fresh clone of a bundle, first fetch the rest of the bundle.

    Raises:
        NotFoundError, AutoQECError: There is no lab here, or it is unusable.
    """
    ledger = _opened()
    _say_whom_not_to_trust(ledger)
    return ledger


#: Where environments are outside of a lab.
ENVIRONMENTS_HERE = Path("envs")


def environment_folders_here() -> list[Path]:
    """Return the folders to search for environments; the lab's own folder comes first, outside a lab the one here."""
    from autoqec.errors import AutoQECError
    from autoqec.loop.session import environment_folders

    try:
        return environment_folders(open_ledger("."))
    except AutoQECError:
        # Outside a lab: what `env new` writes here, and the environments of the package.
        return [*([ENVIRONMENTS_HERE] if ENVIRONMENTS_HERE.is_dir() else []), *environment_folders(None)]


def folder_of_lab_here() -> Path | None:
    """The lab's working tree; None outside of one."""
    from autoqec.errors import AutoQECError

    try:
        return open_ledger(".").workdir
    except AutoQECError:
        return None


def jobs_here(given: int | None) -> int:
    """Worker processes of a command that also works outside of a lab: its `--jobs`, or what the settings say."""
    from autoqec.config import load_settings

    return load_settings(folder_of_lab_here(), {"jobs": given}).jobs


def _opened() -> Ledger:
    ledger = open_ledger(".")
    report = fetch_bundle(ledger)
    if report is not None:
        from autoqec.views.console import say
        from autoqec.views.sync_text import moved

        say(f"fetched from the bundle of this clone: {moved(report.received)}", fitted=True)
    return ledger


def _say_whom_not_to_trust(ledger: Ledger) -> None:
    """Say which settings of the lab's file would decide what counts, and are not used."""
    with suppress(OSError):
        data = (ledger.workdir / ".autoqec/config.toml").read_bytes()
        if any(word in data for word in (b"trust", b"allowed_signers", b"\\")):  # reading settings takes time
            from autoqec.config import load_settings
            from autoqec.views.wanted_text import say_withheld

            withheld = load_settings(ledger.workdir).withheld
            say_withheld([each for each in withheld if each.name in ("trust", "allowed_signers")])


def open_lab(flags: Mapping[str, Any] | None = None) -> tuple[Ledger, Settings]:
    """Open the lab around the current directory, and read its settings.

    Raises:
        NotFoundError, AutoQECError, UsageError: There is no lab here, it is unusable, or a setting is invalid.
    """
    from autoqec.config import load_settings
    from autoqec.views.wanted_text import say_withheld

    ledger = _opened()
    if ledger.identity_is_fallback:
        from autoqec.views.console import say

        say(
            "git has no user.name here; the author of commits is autoqec <autoqec@localhost> (git config user.name ...)"
        )
    settings = load_settings(ledger.workdir, flags)
    say_withheld(settings.withheld)
    ledger.network_seconds = settings["network_seconds"]
    return ledger, settings


#: Under which name a command's context keeps its display.
_DISPLAY = "display of autoqec"


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
    """Make a session of a run with the command's display on standard error. A time limit starts now."""
    from autoqec.loop.opened_session import opened_session

    with (
        command_display(quiet=quiet) as display,
        opened_session(ledger, registry, settings, run, display.event, recorder=recorder, tape=tape) as session,
    ):
        yield session


def command_display(*, quiet: bool) -> RoundDisplay:
    """The display of the command that runs, the same for its first line and for its sessions; it ends with the command."""
    import click

    from autoqec.views.progress import RoundDisplay

    context = click.get_current_context(silent=True)
    if context is None:
        return RoundDisplay(quiet=quiet)
    made = context.meta.get(_DISPLAY)
    if not isinstance(made, RoundDisplay):
        made = context.meta[_DISPLAY] = RoundDisplay(quiet=quiet)
        context.call_on_close(made.stop)
    return made


def say_loading(*, quiet: bool) -> None:
    """Say that the command has begun, before it imports what takes seconds to import."""
    command_display(quiet=quiet).begin("loading plugins and the environment")


def waits(error: ReplyAwaited) -> int:
    """Report which role a round waits for; this is not a failure."""
    from autoqec.views.console import say

    say(f"{error.problem}: {error.hint}")
    return 0


def share_results(session: Session) -> None:
    """Push the run of a session that shares its rounds (`--remote`); a failed push is only a warning."""
    from autoqec.errors import AutoQECError
    from autoqec.history import push
    from autoqec.views.sync_text import warn_of_dropped

    remote = session.settings["claim_remote"]
    if not remote:
        return
    try:
        warn_of_dropped(push(session.ledger, remote, session.run.name, own_weights=True))
    except AutoQECError as error:
        from autoqec.views.console import say

        say(f"warning: the results are not on {remote} yet: {error.problem}; try again with autoqec push {remote}")
