"""Converts a JSON schema to the dialect of OpenAI's structured outputs: every object closed, every field required."""

from __future__ import annotations

from typing import Any

from autoqec.json_values import JsonObject

_KEPT = ("type", "enum", "const", "description")


def strict_schema(schema: JsonObject) -> dict[str, Any] | None:
    """Return the strict form of a schema. Limits of length and value are dropped, because AutoQEC validates the reply anyway.

    Returns:
        The schema; None if the dialect cannot express it, as for an object with free field names, such as files by path.
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
