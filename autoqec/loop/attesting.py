"""Attests the verdict of a round that counts. It judges nothing, and attests nothing that an audit disagrees with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoqec.canonical import dump_json
from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history import read_lines
from autoqec.history.reading.run_chain import read_chain
from autoqec.history.rounds.signatures import examine, key_fingerprint, sign_bytes
from autoqec.loop.auditing import audit_round
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.results.attestation import ENVELOPE_NAMESPACE, Provenance, envelope, signed_payload, statement


def attest(session: Session, state: RoundState) -> dict[str, Any]:
    """A round's verdict as an in-toto statement; in a DSSE envelope if there is a signing key.

    Args:
        session: Where.
        state: The round.

    Raises:
        NotFoundError: No verdict of the round counts.
        AutoQECError: The verdict does not follow from its note, or is about something else than the round.
    """
    name = f"{state.claim.run}/{state.claim.number}"
    if state.verdict is None:
        raise NotFoundError(f"round {name} has no verdict that counts", hint=f"autoqec verify exp/{name}")
    disagrees = audit_round(session, state, state.verdict)
    if disagrees:
        raise AutoQECError(
            f"the verdict of round {name} is not attested: {disagrees[0]}",
            hint=f"autoqec verify exp/{name} --audit",
            code="not_attested",
        )
    about = statement(state.verdict, _provenance(session, state))
    if not session.settings["signing_key"]:
        return about
    key, payload = Path(session.settings["signing_key"]).expanduser(), dump_json(about).encode()
    return envelope(payload, sign_bytes(signed_payload(payload), key, ENVELOPE_NAMESPACE), key_fingerprint(key))


def _provenance(session: Session, state: RoundState) -> Provenance:
    assert state.verdict is not None
    run, record = state.claim.run, state.verdict.to_note()
    lines = read_lines(session.ledger, run, "verdict").get(str(state.commit), [])
    digest = next(line.digest for line in lines if line.record == record)
    signers = session.settings["allowed_signers"]
    signature = examine(record, Path(signers).expanduser() if signers else None)
    chain = read_chain(session.ledger, run)
    return Provenance(
        run,
        state.claim.number,
        session.environment.name,
        digest,
        "signed" if signature.word == "good" else "unsigned",
        signature.who if signature.word == "good" else "",
        len(chain.intents),
        tuple(found.digest for found in chain.breaks),
    )
