"""Runs one round: claims it and runs its steps; also resumes interrupted rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autoqec.agents.agent_contract import ROLES, ReplyAwaited
from autoqec.agents.asking import AgentError
from autoqec.agents.role_messages import Hypothesis, Proposal
from autoqec.history import (
    Claim,
    Ledger,
    RoundRecord,
    begun_here,
    claim_round,
    claim_shared_round,
    close_claim,
    find_record,
    left_behind,
    read_claim,
    read_history,
    take_over_claim,
    tidy,
    update_claim,
)
from autoqec.history.rounds.round_numbers import SEEN
from autoqec.history.rounds.seen_rounds import Seen
from autoqec.history.store.owner import this_process
from autoqec.loop.own_records import own_state
from autoqec.loop.preflight import agents_to_ask, require_ready
from autoqec.loop.round_state import PERSON, read_state
from autoqec.loop.round_steps import STEPS, RoundEnded, end
from autoqec.loop.round_view import seen_now
from autoqec.loop.session import Session
from autoqec.loop.step_events import say_step
from autoqec.results.verdict import parse_verdict


def run_round(
    session: Session,
    hypothesis: Hypothesis | None = None,
    proposal: Proposal | None = None,
    *,
    seen: Seen | None = None,
) -> RoundRecord:
    """Claim the next round of the session's run and carry it to its end.

    Args:
        session: Where.
        hypothesis: A person's hypothesis; the Ideator is then not asked.
        proposal: With a hypothesis: the person's candidate; the Coder is then not asked.
        seen: Which other rounds it sees; None for the run as it stands.

    Returns:
        The round as history holds it; how it ended is its `status`, a failed idea is not an exception.

    Raises:
        AutoQECError: Something is missing that the round needs, and it was not begun; or something other than its own work
            failed, and it stays open for `autoqec resume`.
    """
    asked = agents_to_ask(session)
    if hypothesis is not None:
        asked.pop("ideator", None)
    if proposal is not None or (hypothesis is not None and hypothesis.compose == "pure"):
        asked.pop("coder", None)
    require_ready(session, asked)
    agents = {role: session.settings[role] for role in ROLES}
    details: dict[str, Any] = {"profile": session.settings.profile.model_dump(), "agents": agents}
    if hypothesis is not None:
        # Stored in the claim, so that a kill right after it cannot lose the person's idea.
        details["agents"]["ideator"] = PERSON
        details["hypothesis"] = hypothesis.model_dump(mode="json")
    if proposal is not None:
        details["agents"]["coder"] = PERSON
        details["proposal"] = proposal.model_dump(mode="json")
    details[SEEN] = (seen or seen_now(session.ledger, session.run.name)).to_details()
    remote = session.settings["claim_remote"]
    if remote:
        return _finish(session, claim_shared_round(session.ledger, session.run.name, remote, details), begun_here=True)
    return _finish(session, claim_round(session.ledger, session.run.name, details), begun_here=True)


def _finish(session: Session, claim: Claim, *, begun_here: bool = False) -> RoundRecord:
    session.event("round", round=claim.number, steps=[name for name, _ in STEPS], attempt=claim.attempt)
    own: dict[str, dict[str, Any]] = {}
    try:
        for name, step in STEPS:
            session.require_time()
            state = read_state(session.ledger, claim.run, claim.number)
            state = own_state(session, state, own, begun_here=begun_here)
            say_step(session, name, state)
            own |= step(session, state) or {}
    except ReplyAwaited as error:
        # Stored in the claim, so that the log shows the awaited role and not an interruption.
        mine = read_claim(session.ledger, claim.run, claim.number)
        update_claim(session.ledger, mine, details={**mine.details, "waiting": error.role})
        raise
    except AgentError as error:
        end(session, read_state(session.ledger, claim.run, claim.number), RoundEnded("agent_error", error))
    except RoundEnded as ended:
        end(session, read_state(session.ledger, claim.run, claim.number), ended)
    # What this process found is what it reports, whatever somebody else has written in its place.
    record = replace(find_record(session.ledger, claim.run, claim.number), **own)  # type: ignore[arg-type]
    verdict = parse_verdict(record.verdict).record
    word = verdict.verdict if verdict else None
    session.event("closed", round=claim.number, status=record.status, verdict=word)
    tidy(session.ledger)  # here, where no round of this process is at work
    return record


def open_rounds(ledger: Ledger, run: str | None = None) -> list[Claim]:
    """Open claims of a lab, or of one run, oldest first; a damaged claim does not hide the others."""
    claims = [record.claim for record in read_history(ledger, run) if record.claim is not None]
    return sorted((claim for claim in claims if claim.state == "open"), key=lambda c: (c.started, c.number))


def interrupted_rounds(ledger: Ledger, run: str | None = None) -> list[Claim]:
    """Open claims of this clone whose process is certainly gone, and those of any clone that wait for an outside reply."""
    return [claim for claim in open_rounds(ledger, run) if claim.waiting or left_behind(ledger, claim)]


def is_elsewhere(ledger: Ledger, claim: Claim) -> bool:
    """Whether an open round belongs to another host or another clone, so that from here nobody can tell if it is at work."""
    return claim.host != this_process().host or not begun_here(ledger, claim)


def nothing_before(claim: Claim) -> None:
    """Nothing is to be done before the steps."""


def resume_round(
    session: Session, claim: Claim, *, force: bool = False, before: Callable[[Claim], None] = nothing_before
) -> RoundRecord:
    """Take over an interrupted or waiting round, and run it from its first missing step to its end.

    Args:
        session: Where.
        claim: The round's claim.
        force: Take it over even if its process is on another host and so may be alive.
        before: Called once the round is this process's, before its steps.
    """
    waiting = {claim.waiting} if before is not nothing_before else set()  # its reply is about to be kept
    asked = {role: name for role, name in agents_to_ask(session, claim).items() if role not in waiting}
    require_ready(session, asked)
    mine = take_over_claim(session.ledger, claim, force=force)
    before(mine)
    return _finish(session, mine)


def abandon_round(ledger: Ledger, run: str, number: int, *, force: bool = False) -> RoundRecord:
    """Close an interrupted or waiting round as it is, with status `abandoned`; what it left in git stays.

    Args:
        ledger: The lab.
        run, number: The round.
        force: Close it even if its process may be alive on another host, or it is another clone's.

    Raises:
        AutoQECError: Its process may be alive, it is another clone's, or it is closed.
    """
    claim = take_over_claim(ledger, read_claim(ledger, run, number), force=force)
    close_claim(ledger, claim, status="abandoned", reason="abandoned by hand")
    return find_record(ledger, run, number)
