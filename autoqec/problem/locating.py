"""Finds the line of a field in an environment's YAML, for error messages."""

from __future__ import annotations

import re

import yaml

from autoqec.errors import AutoQECError

_FIELD = re.compile(r"([a-z_]\w*(?:\.\w+)*)\b")


def line_of(text: bytes, field: str) -> int | None:
    """Return the line (from 1) of a dotted field such as `noise.p.0`, or of its nearest parent in the file.

    Args:
        text: The YAML, which `autoqec.canonical.load_yaml` accepts.
        field: Keys and, for lists, numbers.

    Returns:
        The line; None if not even the first key is there.
    """
    node = yaml.compose(text.decode("utf-8", errors="replace"), Loader=yaml.SafeLoader)
    line = None
    for step in field.split("."):
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == step]
            if not found:
                break
            (key, node), *_ = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
            node = node.value[int(step)]
            line = node.start_mark.line + 1
        else:
            break
    return line


def at_its_line(error: AutoQECError, origin: str, text: bytes) -> AutoQECError:
    """Prefix an error with the file and, if its message begins with a field in the file, the line.

    Args:
        error: An error whose message may begin with a field: `code.path: …`.
        origin: The file; empty where there is none, so that it has no line either.
        text: Contents of the file.
    """
    if not origin:
        return error
    match = _FIELD.match(error.problem)
    line = line_of(text, match[1]) if match else None
    where = origin if line is None else f"{origin}, line {line}"
    return error.at(where)
