"""Rounds at once for `autoqec round`: which options go together, the display, and what is said at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autoqec.cli.lab import command_display, share_results
from autoqec.counted_words import counted
from autoqec.errors import AutoQECError, UsageError

if TYPE_CHECKING:
    from autoqec.history import RoundRecord
    from autoqec.history.rounds.seen_rounds import Seen
    from autoqec.loop.parallel_rounds import ParallelRounds, RoundFailure, Told
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
    from autoqec.loop.parallel_rounds import ParallelRounds, exit_code_of
    from autoqec.results.rungs import COMPLETE

    _say_memory(session, at_once, quiet=quiet)
    for record in began:
        _finished(session, as_json)(record)
    with _watched(session, at_once, _unnamed, quiet=quiet, as_json=as_json) as (told, processes):
        rounds = ParallelRounds(session, wanted - len(began), at_once, told, order, processes=processes)
        rounds.run()
    if rounds.in_vain:
        say_in_vain(session)
    ended = [*began, *rounds.records]
    if rounds.failures:
        return exit_code_of(rounds)
    return 0 if any(record.status in COMPLETE for record in ended) else 1


def _say_memory(session: Session, at_once: int, *, quiet: bool) -> None:
    """Say what each training may take, where that is less than the profile's."""
    from autoqec.loop.machine_share import memory_share
    from autoqec.views.console import say

    share = memory_share(session.settings, at_once)
    if share is not None and not quiet:
        wanted = session.settings.profile.memory_gib
        say(f"each training may take {share / 2**30:.1f} GiB of memory here, in the place of memory_gib = {wanted:g}")


def resumed_at_once(
    session: Session,
    numbers: Sequence[int],
    at_once: int,
    named: Callable[[AutoQECError, str], AutoQECError],
    *,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> ParallelRounds:
    """Finish open rounds of a session's run, several of them at once.

    Args:
        session: Where.
        numbers: The rounds.
        at_once: How many at once.
        named: Makes an error that names its round.
        force: See `resume_round`.
        quiet: Show no progress.
        as_json: Print each round as a JSON object.
    """
    from autoqec.loop.parallel_rounds import ParallelRounds

    with _watched(session, at_once, named, quiet=quiet, as_json=as_json) as (told, processes):
        rounds = ParallelRounds(session, len(numbers), at_once, told, resumes=numbers, force=force, processes=processes)
        rounds.run()
    return rounds


def _unnamed(error: AutoQECError, name: str) -> AutoQECError:
    return error


def _finished(session: Session, as_json: bool) -> Callable[[RoundRecord], None]:
    """A function that prints a round which is closed, and shares it."""
    from autoqec.views.round_text import round_printer

    show = round_printer(session.ledger, as_json)

    def finished(record: RoundRecord) -> None:
        show(record)
        share_results(session)

    return finished


@contextmanager
def _watched(
    session: Session,
    at_once: int,
    named: Callable[[AutoQECError, str], AutoQECError],
    *,
    quiet: bool,
    as_json: bool,
) -> Iterator[tuple[Told, set[int]]]:
    """Whom rounds at once are told to, and a place for the ids of their processes; at the end it is said what they left open."""
    from autoqec.loop.parallel_rounds import Told
    from autoqec.views.console import print_error, say
    from autoqec.views.parallel_display import ParallelDisplay

    said: set[tuple[str, str | None]] = set()
    processes: set[int] = set()

    def failed(failure: RoundFailure) -> None:
        error = failure.error if failure.waits else named(failure.error, failure.name)
        told = error.problem, error.hint
        if told in said:  # a limit or a missing network ends all rounds in flight in the same way
            return
        said.add(told)
        say(f"{error.problem}: {error.hint}") if failure.waits else print_error(error)

    command_display(quiet=quiet).show(None)
    with ParallelDisplay(at_once, quiet=quiet) as display:
        try:
            yield Told(display.event, display.over, _finished(session, as_json), failed), processes
        finally:
            display.stop()
            _say_what_is_open(session, processes)


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
