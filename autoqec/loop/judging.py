"""Has a round verified: notes the intent before the holdout's key is drawn, and the verdict afterwards."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.errors import AutoQECError, BudgetSpentError, UsageError
from autoqec.history import attempts_of, looks_at, looks_of, read_chain, remember_heads, take_shared_number, write_lock
from autoqec.history.reading.trust_policy import trusted
from autoqec.loop.identity import require_identity, sealed_parents
from autoqec.loop.own_records import note_own, note_verdict
from autoqec.loop.parents import composed_parents
from autoqec.loop.preflight import NEW_RUN, NO_STRONG_REFERENCE, next_recorded_look, recording_spent, require_judge
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.problem.environment import Choice
from autoqec.results.audit import level_faults
from autoqec.results.statistics import attempt_share, look_share, next_attempt, next_look
from autoqec.results.verdict import Verdict
from autoqec.results.verification_events import Begun
from autoqec.scoring.verification import verify_in_process
from autoqec.scoring.verifier_contract import VerificationRequest


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

    The intent is noted before the key of the shots is drawn, because an attempt that crashes has spent its share of the error
    budget too, and because nobody must be able to try keys and keep the best. An undecided verdict is noted, but does not
    replace an earlier one.

    Args:
        session: Where.
        state: The round; it must have weights.
        asked: Options that differ from the environment's protocol.
        replay: A verdict whose holdout key, attempt and limits are used again; the outcome is then not noted.

    Returns:
        The verdict that this process reached, as it noted it, whatever else stands in the notes.

    Raises:
        UsageError: A level is asked for that is above the environment's.
        IdentityMismatchError: The round's parts are not those that were scored.
    """
    protocol = session.environment.environment.protocol
    if asked.alpha is not None and asked.alpha > protocol.alpha:
        raise UsageError(
            f"--alpha {asked.alpha:g} is above protocol.alpha {protocol.alpha:g} of the environment, which its runs promise",
            hint=f"--alpha {protocol.alpha:g} or less",
        )
    require_identity(session.ledger, session.run, state, replay)
    composed = composed_parents(session.ledger, state.claim.run, state.claim.number)
    request = VerificationRequest(
        environment=session.environment,
        sealed=state.sealed,
        commit=str(state.commit),
        max_shots=min(protocol.max_shots, asked.max_shots or protocol.max_shots),
        alpha=asked.alpha,
        beacon=asked.beacon,
        full_certificate=asked.full_certificate,
        strong_reference=strong_reference(session),
        parents=sealed_parents(session.ledger, composed),
        max_seconds=_or_else(asked.max_seconds, session.settings.profile.verify_seconds) or None,
    )
    # The limits are noted beside the verdict of any verifier: the front checks the figures against them again.
    about = {**_subject(session, state), "constraints": session.environment.environment.constraints.model_dump()}
    if replay is not None:
        if replay.evidence.intent:
            about["intent"] = replay.evidence.intent
        return _verify(session, _asked_again(request, replay)).noted(**about)
    require_judge(session)
    if not session.settings["signing_key"] and trusted(session.ledger).signed_only:
        session.event("verdict_unsigned", round=state.claim.number)
    begun, intent = begin_attempt(session, state)
    verdict = _verify(session, replace(request, attempt=begun.attempt, look=begun.look)).noted(**about, intent=intent)
    if verdict.reason == "undecided" and state.verdict is not None:
        verdict = verdict.noted(event="undecided")
    return Verdict.from_dict(note_verdict(session, state, verdict.to_note(), intent).record)


def _verify(session: Session, request: VerificationRequest) -> Verdict:
    return verify_in_process(
        request,
        verifier=session.settings["verifier"],
        executor=session.executor_now,
        report=lambda fields: session.event("verify", **fields, max_seconds=request.max_seconds),
        news=session.workers_event,
    )


def _subject(session: Session, state: RoundState) -> dict[str, Any]:
    """What a verification is about, as intent and verdict say it."""
    return {
        "verifier": session.settings["verifier"],
        "run": state.claim.run,
        "round": state.claim.number,
        "commit": state.commit,
        "environment": session.environment.identity,
        "candidate": state.sealed.digest,
        "weights_sha256": state.sealed.weights_sha256,
        "metrics": state.metrics.measured.id if state.metrics else None,  # the metrics that count at this time
    }


def _asked_again(request: VerificationRequest, replay: Verdict) -> VerificationRequest:
    """The request that a verdict answered.

    Raises:
        UsageError: The verdict does not say how it was reached.
    """
    attempt = replay.evidence.attempt
    if (
        attempt is None
        or attempt.max_shots is None
        or not _is_key(attempt.seed_key)
        or [*level_faults(replay.evidence)]
    ):
        raise UsageError(
            "this verdict does not say how it was reached, so it cannot be replayed", hint="autoqec verify ROUND"
        )
    share = replay.evidence.share_of_gap
    return replace(
        request,
        seed_key=bytes.fromhex(attempt.seed_key),
        attempt=attempt.attempt,
        look=attempt.look,
        verified_before=attempt.verified_before,
        max_shots=attempt.max_shots,
        alpha=attempt.alpha,
        beacon=attempt.beacon,
        full_certificate=attempt.full_certificate,
        # Where its clock ran out the counts stop; a replay stops there by the shots, and has no clock of its own.
        max_seconds=None,
        stop=replay.evidence.out_of_time,
        strong_reference=share.reference if share else None,
        strong_shots=share.shots if share else None,
        ungated=not (share and share.gated) and not (replay.evidence.target and replay.evidence.target.gated),
    )


def _is_key(text: str) -> bool:
    return re.fullmatch("([0-9a-f]{2})+", text) is not None


def _or_else(value: float | None, other: float) -> float:
    return other if value is None else value


def strong_reference(session: Session) -> str | None:
    """The decoder near maximum likelihood that a verdict is compared with.

    Unless a setting says which, it is the first of AutoQEC's own whose package is installed and that takes the problem, if none
    is among the environment's references.
    """
    kind: str = session.settings["strong_reference"]
    if kind:
        return None if kind == NO_STRONG_REFERENCE else kind
    environment, registry = session.environment.environment, session.registry
    if environment.protocol.by_strata:
        return None
    near = [
        name
        for name in registry.names("decoder")
        if not name.endswith(":")  # a family, such as sinter's
        and (entry := registry.get("decoder", name)).is_own
        and entry.capabilities.get("near_ml")
    ]
    if any(reference.kind in near for reference in environment.references):
        return None
    return next((name for name in near if _takes(session, name)), None)


def _takes(session: Session, kind: str) -> bool:
    """Whether a decoder is installed and takes the session's problem."""
    try:
        compile_decoder(Choice(kind=kind), session.problem, session.registry)
    except AutoQECError:
        return False
    return True


def begin_attempt(session: Session, state: RoundState) -> tuple[Begun, str]:
    """Number the attempt and note its intent, under one lock: two concurrent verifiers must not share a number.

    Clones that claim on a remote take each number there first. Two others may share one; after a pull both attempts count,
    whatever their numbers. On recorded shots the look at the recording is numbered too, among those of all runs of the lab.

    Returns:
        The intent, and the digest of its line.

    Raises:
        BudgetSpentError: The run's error budget is spent, by clones that did not know of each other; or that of the recording.
    """
    # Who signs nothing adds to the unsigned intents, so those have spent the shares before this one.
    unsigned_too = not session.settings["signing_key"]
    taken = _taken_on_remote(session, unsigned_too=unsigned_too)
    with write_lock(session.ledger):
        chain = read_chain(session.ledger, state.claim.run, unsigned_too=unsigned_too)
        if chain.next_attempt is None:
            raise _budget_spent(state.claim.run, len(chain.intents))
        attempt = max(chain.next_attempt, taken.attempt)
        look = next_recorded_look(session, unsigned_too=unsigned_too)
        look = None if look is None else max(look, taken.look)
        share = attempt_share(attempt) if look is None else look_share(look)
        recording = None if look is None else session.recording
        begun = Begun(
            attempt,
            share=share,
            chain=chain.next_chain,
            look=look,
            recording=recording,
            **_subject(session, state),
        )
        intent = note_own(session, state, "verdict", begun.to_note()).digest
        remember_heads(session.ledger, state.claim.run)
        return begun, intent


@dataclass(frozen=True)
class _Taken:
    """The numbers that an attempt has taken on the remote of the claims; 0 where rounds are not claimed on one."""

    attempt: int = 0
    look: int = 0


def _taken_on_remote(session: Session, *, unsigned_too: bool) -> _Taken:
    """Take the numbers of an attempt and its look on the remote, so that no other clone takes them.

    Raises:
        BudgetSpentError: The run's error budget is spent, or that of the recording.
    """
    remote, ledger, run = session.settings["claim_remote"], session.ledger, session.run.name
    if not remote:
        return _Taken()

    def known() -> tuple[int, ...]:
        return read_chain(ledger, run, unsigned_too=unsigned_too).attempts

    attempt = take_shared_number(
        ledger, run, remote, attempts_of(run), lambda taken: next_attempt(_with_taken(known(), taken))
    )
    if attempt is None:
        raise _budget_spent(run, len(known()))
    recording = session.recording
    if recording is None:
        return _Taken(attempt)

    def looks() -> tuple[int, ...]:
        return tuple(begun.look or 1 for begun in looks_at(ledger, recording, unsigned_too=unsigned_too).values())

    look = take_shared_number(
        ledger, run, remote, looks_of(recording), lambda taken: next_look(_with_taken(looks(), taken))
    )
    if look is None:
        raise recording_spent(recording, len(looks()))
    return _Taken(attempt, look)


def _with_taken(known: Sequence[int], taken: Collection[int]) -> list[int]:
    """Numbers of what has begun, as known here, and those that other clones have taken without our knowing what for."""
    return [*known, *(number for number in taken if number not in known)]


def _budget_spent(run: str, begun: int) -> BudgetSpentError:
    return BudgetSpentError(f"the error budget of run {run} is spent, by {begun} verifications", hint=NEW_RUN)
