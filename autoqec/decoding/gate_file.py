"""`gate.yaml`, the optional file of a candidate that says which shots its pipeline is sent.

The decoders' process and the candidate's schema read it with the same model, so the candidate has no other say in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from autoqec.candidate_paths import GATE_FILE
from autoqec.canonical import load_yaml
from autoqec.errors import UsageError
from autoqec.problem.environment import validated

#: The kind of a gate that asks no decoder for a confidence.
NO_KIND = "none"


class Gate(BaseModel):
    """Which shots are worth the pipeline.

    A shot that is not sent on keeps the environment's decoder's plain answer, and costs no FLOPs. The steps are, in this
    order: `events`, then the decoder's confidence, then `short_bp`.

    Attributes:
        kind: What the environment's decoder offers as its confidence: `gap` of `mwpm`, `converged` of `osd` and `bp_lsd`. With
            `none` it is not asked.
        threshold: Shots whose confidence is at most this are sent on: nats for `gap`, 0.5 for `converged`.
        events: Shots with fewer fired detectors than this keep the plain answer; 0 for no such step.
        short_bp: Iterations of sum-product belief propagation on the priors, scaled by 0.8 and with a memory of 0.125. A shot
            whose hard decision explains its syndrome keeps that answer instead of being sent on; 0 for no such step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(default=NO_KIND, pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    threshold: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    events: int = Field(default=0, ge=0, le=100_000)
    short_bp: int = Field(default=0, ge=0, le=100)


def read_gate(files: Mapping[str, bytes]) -> Gate | None:
    """The gate of a candidate; None if it has no `gate.yaml`.

    Args:
        files: The candidate's files by path.

    Raises:
        UsageError: The file is malformed or has an invalid field; the message names it.
    """
    if GATE_FILE not in files:
        return None
    gate: Gate = validated(Gate, load_yaml(files[GATE_FILE], name=GATE_FILE), GATE_FILE)
    return gate


def require_offered(gate: Gate | None, offered: str | None, decoder: str) -> None:
    """Refuse a gate that asks for a confidence which the environment's decoder does not offer.

    Args:
        gate: The gate; None for none.
        offered: The decoder's confidence; None if it has none.
        decoder: The decoder's name, for messages; empty where it is not known.

    Raises:
        UsageError: It asks for another one.
    """
    if gate is None or gate.kind in (NO_KIND, offered):
        return
    offers = f"offers the confidence {offered!r}" if offered else "offers no confidence"
    who = f"decoder {decoder!r}" if decoder else "the environment's decoder"
    problem = f"{who} {offers}, not {gate.kind!r}"
    hint = f"set kind: {offered} in {GATE_FILE}" if offered else f"set kind: none in {GATE_FILE}, or remove the file"
    about = {"file": GATE_FILE, "field": "kind", "problem": problem, "choices": [NO_KIND, *filter(None, [offered])]}
    raise UsageError(f"{GATE_FILE}: kind: {problem}", hint=hint, code="gate_not_offered", about=about)
