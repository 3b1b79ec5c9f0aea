"""`autoqec env`: list, check or create environments."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoqec.cli import shared_options as options
from autoqec.cli.command_group import CommandGroup

if TYPE_CHECKING:
    from autoqec.plugins import Registry
    from autoqec.problem.environment import LoadedEnvironment
    from autoqec.problem.given_files import GivenFiles
    from autoqec.settings_schema import Profile

#: The name of the files that are given among an interview's answers, as on the command line.
_FROM = "--from"


@click.group(cls=CommandGroup)
def command() -> None:
    """List, check or create environments: code, noise, decoder, constraints."""


def _folders() -> list[Path]:
    """Return the folders to search for environments; the lab's own folder comes first."""
    from autoqec.cli.lab import environment_folders_here

    return environment_folders_here()


def _own_folder() -> Path:
    from autoqec.cli.lab import ENVIRONMENTS_HERE

    *own, _ = _folders()
    return own[0] if own else ENVIRONMENTS_HERE  # never the package's folder


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


#: The environment whose decoder, references and protocol a file has that is checked, or made an environment of.
_TEMPLATE = "surface_d5_depol"

_set_option = click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="Set a field, such as code.distance=7."
)


def _found(names: tuple[str, ...], changes: tuple[str, ...], registry: Registry) -> LoadedEnvironment:
    """The environment of that name or path, or one that is made of files in memory, with changed fields."""
    from autoqec.loop.drafted_environment import drafted, offered_files, read_change
    from autoqec.loop.session import check_environment
    from autoqec.problem.environment import find_environment
    from autoqec.problem.given_files import is_given_file, read_given

    fields, offers = [read_change(change) for change in changes], offered_files(registry)
    if len(names) > 1 or is_given_file(names[0], offers):
        given = read_given([Path(name) for name in names], offers)
        return drafted(given.name, "", find_environment(_TEMPLATE, _folders()), fields, registry, given=given)
    loaded = find_environment(names[0], _folders())
    if fields:
        return drafted(loaded.name, loaded.environment.story, loaded, fields, registry)
    check_environment(loaded, registry)
    return loaded


@command.command()
@click.argument("env", nargs=-1, required=True)
@click.option(
    "--shots",
    type=click.IntRange(1, 10**8),
    help="Exactly so many shots for each decoder; by default 65,536 or the protocol's score_shots, fewer for slow references.",
)
@click.option("--training", is_flag=True, help="Also train for two seconds, to say how long a round's training takes.")
@_set_option
@options.profile_option
@options.json_option
@options.quiet_option
def check(
    env: tuple[str, ...],
    shots: int | None,
    training: bool,
    changes: tuple[str, ...],
    profile: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compile and sample ENV, and describe it or its first error.

    ENV is an environment's name or file, or a circuit, an error model or matrices as they are: F.stim, F.dem, hx.npy hz.npy, or
    a folder. Nothing is written. --set tries other values: --set noise.kind=si1000 --set 'noise.p=[0.001]'. On Ctrl-C, what was
    counted is printed.
    """
    from autoqec.views.check_progress import CheckProgress
    from autoqec.views.console import print_json

    with CheckProgress(quiet=quiet) as progress:
        progress.begin(f"reading {' '.join(env)} and compiling its decoders")
        from autoqec.plugins import load_plugins
        from autoqec.scoring.baseline import CheckRequest, describe_environment
        from autoqec.views.environment_text import print_environment

        registry = load_plugins()
        request, loaded = CheckRequest(shots, _profile(profile)), _found(env, changes, registry)
        facts = describe_environment(loaded, registry, request, progress.shots)
        if training and facts["round"] is not None:
            from autoqec.loop.training_probe import seconds_of_training

            progress.begin("training for two seconds")
            with suppress(KeyboardInterrupt):  # what was counted is kept
                facts["round"]["train"] = seconds_of_training(loaded, registry, request.profile)
    print_json([{"schema": "autoqec.env_check/1", **facts}]) if as_json else print_environment(facts)
    return 130 if facts["interrupted"] else 0


def _profile(name: str | None) -> Profile:
    """How much a round may spend."""
    from autoqec.cli.lab import folder_of_lab_here
    from autoqec.config import load_settings

    return load_settings(folder_of_lab_here(), {"profile": name}).profile


@command.command()
@click.argument("name")
@click.option(
    "--from",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A circuit, an error model, a matrix, or a folder of matrices; it is copied beside the environment.",
)
@click.option(
    "--like", default=_TEMPLATE, show_default=True, help="Environment to copy the rest from, by name or path."
)
@_set_option
@click.option("--story", default="", help="A description for people.")
@click.option("--ask", is_flag=True, help="Ask for code, noise and decoders.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Target folder; by default envs/ of the lab."
)
@options.json_option
def new(
    name: str,
    files: tuple[Path, ...],
    like: str,
    changes: tuple[str, ...],
    story: str,
    ask: bool,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Write the environment NAME, and check that rounds can run on it.

    Without --set it is a copy. --set takes YAML: --set noise.kind=si1000 --set 'noise.p=[0.001, 0.002]'. --from takes files as
    they are: --from F.stim, --from F.dem, --from hx.npy --from hz.npy, or --from a folder of matrices.
    """
    from autoqec.cli.lab import folder_of_lab_here
    from autoqec.loop.drafted_environment import offered_files, read_change
    from autoqec.loop.new_environment import new_environment, require_name
    from autoqec.plugins import load_plugins
    from autoqec.problem.environment import find_environment
    from autoqec.problem.given_files import read_given
    from autoqec.views.console import print_json, print_lines
    from autoqec.views.shown_paths import shown_path

    require_name(name)
    registry, template = load_plugins(), find_environment(like, _folders())
    fields = dict(read_change(change) for change in changes)
    given = read_given(files, offered_files(registry)) if files else None
    target = folder or _own_folder()

    def make(answers: dict[str, Any]) -> tuple[Path, LoadedEnvironment]:
        told = {"story": story or _story(template, given), _FROM: given} | fields | answers
        text, chosen = told.pop("story"), told.pop(_FROM)
        return new_environment(target, name, text, template, list(told.items()), registry, chosen)

    if ask:
        others = [word for path in files for word in (_FROM, str(path))]
        path, made = _asked(name, others, changes, template, registry, given, story, make)
    else:
        path, made = make({})
    facts = {"schema": "autoqec.env/1", "name": made.name, "where": str(path), "story": made.environment.story}
    print_json([facts]) if as_json else print_lines([shown_path(path, folder_of_lab_here())])
    return 0


def _story(template: LoadedEnvironment, given: GivenFiles | None) -> str:
    files = "" if given is None else ", ".join(path.name for path in given.paths.values())
    return f"Made from {files or template.name}."


def _asked(
    name: str,
    others: list[str],
    changes: tuple[str, ...],
    template: LoadedEnvironment,
    registry: Registry,
    given: GivenFiles | None,
    story: str,
    make: Callable[[dict[str, Any]], tuple[Path, LoadedEnvironment]],
) -> tuple[Path, LoadedEnvironment]:
    """Make the environment of answers; where that ends early, print the command that repeats them."""
    from autoqec.errors import AutoQECError
    from autoqec.loop.environment_questions import Interview, ask_until_made, questions
    from autoqec.views.console import say

    texts = {field.strip(): value for field, _, value in (change.partition("=") for change in changes)}
    interview = Interview(lambda what, default: str(click.prompt(what, default=default, err=True)), say, texts)
    try:
        return ask_until_made(interview, lambda: questions(template, registry, given, story), make)
    except (click.Abort, KeyboardInterrupt, AutoQECError):
        again = [*others, "--story", story] if story else others
        say(f"\nnothing was written; your answers again: {interview.command(name, again)}")
        raise
