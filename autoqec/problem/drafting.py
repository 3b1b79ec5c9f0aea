"""Drafts the YAML of a new environment from an existing one and the changed fields."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from autoqec.canonical import dump_flow
from autoqec.errors import UsageError
from autoqec.json_values import JsonObject

#: Order of the fields in the file; other fields come last.
_ORDER = ("name", "story", "code", "noise", "decoder", "references", "constraints", "protocol")

#: The fields that stay when `kind` changes.
_KEPT = {"noise": ("p", "target_p")}


def changed(like: JsonObject, changes: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of an environment with changes, without validating them.

    Args:
        like: The fields.
        changes: Dotted fields and their values, in order. A new `kind` drops the fields of the old kind; a new `noise.p`
            drops a target that it does not list.

    Raises:
        UsageError: A dotted field leads into a value that has no fields.
    """
    fields = deepcopy(dict(like))
    for field, value in changes:
        *outer, last = field.split(".")
        place = fields
        for number, step in enumerate(outer):
            inner = place.get(step)
            if isinstance(inner, str) and step == "decoder":
                inner = {"kind": inner}  # the short form
            if inner is None:
                inner = {}
            if not isinstance(inner, dict):
                raise UsageError(f"{'.'.join(outer[: number + 1])} has no field {last!r}", hint=f"leave out {field}")
            place[step] = inner
            place = inner
        if last == "kind" and place.get("kind") != value:
            kept = _KEPT.get(outer[0], ()) if value != "given" and outer else ()
            for other in [other for other in place if other not in kept]:
                del place[other]
        place[last] = value
        if field == "noise.p" and isinstance(value, list) and place.get("target_p") not in value:
            place.pop("target_p", None)
    return fields


def yaml_of(fields: JsonObject) -> str:
    """The YAML of an environment, a line for each section."""
    order = sorted(fields, key=lambda key: _ORDER.index(key) if key in _ORDER else len(_ORDER))
    return "".join(f"{key}: {dump_flow(fields[key])}\n" for key in order)
