"""Command-line options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _setting(flag: str, text: str, **options: Any) -> Decorator:
    """Declare a flag that overrides a setting; the help names its environment variable."""
    variable = f"AUTOQEC_{flag.removeprefix('--').replace('-', '_').upper()}"
    return click.option(flag, default=None, help=f"{text} [{variable}]", **options)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
kind_option = click.option(
    "--kind", default=None, help="Only agents, decoders, verifiers, stages, codes, executors, hosts or commands."
)
metadata_option = click.option(
    "--metadata", is_flag=True, help="Import nothing; list installed plugins by their metadata."
)
run_option = click.option("--run", default=None, help="Only this run.")
waiting_option = click.option(
    "--run", "where", default=None, metavar="RUN", help="Only this run, or this round: RUN/NUMBER."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
jobs_option = _setting("--jobs", "Number of worker processes; 0 for one per processor.", type=click.IntRange(0, 1024))
per_option = click.option(
    "--per",
    type=click.Choice(["shot", "round", "logical"]),
    default="shot",
    show_default=True,
    help="Convert logical error rates to this unit.",
)
executor_option = _setting("--executor", "Executor plugin that scores shots.")
train_on_option = _setting(
    "--train-on",
    "Where candidates are trained: here, or as tasks of the executor.",
    type=click.Choice(["here", "executor"]),
)
device_option = _setting(
    "--device",
    "Where a candidate's stages are computed for its metrics: cpu, cuda, or auto for a GPU where there is one.",
    type=click.Choice(["cpu", "auto", "cuda"]),
)
executor_option_option = click.option(
    "--executor-option",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the executor, over its table in your settings; may be repeated.",
)
verifier_option = _setting("--verifier", "Verifier plugin.")
strong_reference_option = _setting(
    "--strong-reference",
    "A slow decoder such as tesseract, or none; without it, one that is installed."
    " A verdict says which share of its gain is reached.",
)
patience_option = _setting(
    "--patience",
    "Stop after this many consecutive rounds without VERIFIED; 0 for never.",
    type=click.IntRange(0, 100_000),
)
profile_option = _setting("--profile", "Shots and time of a round: dev, prod or a profile of the lab.")


event_option = click.option(
    "--event",
    default=None,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The host's description of the pull request, in JSON; by default the file that the host's CI names.",
)


def host_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--host`, `--api-url`."""
    kind = click.option("--host", default=None, help="The kind of host: github, gitlab, gitea or a plugin's.")
    address = click.option(
        "--api-url", default=None, metavar="URL", help="The address of the host's API, if it is unusual."
    )
    return kind(address(function))


def agent_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--ideator`, `--coder`, `--analyst`."""
    for role in ("analyst", "coder", "ideator"):
        function = _setting(f"--{role}", f"Agent for the role {role}, such as search or anthropic:MODEL.")(function)
    return function


def work_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of commands that score: verifier and strong reference, executor and its options, `--jobs`, `--json`, `--quiet`."""
    executor = executor_option_option, executor_option
    for option in (quiet_option, json_option, jobs_option, *executor, strong_reference_option, verifier_option):
        function = option(function)
    return function


def budget_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--max-wall`, `--max-tokens`, `--max-cost`."""
    function = _setting("--max-cost", "Total cost limit of the run's agents in US dollars; 0 for no limit.")(function)
    function = _setting("--max-tokens", "Total token limit of the run's agents; 0 for no limit.")(function)
    return _setting("--max-wall", "Start no further step after this many seconds; 0 for no limit.")(function)


def sync_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Arguments of `push` and `pull`: REMOTE, `--run`, `--artifacts`, `--json`."""
    artifacts = click.option("--artifacts", is_flag=True, help="Also transfer trained weights.")
    for option in (json_option, artifacts, run_option, click.argument("remote", default="origin")):
        function = option(function)
    return function
