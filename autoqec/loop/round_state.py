"""The state of one round, read from git. It decides which step comes next; no other state exists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel

from autoqec.agents.agent_contract import Role
from autoqec.agents.context_parts import HypothesisMessage, ProposalMessage
from autoqec.errors import NotFoundError
from autoqec.history import (
    Claim,
    Ledger,
    attach,
    find_record,
    find_round,
    read_attachment,
    read_candidate,
    read_claim,
)
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.json_values import JsonObject
from autoqec.results.analysis import Analysis
from autoqec.results.metrics import Metrics
from autoqec.results.round_results import RoundResults, read_results
from autoqec.results.trust.line_trust import Standing
from autoqec.results.verdict import Verdict, parse_verdict
from autoqec.sandbox.sealed import SealedCandidate

TRAINING_FILE = "training.json"

#: In the place of an agent's name, if a person gave the hypothesis or the candidate.
PERSON = "person"


class TrainingRecord(TypedDict):
    """What `training.json` keeps of a training: telemetry, costs, the problem it was for; sandbox and screen if it had any."""

    telemetry: JsonObject
    cost: Mapping[str, int]
    fingerprint: NotRequired[str]
    lock: NotRequired[JsonObject]
    rung: NotRequired[JsonObject]


@dataclass(frozen=True)
class RoundState:
    """The parts of a round in git.

    Attributes:
        claim: The claim; always there.
        hypothesis: The Ideator's message, once given.
        proposal: The Coder's message, once given.
        commit: The round's commit, once made.
        files: The candidate's files at that commit.
        weights: safetensors bytes, once trained.
        training: Telemetry and cost of training.
        metrics, analysis, verdict: What the notes on the commit that count say.
        trust: The state of that verdict; if none counts, of the one that comes nearest to it. None if there is none.
        standings: The state of each line of its verdict note.
    """

    claim: Claim
    hypothesis: HypothesisMessage | None
    proposal: ProposalMessage | None
    commit: str | None
    files: Mapping[str, bytes]
    weights: bytes | None
    training: TrainingRecord | None
    metrics: Metrics | None
    analysis: Analysis | None
    verdict: Verdict | None
    trust: Standing | None = None
    standings: tuple[Standing, ...] = ()

    @property
    def sealed(self) -> SealedCandidate:
        """The candidate as it is scored: files and weights, nothing else."""
        return SealedCandidate(self.files, self.weights or b"")


def _json(files: Mapping[str, bytes], name: str) -> Any:
    return dict(json.loads(files[name])) if name in files else None


def read_state(ledger: Ledger, run: str, number: int) -> RoundState:
    """Read a round.

    Raises:
        NotFoundError: The round was never claimed.
    """
    claim = read_claim(ledger, run, number)
    traces = read_attachment(ledger, "traces", run, number)
    artifacts = read_attachment(ledger, "artifacts", run, number)
    try:
        commit = find_round(ledger, run, number)
    except NotFoundError:
        commit = None
    record = find_record(ledger, run, number)
    results = read_results(record) if commit is not None and record.commit == commit else RoundResults()
    return RoundState(
        claim=claim,
        hypothesis=_json(traces, "ideator.json"),
        proposal=_json(traces, "coder.json"),
        commit=commit,
        files=read_candidate(ledger, commit) if commit else {},
        weights=artifacts.get(WEIGHTS_FILE),
        training=_json(artifacts, TRAINING_FILE),
        metrics=results.metrics,
        analysis=results.analysis,
        verdict=results.verdict,
        trust=record.trust,
        standings=record.standings,
    )


def save_message(ledger: Ledger, claim: Claim, role: Role, message: BaseModel) -> None:
    """Store an agent's validated message before it is used."""
    data = json.dumps(message.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"
    attach(ledger, "traces", claim.run, claim.number, {f"{role}.json": data})


def find_verdict(state: RoundState, seed_key: str) -> tuple[Verdict, Standing]:
    """The verdict of a round that was reached on the shots of a holdout key, and its state; one that counts, if there is one.

    Raises:
        NotFoundError: The round has none with that key.
    """
    for standing in sorted(state.standings, key=lambda each: not each.counts):
        verdict = parse_verdict(standing.record).record
        if verdict is not None and (attempt := verdict.evidence.attempt) and attempt.seed_key == seed_key:
            return verdict, standing
    name = f"{state.claim.run}/{state.claim.number}"
    raise NotFoundError(f"round {name} has no verdict with that key", hint=f"autoqec show {name}")
