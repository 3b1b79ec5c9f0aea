"""JSON whose shape only its writer knows: decoded lines, JSON schemas, YAML fields, plain data that a caller has kept.

A value with a known shape gets a type of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: A JSON object by field name. Check a field before you rely on it.
JsonObject = Mapping[str, Any]
