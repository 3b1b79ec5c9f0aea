"""Has a round verified: numbers and notes the attempt before it begins, and notes the verdict afterwards."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.errors import AutoQECError, BudgetSpentError, UsageError
from autoqec.history import append_note, read_notes, write_lock
from autoqec.history.rounds.signatures import sign
from autoqec.loop.parents import composed_parents, sealed_parents
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import Choice
from autoqec.results.statistics import next_attempt
from autoqec.results.verdict import Verdict
from autoqec.results.verification_events import Begun, parse_begun, verified_commits
from autoqec.scoring.verification import verify_in_process
from autoqec.scoring.verifier_contract import VerificationRequest

_NEW_RUN = "start a new run, which has a budget of its own: autoqec round --new"


@dataclass(frozen=True)
class Asked:
    """Options of a verification beyond the environment's protocol; see `VerificationRequest`."""

    max_shots: int | None = None
    alpha: float | None = None
    beacon: str = ""
    full_certificate: bool = False
    max_seconds: float | None = None  # None for the profile's; 0 for no limit


def judge(session: Session, state: RoundState, asked: Asked = Asked(), *, replay: Verdict | None = None) -> Verdict:
    """Verify a round now, even if it has a verdict, and note the verdict.

    The attempt is noted before it begins, because an attempt that crashes has spent its share of the error budget too. An
    undecided verdict is noted, but does not replace an earlier one.

    Args:
        session: Where.
        state: The round; it must have weights.
        asked: Options that differ from the environment's protocol.
        replay: A verdict whose holdout key, attempt and limits are used again; the outcome is then not noted.

    Returns:
        The verdict as it was noted.

    Raises:
        UsageError: A level is asked for that is above the environment's.
    """
    protocol = session.environment.environment.protocol
    if asked.alpha is not None and asked.alpha > protocol.alpha:
        raise UsageError(
            f"--alpha {asked.alpha:g} is above protocol.alpha {protocol.alpha:g} of the environment, which its runs promise",
            hint=f"--alpha {protocol.alpha:g} or less",
        )
    composed = composed_parents(session.ledger, state.claim.run, state.claim.number)
    request = VerificationRequest(
        environment=session.environment,
        sealed=state.sealed,
        commit=str(state.commit),
        max_shots=min(protocol.max_shots, asked.max_shots or protocol.max_shots),
        alpha=asked.alpha,
        beacon=asked.beacon,
        full_certificate=asked.full_certificate,
        strong_reference=session.settings["strong_reference"] or None,
        parents=sealed_parents(session.ledger, composed),
        max_seconds=_or_else(asked.max_seconds, session.settings.profile.verify_seconds) or None,
    )
    identity = uuid.uuid4().hex
    if replay is None:
        _check_strong_reference(session)
        request = _begin_attempt(session, state, request, identity)
    else:
        request = _asked_again(request, replay)
    verdict = verify_in_process(
        request,
        verifier=session.settings["verifier"],
        executor=session.settings["executor"],
        jobs=session.settings.jobs,
        report=lambda fields: session.event("verify", **fields),
    )
    limits = session.environment.environment.constraints
    noted = verdict.noted(
        id=identity,
        verifier=session.settings["verifier"],
        commit=state.commit,
        metrics=state.metrics.measured.id if state.metrics else None,  # the metrics that count at this time
        # Note the limits beside the verdict of any verifier: the front checks the figures against them again.
        constraints=limits.model_dump(),
    )
    if replay is not None:
        return noted
    if verdict.reason == "undecided" and state.verdict is not None:
        noted = noted.noted(event="undecided")
    if session.settings["signing_key"]:
        noted = noted.noted(signature=sign(noted.to_note(), Path(session.settings["signing_key"]).expanduser()))
    note = append_note(session.ledger, state.claim.run, "verdict", str(state.commit), noted.to_note())
    return Verdict.from_dict(note)


def _asked_again(request: VerificationRequest, replay: Verdict) -> VerificationRequest:
    """The request that a verdict answered.

    Raises:
        UsageError: The verdict does not say how it was reached.
    """
    attempt = replay.evidence.attempt
    if attempt is None or attempt.max_shots is None or not _is_key(attempt.seed_key):
        raise UsageError(
            "this verdict does not say how it was reached, so it cannot be replayed", hint="autoqec verify ROUND"
        )
    share = replay.evidence.share_of_gap
    return replace(
        request,
        seed_key=bytes.fromhex(attempt.seed_key),
        attempt=attempt.attempt,
        verified_before=attempt.verified_before,
        max_shots=attempt.max_shots,
        alpha=attempt.alpha,
        beacon=attempt.beacon,
        full_certificate=attempt.full_certificate,
        # Where its clock ran out the counts stop; a replay stops there by the shots, and has no clock of its own.
        max_seconds=None,
        stop=replay.evidence.out_of_time,
        strong_reference=share.reference if share else None,
    )


def _is_key(text: str) -> bool:
    return re.fullmatch("([0-9a-f]{2})+", text) is not None


def _or_else(value: float | None, other: float) -> float:
    return other if value is None else value


def _check_strong_reference(session: Session) -> None:
    """Refuse a decoder that cannot run, before an attempt is spent: it would run last.

    Raises:
        AutoQECError: There is no such decoder, not for this problem, or its package is not installed.
    """
    kind = session.settings["strong_reference"]
    if kind:
        problem = build_problem(session.environment, session.registry.maker("code"))
        try:
            compile_decoder(Choice(kind=kind), problem, session.registry)
        except AutoQECError as error:
            raise error.at("strong_reference") from error


def _begin_attempt(
    session: Session, state: RoundState, request: VerificationRequest, identity: str
) -> VerificationRequest:
    """Number the attempt and note its start, under one lock: two concurrent verifiers must not share a number.

    Two clones still may share one; after a pull both attempts count, whatever their numbers.

    Raises:
        BudgetSpentError: The run's error budget is spent, by clones that did not know of each other.
    """
    with write_lock(session.ledger):
        notes = [note for notes in read_notes(session.ledger, state.claim.run, "verdict").values() for note in notes]
        begun = [event.attempt for note in notes if (event := parse_begun(note))]
        attempt = next_attempt(begun)
        if attempt is None:
            raise BudgetSpentError(
                f"the error budget of run {state.claim.run} is spent, by {len(begun)} verifications", hint=_NEW_RUN
            )
        request = replace(request, attempt=attempt, verified_before=len(verified_commits(notes)))
        event = Begun.now(attempt, identity, session.settings["verifier"])
        append_note(session.ledger, state.claim.run, "verdict", str(state.commit), event.to_note())
    return request
