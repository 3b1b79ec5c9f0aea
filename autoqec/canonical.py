"""One spelling for every value that is hashed, diffed or merged: canonical YAML for people, canonical JSON for notes.

YAML files are written sorted, one scalar per line and a blank line between keys, so that both git's line merge and a
reviewer see one change per key. They are read strictly: no duplicate keys, anchors, aliases or tags, and numbers as a
physicist writes them: `5e-3` is a number, which YAML 1.1 reads as a string, and `1:30` and `010` are none.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from autoqec.errors import UsageError
from autoqec.size_limits import YAML_BYTES, in_words

_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$")  # `$`: PyYAML matches
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")  # YAML 1.1 also reads 1:30 as 90 and 010 as 8
_BOOL = re.compile(r"(?:true|false)$")
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_./-])?")


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses ambiguous YAML."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not allowed", problem_mark=event.start_mark)
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem=f"tag {event.tag} is not allowed", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="keys must be plain words", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is written twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _float(loader: _StrictLoader, node: Any) -> float:
    """A number; minus zero is zero, so that they have one hash."""
    return float(loader.construct_yaml_float(node)) + 0.0


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    replaced = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
    dropped = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value", "tag:yaml.org,2002:merge"}
    kept: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [(tag, pattern) for tag, pattern in pairs if tag not in replaced and tag not in dropped]
    for tag, pattern, firsts in (
        ("tag:yaml.org,2002:bool", _BOOL, "tf"),
        ("tag:yaml.org,2002:float", _FLOAT, "-+.0123456789"),
        ("tag:yaml.org,2002:int", _INT, "-+0123456789"),
    ):
        for first in firsts:
            kept.setdefault(first, []).insert(0, (tag, pattern))
    return kept


_StrictLoader.yaml_implicit_resolvers = _resolvers()
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _float)


def load_yaml(text: str | bytes, *, name: str) -> Any:
    """Read YAML strictly.

    Args:
        text: The document; bytes must be UTF-8.
        name: What to call it in an error, usually its path.

    Raises:
        UsageError: It is too large, not UTF-8, not YAML, or uses duplicate keys, anchors, aliases or tags.
    """
    if len(text) > YAML_BYTES:
        problem = (
            f"{name} takes {in_words(len(text))}, over the limit of {in_words(YAML_BYTES)} for YAML, and was not read"
        )
        raise UsageError(problem, code="over_limit", about={"file": name, "limit": YAML_BYTES})
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader made stricter
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8 text (byte {error.start})", code="bad_yaml", about={"file": name}
        ) from error
    except RecursionError as error:
        raise UsageError(f"{name} is nested too deeply to be read", code="bad_yaml", about={"file": name}) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise UsageError(f"{name}: {error}", code="bad_yaml", about={"file": name}) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UsageError(f"{name}{where}: {reason}", code="bad_yaml", about={"file": name}) from error


def told_fields(files: Mapping[str, bytes], path: str) -> dict[str, Any]:
    """The fields of one of several YAML files; none of a file that is absent or holds something else.

    Raises:
        UsageError: As `load_yaml`.
    """
    told = load_yaml(files.get(path, b""), name=path)
    return told if isinstance(told, dict) else {}


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar; unlike JSON's, its escapes name characters beyond the basic plane as one."""

    def spell(character: str) -> str:
        code = ord(character)
        if character in '"\\':
            return "\\" + character
        if character.isprintable():
            return character
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return '"' + "".join(map(spell, text)) + '"'


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("canonical files hold finite numbers only")
        text = repr(value + 0.0)  # minus zero is zero
        return text if _FLOAT.fullmatch(text) else text + ".0"
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value not in ("true", "false", "null", "Null", "NULL")
        return value if plain else _quoted(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    raise TypeError(f"cannot write {type(value).__name__} in a canonical file")


def _lines(mapping: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key in sorted(mapping):
        if not _PLAIN.fullmatch(key):
            raise ValueError(f"{key!r} cannot be a key of a canonical file")
        if lines and not indent:
            lines.append("")
        value = mapping[key]
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{key}:")
            lines.extend(_lines(value, indent + "  "))
        else:
            lines.append(f"{indent}{key}: {'{}' if value == {} else _scalar(value)}")
    return lines


def dump_yaml(mapping: dict[str, Any]) -> str:
    """Write a mapping canonically: sorted keys, one scalar per line, lists on one line, blank line between keys.

    Raises:
        TypeError, ValueError: A value is not a scalar, list of scalars or mapping, or a number is not finite.
    """
    return "\n".join(_lines(mapping, "")) + "\n"


def dump_flow(value: Any) -> str:
    """Write a value on one line, mappings in braces in their own order: for YAML that a person edits further.

    Raises:
        TypeError, ValueError: As for `dump_yaml`.
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {dump_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(dump_flow(item) for item in value) + "]"
    return _scalar(value)


def dump_json(value: Any) -> str:
    """Write a value as one canonical JSON line: sorted keys, no spaces, plain Unicode, finite numbers only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """SHA-256 (64 hex digits) of a value's canonical JSON, or of bytes as they are."""
    data = value if isinstance(value, bytes) else dump_json(value).encode()
    return hashlib.sha256(data).hexdigest()
