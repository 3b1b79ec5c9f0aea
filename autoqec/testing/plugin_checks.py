"""Runs the conformance checks of installed plugins of every kind, for `autoqec plugins check`.

A plugin that calls a service or program is checked only as far as possible without a call: no key, no network, no costs.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from autoqec.agents.agent_contract import ROLES
from autoqec.decoding.decoder_contract import confidence_kind
from autoqec.errors import AutoQECError, MissingPackageError, NotFoundError, UsageError
from autoqec.plugin_errors import one_line, origin
from autoqec.plugins import BrokenPlugin, Registration, Registry, missing_packages
from autoqec.problem.problem import Problem
from autoqec.testing.agent_context import tiny_context
from autoqec.testing.conformance import check_agent, check_decoder, check_estimates, check_stage
from autoqec.testing.conformance_code import check_code
from autoqec.testing.conformance_command import check_command
from autoqec.testing.conformance_executor import check_executor
from autoqec.testing.conformance_host import check_host
from autoqec.testing.conformance_verifier import check_verifier
from autoqec.testing.tiny import colour_problem, surface_problem, tiny_problem

Result = Literal["passed", "partial", "skipped", "failed"]


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        plugin: The entry point's name.
        distribution: The installed distribution it came with, with its version.
        kind: What was checked: `plugin` for the plugin as a whole, else the kind of what it registers.
        name: The plugin's name, or the registered one.
        result: `passed`; `partial`, where only a part could be checked; `skipped`, where nothing could; or `failed`.
        reason: Why it did not pass; empty if it did.
        file, line: Where in the plugin's code, if that is known.
        seconds: How long the check took.
    """

    plugin: str
    distribution: str
    kind: str
    name: str
    result: Result
    reason: str = ""
    file: str | None = None
    line: int | None = None
    seconds: float = 0.0


class _NotChecked(Exception):
    """Nothing could be checked; says why."""


def check_plugins(registry: Registry, name: str | None = None, commands: Collection[str] = ()) -> Iterator[Checked]:
    """Check plugins one by one.

    Args:
        registry: The loaded plugins.
        name: Only the plugin, distribution or registered name that is called so; all by default.
        commands: Names of the built-in commands.

    Yields:
        For each plugin a row of its own, which says whether it was imported and registered, then one for each name it offers.

    Raises:
        NotFoundError: There is nothing of that name.
    """
    chosen = _entries(registry, name)
    broken = [each for each in registry.broken if name is None or name in _names(each.plugin, each.distribution)]
    plugins = [
        each
        for each in registry.owners.values()
        if name is None or name in _names(each.plugin, each.distribution) or each.plugin in {e.plugin for e in chosen}
    ]
    if not (chosen or broken or plugins):
        known = ", ".join(sorted({*registry.owners, *(each.plugin for each in registry.broken)}))
        raise NotFoundError(f"there is no plugin and nothing registered named {name!r}", hint=f"choose one of: {known}")
    missing = missing_packages(registry)
    failed = {each.plugin for each in broken}
    yield from (_broken(each) for each in broken)
    for owner in plugins:
        if owner.plugin not in failed:
            yield Checked(owner.plugin, owner.distribution, "plugin", owner.plugin, "passed")
        for entry in chosen:
            if entry.plugin == owner.plugin:
                yield _checked(entry, registry, commands, missing.get(entry.name))


def _entries(registry: Registry, name: str | None) -> list[Registration]:
    if name is None:
        return registry.all()
    by_plugin = [entry for entry in registry.all() if name in _names(entry.plugin, entry.distribution)]
    by_name = [entry for entry in registry.all() if name in (entry.name, f"{entry.kind}:{entry.name}")]
    if by_plugin or by_name:
        return list({id(entry): entry for entry in [*by_plugin, *by_name]}.values())
    family, colon, member = name.partition(":")
    return [
        replace(entry, name=name, member=member)
        for entry in registry.all()
        if colon and member and entry.name == family + colon
    ]


def _names(plugin: str, distribution: str) -> tuple[str, str]:
    return plugin, distribution.split()[0]


def _broken(broken: BrokenPlugin) -> Checked:
    return Checked(
        broken.plugin, broken.distribution, "plugin", broken.plugin, "failed", broken.error, broken.file, broken.line
    )


def _checked(entry: Registration, registry: Registry, commands: Collection[str], install: str | None) -> Checked:
    row = Checked(entry.plugin, entry.distribution, entry.kind, entry.name, "passed")
    if install is not None:
        return replace(row, result="skipped", reason=f"not installed: {install}")
    began = time.monotonic()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is not our data
            left_out = _CHECKS[entry.kind](_member(entry), registry, commands)
        row = replace(row, result="partial" if left_out else "passed", reason=left_out)
    except _NotChecked as error:
        row = replace(row, result="skipped", reason=str(error))
    except MissingPackageError as error:
        row = replace(row, result="skipped", reason=f"{error.problem}; {error.hint}")
    except (Exception, SystemExit) as error:
        row = replace(row, result="failed", reason=_reason(error))
        where = origin(error.__cause__ or error, None if isinstance(error, AssertionError) else entry.owner)
        if where is not None:
            row = replace(row, file=where.file, line=where.line)
    return replace(row, seconds=round(time.monotonic() - began, 2))


def _reason(error: BaseException) -> str:
    if isinstance(error, AutoQECError):
        return error.problem
    text = str(error).splitlines()
    return text[0] if isinstance(error, AssertionError) and text else one_line(error)


def _member(entry: Registration) -> Registration:
    """Of a family, the member that its capability `example` names."""
    if not entry.name.endswith(":"):
        return entry
    example = str(entry.capabilities.get("example", ""))
    if not example:
        raise _NotChecked(
            f"{entry.name} is a family: name one of it, autoqec plugins check {entry.name}…, or register it with `example`"
        )
    return replace(entry, name=entry.name + example, member=example)


def _agent(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    roles = tuple(role for role in ROLES if role in entry.capabilities.get("roles", ROLES))
    context = tiny_context(registry)
    asks = str(entry.capabilities.get("requires", "")) or ("a price" if entry.capabilities.get("prices") else "")
    agent = entry.create(**({"prices": {}} if entry.capabilities.get("prices") else {}))
    if asks:
        check_estimates(agent, context, roles)
        return f"only its estimates are checked: to ask it needs {asks}"
    check_agent(agent, context, roles)
    return ""


def _rare_errors() -> Problem:
    """A problem that decoders pass too which know a few errors at once and no more."""
    return surface_problem(3, 0.003, rounds=2)


def _decoder(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    said = []
    for make in (_rare_errors, colour_problem):
        problem: Problem = make()
        try:
            decoder = entry.create()
            compiled = decoder.compile(problem)
        except UsageError as error:
            said.append(error.problem)
            continue
        takes = bool(entry.capabilities.get("takes_beliefs", False))
        assert takes == bool(decoder.takes_beliefs), (
            f"it is registered with takes_beliefs={takes}, and its takes_beliefs is {bool(decoder.takes_beliefs)}"
        )
        offered = entry.capabilities.get("confidence")
        assert offered in (None, confidence_kind(compiled)), (
            f"it is registered with confidence={offered!r}, and its confidence_kind is {confidence_kind(compiled)!r}"
        )
        check_decoder(decoder, problem)
        return ""
    raise _NotChecked(f"it decodes none of the problems that are tried: {said[0]}")


def _stage(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    kind = entry.create()
    if hasattr(kind, "with_module"):
        kind = kind.with_module(kind.STAND_IN, "module.py")
    default = kind.Config.model_fields["kind"].default
    assert default in (entry.name, None) or not isinstance(default, str), (
        f"it is registered as {entry.name!r}, and the kind of its Config is {default!r}"
    )
    check_stage(kind, tiny_problem())
    assert all(isinstance(values, tuple | list) and len(values) > 0 for values in kind.space().values()), (
        "space must give each field the values worth trying"
    )
    return ""


def _verifier(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    check_verifier(entry.create())
    return ""


def _code(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    code = entry.create()
    if not hasattr(code, "EXAMPLE") and any(field.is_required() for field in code.Config.model_fields.values()):
        raise _NotChecked("its fields have no defaults, and it has no EXAMPLE of them")
    check_code(code)
    return ""


def _executor(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    check_executor(partial(entry.create, **dict(entry.capabilities.get("check_with", {}))))
    return ""


def _host(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    check_host(entry.create)
    return ""


def _command(entry: Registration, registry: Registry, commands: Collection[str]) -> str:
    check_command(entry.load(), entry.name, commands)
    return "only its help is checked: the command is not run"


_CHECKS: dict[str, Callable[[Any, Registry, Collection[str]], str]] = {
    "agent": _agent,
    "decoder": _decoder,
    "verifier": _verifier,
    "stage": _stage,
    "code": _code,
    "executor": _executor,
    "host": _host,
    "command": _command,
}
