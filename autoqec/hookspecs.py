"""Every extension point of AutoQEC on one page.

A plugin is a module named by an entry point in the group `autoqec`. It implements any of these hooks:

    from autoqec import hookimpl

    @hookimpl
    def autoqec_register_decoders(register):
        register("my_decoder", "my_package.decoder:MyDecoder", takes_beliefs=True)

`register(name, factory, **capabilities)` takes a callable or, better, a string `module:attribute` that is imported only
when the name is used. Names are unique per kind: a second one is an error that names both distributions. A name is what an
environment or a setting can say (`NAME`), and a capability is one of those in `CAPABILITIES`.

pluggy calls the functions, so all that it offers works: `@hookimpl(specname="autoqec_register_decoders")` on a function of
another name, `tryfirst`, `trylast`, and wrappers. Each plugin is called by itself, so a wrapper wraps the functions of its own
plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("autoqec")
hookimpl = pluggy.HookimplMarker("autoqec")

Register = Callable[..., None]

#: What a registered name looks like, so that an environment, a candidate or a flag can say it. A command has no colon.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.:-]*"

_ANY_KIND: Mapping[str, type] = {"needs": str, "pip_options": str, "example": str}

#: Kind → the capabilities that `register` takes for it, with their types. `docs/plugins.md` says what each means.
CAPABILITIES: Mapping[str, Mapping[str, type]] = {
    "agent": {**_ANY_KIND, "roles": tuple, "words": bool, "prices": bool, "requires": str},
    "decoder": {
        **_ANY_KIND,
        "takes_beliefs": bool,
        "near_ml": bool,
        "slow": bool,
        "confidence": str,
        "explains": bool,
        "solutions": bool,
    },
    "verifier": _ANY_KIND,
    "stage": _ANY_KIND,
    "code": {**_ANY_KIND, "files": tuple},
    "executor": {**_ANY_KIND, "check_with": dict},
    "host": {**_ANY_KIND, "domains": tuple, "tokens": tuple, "job": tuple},
    "command": _ANY_KIND,
}


@hookspec
def autoqec_register_agents(register: Register) -> None:
    """Agents that play ideator, coder or analyst: `factory(**options) → autoqec.agents.Agent`."""


@hookspec
def autoqec_register_decoders(register: Register) -> None:
    """Classical decoders: `factory(**fields) → autoqec.decoding.Decoder`."""


@hookspec
def autoqec_register_verifiers(register: Register) -> None:
    """Verifiers: `factory(**fields) → autoqec.scoring.Verifier`."""


@hookspec
def autoqec_register_stages(register: Register) -> None:
    """Stage kinds of a predecoder: `factory() → autoqec.candidate.StageKind`."""


@hookspec
def autoqec_register_codes(register: Register) -> None:
    """Codes: `factory() → autoqec.problem.Code`."""


@hookspec
def autoqec_register_executors(register: Register) -> None:
    """Executors that run tasks, local processes by default: `factory(jobs, **options) → autoqec.scoring.Executor`."""


@hookspec
def autoqec_register_hosts(register: Register) -> None:
    """Hosts of git repositories: `factory(server, repository, token, api_url) → autoqec.hosting.Host`."""


@hookspec
def autoqec_register_commands(register: Register) -> None:
    """Subcommands of `autoqec`: `factory` is a click.Command."""


@hookspec
def autoqec_round_event(event: dict[str, Any]) -> None:
    """Called with each event of a round (`{"event": "step", "step": "train", …}`): for progress displays and trackers."""
