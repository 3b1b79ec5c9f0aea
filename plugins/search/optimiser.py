"""Which change to try next: a tree-structured Parzen estimator over gain, FLOPs and parameters, made anew from past rounds.

Only a few fields of the parent change at once, so that a round is a small diff, its effect can be read, and siblings that
changed different fields can be merged.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autoqec.agents.agent_contract import Context, PastRound

from .affording import violation
from .relations import aims
from .space import Parsed, choices, parse

if TYPE_CHECKING:
    import optuna

#: How many fields one round changes.
_FIELDS_PER_ROUND = 2


def _name(key: tuple[str, str]) -> str:
    return ":".join(key)


def _study(history: Sequence[PastRound], context: Context, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
    for past in history:
        parsed = parse(past.files)
        kept = {key: values for key, values in choices(parsed, context).items() if parsed[key[0]].get(key[1]) in values}
        study.add_trial(
            optuna.trial.create_trial(
                params={_name(key): values.index(parsed[key[0]][key[1]]) for key, values in kept.items()},
                distributions={_name(key): _distribution(values) for key, values in kept.items()},
                values=list(aims(past)),
                system_attrs={"constraints": [violation(past, context)]},
            )
        )
    return study


def _distribution(values: Sequence[Any]) -> optuna.distributions.IntDistribution:
    """Values are listed in order, so their index is a quantity the estimator can reason about."""
    import optuna

    return optuna.distributions.IntDistribution(0, len(values) - 1)


def mutate(parent: PastRound, context: Context, salt: int) -> tuple[Parsed, list[str]]:
    """A candidate near the parent.

    Args:
        parent: The round to fork.
        context: What is known.
        salt: Another salt gives another proposal from the same knowledge.

    Returns:
        The new candidate and, in words, what changed.
    """
    import optuna

    seed = (context.seed + salt) % 2**32
    parsed = parse(parent.files)
    open_choices = {key: values for key, values in choices(parsed, context).items() if len(values) > 1}
    chosen = random.Random(seed).sample(sorted(open_choices), min(_FIELDS_PER_ROUND, len(open_choices)))  # noqa: S311
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)
    study = _study([past for past in context.history if past.files], context, sampler)
    trial = study.ask()
    changes = []
    for path, field in sorted(chosen):
        values = open_choices[path, field]
        before, after = parsed[path].get(field), values[trial.suggest_int(_name((path, field)), 0, len(values) - 1)]
        if after != before:
            parsed[path][field] = after
            changes.append(f"{field} {before} → {after}")
    return parsed, changes
