"""Says whether what is about to be judged is what was scored: weights, candidate, environment and commit of a round.

Weights hang off a ref that anyone who can write to the repository can move. If they are replaced after scoring, a verdict on them
would agree with everything that comes later. So nothing is judged that the round's metrics and run do not name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autoqec.errors import AutoQECError
from autoqec.history import Ledger, Run, find_record, load_run, parse_round_name
from autoqec.loop.round_state import RoundState, read_state
from autoqec.loop.session import run_environment
from autoqec.results.metrics import Metrics
from autoqec.results.verdict import Verdict
from autoqec.sandbox.sealed import SealedCandidate


class IdentityMismatchError(AutoQECError):
    """What is to be judged is not what was scored. Nothing is judged, and no attempt is spent."""

    code = "identity_mismatch"


def require_identity(ledger: Ledger, run: Run, state: RoundState, replay: Verdict | None = None) -> None:
    """Refuse to judge a round whose parts are not those that its metrics and its run name.

    Args:
        ledger: The lab.
        run: The round's run.
        state: The round, with weights.
        replay: A verdict that is to be replayed; it must be about these parts too.

    Raises:
        IdentityMismatchError: A part differs, or nothing says what it must be.
    """
    name = f"{run.name}/{state.claim.number}"
    found = [*identity_faults(ledger, run, state)]
    if replay is not None:
        found += [
            f"{part}: the verdict is about {said}, but the round has {own}"
            for part, said, own in _of(replay, run, state)
        ]
    if found:
        raise IdentityMismatchError(
            f"round {name} is not what was scored: {'; '.join(found)}",
            hint="autoqec fsck; restore the weights, for instance with autoqec pull --artifacts, or run a new round",
            about={"run": run.name, "round": state.claim.number},
        )


def identity_faults(ledger: Ledger, run: Run, state: RoundState) -> Iterator[str]:
    """What of a round is not what its metrics and its run say, `part: …`; of weights that are not here, nothing is said."""
    if state.weights is not None:
        yield from scored_faults(state.metrics, state.sealed)
    own = run_environment(run).identity
    if own != run.env_id:
        yield f"environment: the run names {run.env_id[:12]}, but its files are those of {own[:12]}"
    record = find_record(ledger, run.name, state.claim.number)
    if record.commit != state.commit:
        yield f"commit: the round's is {str(record.commit)[:12]}, but {str(state.commit)[:12]} was read"
    identity = record.identity
    if identity is None:
        yield f"commit: {str(state.commit)[:12]} does not say which round it is"
        return
    if identity.env.rpartition(":")[2] != run.env_id:
        yield f"environment: the commit names {identity.env.rpartition(':')[2][:12]}, but the run {run.env_id[:12]}"
    if (identity.run, identity.attempt) != (run.name, state.claim.attempt):
        yield f"commit: {str(state.commit)[:12]} is of another attempt, in run {identity.run}"


def scored_faults(metrics: Metrics | None, sealed: SealedCandidate) -> Iterator[str]:
    """Where a candidate and its weights are not those that metrics are about."""
    if metrics is None:
        yield "weights: no metrics say which weights were scored"
        return
    for part, said, own in (
        ("weights", metrics.measured.weights_sha256, sealed.weights_sha256),
        ("candidate", metrics.measured.candidate, sealed.digest),
    ):
        if said != own:
            yield f"{part}: the metrics are about {said[:12] or 'none'}, but the round has {own[:12]}"


def _of(verdict: Verdict, run: Run, state: RoundState) -> Iterator[tuple[str, str, str]]:
    evidence = verdict.evidence
    for part, said, own in (
        ("commit", evidence.commit, str(state.commit)),
        ("environment", evidence.environment, run.env_id),
        ("candidate", evidence.candidate, state.sealed.digest),
        ("weights", evidence.weights_sha256, state.sealed.weights_sha256),
    ):
        if said != own:
            yield part, said[:12] or "none", own[:12]


def sealed_parents(ledger: Ledger, names: Sequence[str]) -> dict[str, SealedCandidate]:
    """The parents of a composed round as they were sealed, those that have weights and were scored.

    Raises:
        IdentityMismatchError: A parent's parts are not those that were scored.
    """
    found: dict[str, SealedCandidate] = {}
    for name in names:
        run, number = parse_round_name(name)
        state = read_state(ledger, run, number)
        if state.weights is not None and state.metrics is not None:
            require_identity(ledger, load_run(ledger, run), state)
            found[name] = state.sealed
    return found
