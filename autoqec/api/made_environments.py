"""Environments from what a program has in hand: a circuit, an error model or matrices; or one that has a name or a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autoqec.errors import AutoQECError, UsageError
from autoqec.nearest_names import unknown_name
from autoqec.problem.environment import (
    ENVIRONMENT_FILE,
    MAX_FILE_BYTES,
    LoadedEnvironment,
    environment_from_files,
    find_environment,
)

if TYPE_CHECKING:
    import numpy as np
    import stim

    from autoqec.printed_rows import EnvironmentRow
    from autoqec.problem.problem import Problem

#: A decoder by its name, or with fields: `"mwpm"`, `{"kind": "osd", "method": "osd_cs", "order": 10}`.
DecoderChoice = str | Mapping[str, Any]

#: The hint for a value that an environment cannot have.
_EDIT = "change the argument of that name; docs/environments.md explains the fields"


@dataclass(frozen=True, eq=False, repr=False)
class Environment:
    """A decoding task: code, noise, classical decoder and protocol, with the files that it names.

    Make one by `from_circuit`, `from_dem` or `from_matrices`, or open one by `Environment.open`. You can check it, compare
    decoders on it and run rounds on it at once. It needs no file: a run keeps its environment in git. `save` writes the files;
    the environment that `autoqec` reads from them has the same identity.
    """

    _loaded: LoadedEnvironment

    @staticmethod
    def open(name: str | os.PathLike[str], folders: Sequence[str | os.PathLike[str]] = ()) -> Environment:
        """Open an environment that comes with AutoQEC, by its name, or one by the path of its YAML file.

        Args:
            name: Such as `surface_d5_depol` or `envs/mine.yaml`; a relative path begins at the current directory.
            folders: Where to look for a name before the package's environments.

        Raises:
            NotFoundError: There is no such environment.
            UsageError: The file is not a valid environment.
        """
        from autoqec.problem.environment import builtin_environments

        return Environment(find_environment(os.fspath(name), [*map(Path, folders), builtin_environments()]))

    @staticmethod
    def from_circuit(
        circuit: stim.Circuit | str | os.PathLike[str],
        *,
        decoder: DecoderChoice | None = None,
        noise: Mapping[str, Any] | None = None,
        name: str = "circuit",
        **fields: Any,
    ) -> Environment:
        """Make an environment of a stim circuit with detectors and observables.

        Args:
            circuit: The circuit, or the path of a `.stim` file.
            decoder: The classical decoder; by default `mwpm` if the error model is graph-like, else `osd`.
            noise: Noise to add to a circuit without noise, such as `{"kind": "depolarizing", "p": [0.001]}`; by default the
                circuit has its own.
            name: The environment's name: lower-case letters, digits, `_` and `-`. It names the circuit's file.
            fields: Other fields of an environment: `story`, `references`, `constraints`, `protocol`.

        Raises:
            UsageError: The circuit cannot be decoded, or a field is not valid.
            NotFoundError: There is no such file.
        """
        code = {"kind": "circuit", "path": f"{name}.stim"}
        return _made(name, code, {f"{name}.stim": _text(circuit, "circuit")}, decoder, noise, fields)

    @staticmethod
    def from_dem(
        dem: stim.DetectorErrorModel | str | os.PathLike[str],
        *,
        decoder: DecoderChoice | None = None,
        name: str = "dem",
        **fields: Any,
    ) -> Environment:
        """Make an environment of a detector error model; shots are drawn from the model.

        Args:
            dem: The model, with its probabilities, or the path of a `.dem` file.
            decoder, name, fields: As for `from_circuit`.

        Raises:
            UsageError, NotFoundError: As for `from_circuit`.
        """
        code = {"kind": "dem", "path": f"{name}.dem"}
        return _made(name, code, {f"{name}.dem": _text(dem, "dem")}, decoder, None, fields)

    @staticmethod
    def from_matrices(
        checks: Any,
        observables: Any,
        priors: float | Sequence[float] | np.ndarray,
        *,
        decoder: DecoderChoice | None = None,
        name: str = "matrices",
        **fields: Any,
    ) -> Environment:
        """Make an environment of a Tanner graph: which mechanisms flip which checks and observables.

        Args:
            checks: Checks by mechanisms, 0 and 1, `[checks, mechanisms]`; an array, a nested list or a scipy sparse matrix.
            observables: Observables by mechanisms, likewise, `[observables, mechanisms]`.
            priors: The probability of each mechanism, `[mechanisms]`, or one for all.
            decoder, name, fields: As for `from_circuit`.

        Raises:
            UsageError: A shape or an entry is wrong; or as for `from_circuit`.
        """
        from autoqec.api.matrix_files import matrix_market, priors_text

        paths = {"checks": f"{name}_checks.mtx", "observables": f"{name}_observables.mtx"}
        files = {
            paths["checks"]: matrix_market(checks, "checks"),
            paths["observables"]: matrix_market(observables, "observables"),
        }
        noise: Mapping[str, Any] | None = None
        told = priors_text(priors)
        if isinstance(told, float):
            noise = {"kind": "code_capacity", "p": [told]}
        else:
            paths["priors"] = f"{name}_priors.txt"
            files[paths["priors"]] = told
        return _made(name, {"kind": "tanner", "paths": paths}, files, decoder, noise, fields)

    @property
    def name(self) -> str:
        """Its name."""
        return self._loaded.name

    @property
    def story(self) -> str:
        """What it is, in a sentence for people."""
        return self._loaded.environment.story

    @property
    def identity(self) -> str:
        """Its content hash, 64 hex digits: of its fields without name and story, and of the files that it names."""
        return self._loaded.identity

    @property
    def decoder(self) -> str:
        """The classical decoder with its fields, such as `osd(method=osd_cs, order=10)`."""
        return self._loaded.environment.decoder.label

    @property
    def files(self) -> Mapping[str, bytes]:
        """Its files by name: `environment.yaml`, and those that it names."""
        return dict(self._loaded.files)

    @property
    def loaded(self) -> LoadedEnvironment:
        """Its validated fields and files, as the rooms below take them."""
        return self._loaded

    @cached_property
    def problem(self) -> Problem:
        """The problem that it compiles to: `circuit`, `dem`, `num_detectors`, `num_observables`, `mechanisms`, `priors_llr`.

        Raises:
            UsageError: The circuit or the error model cannot be used.
        """
        from autoqec.plugins import load_plugins
        from autoqec.problem.code_contract import build_problem

        return build_problem(self._loaded, load_plugins().maker("code"))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write its files into a folder, such as `envs` of a lab, and return the path of the YAML.

        Raises:
            UsageError: One of the files exists there with other contents; nothing was written.
            AutoQECError: The folder cannot be written.
        """
        return _write(self._loaded, Path(folder))

    def check(self, *, shots: int | None = None) -> EnvironmentRow:
        """Check that rounds can run on it, and measure its decoders, as `autoqec env check` does.

        Args:
            shots: Exactly so many for each decoder; by default 65,536 or the protocol's `score_shots`, fewer for slow references.

        Returns:
            Sizes, rates of its decoders with intervals, and findings: what `autoqec env check --json` prints.

        Raises:
            UsageError, NotFoundError: No round can run on it.
        """
        from autoqec.loop.session import check_environment
        from autoqec.plugins import load_plugins
        from autoqec.scoring.baseline import CheckRequest, describe_environment

        registry = load_plugins()
        check_environment(self._loaded, registry)
        return describe_environment(self._loaded, registry, CheckRequest(shots))

    def to_row(self) -> dict[str, Any]:
        """What it says of itself, by column."""
        environment = self._loaded.environment
        references = ", ".join(reference.label for reference in environment.references)
        code = f"{environment.code.kind}: {environment.code.fields}"
        return {
            "name": self.name,
            "story": self.story,
            "code": code,
            "noise": environment.noise.kind,
            "p": environment.noise.p,
            "decoder": self.decoder,
            "references": references,
            "identity": self.identity,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Environment) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __repr__(self) -> str:
        from autoqec.views.console import visible

        return visible(f"<environment {self.name}@{self.identity[:12]}: {self._loaded.environment.code.kind}>")

    def _repr_html_(self) -> str:
        from autoqec.views.notebook_html import html_fields

        fields = self.to_row()
        return html_fields(f"environment {fields.pop('name')}", fields)


def _text(
    given: stim.Circuit | stim.DetectorErrorModel | str | os.PathLike[str], kind: Literal["circuit", "dem"]
) -> bytes:
    """The text of a circuit or an error model, or of the file that has it."""
    import stim

    wanted, suffix = (stim.Circuit, ".stim") if kind == "circuit" else (stim.DetectorErrorModel, ".dem")
    if isinstance(given, wanted):
        return f"{given}\n".encode()
    if not isinstance(given, str | os.PathLike) or "\n" in os.fspath(given):
        said = "text" if isinstance(given, str) else f"of type {type(given).__name__}"
        problem = f"give a stim.{wanted.__name__} or the path of a {suffix} file; this is {said}"
        raise UsageError(problem, hint=f"stim.{wanted.__name__}(text) reads text")
    from autoqec.comparing.decoding_source import source_from_file

    loaded = source_from_file(os.fspath(given), kind).loaded
    return loaded.files[str(loaded.environment.code.fields["path"])]


def _made(
    name: str,
    code: Mapping[str, Any],
    files: Mapping[str, bytes],
    decoder: DecoderChoice | None,
    noise: Mapping[str, Any] | None,
    fields: Mapping[str, Any],
) -> Environment:
    """An environment of these files, whose problem has been built."""
    known = {"story", "references", "constraints", "protocol"}
    if unknown := sorted(fields.keys() - known):
        said = unknown_name(unknown[0], sorted(known))
        raise UsageError(f"an environment made here has no field {unknown[0]!r}{said}", hint=_EDIT)
    for path, data in files.items():
        if len(data) > MAX_FILE_BYTES:
            hint = "use REPEAT blocks or fewer rounds to make the circuit smaller"
            raise UsageError(f"{path} would be larger than {MAX_FILE_BYTES // 2**20} MiB", hint=hint)
    made = _with_decoder(name, code, files, decoder or "mwpm", noise, fields)
    graph_like = made.problem.edges is not None
    return made if decoder is not None or graph_like else _with_decoder(name, code, files, "osd", noise, fields)


def _with_decoder(
    name: str,
    code: Mapping[str, Any],
    files: Mapping[str, bytes],
    decoder: DecoderChoice,
    noise: Mapping[str, Any] | None,
    fields: Mapping[str, Any],
) -> Environment:
    from autoqec.canonical import dump_flow

    told: dict[str, Any] = {"name": name, "story": fields.get("story", ""), "code": code, "decoder": decoder}
    told |= {"noise": noise} if noise is not None else {}
    told |= {field: value for field, value in fields.items() if field != "story"}
    order = ("name", "story", "code", "noise", "decoder", "references", "constraints", "protocol")
    try:
        text = "".join(f"{field}: {dump_flow(_plain(told[field]))}\n" for field in order if field in told)
    except (TypeError, ValueError) as error:
        raise UsageError(f"an environment's fields are YAML values: {error}", hint=_EDIT) from error
    try:
        return Environment(
            environment_from_files({ENVIRONMENT_FILE: text.encode(), **files}, origin=f"environment {name}")
        )
    except UsageError as error:
        raise UsageError(error.problem, hint=_EDIT, code=error.code, about=error.about) from error


def _plain(value: Any) -> Any:
    """A value as YAML has it: mappings as dictionaries, tuples as lists, numpy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    to_list: Callable[[], Any] | None = getattr(value, "tolist", None)
    return _plain(to_list()) if to_list is not None else value


def _write(loaded: LoadedEnvironment, folder: Path) -> Path:
    files = {f"{loaded.name}.yaml" if name == ENVIRONMENT_FILE else name: data for name, data in loaded.files.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            if (folder / name).exists() and (folder / name).read_bytes() != data:
                hint = "give the environment another name, or choose another folder"
                raise UsageError(f"{folder / name} exists already, with other contents", hint=hint)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    except OSError as error:
        raise AutoQECError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    return folder / f"{loaded.name}.yaml"
