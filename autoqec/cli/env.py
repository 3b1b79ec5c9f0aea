"""`autoqec env`: list, check or create environments."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from autoqec.cli import shared_options as options
from autoqec.cli.command_group import CommandGroup


@click.group(cls=CommandGroup)
def command() -> None:
    """List, check or create environments: code, noise, decoder, constraints."""


def _folders() -> list[Path]:
    """Return the folders to search for environments; the lab's own folder comes first."""
    from autoqec.cli.lab import environment_folders_here

    return environment_folders_here()


def _own_folder() -> Path:
    *own, _ = _folders()
    return own[0] if own else Path("envs")  # never the package's folder


@command.command("list")
@options.json_option
def list_(as_json: bool) -> int:
    """List the environments of this lab and of the package."""
    from autoqec.errors import AutoQECError
    from autoqec.problem.environment import load_environment
    from autoqec.views.console import print_json
    from autoqec.views.installed_text import print_environments

    items: dict[str, dict[str, str]] = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.yaml")):
            try:
                story = load_environment(path).environment.story
            except AutoQECError as error:
                story = f"invalid: {error.problem}"
            fields = {"schema": "autoqec.env/1", "name": path.stem, "where": str(path), "story": story}
            items.setdefault(path.stem, fields)
    print_json(items.values()) if as_json else print_environments(list(items.values()))
    return 0


@command.command()
@click.argument("env")
@click.option(
    "--shots",
    default=65536,
    show_default=True,
    type=click.IntRange(1, 10**8),
    help="Shots for the baseline's logical error rate.",
)
@options.json_option
def check(env: str, shots: int, as_json: bool) -> int:
    """Compile and sample ENV (a name or a path), and describe it or its first error."""
    from autoqec.loop.session import check_environment
    from autoqec.plugins import load_plugins
    from autoqec.printed_rows import EnvironmentRow
    from autoqec.problem.environment import find_environment
    from autoqec.scoring.baseline import describe_environment
    from autoqec.views.console import print_json
    from autoqec.views.installed_text import print_environment

    registry = load_plugins()
    loaded = find_environment(env, _folders())
    check_environment(loaded, registry)
    facts = cast(EnvironmentRow, describe_environment(loaded, registry, shots))
    print_json([{"schema": "autoqec.env_check/1", **facts}]) if as_json else print_environment(facts)
    return 0


@command.command()
@click.argument("name")
@click.option("--like", default="surface_d5_depol", show_default=True, help="Environment to copy, by name or path.")
@click.option("--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Set a field, such as code.distance=7.")
@click.option("--story", default="", help="A description for people.")
@click.option("--ask", is_flag=True, help="Ask for code, noise and decoders.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Target folder; by default envs/ of the lab."
)
@options.json_option
def new(
    name: str, like: str, changes: tuple[str, ...], story: str, ask: bool, folder: Path | None, as_json: bool
) -> int:
    """Write the environment NAME, and check that rounds can run on it.

    Without --set it is a copy. --set takes YAML: --set noise.kind=si1000 --set 'noise.p=[0.001, 0.002]'.
    """
    from autoqec.loop.new_environment import new_environment, questions, read_change
    from autoqec.plugins import load_plugins
    from autoqec.problem.environment import find_environment
    from autoqec.views.console import print_json, print_lines

    registry, template = load_plugins(), find_environment(like, _folders())
    fields = [read_change(change) for change in changes]
    if ask:
        story = story or click.prompt("story", default=f"Made from {template.name}.", err=True)
        fields += questions(template, registry, lambda what, default: click.prompt(what, default=default, err=True))
    path = (folder or _own_folder()) / f"{name}.yaml"
    made = new_environment(path, story or f"Made from {template.name}.", template, fields, registry)
    facts = {"schema": "autoqec.env/1", "name": made.name, "where": str(path), "story": made.environment.story}
    print_json([facts]) if as_json else print_lines([str(path)])
    return 0
