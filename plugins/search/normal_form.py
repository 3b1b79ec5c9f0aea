"""The normal form of a candidate: every file with every field, those that a file leaves out at their defaults.

A file may leave out a field, and a file of an earlier version lacks those that came later. Both mean the default. So candidates
are compared, and their fields are varied, in the normal form only. Its defaults are those of the models that read the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from autoqec.agents.agent_contract import Context
from autoqec.candidate.schema import Output, Training
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE, OUTPUT_FILE, TRAINING_FILE
from autoqec.decoding.ensemble_file import Ensemble
from autoqec.decoding.gate_file import Gate
from autoqec.json_values import JsonObject

#: Files that a candidate may leave out, each with its model. Without `gate.yaml` every shot is sent on, as with its defaults.
_MODELS: Mapping[str, type[BaseModel]] = {OUTPUT_FILE: Output, TRAINING_FILE: Training, GATE_FILE: Gate}

_DEFAULTS: Mapping[str, JsonObject] = {path: model().model_dump(mode="json") for path, model in _MODELS.items()}

_ENSEMBLE: JsonObject = Ensemble().model_dump(mode="json")

#: Members of a candidate without an ensemble. An ensemble of one is another candidate: it weighs solutions by the priors.
NO_MEMBERS = 0


def normal_form(parsed: Mapping[str, JsonObject], context: Context) -> dict[str, dict[str, Any]]:
    """Return a candidate's files with all their fields; equal for two candidates that differ in what they leave out.

    Args:
        parsed: Fields of its files by path.
        context: Lists the stage kinds; fields of a kind that it does not list stay as they are.
    """
    files = {path: {**defaults, **parsed.get(path, {})} for path, defaults in _DEFAULTS.items()}
    files[ENSEMBLE_FILE] = _whole_ensemble(parsed.get(ENSEMBLE_FILE, {"members": NO_MEMBERS}))
    stages = {path: fields for path, fields in parsed.items() if path not in files}
    return files | {path: {**stage_defaults(fields, context), **fields} for path, fields in stages.items()}


def _whole_ensemble(fields: JsonObject) -> dict[str, Any]:
    """Return all fields of `ensemble.yaml`; without the file, that it has no members."""
    return dict(fields) if fields.get("members") == NO_MEMBERS else {**_ENSEMBLE, **fields}


def stage_defaults(fields: JsonObject, context: Context) -> dict[str, Any]:
    """Return the defaults of a stage's kind, by the schema of the model that reads it; empty for an unknown kind."""
    kind = context.stages.get(str(fields.get("kind")))
    properties = kind["schema"].get("properties", {}) if kind else {}
    return {name: field["default"] for name, field in properties.items() if "default" in field}
