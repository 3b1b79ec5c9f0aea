"""A verdict as an in-toto Statement, which tools for software supply chains read, and as a signed DSSE envelope.

The statement is about two things: the round's commit and its weights. Its predicate is the verdict with the counts behind it, so
that a reader can work the word out again. Formats: https://github.com/in-toto/attestation (Statement v1) and
https://github.com/secure-systems-lab/dsse (envelope and pre-authentication encoding). Plain Python.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.results.reasons import REASONS
from autoqec.results.statistics import attempt_share
from autoqec.results.verdict import Verdict

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

#: Names the form of the predicate. It is an identifier, which is compared and not fetched; another form gets another number.
PREDICATE_TYPE = "https://autoqec.org/attestation/verdict/v1"

#: The ssh namespace of an envelope's signature, so that it is no signature of a note, and a note's is none of an envelope.
ENVELOPE_NAMESPACE = "autoqec-attestation"


@dataclass(frozen=True)
class Provenance:
    """Where a verdict stands in the record.

    Attributes:
        run, round: The round.
        environment: The environment's name.
        line: Digest of the verdict's line in the note.
        trust: `signed` or `unsigned`.
        signer: Who signed the line; empty if nobody known.
        intents: How many verifications of the run began.
        missing: Digests of notes that the run's chain of verifications has lost.
    """

    run: str
    round: int
    environment: str
    line: str
    trust: str
    signer: str = ""
    intents: int = 0
    missing: tuple[str, ...] = ()


def statement(verdict: Verdict, stands: Provenance) -> dict[str, Any]:
    """The in-toto Statement about a round's verdict, as JSON values."""
    evidence = verdict.evidence
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"exp/{stands.run}/{stands.round}", "digest": {"gitCommit": evidence.commit}},
            {"name": "weights.safetensors", "digest": {"sha256": evidence.weights_sha256}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": _predicate(verdict, stands),
    }


def _predicate(verdict: Verdict, stands: Provenance) -> dict[str, Any]:
    evidence, details, known = verdict.evidence, verdict.details, REASONS.get(verdict.reason)
    attempt = evidence.attempt
    level = (
        {}
        if attempt is None
        else {
            "number": attempt.attempt,
            "share": attempt_share(attempt.attempt),
            "alpha": attempt.alpha,
            "level": attempt.alpha_attempt,
            "holdoutKey": attempt.seed_key,
        }
    )
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "says": known.says if known is not None else "",
        "run": stands.run,
        "round": stands.round,
        "environment": {"name": stands.environment, "digest": {"sha256": evidence.environment}},
        "candidate": {"digest": {"sha256": evidence.candidate}},
        "verifier": {"name": evidence.verifier, "versions": dict(evidence.versions), "machine": evidence.machine},
        "attempt": level,
        "figures": verdict.figures.to_note() if verdict.figures is not None else None,
        "counts": {name: details[name] for name in ("test", "extension", "neutral") if details.get(name) is not None},
        "cells": [{"label": cell.label, "word": cell.word} for cell in evidence.cells],
        "checks": [{"check": each.check, "result": each.result} for each in evidence.checks or ()],
        "costs": {"flopsPerShot": verdict.cost("flops_per_shot"), "params": verdict.cost("params")},
        "record": {
            "digest": {"sha256": stands.line},
            "id": evidence.id,
            "intent": {"sha256": evidence.intent} if evidence.intent else None,
            "metrics": evidence.metrics,
            "trust": stands.trust,
            "signer": stands.signer,
        },
        "chain": {
            "state": "complete" if not stands.missing else "broken",
            "verifications": stands.intents,
            "missing": list(stands.missing),
        },
    }


def signed_payload(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding of a statement: what a signature of the envelope is over."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def envelope(payload: bytes, signature: str, key: str) -> dict[str, Any]:
    """A DSSE envelope.

    Args:
        payload: The statement as it was signed.
        signature: Of `signed_payload(payload)`, in ssh's armoured format.
        key: The key's fingerprint.
    """
    body = "".join(line for line in signature.splitlines() if not line.startswith("-----"))
    signatures: list[Mapping[str, str]] = [{"keyid": key, "sig": body}]
    return {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": signatures}
