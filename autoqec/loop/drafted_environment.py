"""An environment that is in no file yet: made of another one, of files that a user gives, and of changed fields."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoqec.canonical import load_yaml
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.json_values import JsonObject
from autoqec.loop.session import check_environment
from autoqec.plugins import Registry
from autoqec.problem.drafting import changed, yaml_of
from autoqec.problem.environment import (
    DRAFT,
    EDIT_FILE,
    ENVIRONMENT_FILE,
    Environment,
    LoadedEnvironment,
    companion,
    environment_from_files,
    named_files,
)
from autoqec.problem.given_files import GivenFiles, Offers, brings_noise, fitting_noise

#: A physical error rate that a hint suggests.
_SOME_RATE = 0.005

#: A field of an environment at the start of a message, and a section as a hint writes it.
_FIELD = re.compile(r"[a-z]\w*(?:\.\w+)*(?=:)")
_SECTION = re.compile(r"\b(noise|decoder|code|protocol): (\{[^}]*\}|\w+)")

#: Dotted fields and their values.
Changes = Sequence[tuple[str, Any]]


def offered_files(registry: Registry) -> Offers:
    """What files each kind of code reads."""
    return {entry.name: entry.capabilities.get("files", ()) for entry in registry.all("code")}


def read_change(text: str) -> tuple[str, Any]:
    """Parse a dotted field and its YAML value, such as `noise.p=[0.001, 0.003]`.

    Raises:
        UsageError: There is no field or no `=`, or the value is not YAML.
    """
    field, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in field.strip().split(".")):
        raise UsageError(f"--set {text}: write FIELD=VALUE", hint="--set code.distance=7")
    return field.strip(), load_yaml(value, name=f"--set {field.strip()}")


def drafted(
    name: str,
    story: str,
    like: LoadedEnvironment,
    changes: Changes,
    registry: Registry,
    *,
    given: GivenFiles | None = None,
    names: Mapping[str, str] | None = None,
    beside: Path | None = None,
) -> LoadedEnvironment:
    """Make an environment in memory, on which rounds can run.

    Args:
        name: Its name.
        story: Its description for people.
        like: The environment whose fields and files it has, where nothing else is said.
        changes: Fields that differ, in order.
        registry: Installed plugins.
        given: Files that are its code.
        names: The name of each of them beside the environment, by its field; by default its own.
        beside: A folder with further files that a changed field may name; None for none.

    Returns:
        The environment. One of given files has the decoder of `like`, or the first that can decode it, and those references of
        `like` that can, unless the changes name others.

    Raises:
        UsageError, NotFoundError: It cannot be used. The message names the field, and no line: there is no file.
    """
    try:
        return _drafted(name, story, like, changes, registry, given, names, beside)
    except (UsageError, NotFoundError) as error:
        raise type(error)(error.problem, hint=_typed(error, given), code=error.code, about=error.about) from error


def _typed(error: AutoQECError, given: GivenFiles | None) -> str:
    """The hint of an error for somebody who types options and has no environment's file to correct."""
    field = _FIELD.match(error.problem)
    if given is not None and error.hint in (None, EDIT_FILE) and field and field[0].startswith("code."):
        return f"correct {' or '.join(map(str, given.paths.values()))}, or name another file"
    if error.hint is None or error.hint == EDIT_FILE:
        return f"nothing was written; choose another value by --set {field[0] if field else 'FIELD'}=VALUE"
    said = error.hint.replace("remove the noise section, or use ", "instead, use ")
    return _SECTION.sub(lambda found: f"--set {shlex.quote(f'{found[1]}={found[2]}')}", said)


def _drafted(
    name: str,
    story: str,
    like: LoadedEnvironment,
    changes: Changes,
    registry: Registry,
    given: GivenFiles | None,
    names: Mapping[str, str] | None,
    beside: Path | None,
) -> LoadedEnvironment:
    start = load_yaml(like.files[ENVIRONMENT_FILE], name=like.origin) | {"name": name, "story": story}
    files = {file: data for file, data in like.files.items() if file != ENVIRONMENT_FILE}
    told = {field.partition(".")[0] for field, _ in changes}
    if given is not None:
        own = names or {field: path.name for field, path in given.paths.items()}
        start |= {"code": given.code(own), "noise": {"kind": "given"}}
        files = {own[field]: data for field, data in given.contents.items()}
    fields: dict[str, Any] = changed(start, changes)
    alone = environment_from_files({ENVIRONMENT_FILE: yaml_of(fields).encode()}, origin=DRAFT)
    files = _files_of(alone.environment, files, beside)
    if "noise" not in told and files:
        fields = fields | _noise(alone.environment, files, registry, fields, given)
    loaded = _in_memory(fields, files)
    if given is not None and not told & {"decoder", "references"}:
        return _with_decoders(loaded, fields, registry)
    check_environment(loaded, registry)
    return loaded


def _in_memory(fields: JsonObject, files: Mapping[str, bytes]) -> LoadedEnvironment:
    return environment_from_files({ENVIRONMENT_FILE: yaml_of(fields).encode(), **files}, origin=DRAFT)


def _files_of(environment: Environment, files: Mapping[str, bytes], beside: Path | None) -> dict[str, bytes]:
    """The files that the code names: those at hand, or read from the folder."""
    found: dict[str, bytes] = {}
    for field, file in named_files(environment).items():
        if file in files:
            found[file] = files[file]
        elif beside is not None:
            try:
                found[file] = companion(beside / ENVIRONMENT_FILE, field, file)
            except NotFoundError as error:
                hint = f"autoqec env new {environment.name} --from {file} copies it there"
                raise NotFoundError(error.problem, hint=hint) from error
        else:
            raise NotFoundError(f"{field} names {file}, which is not among the files given", hint=f"leave out {field}")
    return found


def _noise(
    environment: Environment,
    files: Mapping[str, bytes],
    registry: Registry,
    fields: JsonObject,
    given: GivenFiles | None,
) -> dict[str, Any]:
    """The section `noise` of a code of files, where nobody named one: none if they bring their noise.

    Raises:
        UsageError: They bring none, and so somebody must choose it.
    """
    code = registry.maker("code")(environment.code.kind)
    try:
        brought = brings_noise(code, environment.code.fields, files)
    except ValidationError:
        return {}  # said in full when the code is built
    if brought:
        return {"noise": {"kind": "given"}}
    if given is not None:
        kind = fitting_noise(code, environment.code.fields, files, _SOME_RATE)
        hint = f"add --set noise.kind={kind} --set 'noise.p=[{_SOME_RATE}]'" if kind else "--set noise.kind=..."
        raise UsageError(
            f"noise: {', '.join(map(str, given.paths.values()))}: there is no noise, so you choose it", hint=hint
        )
    return {}


def _with_decoders(loaded: LoadedEnvironment, fields: dict[str, Any], registry: Registry) -> LoadedEnvironment:
    """The environment with a decoder that can decode it, and with those of its references that can."""
    able = [entry.name for entry in registry.all("decoder") if entry.capabilities.get("takes_beliefs")]
    ways: list[dict[str, Any]] = [{}, {"references": []}, *({"decoder": name, "references": []} for name in able)]
    first: AutoQECError | None = None
    for way in ways:
        found = _in_memory(fields | way, loaded.files_of_code)
        try:
            check_environment(found, registry)
        except AutoQECError as error:
            if not error.problem.startswith(("decoder", "references")):
                raise
            first = first or error
        else:
            return found
    assert first is not None  # the first way was refused
    raise first
