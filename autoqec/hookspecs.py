"""Every extension point of AutoQEC on one page.

A plugin is a module named by an entry point in the group `autoqec`. It implements any of these hooks:

    from autoqec import hookimpl

    @hookimpl
    def autoqec_register_decoders(register):
        register("my_decoder", "my_package.decoder:MyDecoder", takes_beliefs=True)

`register(name, factory, **capabilities)` takes a callable or, better, a string `module:attribute` that is imported only
when the name is used. Names are unique per kind: a second one is an error that names both distributions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("autoqec")
hookimpl = pluggy.HookimplMarker("autoqec")

Register = Callable[..., None]


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
    """Executors that run tasks, local processes by default: `factory(jobs) → autoqec.scoring.Executor`."""


@hookspec
def autoqec_register_commands(register: Register) -> None:
    """Subcommands of `autoqec`: `factory` is a click.Command."""


@hookspec
def autoqec_round_event(event: dict[str, Any]) -> None:
    """Called with each event of a round (`{"event": "step", "step": "train", …}`): for progress displays and trackers."""
