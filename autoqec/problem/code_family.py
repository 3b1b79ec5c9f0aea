"""Families of environments: one code at other sizes, rounds and physical error rates, under noise of one kind.

The fields say which environments are a family at most: those whose code differs in numbers and file names alone. What weights
fit, the local structure of the problem decides (`weights_of_another_family`).
"""

from __future__ import annotations

from autoqec.json_values import JsonObject
from autoqec.problem.environment import Environment

#: Fields of a code that say where its files are, and of the noise that say how strong it is.
_FILES, _STRENGTH = ("path", "paths"), ("p", "target_p")


def other_family(one: Environment, other: Environment) -> str | None:
    """Say why two environments are not of one family, as `field is A there and B here`; None if they are.

    Args:
        one: The environment there.
        other: The one here.
    """
    there, here = (_about(each) for each in (one, other))
    for name in sorted(there.keys() | here.keys(), key=lambda name: (not name.endswith(".kind"), name)):
        if there.get(name) != here.get(name):
            said = ["not set" if each.get(name) is None else each[name] for each in (there, here)]
            return f"{name} is {said[0]} there and {said[1]} here"
    return None


def _about(environment: Environment) -> JsonObject:
    """The fields that all environments of a family share."""
    code = {
        f"code.{name}": value
        for name, value in environment.code.model_dump(mode="json").items()
        if name not in _FILES and (isinstance(value, bool) or not isinstance(value, int | float))
    }
    noise = environment.noise.model_dump(mode="json")
    return code | {f"noise.{name}": value for name, value in noise.items() if name not in _STRENGTH}
