"""`autoqec round`: run research rounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import command_display, open_lab, run_session, say_loading, share_results, waits
from autoqec.cli.parallel import MOST_AT_ONCE, check_parallel, rounds_at_once, say_in_vain
from autoqec.cli.run_seed import RunSeed

if TYPE_CHECKING:
    from autoqec.agents.tape import Tape
    from autoqec.history import Ledger, RoundRecord, Run
    from autoqec.loop.session import Session


@click.command()
@click.option("--env", default=None, help="Environment by name or path [AUTOQEC_DEFAULT_ENV].")
@click.option(
    "--rounds",
    default=None,
    type=click.IntRange(1, 100_000),
    help="How many rounds to run: 1 by default, or with --like as many as that run has.",
)
@click.option(
    "--parallel",
    default=1,
    show_default=True,
    type=click.IntRange(1, MOST_AT_ONCE),
    help="How many rounds to run at once, each in a process of its own. They share the processors and the memory.",
)
@click.option(
    "--run",
    "run_name",
    default=None,
    help="Run to continue, or to start; by default the environment's latest. Several processes can work on one run, each on a "
    "round of its own.",
)
@click.option("--new", "fresh", is_flag=True, help="Start a new run.")
@click.option(
    "--seed",
    default=None,
    type=RunSeed(),
    help="Seed of the run to continue or to start: same seed, same rounds. A whole number, or the 64 hex digits that a report "
    "prints of a run.",
)
@click.option(
    "--like",
    default=None,
    metavar="RUN",
    help="Repeat RUN in a new run: the same seed, and each round sees those rounds as closed that it saw as closed there.",
)
@click.option(
    "--remote",
    "claim_remote",
    default=None,
    help="Claim round numbers on this git remote and push each round there, for a run that several clones share "
    "[AUTOQEC_CLAIM_REMOTE].",
)
@click.option(
    "--from",
    "origin",
    default=None,
    metavar="ROUND",
    help="The first round is this one of another run as it is, with its weights: on another distance, number of rounds or p, "
    "where its stages have sharing: orbit. It is trained further.",
)
@click.option("--untrained", is_flag=True, help="With --from: use the weights as they are.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Measure what a round takes, for a second of each part, and show prompts and limits; call no agent.",
)
@click.option("--record", default=None, metavar="FILE", help="Record the agents' replies, for --replay.")
@click.option("--replay", default=None, metavar="FILE", help="Use recorded replies; call no agent.")
@options.patience_option
@options.budget_options
@options.profile_option
@options.agent_options
@options.train_on_option
@options.device_option
@options.work_options
def command(
    env: str | None,
    rounds: int | None,
    parallel: int,
    run_name: str | None,
    fresh: bool,
    seed: int | None,
    like: str | None,
    origin: str | None,
    untrained: bool,
    dry_run: bool,
    record: str | None,
    replay: str | None,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> int:
    """Run research rounds: propose, train, score, verify.

    Every round becomes a branch exp/<run>/<N> with one commit; the working tree does not change. Exit code 1 if no round
    completed (a round that is not VERIFIED, or that its screen ended, counts as completed). Exit code 4 if a budget is spent;
    continue with `autoqec resume` and a larger budget.
    """
    from autoqec.history import load_run, require_writable

    _check_origin(origin, untrained, alone=not (dry_run or record or replay))
    check_parallel(parallel, like, alone=not (record or replay), new=not (env or origin or seed is not None))
    ledger, settings = open_lab({**flags, "default_env": env})
    require_writable(ledger)
    say_loading(quiet=quiet)
    from autoqec.agents.agent_contract import ROLES
    from autoqec.agents.tape import Recorder
    from autoqec.loop.carried_start import check_origin
    from autoqec.loop.machine_share import memory_share
    from autoqec.loop.opened_session import require_plugins
    from autoqec.loop.parallel_rounds import order_of
    from autoqec.loop.preflight import begin_run
    from autoqec.loop.session import make_agent, open_run, run_environment
    from autoqec.plugins import load_plugins
    from autoqec.views.status_text import say_open_rounds
    from autoqec.whole_files import require_place

    require_plugins(settings, registry := load_plugins())
    memory_share(settings, parallel)  # refuses, before anything is written, more rounds than there is memory for
    tape = _tape(replay, ledger)
    repeated = load_run(ledger, like) if like else None
    if tape is not None:
        run_name, seed, env = tape.head["run"], int(tape.head["seed"], 16), env or tape.head["env"]
    fresh |= repeated is not None
    run = open_run(
        ledger,
        registry,
        env=run_environment(repeated) if repeated else env or settings["default_env"],
        env_given=env is not None,
        run_name=run_name,
        fresh=fresh,
        seed=(seed := int(repeated.settings["seed"], 16)) if repeated else seed,
        dry=True,
        remote="" if dry_run or tape else settings["claim_remote"],
    )
    if origin is not None:
        check_origin(ledger, run, origin)
    _check_tape(tape, replay, run)
    if record:
        require_place(Path(record))
    with run_session(ledger, registry, settings, run, quiet=quiet, tape=tape) as session:
        if dry_run:
            for role in () if tape else ROLES:
                make_agent(session, role, settings[role])  # refuses wrong options
            return _dry(session, rounds or 1, quiet=quiet, as_json=as_json)
        order = order_of(session, like) if like else None
        wanted = min(rounds or len(order), len(order)) if order else rounds or 1
        if not quiet:
            say_open_rounds(ledger, run.name)
        begin_run(session, fresh=fresh or tape is not None, seed=seed, carried_alone=origin is not None and wanted == 1)
        session.recorder = Recorder(Path(record), run_head(session.run)) if record else None
        if parallel > 1 or order is not None:
            began = [] if origin is None else [_carried_round(session, origin, untrained=untrained)]
            return rounds_at_once(session, wanted, parallel, order, began, quiet=quiet, as_json=as_json)
        return _rounds(session, min(wanted, tape.rounds) if tape else wanted, origin, untrained, as_json=as_json)


def _rounds(session: Session, wanted: int, origin: str | None, untrained: bool, *, as_json: bool) -> int:
    """Run the rounds, the first one from another run's round if one is named, and return the exit code."""
    from autoqec.agents.agent_contract import ReplyAwaited
    from autoqec.loop.many_rounds import run_rounds
    from autoqec.results.rungs import COMPLETE
    from autoqec.views.round_text import round_printer

    show, first = round_printer(session.ledger, as_json), []

    def finished(record: RoundRecord) -> None:
        show(record)
        share_results(session)

    try:
        if origin is not None:
            first = [_carried_round(session, origin, untrained=untrained)]
            finished(first[0])
        records, in_vain = run_rounds(session, wanted - len(first), finished)
    except ReplyAwaited as error:
        return waits(error)
    if in_vain:
        say_in_vain(session)
    return 0 if any(record.status in COMPLETE for record in [*first, *records]) else 1


def _check_origin(origin: str | None, untrained: bool, *, alone: bool) -> None:
    from autoqec.errors import UsageError

    if (origin is None and untrained) or (origin is not None and not alone):
        problem = "--untrained needs --from, which does not go with --dry-run, --record or --replay"
        raise UsageError(problem, hint="autoqec round --help")


def _carried_round(session: Session, origin: str, *, untrained: bool) -> RoundRecord:
    from autoqec.loop.carried_start import carried_start
    from autoqec.loop.many_rounds import require_a_rounds_time
    from autoqec.loop.one_round import run_round

    require_a_rounds_time(session)
    return run_round(session, *carried_start(session, origin, untrained=untrained))


def _tape(path: str | None, ledger: Ledger) -> Tape | None:
    from autoqec.agents.tape import Tape
    from autoqec.errors import UsageError
    from autoqec.history import list_runs

    if path is None:
        return None
    tape = Tape(Path(path))
    if any(run.name == tape.head["run"] for run in list_runs(ledger)):
        raise UsageError(
            f"--replay {path}: this lab already has run {tape.head['run']}",
            hint="replay in a separate lab: autoqec init DIR; cd DIR",
        )
    return tape


def _check_tape(tape: Tape | None, path: str | None, run: Run) -> None:
    from autoqec.errors import UsageError

    if tape is not None and run.env_id != tape.head["env_id"]:
        raise UsageError(
            f"--replay {path}: it was recorded with another version of environment {tape.head['env']}",
            hint="name the environment's file: --env FILE",
        )


def run_head(run: Run) -> dict[str, str]:
    """Return a run's description for the head of a tape."""
    return {"run": run.name, "seed": run.settings["seed"], "env": run.env_name, "env_id": run.env_id}


def _dry(session: Session, rounds: int, *, quiet: bool, as_json: bool) -> int:
    """Measure what a round takes, and print the plan; where it cannot be measured, say why."""
    from autoqec.errors import AutoQECError
    from autoqec.loop.dry_run import plan_round
    from autoqec.loop.round_probe import measure_round
    from autoqec.views.console import print_json, say
    from autoqec.views.dry_run_text import print_plan

    display, measured = command_display(quiet=quiet), None
    try:
        measured = measure_round(session, display.begin)
    except AutoQECError as error:
        say(f"what a round takes could not be measured: {error.problem}")
    display.show(None)
    plan = plan_round(session, measured)
    if as_json:
        print_json([{"schema": "autoqec.plan/1", "run": session.run.name, "rounds": rounds, **plan}])
    else:
        print_plan(plan, measured, rounds)
    return 0
