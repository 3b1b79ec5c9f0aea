"""A new environment from one that exists and the fields that differ, as YAML a person would write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from autoqec.canonical import dump_flow
from autoqec.errors import UsageError

#: The order in which people read an environment; a field that is none of these comes last.
_ORDER = ("name", "story", "code", "noise", "decoder", "references", "constraints", "protocol")

#: What another kind of noise shares with the one before.
_KEPT = {"noise": ("p", "target_p")}


def draft(name: str, story: str, like: Mapping[str, Any], changes: Sequence[tuple[str, Any]]) -> str:
    """The YAML of a new environment; whether it makes sense is for its reader to say.

    Args:
        name: Its name.
        story: Its sentence for people.
        like: The fields of the one it is made from.
        changes: Dotted fields and their values, in order. Another `kind` drops the fields of the one before; a new
            `noise.p` drops a target it does not list.

    Raises:
        UsageError: A field is inside something that has no fields.
    """
    fields = deepcopy(dict(like)) | {"name": name, "story": story}
    for field, value in changes:
        *outer, last = field.split(".")
        place = fields
        for number, step in enumerate(outer):
            inner = place.get(step)
            if isinstance(inner, str) and step == "decoder":
                inner = {"kind": inner}  # the short spelling
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
    order = sorted(fields, key=lambda key: _ORDER.index(key) if key in _ORDER else len(_ORDER))
    return "".join(f"{key}: {dump_flow(fields[key])}\n" for key in order)
