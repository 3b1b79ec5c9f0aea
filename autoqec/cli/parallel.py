"""Rounds at once for `autoqec round`: which options go together, the display, and what is said at the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from autoqec.cli.lab import command_display, share_results
from autoqec.counted_words import counted
from autoqec.errors import UsageError

if TYPE_CHECKING:
    from autoqec.history import RoundRecord
    from autoqec.loop.parallel_rounds import RoundFailure
    from autoqec.loop.round_view import Seen
    from autoqec.loop.session import Session

#: Rounds at once, at most.
MOST_AT_ONCE = 256


def check_parallel(parallel: int, like: str | None, *, alone: bool, new: bool) -> None:
    """Refuse options that do not go with rounds at once, or with the order of another run.

    Args:
        parallel: Rounds at once.
        like: The run whose order is repeated.
        alone: Whether neither --record nor --replay is given.
        new: Whether none of --env, --from and --seed is given.

    Raises:
        UsageError: They do not go together.
    """
    if (parallel > 1 or like) and not alone:
        raise UsageError("--parallel and --like do not go with --record or --replay", hint="autoqec round --help")
    if like and not new:
        raise UsageError(
            f"--like {like} takes environment and seed of that run, and does not go with --env, --seed or --from",
            hint="autoqec round --help",
        )


def rounds_at_once(
    session: Session,
    wanted: int,
    at_once: int,
    order: Sequence[Seen] | None,
    began: Sequence[RoundRecord],
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run rounds, several of them at once, and return the exit code; see `ParallelRounds`.

    Args:
        session: Where.
        wanted: How many rounds in all.
        at_once: How many at once.
        order: What each round shall see.
        began: Rounds that are finished already.
        quiet: Show no progress.
        as_json: Print each round as a JSON object, in the order in which they close.
    """
    from autoqec.loop.parallel_rounds import ParallelRounds, Told, exit_code_of
    from autoqec.results.rungs import COMPLETE
    from autoqec.views.console import print_error, say
    from autoqec.views.parallel_display import ParallelDisplay
    from autoqec.views.round_text import round_printer

    show = round_printer(session.ledger, as_json)

    def finished(record: RoundRecord) -> None:
        show(record)
        share_results(session)

    said: set[tuple[str, str | None]] = set()

    def failed(failure: RoundFailure) -> None:
        told = failure.error.problem, failure.error.hint
        if told in said:  # a limit or a missing network ends all rounds in flight in the same way
            return
        said.add(told)
        say(f"{failure.error.problem}: {failure.error.hint}") if failure.waits else print_error(failure.error)

    command_display(quiet=quiet).show(None)
    for record in began:
        finished(record)
    with ParallelDisplay(at_once, quiet=quiet) as display:
        rounds = ParallelRounds(
            session, wanted - len(began), at_once, Told(display.event, display.over, finished, failed), order
        )
        try:
            rounds.run()
        finally:
            display.stop()
            _say_what_is_open(session, rounds.processes)
    if rounds.in_vain:
        say_in_vain(session)
    ended = [*began, *rounds.records]
    if rounds.failures:
        return exit_code_of(rounds)
    return 0 if any(record.status in COMPLETE for record in ended) else 1


def _say_what_is_open(session: Session, processes: Collection[int]) -> None:
    """Name the open rounds that these processes have left."""
    from autoqec.loop.one_round import interrupted_rounds
    from autoqec.views.console import say

    names = [
        f"{claim.run}/{claim.number}"
        for claim in interrupted_rounds(session.ledger, session.run.name)
        if not claim.waiting and claim.pid in processes
    ]
    if names:
        which = counted(len(names), "round is", "rounds are")
        say(
            f"{which} open, and nothing of {'it' if len(names) == 1 else 'them'} is lost: {', '.join(names)}."
            f" Continue with: autoqec resume {session.run.name}"
        )


def say_in_vain(session: Session) -> None:
    """Say that `patience` is exhausted, and what the rounds show."""
    from autoqec.loop.diagnosis_input import findings
    from autoqec.views.console import say
    from autoqec.views.diagnosis_text import headline

    run, settings = session.run.name, session.settings
    say(f"stopped: none of the last {settings['patience']} rounds was VERIFIED; see autoqec diagnose {run}")
    for line in headline(findings(session.ledger, session.registry, settings, run)):
        say(line)
