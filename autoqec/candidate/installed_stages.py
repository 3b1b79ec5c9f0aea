"""Describes the installed stage kinds and the formats of a candidate's files for agents, as plain JSON values."""

from __future__ import annotations

from typing import Any

from autoqec.candidate.schema import Output, Training
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE, OUTPUT_FILE, TRAINING_FILE
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.decoding.gate_file import NO_KIND, Gate
from autoqec.plugins import Registry


def formats(confidence: str | None, *, solutions: bool = True) -> dict[str, Any]:
    """What a candidate's files other than its stages are, by path, as JSON schemas.

    Args:
        confidence: What the environment's decoder offers to a gate; None if that is not known.
        solutions: Whether it offers solutions to an ensemble; if not, `ensemble.yaml` is not among the files.
    """
    gate = Gate.model_json_schema()
    if confidence is not None:
        gate["properties"]["kind"]["enum"] = [NO_KIND, confidence]
    files = {OUTPUT_FILE: Output.model_json_schema(), TRAINING_FILE: Training.model_json_schema(), GATE_FILE: gate}
    return files | ({ENSEMBLE_FILE: Ensemble.model_json_schema()} if solutions else {})


def stage_kinds(registry: Registry) -> dict[str, Any]:
    """Every stage kind: its schema, and the values worth trying."""
    found = {}
    for entry in registry.all("stage"):
        kind = entry.create()
        space = {name: list(values) for name, values in kind.space().items()}
        found[entry.name] = {"schema": kind.Config.model_json_schema(), "space": space}
    return found
