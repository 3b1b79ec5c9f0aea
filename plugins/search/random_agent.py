"""The agent `random`: draws uniformly from the space of `search` and learns nothing; `search` must beat it."""

from __future__ import annotations

import json
import random

from autoqec.agents.agent_contract import Context
from autoqec.agents.context_parts import HypothesisMessage

from .affording import allowed, cut_to_time
from .ensemble_space import set_field
from .roles import EmbeddedAgent
from .space import Parsed, choices, parse, template_files, templates_here, unparse, was_tried

#: Maximum number of draws before accepting a candidate with shortened training.
_DRAWS = 64


class RandomAgent(EmbeddedAgent):
    """See the module. It knows which candidates were tried and, if there are limits, their costs, but never their gains."""

    def ideate(self, context: Context) -> HypothesisMessage:
        """See `EmbeddedAgent.ideate`."""
        return draw(context)


def draw(context: Context) -> HypothesisMessage:
    """Propose a candidate drawn uniformly: a template's structure with a random value for each field."""
    spare: tuple[str, Parsed] | None = None
    for salt in range(_DRAWS):
        name, parsed = _drawn(context, (context.seed + salt) % 2**64)
        if was_tried(parsed, {}, context):
            continue
        if allowed(parsed, context):
            return _reply(name, parsed)
        cut = cut_to_time(parsed, context)
        if spare is None and cut is not None and not was_tried(cut, {}, context):
            spare = name, cut
    if spare is not None:
        return _reply(*spare)
    return {"text": "", "hint": "the space is exhausted, or nothing in it fits the limits and the budget"}


def _drawn(context: Context, seed: int) -> tuple[str, Parsed]:
    lots = random.Random(seed)  # noqa: S311
    template = lots.choice(templates_here(context))
    parsed = parse(template_files(template, context))
    parsed["training.yaml"]["init"] = "fresh"  # it has no parents
    drawn: set[tuple[str, str]] = set()
    # One by one, because a field may have an effect only for some values of another.
    while open_fields := {key: values for key, values in choices(parsed, context).items() if key not in drawn}:
        (path, field), values = min(open_fields.items())
        set_field(parsed, path, field, lots.choice(values), context)
        drawn.add((path, field))
    return ", then ".join(sorted(fields["kind"] for fields in template.stages.values())), parsed


def _reply(name: str, parsed: Parsed) -> HypothesisMessage:
    told = {path: fields for path, fields in parsed.items() if path.startswith("stages/")}
    words = [f"{field} {value}" for fields in told.values() for field, value in sorted(fields.items())]
    return {
        "text": f"Random candidate: {name}",
        "rationale": f"Drawn uniformly from templates and their fields: {', '.join(words)}."[:2000],
        "hint": json.dumps({"files": unparse(parsed)}),
    }
