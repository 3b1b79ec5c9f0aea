"""A ready context for `check_agent`: the one of the Ideator in a first round on the tiny environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoqec.agents.agent_contract import Context
from autoqec.candidate.installed_stages import formats, stage_kinds
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.testing.tiny import TINY_ENVIRONMENT


def tiny_context(registry: Registry | None = None, **fields: Any) -> Context:
    """The context of an agent in the first round of a run on the tiny environment.

    Args:
        registry: The plugins whose stage kinds the context lists; the installed ones by default.
        fields: Fields of the context to change.
    """
    loaded = environment_from_files({ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, origin="the tiny environment")
    context = Context(
        environment=loaded.environment.model_dump(mode="json"),
        run="tiny-0000",
        round=1,
        seed=2024,
        stages=stage_kinds(registry or load_plugins()),
        formats=formats("gap"),
        limits={"train_shots": 1024, "train_seconds": 60.0, "score_shots": 20_000},
        machine={"cores": 1, "memory_gib": 4.0, "device": None, "timings": [], "killed": []},
    )
    return replace(context, **fields)
