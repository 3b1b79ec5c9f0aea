"""The environment: a decoding task (code, noise, decoder, constraints, protocol) as a strictly validated YAML file.

An environment's identity is a hash of its meaning, not of its formatting: the validated fields with defaults filled in, plus
the bytes of the files that its code names. A dictionary of files holds everything needed to rebuild it, so it can live in
git and be read without a working tree.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from autoqec.canonical import content_hash, load_yaml
from autoqec.contained_files import read_contained, repository_of
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.field_problems import explain, first_problem
from autoqec.problem.cell import why_no_cell
from autoqec.problem.locating import at_its_line
from autoqec.problem.noise import Noise
from autoqec.problem.protocol import Constraints, Protocol
from autoqec.size_limits import YAML_BYTES
from autoqec.strict_fields import checked_fields

#: The key of an environment's own YAML in its dictionary of files.
ENVIRONMENT_FILE = "environment.yaml"

#: Maximum size of a circuit or error model file; a larger one would bloat every commit of the lab.
MAX_FILE_BYTES = 16 * 1024 * 1024

#: The kind of code whose shots are recorded, and its fields that name files.
RECORDED = "recorded"
RECORDED_FILES = ("dem", "circuit", "shots", "observables")

#: The origin of an environment that is in no file: errors then name the field alone.
DRAFT = ""

#: The hint for a mistake in an environment file.
EDIT_FILE = "correct the file, then run autoqec env check FILE"

#: Before the names of an environment's files on their way to another process.
_BLOB = "env:"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Choice(BaseModel):
    """A plugin by name, with its own fields: `{kind: mwpm, correlations: true}` or just `mwpm`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$")

    @property
    def fields(self) -> dict[str, Any]:
        """The plugin's own fields, without `kind`."""
        return dict(self.model_extra or {})

    @property
    def short(self) -> str | dict[str, Any]:
        """The short form: only the kind if there are no fields."""
        return self.model_dump(mode="json") if self.fields else self.kind

    @property
    def label(self) -> str:
        """The label in results: the kind, with the fields in brackets, so that two variants of a decoder differ."""
        fields = ", ".join(f"{name}={value}" for name, value in sorted(self.fields.items()))
        return f"{self.kind}({fields})" if fields else self.kind


def _choice(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


ChoiceField = Annotated[Choice, BeforeValidator(_choice)]


class Environment(_Strict):
    """One decoding task, as a YAML file says it; `docs/environments.md` has an annotated example.

    Attributes:
        name: Lower-case letters, digits, `_` and `-`; no part of the identity.
        story: A sentence for people; no part of the identity.
        code: The kind of code, with the fields of that kind.
        noise: The noise, and the rates to train and score at.
        decoder: The classical decoder that the predecoder feeds, and the baseline.
        references: Stronger classical decoders, reported on the same shots.
        constraints: Limits that a VERIFIED candidate keeps.
        protocol: How shots are spent, and where a verdict must hold.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    story: str = Field(default="", max_length=500)
    code: ChoiceField
    noise: Noise = Noise()
    decoder: ChoiceField
    references: tuple[ChoiceField, ...] = ()
    constraints: Constraints = Constraints()
    protocol: Protocol = Protocol()

    @model_validator(mode="after")
    def _references_differ(self) -> Environment:
        labels = [reference.label for reference in self.references]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"references lists {label} twice")
        return self

    @model_validator(mode="after")
    def _cells_can_be(self) -> Environment:
        cells = self.protocol.cells or ()
        for place, cell in enumerate(cells):
            why = why_no_cell(cell, self.code.fields, self.noise)
            if why is None and cell in cells[:place]:
                why = "the cell is listed twice"
            if why is not None:
                raise ValueError(f"protocol.cells.{place}: {why}")
        return self


@dataclass(frozen=True)
class LoadedEnvironment:
    """An environment with all its files.

    Attributes:
        environment: The validated fields.
        files: `environment.yaml` and the files that its code names, by their names in the YAML.
        origin: Its source, for messages.
    """

    environment: Environment
    files: Mapping[str, bytes]
    origin: str

    def to_blobs(self) -> dict[str, bytes]:
        """Its files as named byte strings for a channel."""
        return {f"{_BLOB}{name}": data for name, data in self.files.items()}

    @staticmethod
    def from_blobs(blobs: Mapping[str, bytes]) -> LoadedEnvironment:
        """The inverse of `to_blobs`; other names are ignored.

        Raises:
            UsageError: It cannot be used.
        """
        files = {name.removeprefix(_BLOB): bytes(data) for name, data in blobs.items() if name.startswith(_BLOB)}
        return environment_from_files(files, origin="the environment")

    @property
    def name(self) -> str:
        """The environment's own name."""
        return self.environment.name

    @property
    def files_of_code(self) -> dict[str, bytes]:
        """The files that its code names."""
        return {name: data for name, data in self.files.items() if name != ENVIRONMENT_FILE}

    @cached_property
    def identity(self) -> str:
        """SHA-256 over the validated fields (without name and story) and the bytes of the named files."""
        fields = self.environment.model_dump(mode="json", exclude={"name", "story"})
        others = {name: content_hash(data) for name, data in self.files_of_code.items()}
        return content_hash({"fields": fields, "files": others})


def environment_from_files(files: Mapping[str, bytes], *, origin: str) -> LoadedEnvironment:
    """Build an environment from its dictionary of files.

    Args:
        files: `environment.yaml` and the files that its code names, if any.
        origin: Its name in errors.

    Raises:
        UsageError: The YAML is malformed, or a field is unknown, missing or out of range; the message names the field.
    """
    if ENVIRONMENT_FILE not in files:
        raise UsageError(f"{origin} has no {ENVIRONMENT_FILE}", hint="autoqec env list shows the built-in ones")
    try:
        raw = load_yaml(files[ENVIRONMENT_FILE], name=origin)
    except UsageError as error:
        raise UsageError(error.problem, hint=error.hint or _edit(origin)) from error
    if not isinstance(raw, dict):
        raise UsageError(f"{origin} is not a mapping of fields", hint="compare it with a built-in: autoqec env list")
    try:
        environment = checked_fields(Environment, raw)
    except ValidationError as error:
        found = UsageError(explain(error, Environment), hint=_edit(origin))
        raise at_its_line(found, origin, files[ENVIRONMENT_FILE]) from error
    return LoadedEnvironment(environment, dict(files), origin)


def _edit(origin: str) -> str:
    """The hint for a mistake in an environment: a command that can be typed, where it is a file."""
    file = shlex.quote(origin) if origin.endswith((".yaml", ".yml")) else "FILE"
    return EDIT_FILE.replace("FILE", file)


def validated(model: type[BaseModel], raw: Any, path: str) -> Any:
    """The fields of a file as a model.

    Raises:
        UsageError: They are no mapping, or one is not valid; names file and field.
    """
    if not isinstance(raw, dict):
        raise UsageError(f"{path} is not a mapping of fields", code="bad_yaml", about={"file": path})
    try:
        return checked_fields(model, raw)
    except ValidationError as error:
        code, about = first_problem(error, model)
        raise UsageError(f"{path}: {explain(error, model)}", code=code, about={"file": path, **about}) from error


def named_files(environment: Environment) -> dict[str, Any]:
    """Return the named files by field: `code.path`, and each of `code.paths`; or those of recorded shots.

    Raises:
        UsageError: `code.paths` is no mapping.
    """
    fields = environment.code.fields
    if environment.code.kind == RECORDED:
        return {f"code.{name}": fields[name] for name in RECORDED_FILES if fields.get(name) is not None}
    named = {"code.path": fields["path"]} if fields.get("path") is not None else {}
    several = fields.get("paths") or {}
    if not isinstance(several, dict):
        raise UsageError("code.paths must be a mapping, such as {hx: hx.txt, hz: hz.txt}")
    return named | {f"code.paths.{name}": file for name, file in several.items() if file is not None}


def companion(path: Path, field: str, named: Any) -> bytes:
    """Read a file that an environment names.

    Args:
        path: The environment's YAML.
        field: The field that names the file.
        named: What the field says.

    Raises:
        UsageError, NotFoundError: It does not name a file beside the YAML, or there is none that can be read.
    """
    if (
        not isinstance(named, str)
        or Path(named).is_absolute()
        or ".." in Path(named).parts
        or named == ENVIRONMENT_FILE
    ):
        hint = f"put the file into {path.parent}, and use its name there"
        raise UsageError(f"{field} must name a file beside the environment, not {named!r}", hint=hint)
    target = path.parent / named
    if not os.path.lexists(target):
        hint = f"put the file at {target}, or change {field}"
        raise NotFoundError(f"{field} names {named}, but there is no such file beside the environment", hint=hint)
    try:
        return read_contained(target, path.parent, MAX_FILE_BYTES)
    except UsageError as error:
        if error.code != "over_limit":
            raise UsageError(
                f"{field}: {error.problem}", hint=error.hint, code=error.code, about=error.about
            ) from error
        raise UsageError(
            f"{field}: {named} is larger than {MAX_FILE_BYTES // 2**20} MiB",
            hint="export fewer shots, in the format b8"
            if field in ("code.shots", "code.observables")
            else "use REPEAT blocks or fewer rounds to make the circuit smaller",
        ) from error
    except OSError as error:
        hint = f"chmod +r {target}"
        raise NotFoundError(f"{field}: cannot read {named}: {error.strerror}", hint=hint) from error


def files_beside(environment: Environment, path: Path) -> dict[str, bytes]:
    """Read the files that an environment's code names.

    Args:
        environment: The validated fields.
        path: Its YAML, beside which the files are.

    Raises:
        NotFoundError: There is no such file.
        UsageError: The file is not beside the YAML, or too large; names the field.
    """
    return {file: companion(path, field, file) for field, file in named_files(environment).items()}


def load_environment(path: Path) -> LoadedEnvironment:
    """Read an environment YAML and the files that its code names.

    Raises:
        NotFoundError: The YAML or a file that it names does not exist.
        UsageError: The YAML is not a valid environment.
    """
    # What comes with the package may be a link into the installer's cache.
    top = path.resolve().parent if path.parent == builtin_environments() else repository_of(path)
    try:
        text = read_contained(path, top, YAML_BYTES)
    except OSError as error:
        raise NotFoundError(
            f"cannot read environment {path}: {error.strerror}", hint="autoqec env list lists the environments"
        ) from error
    alone = environment_from_files({ENVIRONMENT_FILE: text}, origin=str(path))
    try:
        files = {ENVIRONMENT_FILE: text} | files_beside(alone.environment, path)
    except AutoQECError as error:
        raise at_its_line(error, str(path), text) from error
    return LoadedEnvironment(alone.environment, files, str(path))


def builtin_environments() -> Path:
    """Return the folder of the package's environments (in a source checkout, the repository's `envs/`)."""
    inside = Path(__file__).resolve().parent.parent / "envs"
    return inside if inside.is_dir() else inside.parent.parent / "envs"


def find_environment(name: str, folders: Sequence[Path]) -> LoadedEnvironment:
    """Find an environment by path, or by name in the given folders; the first match wins.

    Raises:
        NotFoundError: There is no such environment; the error lists those that exist.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return load_environment(Path(name))
    for folder in folders:
        candidate = folder / f"{name}.yaml"
        if candidate.is_file():
            return load_environment(candidate)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise NotFoundError(
        f"there is no environment named {name!r}", hint=f"choose one of: {', '.join(known) or '(none)'}"
    )
