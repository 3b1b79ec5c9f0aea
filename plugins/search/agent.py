"""The search agent in its three roles. It keeps no state: each reply is a function of the context, which is git.

As Ideator it opens with two seed templates, then takes turns: composing two good rounds that are not related, trying the
next template, and forking a good round; as Coder it writes what the Ideator's hint says; as Analyst it asks for a verdict
when the gain is sure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from autoqec.agents.contract import Context, PastRound, Report, Role, ignore

from .optimiser import aims, mutate
from .space import code_of, unparse
from .templates import Template, templates_for

#: Proposals drawn before giving up on finding one that was not tried.
_DRAWS = 64

#: At least one round in this many is a compose, while there is an untried pair.
_COMPOSE_EVERY = 3

#: Templates tried at once, so that there is something to compose; the others come one in this many rounds.
_OPENING = 2
_TEMPLATE_EVERY = 3


class SearchAgent:
    """See the module."""

    def reply(self, role: Role, context: Context, report: Report = ignore) -> Mapping[str, Any]:
        """See `autoqec.agents.contract.Agent.reply`."""
        return {"ideator": _ideate, "coder": _code, "analyst": _analyse}[role](context)


def _stage_default(context: Context, kind: str) -> dict[str, Any]:
    properties = context.stages[kind]["schema"]["properties"]
    return {name: field["default"] for name, field in properties.items() if "default" in field}


def _template_files(template: Template, context: Context) -> dict[str, str]:
    shots = min(int(template.training.get("shots", 0)), int(context.limits["train_shots"]))
    parsed: dict[str, dict[str, Any]] = {"training.yaml": {**template.training, "shots": shots}}
    for slug, fields in template.stages.items():
        parsed[f"stages/{slug}/stage.yaml"] = _stage_default(context, fields["kind"]) | dict(fields)
    if template.output:
        parsed["output.yaml"] = dict(template.output)
    return unparse(parsed)


def _stages(files: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path.startswith("stages/")}


def _ideate(context: Context) -> Mapping[str, Any]:
    good = [past for past in context.history if past.status == "ok" and past.metrics and past.files]
    fresh = _fresh_templates(context)
    if fresh and len(context.history) < _OPENING:
        return fresh[0]
    pair = _pair_to_compose(good, context)
    if pair is not None:
        return _compose(pair)
    if fresh and (not good or context.round % _TEMPLATE_EVERY == 1):
        return fresh[0]
    return _fork(good, context)


def _fresh_templates(context: Context) -> list[Mapping[str, Any]]:
    """Hypotheses of the templates for this environment that no round has tried."""
    tried = [_stages(past.files) for past in context.history]
    found: list[Mapping[str, Any]] = []
    for template in templates_for(context.environment):
        if all(fields["kind"] in context.stages for fields in template.stages.values()):
            files = _template_files(template, context)
            if _stages(files) not in tried:
                hint = json.dumps({"files": files})
                found.append({"text": template.text, "rationale": template.rationale, "hint": hint})
    return found


def _number(name: str) -> str:
    """A round of this run as people call it."""
    return name.split("/")[1]


def _ancestors(name: str, parents: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        for parent in parents.get(todo.pop(), ()):
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def _pair_to_compose(good: list[PastRound], context: Context) -> tuple[PastRound, PastRound] | None:
    """The two best rounds of this run that are not related and were never merged, when a compose is due."""
    tried = {tuple(sorted(past.fork_from)) for past in context.history if past.compose != "none"}
    since = 0
    for past in reversed(context.history):
        if past.compose != "none":
            break
        since += 1
    if since < _COMPOSE_EVERY - 1:
        return None
    parents = {past.name: past.fork_from for past in context.history}
    own = sorted((past for past in good if past.name.startswith(f"{context.run}/")), key=aims, reverse=True)
    for first, second in combinations(own, 2):
        related = first.name in _ancestors(second.name, parents) or second.name in _ancestors(first.name, parents)
        if not related and tuple(sorted((first.name, second.name))) not in tried and aims(second)[0] > 0:
            return first, second
    return None


def _compose(pair: tuple[PastRound, PastRound]) -> Mapping[str, Any]:
    names = sorted(past.name for past in pair)
    gains = " and ".join(f"{aims(past)[0]:.4f} ({past.name})" for past in pair)
    return {
        "text": f"The changes of rounds {' and '.join(map(_number, names))} act on different parts and add up",
        "fork_from": names,
        "compose": "pure",
        "expected_delta_ler": round(max(aims(past)[0] for past in pair), 6),
        "rationale": f"Each gained alone: {gains}; neither descends from the other.",
    }


def _parent(good: list[PastRound], context: Context) -> PastRound | None:
    """A round of this run that none beats on both aims; among those, the best gain two times in three."""
    own = [past for past in good if past.name.startswith(f"{context.run}/")]
    best = [
        past
        for past in own
        if not any(aims(o)[0] >= aims(past)[0] and aims(o)[1] <= aims(past)[1] and aims(o) != aims(past) for o in own)
    ]
    best.sort(key=lambda past: (-aims(past)[0], past.name))
    if not best:
        return None
    return best[0] if context.round % 3 else best[context.seed % len(best)]


def _fork(good: list[PastRound], context: Context) -> Mapping[str, Any]:
    parent = _parent(good, context)
    origin = parent or (good[-1] if good else None)
    tried = [dict(past.files) for past in context.history]
    for salt in range(_DRAWS if origin is not None else 0):
        assert origin is not None
        parsed, changes = mutate(origin, context, salt)
        files = unparse(parsed) | code_of(origin.files)
        if changes and files not in tried:
            return {
                "text": f"From round {_number(origin.name)}: {', '.join(changes)}",
                "fork_from": [origin.name] if parent is not None else [],
                "expected_delta_ler": round(aims(origin)[0], 6),
                "rationale": f"{origin.name} gained {aims(origin)[0]:.4f} per shot; the estimator over"
                f" {len(context.history)} rounds favours this change.",
                "hint": json.dumps({"files": files}),
            }
    return {"text": "", "hint": "the search space is exhausted"}


def _code(context: Context) -> Mapping[str, Any]:
    hypothesis = context.hypothesis or {}
    try:
        files = json.loads(str(hypothesis.get("hint", "")))["files"]
    except (ValueError, KeyError, TypeError):
        # Another agent had the idea; the nearest thing this one can do is to vary the files it is given.
        files = dict(context.parent_files) or _template_files(templates_for(context.environment)[0], context)
    return {"files": files, "message": str(hypothesis.get("rationale", ""))}


def _analyse(context: Context) -> Mapping[str, Any]:
    metrics = context.metrics or {}
    low, high = metrics.get("delta_ler_ci") or (0.0, 0.0)
    gain = (
        f"Δ_LER {metrics.get('delta_ler', 0.0):+.5f} [{low:+.5f}, {high:+.5f}] over {metrics.get('shots', 0):,} shots"
    )
    stronger = {
        n: ler for n, ler in (metrics.get("references") or {}).items() if ler > metrics.get("ler_candidate", 1.0)
    }
    beats = f"; below {', '.join(sorted(stronger))}" if stronger else ""
    if low > 0:
        return {
            "summary": f"{gain}: a sure gain{beats}.",
            "decision": "candidate",
            "next_seed": "Refine what this round changed.",
        }
    return {
        "summary": f"{gain}: no sure gain.",
        "decision": "ignore",
        "next_seed": "Try another direction from an earlier round.",
    }
