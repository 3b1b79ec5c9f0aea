"""Families of environments: one code at other sizes, rounds and physical error rates, under noise of one kind.

The fields say which environments are a family at most; a file that a code names says nothing here. What weights fit, the local
structure of the problem decides (`weights_of_another_family`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoqec.problem.cell import CODE_FIELDS
from autoqec.problem.code_contract import Code
from autoqec.problem.environment import Environment

#: Fields of the noise that say how strong it is.
_STRENGTH = ("p", "target_p")

#: Fields of any code that say how large it is, or where its files are.
_SIZES = (*CODE_FIELDS, "path", "paths")


def other_family(one: Environment, other: Environment, code_kinds: Callable[[str], Code]) -> str | None:
    """Say why two environments are not of one family, as `field is A there and B here`; None if they are.

    Args:
        one: The environment there.
        other: The one here.
        code_kinds: Returns the code plugin of a kind; its `SIZES`, if it has them, are the fields that say how large a code is.

    Raises:
        NotFoundError: There is no code of a kind.
    """
    if one.code.kind != other.code.kind:
        return f"code.kind is {one.code.kind} there and {other.code.kind} here"
    sizes = {*_SIZES, *getattr(code_kinds(one.code.kind), "SIZES", ())}
    pairs: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("code", {**one.code.fields}, {**other.code.fields}),
        ("noise", one.noise.model_dump(mode="json"), other.noise.model_dump(mode="json")),
    ]
    for part, there, here in pairs:
        left_out = sizes if part == "code" else _STRENGTH
        for name in sorted((there.keys() | here.keys()) - set(left_out)):
            if there.get(name) != here.get(name):
                return f"{part}.{name} is {_said(there.get(name))} there and {_said(here.get(name))} here"
    return None


def _said(value: Any) -> str:
    return "not set" if value is None else str(value)
