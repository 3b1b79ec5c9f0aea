"""Auditing a round's verdict: whether it follows from its own note, is about this round, and can be replayed here."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from autoqec.history.rounds.signatures import examine
from autoqec.loop.round_state import RoundState
from autoqec.loop.session import Session
from autoqec.results.audit import audit

#: What decides which shots a seed gives and how they are decoded; of the others of a note's `versions` nothing depends.
_DECISIVE = ("stim", "numpy", "pymatching", "numba", "fusion-blossom")

#: What a replay must give again, of what a verdict notes.
_REPLAYED = ("verdict", "reason", "word", "test", "extension", "digests", "cells", "harm", "certificate", "out_of_time")


def audit_round(session: Session, state: RoundState, note: Mapping[str, Any]) -> list[str]:
    """What is wrong with a verdict: figures that do not follow from its counts, or that it is about something else.

    Args:
        session: Where.
        state: The round; without its weights, whether they are those that were judged is not looked at.
        note: Its verdict.
    """
    found = audit(note)
    expected: dict[str, Any] = {"commit": state.commit, "environment": session.environment.identity}
    if state.weights is not None:
        expected |= {"candidate": state.sealed.digest, "weights_sha256": state.sealed.weights_sha256}
    found += [
        f"{name}: the verdict is about {note.get(name)}, the round's is {value}"
        for name, value in expected.items()
        if note.get(name) != value
    ]
    if examine(note, None).word == "altered":
        found.append("signature: the note is not what was signed")
    return found


def why_no_replay(note: Mapping[str, Any], simd: str) -> str | None:
    """What keeps this machine from drawing a verdict's shots again; None if nothing does.

    Args:
        note: The verdict.
        simd: The build of stim that runs here.
    """
    there: dict[str, Any] = {"machine": note.get("machine"), "stim's build": note.get("simd", simd)}
    here: dict[str, Any] = {"machine": platform.machine(), "stim's build": simd}
    for name in _DECISIVE:
        there[name] = (note.get("versions") or {}).get(name)
        try:
            here[name] = version(name)
        except PackageNotFoundError:
            here[name] = None
    differing = [f"{name} {there[name]} there, {here[name]} here" for name in there if there[name] != here[name]]
    return "; ".join(differing) or None


def replay_differences(noted: Mapping[str, Any], replayed: Mapping[str, Any]) -> list[str]:
    """The parts of a verdict that a replay did not give again: shots by their digests, counts, and what follows from them."""
    return [name for name in _REPLAYED if name in noted and noted[name] != replayed.get(name)]
