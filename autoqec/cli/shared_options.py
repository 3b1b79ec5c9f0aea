"""Options that several commands share, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _setting(flag: str, text: str, **options: Any) -> Decorator:
    """A flag that overrides a setting; its variable is named in the help."""
    variable = f"AUTOQEC_{flag.removeprefix('--').replace('-', '_').upper()}"
    return click.option(flag, default=None, help=f"{text} [{variable}]", **options)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
kind_option = click.option(
    "--kind", default=None, help="Only agents, decoders, verifiers, stages, codes, executors or commands."
)
metadata_option = click.option(
    "--metadata", is_flag=True, help="Import nothing: list installed plugins from their metadata."
)
run_option = click.option("--run", default=None, help="Only this run.")
waiting_option = click.option(
    "--run", "where", default=None, metavar="RUN", help="Only this run, or this round: RUN/NUMBER."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress display.")
jobs_option = _setting("--jobs", "Worker processes; 0 for one per processor.", type=click.IntRange(0, 1024))
executor_option = _setting("--executor", "Executor plugin that scores shots.")
verifier_option = _setting("--verifier", "Verifier plugin.")
strong_reference_option = _setting(
    "--strong-reference", "Slow decoder, say tesseract, of which a verdict says how much of its gain is reached."
)
patience_option = _setting(
    "--patience",
    "Stop after so many rounds in a row that were not VERIFIED; 0 for never.",
    type=click.IntRange(0, 100_000),
)
profile_option = _setting("--profile", "How much a round may spend: dev, prod or a profile of the lab.")


def agent_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--ideator`, `--coder`, `--analyst`."""
    for role in ("analyst", "coder", "ideator"):
        function = _setting(f"--{role}", f"Agent that plays the {role}, such as search or anthropic:MODEL.")(function)
    return function


def work_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a command that scores takes: `--verifier`, `--strong-reference`, `--executor`, `--jobs`, `--json`, `--quiet`."""
    for option in (quiet_option, json_option, jobs_option, executor_option, strong_reference_option, verifier_option):
        function = option(function)
    return function


def budget_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--max-wall`, `--max-tokens`, `--max-cost`."""
    function = _setting("--max-cost", "US dollars that the run's agents may take in all; 0 for no limit.")(function)
    function = _setting("--max-tokens", "Tokens that the run's agents may take in all; 0 for no limit.")(function)
    return _setting("--max-wall", "Seconds after which no further step is begun; 0 for no limit.")(function)


def sync_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What commands that move the record between repositories take: REMOTE, `--run`, `--artifacts`, `--json`."""
    artifacts = click.option("--artifacts", is_flag=True, help="Trained weights too.")
    for option in (json_option, artifacts, run_option, click.argument("remote", default="origin")):
        function = option(function)
    return function
