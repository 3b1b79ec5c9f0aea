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
    effective,
    find_round,
    read_attachment,
    read_candidate,
    read_claim,
    read_notes,
)
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.history.rounds.notes import NOTE_KINDS
from autoqec.json_values import JsonObject
from autoqec.results.analysis import Analysis
from autoqec.results.metrics import Metrics
from autoqec.results.round_results import RoundResults, read_results
from autoqec.results.verdict import Verdict, parse_verdict
from autoqec.sandbox.sealed import SealedCandidate

TRAINING_FILE = "training.json"


class TrainingRecord(TypedDict):
    """What `training.json` keeps of a training: telemetry, costs, the problem it was for, and the sandbox if there was one."""

    telemetry: JsonObject
    cost: Mapping[str, int]
    fingerprint: NotRequired[str]
    lock: NotRequired[JsonObject]


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

    @property
    def sealed(self) -> SealedCandidate:
        """The candidate as it is scored: files and weights, nothing else."""
        return SealedCandidate(self.files, self.weights or b"")


def _json(files: Mapping[str, bytes], name: str) -> Any:
    return dict(json.loads(files[name])) if name in files else None


@dataclass(frozen=True)
class _Notes:
    """The notes on a round's commit that count."""

    metrics: Any = None
    analysis: Any = None
    verdict: Any = None


def _results(ledger: Ledger, run: str, commit: str | None) -> RoundResults:
    if commit is None:
        return RoundResults()
    found = {kind: effective(read_notes(ledger, run, kind).get(commit, [])) for kind in NOTE_KINDS}
    return read_results(_Notes(**found))


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
    results = _results(ledger, run, commit)
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
    )


def save_message(ledger: Ledger, claim: Claim, role: Role, message: BaseModel) -> None:
    """Store an agent's validated message before it is used."""
    data = json.dumps(message.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"
    attach(ledger, "traces", claim.run, claim.number, {f"{role}.json": data})


def find_verdict(ledger: Ledger, state: RoundState, seed_key: str) -> Verdict:
    """The verdict of a round that was reached on the shots of a holdout key.

    Raises:
        NotFoundError: The round has none with that key.
    """
    run, number = state.claim.run, state.claim.number
    for note in read_notes(ledger, run, "verdict").get(str(state.commit), []):
        verdict = parse_verdict(note).record
        if verdict is not None and (attempt := verdict.evidence.attempt) and attempt.seed_key == seed_key:
            return verdict
    raise NotFoundError(f"round {run}/{number} has no verdict with that key", hint=f"autoqec show {run}/{number}")
