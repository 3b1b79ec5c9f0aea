"""Proposes changes with a tree-structured Parzen estimator over gain, FLOPs and parameters, rebuilt from past rounds.

Rounds of the family are its oldest trials, and open rounds its newest: each with the gain that the model expects of it, and the
costs of its parents. Only a few fields of the parent change at once, fewer the more forks there were: a
round is then a small diff with a clear effect, and siblings that changed different fields can merge.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autoqec.agents.agent_contract import Context, PastRound

from .affording import violation
from .ensemble_space import set_field
from .family import elsewhere
from .gain_model import GainModel
from .normal_form import normal_form
from .relations import Aims, aims
from .retraining import trained_if_needed, with_training
from .space import Parsed, choices, parse

if TYPE_CHECKING:
    import optuna

#: Number of fields that one round changes: wide moves first, and one less after each so many forks, down to one.
_FIELDS_AT_FIRST, _FORKS_EACH = 3, 4


def _name(key: tuple[str, str]) -> str:
    return ":".join(key)


def fields_per_round(context: Context) -> int:
    """Return how many fields the next fork changes."""
    forks = sum(len(past.fork_from) == 1 for past in context.history)
    return max(1, _FIELDS_AT_FIRST - forks // _FORKS_EACH)


#: What the estimator learns from: a round, its context, and what it gained and cost.
Trial = tuple[PastRound, Context, Aims]


def expected_trials(model: GainModel, context: Context) -> list[Trial]:
    """Return the open rounds at their expected values; without one whose parents' costs are not known."""
    costs = {past.name: aims(past)[1:] for past in context.history if past.status == "ok" and past.metrics}
    found: list[Trial] = []
    for past in context.open_rounds:
        known = [costs[name] for name in past.fork_from if name in costs]
        if past.files and known:
            flops, params = (max(each) for each in zip(*known, strict=True))
            found.append((past, context, (model.predict(parse(past.files))[0], flops, params)))
    return found


def _trials(context: Context) -> list[Trial]:
    """Return what the estimator learns from, the oldest first: rounds of the family, then those of the run.

    FLOPs and parameters grow with a code, so those of another environment are shifted until its cheapest round costs as much as
    the run's.
    """
    own = [(past, context, aims(past)) for past in context.history if past.files]
    family = [(each.past, elsewhere(context, each), aims(each.past)) for each in context.family]
    return [(past, there, _shifted(costs, there, family, own)) for past, there, costs in family] + own


def _shifted(
    costs: Aims,
    there: Context,
    family: Sequence[Trial],
    own: Sequence[Trial],
) -> Aims:
    theirs = [each for _, other, each in family if other.environment == there.environment]
    ours = [each for past, _, each in own if past.status == "ok"] or theirs
    flops, params = (min(each[axis] for each in ours) - min(each[axis] for each in theirs) for axis in (1, 2))
    return costs[0], costs[1] + flops, costs[2] + params


def _study(context: Context, expected: Sequence[Trial], sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
    for past, there, costs in (*_trials(context), *expected):
        parsed = parse(past.files)
        whole = normal_form(parsed, there)
        kept = {key: values for key, values in choices(parsed, there).items() if whole[key[0]].get(key[1]) in values}
        study.add_trial(
            optuna.trial.create_trial(
                params={_name(key): values.index(whole[key[0]][key[1]]) for key, values in kept.items()},
                distributions={_name(key): _distribution(values) for key, values in kept.items()},
                values=list(costs),
                system_attrs={"constraints": [violation(past, there)]},
            )
        )
    return study


def _distribution(values: Sequence[Any]) -> optuna.distributions.IntDistribution:
    """Return the distribution of a value's index; values are ordered, so the index is meaningful to the estimator."""
    import optuna

    return optuna.distributions.IntDistribution(0, len(values) - 1)


def mutate(parent: PastRound, context: Context, salt: int, expected: Sequence[Trial] = ()) -> tuple[Parsed, list[str]]:
    """Propose a candidate near the parent.

    Args:
        parent: The round to fork.
        context: The context with past rounds.
        salt: A different salt gives a different proposal from the same context.
        expected: The open rounds; see `expected_trials`.

    Returns:
        The new candidate, and a description of each change.
    """
    import optuna

    seed = (context.seed + salt) % 2**32
    parsed = with_training(parent, context)
    open_choices = {key: values for key, values in choices(parsed, context).items() if len(values) > 1}
    chosen = random.Random(seed).sample(sorted(open_choices), min(fields_per_round(context), len(open_choices)))  # noqa: S311
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)
    study = _study(context, expected, sampler)
    trial = study.ask()
    changes, whole = [], normal_form(parsed, context)
    for path, field in sorted(chosen):
        values = open_choices[path, field]
        before, after = whole[path].get(field), values[trial.suggest_int(_name((path, field)), 0, len(values) - 1)]
        if after != before and (path in parsed or field == "members"):  # an ensemble may just have lost its members
            set_field(parsed, path, field, after, context)
            changes.append(f"{field} {before} → {after}")
    return trained_if_needed(parsed, parent), changes
