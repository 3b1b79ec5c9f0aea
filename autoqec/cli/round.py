"""`autoqec round`: run research rounds."""

from __future__ import annotations

from typing import Any

import click

from autoqec.cli import options
from autoqec.cli.lab import open_lab, run_session, share_results


@click.command()
@click.option("--env", default=None, help="Environment by name or path [AUTOQEC_DEFAULT_ENV].")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1, 100_000), help="How many rounds to run.")
@click.option(
    "--run", "run_name", default=None, help="Run to go on with, or to start; by default the environment's latest."
)
@click.option("--new", "fresh", is_flag=True, help="Start a new run.")
@click.option(
    "--seed",
    default=None,
    type=click.IntRange(0, 2**63 - 1),
    help="Seed of the run to go on with or to start: same seed, same rounds.",
)
@click.option(
    "--remote",
    "claim_remote",
    default=None,
    help="Take round numbers on this git remote and push each round there, for a run that several clones work on "
    "[AUTOQEC_CLAIM_REMOTE].",
)
@options.profile_option
@options.agent_options
@options.work_options
def command(
    env: str | None,
    rounds: int,
    run_name: str | None,
    fresh: bool,
    seed: int | None,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> int:
    """Run research rounds: propose, train, score, verify.

    Every round becomes a branch exp/<run>/<N> with one commit; the working tree is not touched. Exit code 1 if no round
    got to its end; a round that was only not VERIFIED did.
    """
    from autoqec.history import require_writable
    from autoqec.loop.rounds import run_round
    from autoqec.loop.session import open_run
    from autoqec.plugins import load_plugins
    from autoqec.views.rounds import round_printer

    ledger, settings = open_lab({**flags, "default_env": env})
    require_writable(ledger)
    registry = load_plugins()
    for role in ("ideator", "coder", "analyst"):
        registry.get("agent", settings[role])
    registry.get("verifier", settings["verifier"])
    registry.get("executor", settings["executor"])
    settings.profile  # noqa: B018 - an unknown profile is refused before anything is written
    run = open_run(
        ledger,
        registry,
        env=settings["default_env"],
        env_given=env is not None,
        run_name=run_name,
        fresh=fresh,
        seed=seed,
    )
    show = round_printer(ledger, as_json)
    with run_session(ledger, registry, settings, run, quiet=quiet) as session:
        records = []
        for _ in range(rounds):
            records.append(run_round(session))
            show(records[-1])
            share_results(session)
    return 0 if any(record.status == "ok" for record in records) else 1
