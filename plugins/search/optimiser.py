"""Chooses the next change with a tree-structured Parzen estimator over gain, FLOPs and parameters, rebuilt from past rounds.

Only a few fields of the parent change at once: a round is then a small diff with a clear effect, and siblings that changed
different fields can merge.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autoqec.agents.agent_contract import Context, PastRound

from .affording import violation
from .ensemble_space import set_field
from .normal_form import normal_form
from .relations import aims
from .retraining import trained_if_needed, with_training
from .space import Parsed, choices, parse

if TYPE_CHECKING:
    import optuna

#: Number of fields that one round changes.
_FIELDS_PER_ROUND = 2


def _name(key: tuple[str, str]) -> str:
    return ":".join(key)


def _study(history: Sequence[PastRound], context: Context, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
    for past in history:
        parsed = parse(past.files)
        whole = normal_form(parsed, context)
        kept = {key: values for key, values in choices(parsed, context).items() if whole[key[0]].get(key[1]) in values}
        study.add_trial(
            optuna.trial.create_trial(
                params={_name(key): values.index(whole[key[0]][key[1]]) for key, values in kept.items()},
                distributions={_name(key): _distribution(values) for key, values in kept.items()},
                values=list(aims(past)),
                system_attrs={"constraints": [violation(past, context)]},
            )
        )
    return study


def _distribution(values: Sequence[Any]) -> optuna.distributions.IntDistribution:
    """Return the distribution of a value's index; values are ordered, so the index is meaningful to the estimator."""
    import optuna

    return optuna.distributions.IntDistribution(0, len(values) - 1)


def mutate(parent: PastRound, context: Context, salt: int) -> tuple[Parsed, list[str]]:
    """Propose a candidate near the parent.

    Args:
        parent: The round to fork.
        context: The context with past rounds.
        salt: A different salt gives a different proposal from the same context.

    Returns:
        The new candidate, and a description of each change.
    """
    import optuna

    seed = (context.seed + salt) % 2**32
    parsed = with_training(parent, context)
    open_choices = {key: values for key, values in choices(parsed, context).items() if len(values) > 1}
    chosen = random.Random(seed).sample(sorted(open_choices), min(_FIELDS_PER_ROUND, len(open_choices)))  # noqa: S311
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)
    study = _study([past for past in context.history if past.files], context, sampler)
    trial = study.ask()
    changes, whole = [], normal_form(parsed, context)
    for path, field in sorted(chosen):
        values = open_choices[path, field]
        before, after = whole[path].get(field), values[trial.suggest_int(_name((path, field)), 0, len(values) - 1)]
        if after != before and (path in parsed or field == "members"):  # an ensemble may just have lost its members
            set_field(parsed, path, field, after, context)
            changes.append(f"{field} {before} → {after}")
    return trained_if_needed(parsed, parent), changes
