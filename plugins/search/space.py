"""The search space: candidates as flat choices, the fields that a search may vary, and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE, TRAINING_FILE
from autoqec.canonical import dump_yaml, load_yaml
from autoqec.decoding.gate_file import NO_KIND
from autoqec.errors import UsageError
from autoqec.json_values import JsonObject

from .ensemble_space import ensemble_choices, offers_solutions
from .normal_form import normal_form, stage_defaults
from .templates import Template, family_of, templates_for

_GATE, _TRAINING = GATE_FILE, TRAINING_FILE

#: Values to try in `training.yaml`, in order; the profile limits the shots.
TRAINING: Mapping[str, tuple[Any, ...]] = {
    "learning_rate": (0.003, 0.01, 0.02, 0.05, 0.1),
    "batch_size": (128, 256, 512),
    "loss": ("bce", "focal", "weighted_bce"),
    "patience": (0, 3, 6),
    "curriculum": (1.0, 1.5, 2.0),
}

#: Fields of `training.yaml` that a search leaves alone, each with the reason.
LEFT_ALONE: Mapping[str, str] = {
    "shots": "more are better; the profile says how many a round may have",
    "epochs": "new shots teach more than the same ones again, and cost no more than those",
    "init": "only a round without parents starts anew",
    "device": "it changes no answer",
    "teacher": "empty means the environment's first reference, which a search has no reason to doubt",
    "sampling": "it is the unit of batch_size and shots, so templates set the three together",
}

#: Labels to try: `canonical` where the loss asks for mechanisms, `distilled` where the environment has a reference to learn from.
#: No template has any but the first: see `benchmarks/labels.py`.
LABELS = ("sampled", "canonical", "distilled")

#: Losses to try with matching decoders, which provide the logical gap.
LOSSES = ("bce", "focal", "weighted_bce", "logical_gap")

#: Thresholds to try with `hard_flip`: a wrong flip costs more than a correct flip gains.
THRESHOLDS = (0.5, 0.8, 0.9, 0.95)

#: The same where training draws many shots and computes few of them.
GATED_TRAINING: Mapping[str, tuple[Any, ...]] = {
    **TRAINING,
    "batch_size": (640, 1280, 2560),
    "sampled_share": (0.05, 0.1, 0.2),
}

#: Thresholds to try with a complementary gap, in nats; with any other confidence there is one, between 0 and 1.
GAP_THRESHOLDS = (2.0, 3.0, 4.4, 5.8, 7.2, 9.0)

_OTHER_THRESHOLD = 0.5

#: Further steps of a gate: fewest events, and iterations of a short belief propagation.
GATE_STEPS: Mapping[str, tuple[int, ...]] = {"events": (0, 3, 5), "short_bp": (0, 8, 12, 16, 24)}

#: Iterations of the short belief propagation that templates for hyperedges begin with. On `bb72_depol` 86 shots in 100 converge,
#: and fewer of these are wrong than of the 93 that converge in 16; `docs/candidates.md` has the rates.
_SHORT_BP = 8

#: Fields that have no effect for certain values of another field: field → (the other field, those values).
_SILENCED_BY: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "memory_value": ("memory", ("none",)),
    "memory_spread": ("memory", ("none", "scalar")),
    "temperature": ("loss", ("bce", "focal", "weighted_bce")),
}

#: Initial values of learned numbers, which have no effect when the number is inherited: field → (the field that switches
#: learning, its values for "not learned").
_STARTS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "scale": ("", ()),
    "damping_value": ("damping", ("fixed",)),
    "memory_value": ("", ()),
    "memory_spread": ("", ()),
}

#: A candidate as parsed files: path → fields.
Parsed = dict[str, dict[str, Any]]


def parse(files: Mapping[str, str]) -> Parsed:
    """Parse a candidate's files to mappings, except its code, which has no fields.

    Nor has what is no mapping: anyone who can push can commit a round, and no search may end at it.
    """
    return {path: dict(_fields(path, text)) for path, text in files.items() if not _is_code(path)}


@lru_cache(maxsize=4096)  # an agent reads each past round many times for one reply
def _fields(path: str, text: str) -> JsonObject:
    try:
        fields = load_yaml(text, name=path)
    except UsageError:
        return {}
    return fields if isinstance(fields, dict) else {}


def code_of(files: Mapping[str, str]) -> dict[str, str]:
    """Return the code files, which `parse` leaves out and a search does not change."""
    return {path: text for path, text in files.items() if _is_code(path)}


def _is_stage(path: str) -> bool:
    return path.startswith("stages/")


def _is_code(path: str) -> bool:
    return path.endswith(".py")


def unparse(parsed: Mapping[str, JsonObject]) -> dict[str, str]:
    """Write mappings as a candidate's files."""
    return {path: dump_yaml(dict(fields)) for path, fields in parsed.items()}


def known_rounds(context: Context) -> tuple[PastRound, ...]:
    """Return the run's closed rounds, and those that other processes are working on now, in the order of their numbers."""
    return tuple(sorted((*context.history, *context.open_rounds), key=_number))


def _number(past: PastRound) -> int:
    return int(past.name.rsplit("/", 1)[1])


def was_tried(parsed: Parsed, code: Mapping[str, str], context: Context) -> bool:
    """Tell whether a round, closed or open, has this candidate: the same fields in every file, and the same code."""
    return _is_among(known_rounds(context), parsed, code, context)


def is_in_flight(parsed: Parsed, code: Mapping[str, str], context: Context) -> bool:
    """Tell whether an open round has this candidate."""
    return _is_among(context.open_rounds, parsed, code, context)


def _is_among(rounds: Sequence[PastRound], parsed: Parsed, code: Mapping[str, str], context: Context) -> bool:
    wanted = normal_form(parsed, context)
    return any(
        normal_form(parse(past.files), context) == wanted
        for past in rounds
        if past.files and code == code_of(past.files)
    )


def offered_confidence(context: Context) -> str | None:
    """Return the confidence that the environment's decoder offers to a gate; None if it offers none."""
    kind = context.formats.get(_GATE, {}).get("properties", {}).get("kind", {})
    return next((str(name) for name in kind.get("enum", ()) if name != NO_KIND), None)


def first_gate(context: Context) -> dict[str, Any]:
    """Return the gate of templates: the decoder's confidence where beliefs weigh edges, else a short belief propagation.

    Gaps grow with the distance, and so does the threshold: it sends on a tenth of the shots at distances 5 and 7 (p = 0.005).
    Empty where the decoder is matching and has no confidence.
    """
    if family_of(context.environment) == "hyperedge":
        return {"kind": NO_KIND, "threshold": 0.0, "events": 0, "short_bp": _SHORT_BP}
    offered = offered_confidence(context)
    if offered is None:
        return {}
    code = context.environment.get("code")
    distance = code.get("distance") if isinstance(code, Mapping) else None
    wanted = 4.4 + 0.7 * ((distance if isinstance(distance, int) else 5) - 5)
    nearest = min(GAP_THRESHOLDS, key=lambda value: abs(value - wanted))
    return {"kind": offered, "threshold": nearest if offered == "gap" else _OTHER_THRESHOLD, "events": 0, "short_bp": 0}


def template_files(template: Template, context: Context) -> dict[str, str]:
    """Return a template's files, with all fields of its stages, a gate, and training shots within the profile."""
    gate = first_gate(context)
    if template.role == "cheap" and gate.get("kind") == "gap":
        gate["threshold"] = max(
            value for value in GAP_THRESHOLDS if value < gate["threshold"] or value == GAP_THRESHOLDS[0]
        )
    training = {**template.training, **(template.gated_training if gate.get("kind", NO_KIND) != NO_KIND else {})}
    shots = min(int(training.get("shots", 0)), int(context.limits["train_shots"]))
    parsed: Parsed = {_TRAINING: {**training, "shots": shots}}
    if gate:
        parsed[_GATE] = gate
    for slug, fields in template.stages.items():
        parsed[f"stages/{slug}/stage.yaml"] = {**stage_defaults(fields, context), **fields}
    if template.output:
        parsed["output.yaml"] = dict(template.output)
    return unparse(parsed)


def templates_here(context: Context) -> list[Template]:
    """Return the templates for this environment whose stage kinds are all installed."""
    return [
        template
        for template in templates_for(context.environment)
        if all(fields["kind"] in context.stages for fields in template.stages.values())
    ]


def choices(parsed: Parsed, context: Context) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return the fields of a candidate's files that a search may vary, as (path, field) → values in order."""
    found: dict[tuple[str, str], tuple[Any, ...]] = {}
    whole = normal_form(parsed, context)
    ensemble = {ENSEMBLE_FILE} if offers_solutions(context) and any(map(_is_stage, parsed)) else set()
    for path in sorted(parsed.keys() | ensemble):
        fields, space = whole[path], _space(path, whole[path], context)
        for field, values in sorted(space.items()):
            if _has_effect(path, field, fields, whole[_TRAINING]):
                found[path, field] = tuple(values)
    return found


def _space(path: str, fields: JsonObject, context: Context) -> Mapping[str, Sequence[Any]]:
    """Return the fields of a file to vary, each with its values."""
    if path == _TRAINING:
        return _training_space(fields, context)
    if path == _GATE:
        return _gate_space(fields, context)
    if path == ENSEMBLE_FILE:
        return ensemble_choices(fields, context) if offers_solutions(context) else {}
    if _is_stage(path):
        kind = context.stages.get(str(fields.get("kind")))
        return kind["space"] if kind else {}
    return {"threshold": THRESHOLDS} if fields.get("mode") == "hard_flip" else {}


def _training_space(fields: JsonObject, context: Context) -> Mapping[str, Sequence[Any]]:
    """Return the fields of `training.yaml` to vary, each with its values."""
    space = GATED_TRAINING if fields.get("sampling") == "gated" else TRAINING
    useless = set() if context.environment.get("references") else {"distilled"}
    if fields.get("loss") == "logical_gap":
        useless.add("canonical")
    labels = [each for each in LABELS if each not in useless]
    space = {**space, "labels": tuple(labels)} if len(labels) > 1 else space
    matching = family_of(context.environment) == "matching"
    return {**space, "loss": LOSSES, "temperature": ("one", "fitted")} if matching else space


def _gate_space(fields: JsonObject, context: Context) -> Mapping[str, Sequence[Any]]:
    """Return the fields of `gate.yaml` to vary: only what the environment's decoder offers."""
    offered = offered_confidence(context)
    if offered is None:
        return GATE_STEPS
    space: dict[str, Sequence[Any]] = {**GATE_STEPS, "kind": (NO_KIND, offered)}
    if fields.get("kind", NO_KIND) != NO_KIND:
        space["threshold"] = GAP_THRESHOLDS if offered == "gap" else (_OTHER_THRESHOLD,)
    return space


def _has_effect(path: str, field: str, fields: JsonObject, training: JsonObject) -> bool:
    """Tell whether another value of this field can change how the candidate decodes."""
    if path == _TRAINING and training["shots"] == 0:
        return False
    if field in _SILENCED_BY:
        other, silent = _SILENCED_BY[field]
        if fields.get(other, silent[0]) in silent:
            return False
    if field in _STARTS and training["init"] == "parents":
        switch, fixed = _STARTS[field]
        return bool(switch) and fields.get(switch, fixed[0]) in fixed
    return True
