"""Typed requests between processes: a frozen dataclass lists the fields once, and the receiver is strict.

JSON values become fields of the message's header, bytes become its blobs. A received message must have every field with its type,
and no other field. If the processes have different versions, or a message is forged, the error names the field.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from autoqec.errors import AutoQECError
from autoqec.sandbox.channel import Message


class BadMessage(AutoQECError):
    """A message lacks a field, has an unknown one, or one of the wrong type; `about` names the field."""

    code = "bad_message"

    def __init__(self, message: str, field: str, problem: str):
        super().__init__(f"message {message}: field {field!r} {problem}", about={"message": message, "field": field})


@dataclass(frozen=True)
class Request:
    """The base of all requests. Types of fields, by how they travel:

    - `bytes`: a blob by the field's name.
    - `Mapping[str, bytes]`: blobs named `PREFIX:key`; see `blobs`.
    - a class with `to_blobs` and `from_blobs`: those, and no other class of the same model may use their names.
    - a mapping to such a class: blobs named `PREFIX:key:part`, and the keys in the header.
    - `bytes | None`: hexadecimal digits in the header, for keys.
    - `bool`, `int`, `float`, `str`, `Literal`, tuples of these, `Mapping[str, Any]`, dataclasses of such, and optional ones: the
      header.
    """

    def to_message(self) -> Message:
        """The message that says this."""
        header: dict[str, Any] = {}
        blobs: dict[str, bytes] = {}
        for name, kind, prefix in _kinds(type(self)):
            value = getattr(self, name)
            if kind is bytes:
                blobs[name] = value
            elif kind == bytes | None:
                header[name] = None if value is None else value.hex()
            elif _is_bundle(kind):
                blobs |= value.to_blobs()
            elif kind == Mapping[str, bytes]:
                blobs |= _prefixed(prefix, value)
            elif _is_bundles(kind):
                header[name] = list(value)
                for key, each in value.items():
                    blobs |= _prefixed(f"{prefix}:{key}", each.to_blobs())
            else:
                header[name] = _to_json(value)
        return Message(header, blobs)

    @classmethod
    def from_message(cls, message: Message) -> Self:
        """The inverse of `to_message`.

        Raises:
            BadMessage: A field is missing, unknown or of the wrong type.
        """
        reader = _Reader(cls.__name__, message)
        found = {name: reader.take(name, kind, prefix) for name, kind, prefix in _kinds(cls)}
        reader.refuse_the_rest()
        return cls(**found)


def blobs(prefix: str, **more: Any) -> Any:
    """A field that is a mapping to bytes, or to what is made of blobs, with the prefix of their names; `more` as for `field`."""
    return field(metadata={"prefix": prefix}, **more)


#: Name, type and prefix of every field, by model: types are resolved once.
_known: dict[str, tuple[tuple[str, Any, str], ...]] = {}


def _kinds(model: type[Request]) -> tuple[tuple[str, Any, str], ...]:
    name = f"{model.__module__}.{model.__qualname__}"
    if name not in _known:
        hints = get_type_hints(model)
        _known[name] = tuple((f.name, hints[f.name], f.metadata.get("prefix", f.name)) for f in fields(model))
    return _known[name]


def _is_bundle(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "to_blobs")


def _is_bundles(kind: Any) -> bool:
    return get_origin(kind) is Mapping and _is_bundle(get_args(kind)[1])


def _prefixed(name: str, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{name}:{part}": data for part, data in blobs.items()}


class _Reader:
    """Takes fields out of a message one by one, and refuses what is left."""

    def __init__(self, model: str, message: Message):
        self._model = model
        self._header = dict(message.fields)
        self._blobs = dict(message.blobs)

    def take(self, name: str, kind: Any, prefix: str) -> Any:
        if kind is bytes:
            return self._blob(name)
        if _is_bundle(kind):
            return self._bundle(kind)
        if kind == Mapping[str, bytes]:
            return {key: bytes(data) for key, data in self._under(f"{prefix}:").items()}
        if name not in self._header:
            raise BadMessage(self._model, name, "is missing")
        value = self._header.pop(name)
        if _is_bundles(kind):
            if not _fits(value, tuple[str, ...]) or len(set(value)) < len(value):
                raise BadMessage(self._model, name, "is not a list of names")
            return {key: get_args(kind)[1].from_blobs(self._under(f"{prefix}:{key}:")) for key in value}
        if kind == bytes | None:
            return self._key(name, value)
        if not _fits(value, kind):
            raise BadMessage(self._model, name, f"is not {_words(kind)}")
        return _from_json(value, kind)

    def _blob(self, name: str) -> bytes:
        if name not in self._blobs:
            raise BadMessage(self._model, name, "is missing")
        return bytes(self._blobs.pop(name))

    def _bundle(self, kind: Any) -> Any:
        found = kind.from_blobs(self._blobs)
        for name in found.to_blobs():
            self._blob(name)
        return found

    def _under(self, prefix: str) -> dict[str, bytes]:
        names = [name for name in self._blobs if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._blobs.pop(name) for name in names}

    def refuse_the_rest(self) -> None:
        for name in (*self._header, *self._blobs):
            raise BadMessage(self._model, name, "is unknown")

    def _key(self, name: str, value: Any) -> bytes | None:
        try:
            return None if value is None else bytes.fromhex(value)
        except (TypeError, ValueError):
            raise BadMessage(self._model, name, "is neither hexadecimal digits nor null") from None


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    return {name: _to_json(each) for name, each in vars(value).items()} if is_dataclass(value) else value


def _from_json(value: Any, kind: Any) -> Any:
    """Convert a valid JSON value to its type."""
    record = _record(kind)
    if record is not None and value is not None:
        return record(**{name: _from_json(value[name], each) for name, each in get_type_hints(record).items()})
    return tuple(value) if get_origin(kind) is tuple else value


def _record(kind: Any) -> Any:
    """The dataclass in a type or in an optional type; None if there is none."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return next((option for option in options if is_dataclass(option)), None)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value is of a type. An integer is a valid float; a bool is not a number."""
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in options)
    if origin is Literal:
        return value in options and isinstance(value, str)
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(each, options[0]) for each in value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return (
            isinstance(value, Mapping)
            and value.keys() == hints.keys()
            and all(_fits(value[name], each) for name, each in hints.items())
        )
    if origin is Mapping:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return isinstance(value, kind)


def _words(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind).replace("typing.", "")
