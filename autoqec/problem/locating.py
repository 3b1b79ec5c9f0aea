"""Where in an environment's YAML a field stands, so that an error can name the line."""

from __future__ import annotations

import re

import yaml

from autoqec.errors import AutoQECError

_FIELD = re.compile(r"([a-z_]\w*(?:\.\w+)*)\b")


def line_of(text: bytes, field: str) -> int | None:
    """The line, from 1, of a dotted field such as `noise.p.0`, or of the nearest field around it that is there.

    Args:
        text: The YAML, which `autoqec.canonical.load_yaml` has read.
        field: Keys and, for lists, numbers.

    Returns:
        None where not even its first key is written.
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
    """The error with the file before it and, where it begins with a field that is written there, the line.

    Args:
        error: One whose message begins with a field: `code.path: …`.
        origin: The file.
        text: What it says.
    """
    match = _FIELD.match(error.problem)
    line = line_of(text, match[1]) if match else None
    where = origin if line is None else f"{origin}, line {line}"
    return error.at(where)
