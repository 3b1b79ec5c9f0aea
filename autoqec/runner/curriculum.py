"""A curriculum: training starts above the target error rate, where more shots are hard, and comes down to it in a few levels.

Every level is the target's problem with more noise: its shots are drawn there, and priors, decoder and gate are those of the
level too. So each level asks the same question at another noise strength, and what is learned there holds at the target. With
the target's priors, weights would learn to correct wrong priors, and would have to forget that at the end. Shots that are sent on
are those that the gate would send on at that noise; more of them are, which is what a curriculum is for.
"""

from __future__ import annotations

from dataclasses import replace

import stim

from autoqec.problem.problem import Problem

#: Levels above the target, whose factors are powers of the first.
_LEVELS = 3

#: The share of the steps that are made above the target. The rest are as without a curriculum.
_SHARE_ABOVE = 0.5


def levels_above(problem: Problem, factor: float) -> list[Problem]:
    """The target's problem with more noise: `factor` times as much, then less from level to level; none for the factor 1."""
    if factor <= 1.0:
        return []
    return [with_noise(problem, factor ** (number / _LEVELS)) for number in range(_LEVELS, 0, -1)]


def level_at(step: int, steps: int, levels: int) -> int | None:
    """The level of a step, counted from the noisiest; None at the target.

    Args:
        step: How many steps are done.
        steps: How many are planned.
        levels: How many levels are above the target.
    """
    above = int(_SHARE_ABOVE * steps) if levels else 0
    return step * levels // above if step < above else None


def with_noise(problem: Problem, factor: float) -> Problem:
    """A problem with `factor` times the noise, without a circuit.

    An error that fires with probability p then fires with q, where 1 - 2q = (1 - 2p)^factor: for a whole factor, that is the
    chance that an odd number of so many independent errors fires. It stays below 1/2, and instructions that merge into one
    mechanism may be changed before or after. An error with p of 1/2 or more stays as it is.
    """
    noisier = stim.DetectorErrorModel()
    for instruction in problem.dem:
        assert isinstance(instruction, stim.DemInstruction)  # the model is flat
        if instruction.type == "error":
            chance = _more_often(instruction.args_copy()[0], factor)
            noisier.append("error", [chance], instruction.targets_copy())
        else:
            noisier.append(instruction)
    priors = problem.mechanisms.priors.copy()
    for number, prior in enumerate(priors):
        priors[number] = _more_often(float(prior), factor)
    return replace(problem, dem=noisier, circuit=None, mechanisms=replace(problem.mechanisms, priors=priors))


def _more_often(chance: float, factor: float) -> float:
    return (1.0 - (1.0 - 2.0 * chance) ** factor) / 2.0 if chance < 0.5 else chance
