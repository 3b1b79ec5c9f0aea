"""Comparison of agents at equal compute: each agent and seed has its own run; existing rounds are not run again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autoqec.agents.agent_contract import ROLES
from autoqec.agents.budget import spent_on
from autoqec.agents.past_rounds import past_rounds
from autoqec.config import Setting, Settings
from autoqec.errors import AutoQECError, BudgetSpentError, UsageError
from autoqec.history import Ledger, RoundRecord, list_runs, read_history, trusted_events
from autoqec.loop.many_rounds import run_rounds
from autoqec.loop.one_round import interrupted_rounds, resume_round
from autoqec.loop.session import Session
from autoqec.loop.tracing import run_calls
from autoqec.plugins import Registry
from autoqec.results.agent_comparison import ArmResult, Tried
from autoqec.results.head_to_head import head_to_heads
from autoqec.results.lab_front import entrant
from autoqec.results.round_results import read_results

_NAME_LENGTH = 40


@dataclass(frozen=True)
class Arm:
    """One agent with one seed.

    Attributes:
        agent: The agent's name as in the settings.
        seed: The seed of its run.
        run: The run's name.
    """

    agent: str
    seed: int
    run: str


def plan_arms(env: str, agents: Sequence[str], seeds: int) -> list[Arm]:
    """Return every agent with every seed from 1, seed by seed, so that an interrupted comparison is balanced so far.

    Raises:
        UsageError: No agent is named, or one twice.
    """
    if not agents:
        raise UsageError("--agents names no agent", hint="--agents search,random")
    if len(set(agents)) != len(agents):
        raise UsageError(f"--agents {','.join(agents)}: name each agent once", hint="--agents search,random")
    return [Arm(agent, seed, run_name(env, agent, seed)) for seed in range(1, seeds + 1) for agent in agents]


def run_name(env: str, agent: str, seed: int) -> str:
    """Return `cmp-<env>-<agent>-s<seed>` with characters of run names; a hash replaces parts that do not fit."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{env}-{agent}".lower()).strip("-")
    name, tail = f"cmp-{plain}-s{seed}", f"-s{seed}"
    if len(name) <= _NAME_LENGTH and plain == f"{env}-{agent}".replace("_", "-"):
        return name
    digest = hashlib.sha256(f"{env} {agent}".encode()).hexdigest()[:6]
    kept = plain[: _NAME_LENGTH - len(f"cmp--{digest}{tail}")].strip("-")
    return f"cmp-{kept}-{digest}{tail}"


def arm_settings(settings: Settings, registry: Registry, arm: Arm, used: float) -> Settings:
    """Return the settings of an arm: its agent in every role that it supports, no patience limit, the remaining time.

    The lab's own agents act in the roles that the arm's agent does not support.

    Args:
        settings: The settings of the comparison.
        registry: Installed plugins.
        arm: The arm.
        used: Seconds that its rounds took so far.

    Raises:
        BudgetSpentError: The arm has used all its time.
    """
    if settings["max_wall"] and used >= settings["max_wall"]:
        raise BudgetSpentError(
            f"its rounds took {used:.0f} of the {settings['max_wall']:g} seconds of max_wall", hint="--max-wall SECONDS"
        )
    plays = registry.get("agent", arm.agent).capabilities.get("roles", ROLES)
    changed: dict[str, Any] = {role: arm.agent for role in ROLES if role in plays}
    changed["patience"] = 0
    if settings["max_wall"]:
        changed["max_wall"] = settings["max_wall"] - used
    values = {name: Setting(value, "autoqec agents compare") for name, value in changed.items()}
    # The options are for the lab's own agents; other agents do not accept them.
    options = {
        role: table for role, table in settings.agents.items() if settings[role] == changed.get(role, settings[role])
    }
    return replace(settings, values={**settings.values, **values}, agents=options)


def rounds_of(ledger: Ledger, arm: Arm) -> list[RoundRecord]:
    """Return an arm's closed rounds, oldest first; empty if its run does not exist yet."""
    if not any(run.name == arm.run for run in list_runs(ledger)):
        return []
    return [r for r in read_history(ledger, arm.run) if r.claim is not None and r.claim.state == "closed"]


def seconds_of(records: Sequence[RoundRecord]) -> float:
    """Return the total duration of rounds in seconds."""
    return sum(past.seconds or 0.0 for past in past_rounds(records, lambda commit: {}))


def run_arm(session: Session, arm: Arm, rounds: int, finished: Callable[[RoundRecord], None]) -> None:
    """Run an arm up to a number of rounds: first resume interrupted rounds, then run new ones.

    Args:
        session: The session of the arm's run, with its settings.
        arm: The arm.
        rounds: The total number of rounds.
        finished: Called with each finished round.

    Raises:
        UsageError: Its rounds so far have another profile.
        AutoQECError: Another process is working on one of its rounds.
        BudgetSpentError, AgentUnavailable: As for `run_rounds`.
    """
    profile = session.settings.profile.model_dump()
    for record in session.records():
        had = record.claim.details.get("profile") if record.claim else None
        if had not in (None, profile):
            raise UsageError(
                f"round {arm.run}/{record.number} has another profile",
                hint="compare in a separate lab: autoqec init DIR",
            )
        if record.status == "open":
            raise AutoQECError(
                f"another process is working on round {arm.run}/{record.number}", hint="wait until that process ends"
            )
    for claim in interrupted_rounds(session.ledger, arm.run):
        session.rounds_left = rounds - claim.number + 1
        finished(resume_round(session, claim))
    missing = rounds - len(rounds_of(session.ledger, arm))
    if missing > 0:
        run_rounds(session, missing, finished)


def arm_result(ledger: Ledger, arm: Arm, rounds: int) -> ArmResult:
    """The results of an arm after at most so many rounds, from git alone."""
    records = rounds_of(ledger, arm)[:rounds]
    spent = spent_on(call for call in run_calls(ledger, arm.run) if call.round in {r.number for r in records})
    tried, seconds, at_once = [], 0.0, 1
    for record, past in zip(records, past_rounds(records, lambda commit: {}), strict=True):
        seconds += past.seconds or 0.0
        at_once = max(at_once, 1 + len(past.beside))
        tried.append(_tried(record, seconds))
    commits = [record.commit for record in records if record.commit]
    events = trusted_events(ledger, arm.run, commits)
    cost = None if spent.unpriced else round(spent.cost, 6)
    return ArmResult(arm.agent, arm.seed, arm.run, tuple(tried), spent.tokens, cost, head_to_heads(events), at_once)


def _tried(record: RoundRecord, seconds: float) -> Tried:
    results, name = read_results(record), f"{record.run}/{record.number}"
    verdict = results.verdict
    tried = Tried(record.number, record.status, verdict.verdict if verdict else None, round(seconds, 3))
    standing = entrant(name, record.commit, verdict, results.metrics)
    if verdict is None or standing is None or verdict.figures is None:
        return tried
    return replace(tried, gain=verdict.figures.gain, entrant=standing, counts=verdict.extension)
