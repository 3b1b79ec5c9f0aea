"""Records rounds without running them, for tests of code that reads history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoqec import history
from autoqec.history import Ledger, Run
from autoqec.json_values import JsonObject
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.testing.tiny import TINY_ENVIRONMENT
from autoqec.testing.whole_notes import completed_metrics, completed_verdict


def figures(**changes: Any) -> dict[str, Any]:
    """The figures of a scored round, as its notes and JSON objects have them, with some of them changed."""
    known: dict[str, Any] = {
        "shots": 200_704, "ler_baseline": 0.0141, "ler_candidate": 0.00995,
        "delta_ler": 0.00415, "delta_ler_ci": [0.0034, 0.0049], "ler_ratio": 0.705, "ler_ratio_ci": [0.66, 0.75],
        "flops_per_shot": 2_100_111, "params": 969, "latency_us_per_shot": 79.4, "train_seconds": 33.0, "score_seconds": 16.0,
    }  # fmt: skip
    return known | changes


def record_run(ledger: Ledger, name: str) -> Run:
    """Start a run of the tiny environment from the lab's HEAD."""
    from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files

    files = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}
    loaded = environment_from_files(files, origin=name)
    base = history.resolve_commit(ledger, "HEAD")
    return history.start_run(
        ledger, name, base=base, env_name=loaded.name, env_id=loaded.identity, env_files=files, settings={}
    )


def record_round(
    ledger: Ledger,
    run: Run,
    files: Mapping[str, bytes],
    *,
    parents: Sequence[str] = (),
    hypothesis: str = "an idea",
    weights: bytes | None = None,
    metrics: JsonObject | None = None,
    verdict: JsonObject | None = None,
    close: bool = True,
) -> str:
    """Record the run's next round: a claim, a commit and the given records.

    Args:
        ledger: The lab.
        run: The run.
        files: The candidate's files by path.
        parents: Commits that it forks or composes.
        hypothesis: Its hypothesis.
        weights: Its weights, as safetensors bytes.
        metrics: Its metrics note; figures without counts get counts that come near to them.
        verdict: Its verdict note; one without evidence gets some that it follows from.
        close: Whether to close the claim.

    Returns:
        The round's commit.
    """
    claim = history.claim_round(ledger, run.name)
    identity = history.RoundIdentity(
        run=run.name,
        round=claim.number,
        attempt=claim.attempt,
        env=f"{run.env_name}@sha256:{run.env_id}",
        fork_from=tuple(parents),
        compose="none",
        agent="search",
        hypothesis=hypothesis,
    )
    commit = history.commit_round(
        ledger, identity, base=run.base, parents=parents, files=files, subject="a round", body=""
    )
    if weights is not None:
        history.attach(ledger, "artifacts", run.name, claim.number, {"weights.safetensors": weights})
    sealed = SealedCandidate(files, weights or b"")
    about = {"candidate": sealed.digest, "weights_sha256": sealed.weights_sha256}
    if metrics is not None:
        about["weights_sha256"] = str(metrics.get("weights_sha256", about["weights_sha256"]))
        noted = history.append_note(ledger, run.name, "metrics", commit, completed_metrics(metrics))
        about["metrics"] = noted["id"]
    if verdict is not None:
        about |= {"commit": commit, "environment": run.env_id}
        history.append_note(ledger, run.name, "verdict", commit, completed_verdict(verdict, about))
    if close:
        history.close_claim(ledger, claim, status="ok", commit=commit)
    return commit
