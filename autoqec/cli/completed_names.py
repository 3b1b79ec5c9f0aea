"""The names that a shell completes: of rounds, runs, environments, profiles and plugins. Read without loading any of them.

Names come from a repository, from files and from plugins, so they are data of others. Only names of harmless characters are
offered, and nothing here prints. Rounds come from refs alone, so a lab of 5,000 rounds takes no longer than its list of refs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import entry_points

import click
from click.shell_completion import CompletionItem

from autoqec.errors import AutoQECError

#: A value of which a name may be a part in every shell without quotes.
_HARMLESS = re.compile(r"[A-Za-z0-9_./:@+,=-]+")

#: Ends the names that go on: the shell adds no space.
GOES_ON = ("/", ":")

Names = Callable[[click.Context, str], Iterator[str]]


def harmless(name: str) -> bool:
    """Tell whether a name has no character that means something to a shell."""
    return _HARMLESS.fullmatch(name) is not None and not name.startswith("-")


def _runs(ctx: click.Context, begun: str) -> Iterator[str]:
    from autoqec.history import list_refs, open_ledger

    prefix = "refs/autoqec/runs/"
    yield from sorted(ref.removeprefix(prefix) for ref in list_refs(open_ledger("."), prefix))


def _rounds(ctx: click.Context, begun: str, *, runs_too: bool = False) -> Iterator[str]:
    """Rounds as `<run>/<N>`, or as they are begun; before the run is named, runs."""
    from autoqec.history import list_refs, open_ledger

    lead = "exp/" if begun.startswith("exp/") else ""
    run, slash, _ = begun.removeprefix(lead).partition("/")
    runs = [name for name in _runs(ctx, begun) if name == run or (not slash and name.startswith(run))]
    if runs_too and not slash:
        yield from runs
    if len(runs) != 1:
        yield from (f"{lead}{name}/" for name in runs)
        return
    kinds = ("refs/autoqec/claims/", "refs/heads/exp/", "refs/autoqec/rounds/")
    prefixes = [f"{kind}{runs[0]}/" for kind in kinds]
    numbers = {ref.rpartition("/")[2] for ref in list_refs(open_ledger("."), *prefixes)}
    yield from (f"{lead}{runs[0]}/{number}" for number in sorted(map(int, filter(str.isdecimal, numbers))))


def _runs_or_rounds(ctx: click.Context, begun: str) -> Iterator[str]:
    if not ctx.params.get("back"):
        yield from _rounds(ctx, begun, runs_too=True)
        return
    from autoqec.history import list_dropped, open_ledger

    yield from (each.name for each in list_dropped(open_ledger(".")))  # what `drop --restore` brings back


def _two_rounds(ctx: click.Context, begun: str) -> Iterator[str]:
    """`BASE..ROUND`."""
    base, dots, other = begun.partition("..")
    lead = base + dots if dots else ""
    yield from (lead + name for name in _rounds(ctx, other if dots else begun))


def _environments(ctx: click.Context, begun: str) -> Iterator[str]:
    from autoqec.cli.lab import ENVIRONMENTS_HERE, folder_of_lab_here
    from autoqec.problem.environment import builtin_environments

    lab = folder_of_lab_here()
    here = ENVIRONMENTS_HERE if lab is None else lab / ENVIRONMENTS_HERE
    yield from sorted({path.stem for folder in (here, builtin_environments()) for path in folder.glob("*.yaml")})


def _profiles(ctx: click.Context, begun: str) -> Iterator[str]:
    from autoqec.cli.lab import folder_of_lab_here
    from autoqec.config import load_settings

    yield from sorted(load_settings(folder_of_lab_here()).profiles)


def _registered(ctx: click.Context, begun: str, *, kind: str) -> Iterator[str]:
    """Names that the plugins of this distribution register. Those of others are not loaded for a key press."""
    from autoqec.plugins import GROUP

    names: list[str] = []
    for entry in entry_points(group=GROUP):
        if entry.dist is not None and entry.dist.name == "autoqec":
            hook = getattr(entry.load(), f"autoqec_register_{kind}s", None)
            if hook is not None:
                hook(lambda name, *_, **__: names.append(name))
    yield from sorted(names)


def _listed(ctx: click.Context, begun: str, *, names: Names) -> Iterator[str]:
    """A list of names with commas."""
    lead = begun[: begun.rfind(",") + 1]
    yield from (lead + name for name in names(ctx, begun))


def _decoders(ctx: click.Context, begun: str) -> Iterator[str]:
    """Decoders, and rounds, which stand beside them."""
    yield from _registered(ctx, begun, kind="decoder")
    try:
        yield from _rounds(ctx, begun)
    except AutoQECError:  # outside of a lab there are decoders all the same
        return


def _strong_references(ctx: click.Context, begun: str) -> Iterator[str]:
    yield "none"
    yield from _registered(ctx, begun, kind="decoder")


def _remotes(ctx: click.Context, begun: str) -> Iterator[str]:
    from autoqec.history import open_ledger

    yield from sorted(str(name) for name in open_ledger(".").repo.remotes.names())


def _words(ctx: click.Context, begun: str, *, words: tuple[str, ...]) -> Iterator[str]:
    yield from words


def _kinds(ctx: click.Context, begun: str) -> Iterator[str]:
    from autoqec.plugins import KINDS

    yield from KINDS


def _statuses(ctx: click.Context, begun: str) -> Iterator[str]:
    from autoqec.views.wanted_rounds import STATUSES

    yield from STATUSES


_agents = partial(_registered, kind="agent")

#: What each parameter of a command names, by the parameter's name; or by the command's path and it, if that means several things.
NAMES: Mapping[str, Names] = {
    **dict.fromkeys(("run", "run_name"), _runs),
    **dict.fromkeys(("round_name", "rounds", "origin", "abandon", "where"), _rounds),
    **dict.fromkeys(("env", "like"), _environments),
    **dict.fromkeys(("ideator", "coder", "analyst"), _agents),
    **dict.fromkeys(("decoders", "baseline", "gated"), _decoders),
    **dict.fromkeys(("remote", "claim_remote"), _remotes),
    "drop name": _runs_or_rounds,
    "round like": _runs,
    "diagnose name": _runs_or_rounds,
    "plot names": _runs_or_rounds,
    "export round_name": _runs_or_rounds,
    "review rounds": _two_rounds,
    "plugins new name": partial(_words, words=()),
    "agents": partial(_listed, names=_agents),
    "profile": _profiles,
    "executor": partial(_registered, kind="executor"),
    "verifier": partial(_registered, kind="verifier"),
    "strong_reference": _strong_references,
    "role": partial(_words, words=("ideator", "coder", "analyst")),
    "kind": _kinds,
    "status": _statuses,
}

#: Parameters that are paths though no type says so.
FILES = frozenset({"record", "replay", "file", "plot"})

#: Parameters that stand for files too: of circuits, environments and folders.
NAMES_OR_FILES = frozenset({"decoders", "env check env"})


def names_of(command: str, parameter: str) -> Names | None:
    """What a parameter names; None for free text.

    Args:
        command: The command, without `autoqec`, such as `agents reply`.
        parameter: The parameter's name in the command's function.
    """
    return NAMES.get(f"{command} {parameter}") or NAMES.get(parameter)


def complete_names(command: click.Command, path: str) -> None:
    """Have the parameters of a command complete the names that they take.

    Args:
        command: The command; its parameters change, so only a process that completes calls this.
        path: How it is called, without `autoqec`.
    """
    for parameter in command.params:
        names = names_of(path, str(parameter.name))
        known = type(parameter.type) is not type(click.STRING)
        if known or (names is None and parameter.name not in FILES):
            continue
        files = parameter.name in FILES | NAMES_OR_FILES or f"{path} {parameter.name}" in NAMES_OR_FILES
        parameter.shell_complete = partial(_named, names, files)  # type: ignore[method-assign]


def _named(names: Names | None, files: bool, ctx: click.Context, begun: str) -> list[CompletionItem]:
    found = [] if names is None else list(dict.fromkeys(filter(partial(_fits, begun), names(ctx, begun))))
    if not found and files:
        return [CompletionItem("", type="file")]
    return [CompletionItem(name) for name in found]


def _fits(begun: str, name: str) -> bool:
    return name.startswith(begun) and harmless(name)
