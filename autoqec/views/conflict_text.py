"""Prints a failed composition: the conflicts between its parents, value by value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from autoqec.views.round_json import Disagreement


def conflicts_text(conflicts: Sequence[Disagreement], parents: Sequence[str]) -> str:
    """Every field or file in conflict, with its value where the parents parted and in each of the two.

    Args:
        conflicts: The conflicts.
        parents: The composed rounds, for the heading.
    """
    lines = [" + ".join(parents)] if conflicts and parents else []
    for conflict in conflicts:
        field = f": {conflict.field}" if conflict.field else " (the whole file)"
        lines.append(f"{conflict.path}{field}")
        between = [*(conflict.between if isinstance(conflict.between, list) else ()), "", ""]
        sides = (
            ("base", "", conflict.base),
            ("ours", between[0], conflict.ours),
            ("theirs", between[1], conflict.theirs),
        )
        for side, commit, value in sides:
            label = f"{side} {str(commit)[:10]}".rstrip()
            lines += _value(label, value, whole=conflict.field is None)
    return "\n".join(lines)


def _value(label: str, value: Any, *, whole: bool) -> list[str]:
    if value is None:
        return [f"  {label:<17}  absent"]
    if whole and isinstance(value, str):
        return [f"  {label}"] + [f"    | {line}" for line in value.splitlines()]
    return [f"  {label:<17}  {json.dumps(value, ensure_ascii=False)}"]
