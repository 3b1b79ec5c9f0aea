"""What a run takes over from rounds of its family: their contexts, and the best recipe to begin with."""

from __future__ import annotations

import json
from dataclasses import replace

from autoqec.agents.agent_contract import Context, FamilyRound
from autoqec.agents.context_parts import HypothesisMessage
from autoqec.candidate_paths import GATE_FILE, TRAINING_FILE

from .affording import allowed, cut_to_time
from .relations import relative_gain
from .retraining import with_training
from .space import (
    GAP_THRESHOLDS,
    Parsed,
    code_of,
    first_gate,
    parse,
    template_files,
    templates_here,
    unparse,
    was_tried,
)


def elsewhere(context: Context, each: FamilyRound) -> Context:
    """Return the context of a round of the family: its environment, and the rounds there as the history."""
    there = tuple(other.past for other in context.family if other.environment == each.environment)
    return replace(context, environment=each.environment, history=there, family=(), open_rounds=(), unseen=())


def family_recipe(context: Context) -> HypothesisMessage | None:
    """Return the hypothesis to begin with the recipe that gained most in the family, if it gained, is new and fits."""
    for each in sorted(context.family, key=lambda each: (-relative_gain(each.past), each.past.name)):
        if relative_gain(each.past) <= 0:
            break
        parsed = _moved(each, context)
        kinds = [str(fields.get("kind")) for path, fields in parsed.items() if path.startswith("stages/")]
        code = code_of(each.past.files)
        if not kinds or any(kind not in context.stages for kind in kinds) or was_tried(parsed, code, context):
            continue
        fitting = parsed if allowed(parsed, context) else cut_to_time(parsed, context)
        if fitting is not None:
            where = each.environment.get("name")
            return {
                "text": f"The best recipe of {where}, {each.past.name}, is a good one here",
                "rationale": (
                    f"On {where}, of the same kinds of code and noise, it lowered the plain decoder's rate by"
                    f" {relative_gain(each.past):.0%}: {each.past.hypothesis}"
                )[:2000],
                "hint": json.dumps({"files": unparse(fitting) | code}),
            }
    return None


def _moved(each: FamilyRound, context: Context) -> Parsed:
    """Return a candidate of the family for this environment: trained anew, with the threshold that sends on as many shots."""
    there = elsewhere(context, each)
    parsed = dict(with_training(each.past, there))
    training = dict(parsed.get(TRAINING_FILE, {}))
    # Its trained ancestor may not be among the rounds of the family that the context has.
    if training.get("shots") != 0 or each.past.fork_from:
        first = parse(template_files(templates_here(context)[0], context))[TRAINING_FILE]
        training |= {"init": "parents", "shots": first["shots"]}
    parsed[TRAINING_FILE] = training
    gate, here, before = parsed.get(GATE_FILE), first_gate(context), first_gate(there)
    if gate and gate.get("kind") == here.get("kind") == "gap" and gate.get("threshold") in GAP_THRESHOLDS:
        at, to, since = (GAP_THRESHOLDS.index(fields["threshold"]) for fields in (gate, here, before))
        place = min(max(0, at + to - since), len(GAP_THRESHOLDS) - 1)
        parsed[GATE_FILE] = {**gate, "threshold": GAP_THRESHOLDS[place]}
    return parsed
