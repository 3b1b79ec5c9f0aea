"""Builds an agent's context in a round: the run's history from git, the front, the machine, and the remaining budget."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.budget import left, spent_on
from autoqec.agents.context_parts import BudgetLeft, KilledRound, MachineFacts, ProfileLimits, RoundTiming, UnseenRound
from autoqec.agents.past_rounds import failed_composes, past_rounds
from autoqec.candidate.installed_stages import formats, stage_kinds
from autoqec.history import RoundRecord, dropped_snapshot, read_candidate, read_committed, trusted_events
from autoqec.loop.round_view import RoundView, round_view
from autoqec.loop.rounds_beside import open_rounds
from autoqec.loop.session import Session
from autoqec.loop.tracing import run_calls
from autoqec.problem.streams import derive_key, derive_seed
from autoqec.results.head_to_head import HeadToHead, head_to_heads
from autoqec.results.lab_front import Front, entrant, front_of
from autoqec.results.round_results import read_results

#: The lab owner's instructions to the agents, as committed.
STEERING_FILE = ".autoqec/steering.md"

_STEERING_BYTES = 20_000

#: How many rounds of which nothing is known the context names.
_UNSEEN = 16

#: How many past rounds' durations the context contains.
_TIMINGS = 32


def build_context(session: Session, number: int, limits: ProfileLimits, **fields: Any) -> Context:
    """The context of a role in a round.

    Args:
        session: Where.
        number: The round.
        limits: Its profile.
        fields: More fields of the context, those that belong to the role.
    """
    # Of this environment, one run's rounds and no other's: a seed then gives the same rounds in any lab without the family.
    view = round_view(session, number)
    decoder = session.registry.get("decoder", session.environment.environment.decoder.kind)
    past = past_rounds(view.closed, lambda commit: read_candidate(session.ledger, commit))
    beside = open_rounds(session, view)
    return Context(
        environment=session.environment.environment.model_dump(mode="json"),
        run=session.run.name,
        round=number,
        seed=_agent_seed(session, number),
        stages=stage_kinds(session.registry),
        formats=formats(decoder.capabilities.get("confidence"), solutions=bool(decoder.capabilities.get("solutions"))),
        limits=limits,
        history=past,
        open_rounds=beside,
        unseen=unseen_rounds(session, view, beside),
        front=agents_front(session, view.closed),
        failed_composes=failed_composes(past),
        machine=_machine(past),
        budget=_budget(session),
        steering=read_steering(session),
        **fields,
    )


def unseen_rounds(session: Session, view: RoundView, beside: Iterable[PastRound]) -> tuple[UnseenRound, ...]:
    """The rounds below a round's number that it knows nothing of, neither closed nor open; the newest, and none that was dropped.

    Clones that share a run claim numbers on its remote, and send their ideas there when a round ends.
    """
    seen = {record.number for record in view.closed} | {int(past.name.split("/")[1]) for past in beside}
    missing = [each for each in range(1, view.number) if each not in seen]
    if missing:
        gone = dropped_snapshot(session.ledger).runs.get(session.run.name, {})
        missing = [each for each in missing if each not in gone]
    return tuple({"round": each, "seed": _agent_seed(session, each)} for each in missing[-_UNSEEN:])


def _agent_seed(session: Session, number: int) -> int:
    return derive_seed(round_key(session, number), "agent", 0)


def agents_front(session: Session, records: Sequence[RoundRecord]) -> tuple[str, ...]:
    """The front of the run; on recorded shots all VERIFIED rounds, because the front depends on figures of the holdout."""
    if session.recording is None:
        return run_front(session, records).names
    verdicts = ((record, read_results(record).verdict) for record in records)
    return tuple(f"{record.run}/{record.number}" for record, verdict in verdicts if verdict and verdict.verified)


def round_key(session: Session, number: int) -> bytes:
    """The key of all random draws in a round, except the verifier's shots."""
    return derive_key(session.run_seed, "round", number)


def read_steering(session: Session) -> str:
    """The lab owner's instructions to the agents, as at HEAD; empty if there are none."""
    data = read_committed(session.ledger, "HEAD", STEERING_FILE) or b""
    return data[:_STEERING_BYTES].decode("utf-8", "replace")


def run_front(session: Session, records: Sequence[RoundRecord]) -> Front:
    """The front of the run's VERIFIED rounds, as `autoqec pareto --run` has it."""
    entrants = []
    for record in records:
        results = read_results(record)
        found = entrant(f"{record.run}/{record.number}", record.commit, results.verdict, results.metrics)
        if found is not None:
            entrants.append(found)

    def decided(commits: Collection[str]) -> dict[str, list[HeadToHead]]:
        return head_to_heads(trusted_events(session.ledger, session.run.name, commits))

    return front_of(entrants, decided)


def _machine(past: Sequence[PastRound]) -> MachineFacts:
    # A round that its screen ended did a tenth of its training, so its times say little of a whole round.
    scored = [(each.name, each.metrics) for each in past if each.metrics and not each.metrics.screened_out]
    timings: list[RoundTiming] = [
        {
            "round": name,
            "params": metrics.costs.params,
            "flops_per_shot": metrics.costs.flops_per_shot,
            "train_seconds": metrics.costs.train_seconds,
            "score_seconds": metrics.costs.score_seconds,
            "latency_us_per_shot": metrics.costs.latency_us_per_shot,
        }
        for name, metrics in scored
    ]
    killed: list[KilledRound] = [
        {"round": each.name, "reason": each.reason} for each in past if each.status == "killed_by_safety"
    ]
    devices = [metrics.training.device for _, metrics in scored]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "device": next((device for device in reversed(devices) if device), None),
        "timings": timings[-_TIMINGS:],
        "killed": killed[-_TIMINGS:],
    }


def _budget(session: Session) -> BudgetLeft:
    found: BudgetLeft = {}
    if session.rounds_left is not None:
        found["rounds"] = session.rounds_left
    if session.deadline is not None:
        found["seconds"] = max(0, round(session.deadline - time.monotonic()))
    limits = session.limits
    if limits:
        found |= left(limits, spent_on(run_calls(session.ledger, session.run.name)))
    return found
