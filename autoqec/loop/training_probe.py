"""How long training would take: the first candidate that the built-in agent proposes is trained for two seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from autoqec.agents.agent_contract import Context, Role, ignore
from autoqec.agents.asking import validated
from autoqec.agents.calls import as_reply
from autoqec.candidate.installed_stages import formats, stage_kinds
from autoqec.config import BUILTIN
from autoqec.errors import AutoQECError
from autoqec.plugins import Registry
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import LoadedEnvironment
from autoqec.runner.reading import canonical_candidate
from autoqec.runner.train import Limits, train_candidate
from autoqec.sandbox.stage_files import needs_lock, stages_to_warm_up
from autoqec.settings_schema import Profile

#: Seconds of steps that are measured.
_SECONDS = 2.0


class _EnoughError(Exception):
    """Enough was measured."""


@dataclass
class TrainingSpeed:
    """What training reports, until enough was measured.

    Attributes:
        wanted: Seconds to measure.
        began: When the first step was done; None before. What is compiled for the first time is in that step.
        shots, seconds: What was done after it, and in which time.
        total: Shots that are planned in all.
    """

    wanted: float = _SECONDS
    began: float | None = None
    shots: int = 0
    seconds: float = 0.0
    total: int = 0
    _before: int = 0

    def report(self, fields: Mapping[str, Any]) -> None:
        """Take a report of training; raises inside of `enough` once enough was measured."""
        now = time.monotonic()
        if not fields["shots"]:
            return
        if self.began is None:
            self.began, self._before = now, fields["shots"]
        self.shots, self.seconds = fields["shots"] - self._before, now - self.began
        self.total = fields["shots"] * fields["planned"] // max(fields["step"], 1)
        if self.shots and self.seconds >= self.wanted:
            raise _EnoughError

    @contextmanager
    def enough(self) -> Iterator[None]:
        """End the training in the block once enough was measured."""
        with suppress(_EnoughError):
            yield

    @property
    def per_second(self) -> float | None:
        """Shots a second; None where none was trained on."""
        return self.shots / self.seconds if self.shots and self.seconds else None


def seconds_of_training(loaded: LoadedEnvironment, registry: Registry, profile: Profile) -> float | None:
    """Seconds of training by the wall, at most the profile's limit; None where nothing could be trained.

    Args:
        loaded: The environment.
        registry: Installed plugins.
        profile: How much a round may spend.
    """
    speed = TrainingSpeed()
    try:
        files = canonical_candidate(first_candidate(loaded, registry, profile), registry)
        problem = build_problem(loaded, registry.maker("code"))
        with speed.enough():
            train_candidate(
                files,
                [str(problem.dem)],
                loaded.environment.decoder.model_dump(),
                stages=stages_to_warm_up(files, registry),
                parents=b"",
                seed=os.urandom(32),
                max_shots=profile.train_shots,
                inherit=False,
                locked=needs_lock(files, registry),
                limits=Limits(profile.train_seconds, int(profile.memory_gib * 2**30)),
                report=speed.report,
            )
    except AutoQECError:
        return None
    rate = speed.per_second
    return None if rate is None else min(profile.train_seconds, speed.total / rate)


def first_candidate(loaded: LoadedEnvironment, registry: Registry, profile: Profile) -> dict[str, bytes]:
    """The files of the first candidate that the agent proposes which needs neither network nor key."""
    name = BUILTIN["ideator"]
    decoder = registry.get("decoder", loaded.environment.decoder.kind).capabilities
    told: dict[str, Any] = {
        "environment": loaded.environment.model_dump(mode="json"),
        "run": "check",
        "round": 1,
        "seed": 1,
        "stages": stage_kinds(registry),
        "formats": formats(decoder.get("confidence"), solutions=bool(decoder.get("solutions"))),
        "limits": profile.model_dump(),
    }
    agent = registry.get("agent", str(name)).create()

    def reply(role: Role, **more: Any) -> Any:
        return validated(role, as_reply(agent.reply(role, Context(**told, **more), ignore)).message)

    idea = reply("ideator")
    proposal = reply("coder", hypothesis=idea.model_dump(mode="json"), parent_files={})
    return {path: text.encode() for path, text in proposal.complete({}).items()}
