"""Audits a round's verdict: whether it follows from its own note, is about this round, and can be replayed here."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from autoqec.history import looks_at, missing_from_chain
from autoqec.history.rounds.signatures import examine
from autoqec.loop.identity import identity_faults
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.results.audit import audit
from autoqec.results.trust.line_trust import Standing
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import Evidence

#: The packages that decide which shots a seed gives and how they are decoded. A note's other `versions` do not matter.
_DECISIVE = ("stim", "numpy", "pymatching", "numba", "fusion-blossom")

#: The parts of a verdict's note that a replay must reproduce.
_REPLAYED = (
    "verdict", "reason", "word", "test", "extension", "strata", "finite", "look", "recording", "digests", "sent", "passes",
    "cells", "harm", "certificate", "out_of_time",
)  # fmt: skip

#: Those that a note must not lack either: a cost follows from them, and a candidate without gate and ensemble has none.
_COUNTED = frozenset({"sent", "passes"})

#: How verdicts of 0.1 mark do-no-harm cells at another p. They told candidates of these cells, so their counts differ today.
_TOLD = ("trained_here", "carried_over")


def audit_round(session: Session, state: RoundState, verdict: Verdict, standing: Standing | None = None) -> list[str]:
    """What is wrong with a verdict: figures that do not follow from its counts, what else it is about, or that it does not count.

    Args:
        session: Where.
        state: The round; without its weights, whether they are those that were judged is not looked at.
        verdict: Its verdict.
        standing: The state of that verdict; None for one that is not in git.
    """
    found, evidence = audit(verdict), verdict.evidence
    expected = {
        "commit": (evidence.commit, state.commit),
        "environment": (evidence.environment, session.environment.identity),
    }
    if state.weights is not None:
        expected["candidate"] = evidence.candidate, state.sealed.digest
        expected["weights_sha256"] = evidence.weights_sha256, state.sealed.weights_sha256
    found += [
        f"{name}: the verdict is about {noted or None}, but the round has {own}"
        for name, (noted, own) in expected.items()
        if noted != own
    ]
    missing = missing_from_chain(session.ledger, session.run.name)
    found += [f"chain: {missing}"] if missing else []
    found += identity_faults(session.ledger, session.run, state)
    protocol = session.environment.environment.protocol
    for place in (evidence.target, *(cell.tested for cell in evidence.cells)):
        if place is not None and (place.strata is not None) != protocol.by_strata:
            said = "by strata" if place.strata is not None else "plain"
            found.append(f"strata: the verdict's shots are {said}, which the environment's protocol.sampling is not")
            break
    found += _look_faults(session, evidence)
    allowed = protocol.alpha
    if evidence.attempt is not None and evidence.attempt.alpha > allowed:
        found.append(f"alpha: the verdict's is {evidence.attempt.alpha:g}, but the environment allows {allowed:g}")
    if examine(verdict.to_note(), None).word == "altered":
        found.append("signature: the note is not what was signed")
    if standing is not None and not standing.counts and (standing.state == "unsigned" or not found):
        found.append(f"trust: the verdict is {standing.state} and does not count: {standing.why}")
    return found


def _look_faults(session: Session, evidence: Evidence) -> Iterator[str]:
    """What is wrong with the number of a look: at another recording, not that of its intent, or that of another look too."""
    attempt = evidence.attempt
    look, recording = (attempt.look, attempt.recording) if attempt is not None else (None, None)
    if recording != session.recording:
        yield f"recording: the verdict looked at {recording}, but the environment's is {session.recording}"
        return
    if recording is None:
        return
    looks = looks_at(session.ledger, recording, unsigned_too=True)
    intent = looks.get(evidence.intent)
    if intent is not None and intent.look != look:
        yield f"look: the verdict says {look}, but its intent {intent.look}"
    same = [other for digest, other in looks.items() if other.look == look and digest != evidence.intent]
    if same:
        yield (
            f"look: the verdict says {look}, and so does that of round {same[0].run}/{same[0].round}: clones that did not know of"
            " each other have both spent its share"
        )


def why_no_replay(verdict: Verdict, simd: str) -> str | None:
    """Why this machine cannot draw a verdict's shots again; None if it can.

    Args:
        verdict: The verdict.
        simd: The build of stim that runs here.
    """
    evidence = verdict.evidence
    if evidence.attempt is not None and evidence.attempt.look is not None:
        return None  # nothing is drawn
    there: dict[str, str | None] = {"machine": evidence.machine or None, "stim's build": evidence.simd or simd}
    here: dict[str, str | None] = {"machine": platform.machine(), "stim's build": simd}
    for name in _DECISIVE:
        there[name] = evidence.versions.get(name)
        try:
            here[name] = version(name)
        except PackageNotFoundError:
            here[name] = None
    differing = [f"{name} {there[name]} there, {here[name]} here" for name in there if there[name] != here[name]]
    return "; ".join(differing) or None


def replay_differences(noted: Verdict, replayed: Verdict) -> list[str]:
    """The parts of a verdict that a replay did not reproduce: shots by their digests, counts, and what follows from them."""
    before, after = noted.to_note(), replayed.to_note()
    told = any(list(row.cell) == ["p"] and row.weights in _TOLD for row in noted.evidence.harm or ())
    names = [name for name in _REPLAYED if not (told and name == "harm")]
    names = [name for name in names if name in before or name in _COUNTED]
    if not _scaled(before):  # a verdict from before noise that a file brings had do-no-harm cells
        after = {**after, "harm": [row for row in after.get("harm") or [] if not _scaled({"harm": [row]})]}
    return [name for name in names if _plain(before.get(name)) != _plain(after.get(name))]


def _scaled(note: Mapping[str, Any]) -> bool:
    """Whether a verdict has do-no-harm cells at other factors of the noise of a file."""
    return any("factor" in row["cell"] for row in note.get("harm") or ())


def _plain(value: Any) -> Any:
    """A value after a round trip through JSON."""
    return json.loads(json.dumps(value))
