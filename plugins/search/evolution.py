"""The agent `evolution`: regularised evolution with tournaments on gain and cost, mutation, crossover by merge, and ageing.

It follows Real et al. (2019), with the order of NSGA-II (Deb et al. 2002) within a tournament: the round dominated by the
fewest others wins. The population is the newest rounds that ran, so a lucky round ages out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.context_parts import HypothesisMessage

from .affording import allowed, cut_to_time
from .ensemble_space import set_field
from .normal_form import normal_form
from .random_agent import draw
from .relations import aims, beats, compose_reply, composes_due, fork_reply, pairs_to_compose, usable
from .retraining import trained_if_needed, with_training
from .roles import EmbeddedAgent
from .space import Parsed, choices, code_of, was_tried

#: Number of random rounds at the start; size of the population; size of a tournament.
_FOUNDERS, _ALIVE, _MEET = 2, 12, 3

#: One round in this many is a crossover, if there is a pair.
_CROSSOVER_EVERY = 3

_DRAWS = 64


class EvolutionAgent(EmbeddedAgent):
    """See the module."""

    def ideate(self, context: Context) -> HypothesisMessage:
        """See `EmbeddedAgent.ideate`."""
        alive = usable(context)[-_ALIVE:]
        if len(context.history) < _FOUNDERS or not alive:
            return draw(context)
        lots = random.Random(context.seed)  # noqa: S311
        if composes_due(context, _CROSSOVER_EVERY):
            pair = next(pairs_to_compose(_by_rank(alive), context), None)
            if pair is not None:
                return compose_reply(pair, context)
        return _mutant(alive, context, lots) or draw(context)


def _by_rank(rounds: Sequence[PastRound]) -> list[PastRound]:
    """Sort rounds by the number of rounds that dominate them, then by gain."""
    beaten = {past.name: sum(beats(aims(other), aims(past)) for other in rounds) for past in rounds}
    return sorted(rounds, key=lambda past: (beaten[past.name], -aims(past)[0], past.name))


def _mutant(alive: Sequence[PastRound], context: Context, lots: random.Random) -> HypothesisMessage | None:
    """Mutate one field of a tournament's winner; None if all nearby candidates were tried or do not fit."""
    spare: HypothesisMessage | None = None
    for _ in range(_DRAWS):
        winner = _by_rank(lots.sample(list(alive), min(_MEET, len(alive))))[0]
        parsed, change = _mutated(winner, context, lots)
        if not change or was_tried(parsed, code_of(winner.files), context):
            continue
        why = f"it won a tournament of {min(_MEET, len(alive))}; one field is mutated."
        if allowed(parsed, context):
            return fork_reply(winner, parsed, [change], why)
        cut = cut_to_time(parsed, context)
        if spare is None and cut is not None:
            spare = fork_reply(winner, cut, [change, "training shortened to the available time"], why)
    return spare


def _mutated(parent: PastRound, context: Context, lots: random.Random) -> tuple[Parsed, str]:
    parsed = with_training(parent, context)
    whole = normal_form(parsed, context)
    fields = {
        key: [v for v in values if v != whole[key[0]].get(key[1])] for key, values in choices(parsed, context).items()
    }
    open_fields = sorted(key for key, values in fields.items() if values)
    if not open_fields:
        return parsed, ""
    path, field = lots.choice(open_fields)
    before, after = whole[path].get(field), lots.choice(fields[path, field])
    set_field(parsed, path, field, after, context)
    if whole["training.yaml"]["shots"] != 0:
        parsed.setdefault("training.yaml", {})["init"] = (
            "parents"  # founders have no parents to inherit from, but their children do
        )
    return trained_if_needed(parsed, parent), f"{field} {before} → {after}"
