"""`autoqec env`: list environments, check one."""

from __future__ import annotations

from pathlib import Path

import click

from autoqec.cli import options


@click.group()
def command() -> None:
    """Environments: code, noise, decoder, constraints."""


def _folders() -> list[Path]:
    from autoqec.errors import AutoQECError
    from autoqec.history import open_ledger
    from autoqec.loop.session import environment_folders

    try:
        return environment_folders(open_ledger("."))
    except AutoQECError:
        return environment_folders(None)  # Outside a lab there are still those that come with the package.


@command.command("list")
@options.json_option
def list_(as_json: bool) -> int:
    """Environments of this lab and those that come with the package."""
    from autoqec.errors import AutoQECError
    from autoqec.problem.environment import load_environment
    from autoqec.views.catalogue import print_environments
    from autoqec.views.console import print_json

    items: dict[str, dict[str, str]] = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.yaml")):
            try:
                story = load_environment(path).environment.story
            except AutoQECError as error:
                story = f"cannot be used: {error.problem}"
            fields = {"schema": "autoqec.env/1", "name": path.stem, "where": str(path), "story": story}
            items.setdefault(path.stem, fields)
    print_json(items.values()) if as_json else print_environments(list(items.values()))
    return 0


@command.command()
@click.argument("env")
@click.option(
    "--shots", default=65536, show_default=True, type=click.IntRange(1, 10**8), help="Shots for the baseline's rate."
)
@options.json_option
def check(env: str, shots: int, as_json: bool) -> int:
    """Compile ENV (a name or a path), sample it, and say what it is — or what is wrong with it."""
    from autoqec.loop.session import check_environment
    from autoqec.plugins import load_plugins
    from autoqec.problem.environment import find_environment
    from autoqec.scoring.baseline import describe_environment
    from autoqec.views.catalogue import print_environment
    from autoqec.views.console import print_json

    registry = load_plugins()
    loaded = find_environment(env, _folders())
    check_environment(loaded, registry)
    facts = describe_environment(loaded, registry, shots)
    print_json([{"schema": "autoqec.env_check/1", **facts}]) if as_json else print_environment(facts)
    return 0
