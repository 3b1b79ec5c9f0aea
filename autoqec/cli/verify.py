"""`autoqec verify`: judge a round again, on shots that did not exist before."""

from __future__ import annotations

from typing import Any

import click

from autoqec.cli import options
from autoqec.cli.lab import open_lab, run_session

_EXIT = {"VERIFIED": 0, "SUSPICIOUS": 1, "FAILED": 1}


@click.command()
@click.argument("round_name", metavar="ROUND")
@click.option("--max-shots", default=None, type=click.IntRange(50_000), help="Stop undecided after this many shots.")
@click.option(
    "--seed-key", default=None, help="Holdout key (64 hex digits) of a verdict to replay; a replay is not noted."
)
@options.work_options
def command(
    round_name: str, max_shots: int | None, seed_key: str | None, as_json: bool, quiet: bool, **flags: Any
) -> int:
    """Judge a round again, on fresh shots, from git alone. ROUND is exp/<run>/<N>.

    Exit code 0 if VERIFIED, 1 otherwise. Every verification spends a share of the run's error budget, but for a replay,
    which draws the shots of an earlier verdict again and says whether everything came out the same.
    """
    from autoqec.errors import NotFoundError
    from autoqec.history import load_run, parse_round_name
    from autoqec.loop.judging import judge, replay_agrees
    from autoqec.loop.state import find_verdict, read_state
    from autoqec.plugins import load_plugins
    from autoqec.views.console import print_json
    from autoqec.views.tables import print_verdict

    ledger, settings = open_lab(flags)
    run_name, number = parse_round_name(round_name)
    run = load_run(ledger, run_name)
    state = read_state(ledger, run_name, number)
    if state.commit is None or state.weights is None:
        raise NotFoundError(
            f"round {run_name}/{number} has no weights here, so nothing can be judged",
            mend="autoqec resume if it was interrupted here, autoqec pull --artifacts if it came from elsewhere",
        )
    replay = find_verdict(ledger, state, seed_key) if seed_key is not None else None
    with run_session(ledger, load_plugins(), settings, run, quiet=quiet) as session:
        verdict = judge(session, state, max_shots=max_shots, replay=replay)
    if replay is not None:
        verdict = dict(verdict) | {"replay_agrees": replay_agrees(replay, verdict)}
    print_json([{"schema": "autoqec.verdict/1", **verdict}]) if as_json else print_verdict(verdict)
    return _EXIT[verdict["verdict"]] if verdict.get("replay_agrees", True) else 1
