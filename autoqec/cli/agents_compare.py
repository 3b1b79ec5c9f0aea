"""`autoqec agents compare`: compare agents at equal compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoqec.agents.agent_contract import ROLES
from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab, run_session, say_loading
from autoqec.counted_words import counted

if TYPE_CHECKING:
    from autoqec.config import Settings
    from autoqec.errors import AutoQECError
    from autoqec.history import Ledger, RoundRecord
    from autoqec.loop.agent_runs import Arm
    from autoqec.plugins import Registry


@click.command()
@click.option("--env", default=None, help="Environment by name or path [AUTOQEC_DEFAULT_ENV].")
@click.option(
    "--agents",
    default="search,random,evolution",
    show_default=True,
    metavar="A,B,…",
    help="The agents; each acts in every role that it supports.",
)
@click.option("--rounds", default=4, show_default=True, type=click.IntRange(1, 10_000), help="Rounds per run.")
@click.option("--seeds", default=2, show_default=True, type=click.IntRange(1, 1000), help="Runs per agent.")
@click.option("--plot", default=None, metavar="FILE", help="Plot the comparison to a .png, .svg or .pdf file.")
@click.option("--dry-run", is_flag=True, help="Run nothing; show existing results and missing rounds.")
@options.budget_options
@options.profile_option
@options.train_on_option
@options.device_option
@options.work_options
def command(
    env: str | None,
    agents: str,
    rounds: int,
    seeds: int,
    plot: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> int:
    """Compare agents at equal compute: which one finds the better predecoder?

    Each agent and seed has its own run, cmp-ENV-AGENT-sSEED, with the same profile and number of rounds. Existing rounds are not
    run again, so you can continue an interrupted comparison, and a complete one is only shown. Budgets apply to each run
    separately. Exit code 1 if an agent is unavailable, 4 if a budget ended a run early.
    """
    ledger, settings = open_lab({**flags, "default_env": env})
    say_loading(quiet=quiet)
    from autoqec.errors import BudgetSpentError
    from autoqec.history import require_writable
    from autoqec.loop.agent_runs import arm_result, plan_arms
    from autoqec.loop.session import environment_folders
    from autoqec.plugins import load_plugins
    from autoqec.problem.environment import find_environment
    from autoqec.views.comparison_plot import plot_comparison
    from autoqec.views.comparison_text import comparison_objects, print_comparison
    from autoqec.views.console import print_json, say
    from autoqec.views.line_styles import check_plot

    registry = load_plugins()
    wanted = env or settings["default_env"]
    loaded = find_environment(wanted, environment_folders(ledger))
    arms = plan_arms(loaded.name, [name.strip() for name in agents.split(",") if name.strip()], seeds)
    for arm in arms:
        registry.get("agent", arm.agent)
    settings.profile  # noqa: B018 - refuse an unknown profile before anything runs
    if plot is not None:
        check_plot(Path(plot))
    if not dry_run:
        require_writable(ledger)
    code, absent = 0, {} if dry_run else _absent(ledger, registry, settings, arms, rounds)
    for arm in arms:
        problem = absent.get(arm.agent) or _run(
            ledger, registry, settings, arm, wanted, rounds, dry=dry_run, quiet=quiet
        )
        if problem is not None:
            say(f"{arm.run}: {problem.problem}" + (f"; {problem.hint}" if problem.hint else ""))
            code = max(code, 4 if isinstance(problem, BudgetSpentError) else 1)
    results = [arm_result(ledger, arm, rounds) for arm in arms]
    if as_json:
        print_json(comparison_objects(results, loaded.name, settings["profile"]))
    else:
        print_comparison(results)
    if plot is not None:
        title = f"{loaded.name}, profile {settings['profile']}; bars: 95 % intervals of the verdicts"
        plot_comparison(results, Path(plot), title)
        say(f"wrote {plot}")
    return code


def _absent(
    ledger: Ledger, registry: Registry, settings: Settings, arms: Sequence[Arm], rounds: int
) -> dict[str, AutoQECError]:
    """Find out, before the first of them runs, which agents that have rounds to run cannot be asked, and say why."""
    from autoqec.agents.agent_contract import AgentUnavailable
    from autoqec.errors import MissingPackageError
    from autoqec.loop.agent_runs import arm_settings, rounds_of
    from autoqec.loop.preflight import require_agents
    from autoqec.views.console import say

    found: dict[str, AutoQECError] = {}
    for arm in arms:
        if arm.agent not in found and len(rounds_of(ledger, arm)) < rounds:
            own = arm_settings(settings, registry, arm, 0.0)
            try:
                require_agents(registry, own, {role: own[role] for role in ROLES})
            except (AgentUnavailable, MissingPackageError) as error:
                found[arm.agent] = error
                say(f"{arm.agent} is left out: {error.problem}")
    return found


def _run(
    ledger: Ledger, registry: Registry, settings: Settings, arm: Arm, env: str, rounds: int, *, dry: bool, quiet: bool
) -> AutoQECError | None:
    """Run an arm to its number of rounds; return the error that ended it early, if any. Other arms continue."""
    from autoqec.agents.agent_contract import AgentUnavailable
    from autoqec.errors import BudgetSpentError
    from autoqec.loop.agent_runs import arm_settings, rounds_of, run_arm, seconds_of
    from autoqec.loop.session import open_run
    from autoqec.views.console import say

    done = rounds_of(ledger, arm)
    if len(done) >= rounds:
        return None
    if dry:
        say(f"{arm.run}: {counted(rounds - len(done), 'round')} to run")
        return None
    run = open_run(ledger, registry, env=env, env_given=True, run_name=arm.run, fresh=False, seed=arm.seed)
    try:
        own = arm_settings(settings, registry, arm, seconds_of(done))
        with run_session(ledger, registry, own, run, quiet=quiet) as session:
            run_arm(session, arm, rounds, lambda record: say(_line(record)))
    except (BudgetSpentError, AgentUnavailable) as error:
        return error
    return None


def _line(record: RoundRecord) -> str:
    from autoqec.results.verdict import parse_verdict

    verdict = parse_verdict(record.verdict).record
    gain = f", ΔLER {verdict.figures.delta_ler:+.5f}" if verdict and verdict.figures else ""
    return f"{record.run}/{record.number}: {verdict.verdict if verdict else record.status}{gain}"
