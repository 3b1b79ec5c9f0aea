"""When a fork is trained: not if only its ensemble changes, because the members' weights are then its parent's."""

from __future__ import annotations

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.candidate_paths import ENSEMBLE_FILE, TRAINING_FILE

from .relations import ancestors
from .space import Parsed, parse


def without_training(parsed: Parsed) -> Parsed:
    """Return a candidate that decodes with its parents' weights; the same one if it was not trained anyway."""
    training = parsed.get(TRAINING_FILE, {})
    if training.get("shots") == 0:
        return parsed
    return {**parsed, TRAINING_FILE: training | {"init": "parents", "shots": 0}}


def with_training(parent: PastRound, context: Context) -> Parsed:
    """Return a round's candidate, trained as its latest ancestor that was, if it is not trained itself."""
    parsed = parse(parent.files)
    training = parsed.get(TRAINING_FILE, {})
    if training.get("shots") != 0:
        return parsed
    above = ancestors(parent.name, {past.name: past.fork_from for past in context.history})
    for past in reversed(context.history):
        shots = parse(past.files).get(TRAINING_FILE, {}).get("shots") if past.name in above else 0
        if shots:
            return {**parsed, TRAINING_FILE: training | {"init": "parents", "shots": shots}}
    return parsed


def trained_if_needed(parsed: Parsed, parent: PastRound) -> Parsed:
    """Return a fork that is trained only if it changes more of its parent than the ensemble."""
    before = parse(parent.files)
    changed = {
        path for path in parsed.keys() | before.keys() if path != TRAINING_FILE and parsed.get(path) != before.get(path)
    }
    others = {
        name
        for name in parsed.get(TRAINING_FILE, {}).keys() | before.get(TRAINING_FILE, {}).keys()
        if name not in ("init", "shots")
        and parsed.get(TRAINING_FILE, {}).get(name) != before.get(TRAINING_FILE, {}).get(name)
    }
    return without_training(parsed) if changed == {ENSEMBLE_FILE} and not others else parsed
