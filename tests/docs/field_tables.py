"""The reference of fields, made from the models themselves: `python tests/docs/field_tables.py > docs/fields.md`."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from autoqec.candidate.schema import Output, Training
from autoqec.candidate.stage_contract import StageConfig
from autoqec.decoding.gate_file import Gate
from autoqec.plugins import load_plugins
from autoqec.problem.cell import Cell
from autoqec.problem.environment import Environment
from autoqec.problem.noise import Noise
from autoqec.problem.protocol import Constraints, Protocol

#: Models that stand inside another one, by the headings they get.
_TITLES = {"Matrices": "Files of parity_check", "TannerFiles": "Files of tanner", "Parts": "Parts of recorded"}

_HEAD = """# All fields

Every field of an environment and of a candidate, with its values and its default. [Environments](environments.md)
and [Candidates](candidates.md) explain how the fields work together. AutoQEC refuses unknown fields. The models that
read the fields make this page: `python tests/docs/field_tables.py > docs/fields.md`.
"""


def meanings_of(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a model and of those it is made of say of each field."""
    said: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        text = inspect.cleandoc(kind.__doc__ or "")
        section = re.search(r"^Attributes:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
        for name, meaning in re.findall(
            r"^    (\w+): (.*(?:\n      .*)*)", section[1] if section else "", re.MULTILINE
        ):
            said[name] = " ".join(meaning.split())
    return said


def _kinds(annotation: Any) -> list[str]:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = _limits(parts[1:])
        return [f"{kind} {limits}".strip() for kind in _kinds(parts[0])]
    if origin is Literal:
        return [f"`{value}`" for value in parts]
    if origin in (typing.Union, types.UnionType):
        return [kind for part in parts for kind in _kinds(part)]
    if origin is tuple:
        return [f"list of {' or '.join(_kinds(parts[0]))}"]
    if origin is dict:
        return ["names with values"]
    if annotation is type(None):
        return ["null"]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        title = _TITLES.get(annotation.__name__, annotation.__name__)
        return ["a kind, or `{kind: …, its fields}`" if title == "Choice" else f"[{title}](#{_anchor(title)})"]
    words = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text"}
    return [words.get(annotation, getattr(annotation, "__name__", str(annotation)))]


def _anchor(title: str) -> str:
    """As the site makes anchors of headings."""
    return re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")


def _limits(metadata: Any) -> str:
    words: list[str] = []
    for limit in metadata:
        if isinstance(limit, FieldInfo):
            words += [_limits(limit.metadata)]
        for kind, name, sign in ((Gt, "gt", ">"), (Ge, "ge", "≥"), (Lt, "lt", "<"), (Le, "le", "≤")):
            if isinstance(limit, kind):
                words.append(f"{sign} {getattr(limit, name):,.15g}")
        if isinstance(limit, MaxLen):
            words.append(f"at most {limit.max_length:,}")
        if isinstance(limit, MinLen) and limit.min_length:
            words.append(f"at least {limit.min_length:,}")
    return ", ".join(word for word in words if word)


def default_text(field: FieldInfo) -> str:
    """The default of a field."""
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or isinstance(value, bool):
        return f"`{value}`".lower().replace("none", "null")
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`" if value != "" else "empty"


def values_text(field: FieldInfo) -> str:
    """The kinds and limits of a field's values."""
    values, limits = ", ".join(_kinds(field.annotation)), _limits(field.metadata)
    return f"{values}; {limits}" if limits else values


def field_table(model: type[BaseModel]) -> str:
    """The fields of a model as a table."""
    meanings = meanings_of(model)
    rows = ["| field | values | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name == "position" and model is not StageConfig:
            continue  # every stage has it
        if name == "kind" and isinstance(field.default, str) and typing.get_args(field.annotation) == (field.default,):
            continue  # the heading says it
        cells = [f"`{name}`", values_text(field), default_text(field), meanings.get(name, "")]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _sections() -> Iterator[tuple[str, str]]:
    registry = load_plugins()
    yield "## An environment", ""
    for title, model in (
        ("The file", Environment),
        ("Noise", Noise),
        ("Constraints", Constraints),
        ("Protocol", Protocol),
        ("Cell", Cell),
    ):
        yield f"### {title}", field_table(model)
    for entry in sorted(registry.all("code"), key=lambda entry: entry.name):
        config = entry.create().Config
        yield f"### Code `{entry.name}`", field_table(config)
        for field in config.model_fields.values():
            if getattr(field.annotation, "__name__", "") in _TITLES:
                yield f"### {_TITLES[field.annotation.__name__]}", field_table(field.annotation)
    yield "## A candidate", ""
    for path, model in (("output.yaml", Output), ("training.yaml", Training), ("gate.yaml", Gate)):
        yield f"### `{path}`", field_table(model)
    yield "### Every `stage.yaml`", field_table(StageConfig)
    for entry in sorted(registry.all("stage"), key=lambda entry: entry.name):
        config = entry.create().Config
        fields = set(config.model_fields) - set(StageConfig.model_fields)
        yield f"### Stage `{entry.name}`", field_table(config) if fields else "It has no fields of its own."


def field_tables() -> str:
    """The whole page."""
    parts = [_HEAD.rstrip(), *(part for section in _sections() for part in section if part)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(field_tables(), end="")
