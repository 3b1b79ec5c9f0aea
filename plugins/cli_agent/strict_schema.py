"""A JSON schema in the dialect that OpenAI's structured outputs take: every object closed, every field required."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEPT = ("type", "enum", "const", "description")


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same schema, strict; limits of length and value are left out, for the reply is validated here anyway.

    Returns:
        None if it cannot be said: an object whose fields have no names of their own, such as files by path.
    """
    if "$ref" in schema or "$defs" in schema:
        return None
    found: dict[str, Any] = {name: schema[name] for name in _KEPT if name in schema}
    if "anyOf" in schema:
        choices = [strict_schema(choice) for choice in schema["anyOf"]]
        return None if None in choices else {**found, "anyOf": choices}
    if schema.get("type") == "object":
        fields = {name: strict_schema(field) for name, field in schema.get("properties", {}).items()}
        if not fields or None in fields.values():
            return None
        found |= {"properties": fields, "required": list(fields), "additionalProperties": False}
    if schema.get("type") == "array":
        items = strict_schema(schema.get("items", {}))
        if items is None:
            return None
        found["items"] = items
    return found if "type" in found or "enum" in found else None
