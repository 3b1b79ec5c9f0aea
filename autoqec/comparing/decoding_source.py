"""What is decoded: a circuit file, an error model file, or an environment at one physical error rate, as a typed value.

All three are the files of an environment, because that is what every process that decodes can build a problem from. None of them
needs a repository.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import stim

from autoqec.canonical import content_hash, dump_flow
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.plugins import Registry
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, RECORDED, Choice, LoadedEnvironment, environment_from_files
from autoqec.problem.problem import Problem, problem_from_circuit, problem_from_dem
from autoqec.size_limits import BLOB_BYTES, in_words

#: The name of the file beside a made environment, and the kind of code that reads it.
_FILES: Mapping[str, str] = {"circuit": "circuit.stim", "dem": "model.dem"}

#: What cannot stand in an environment's name.
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9_-]+")
_LONGEST_NAME = 64


@dataclass(frozen=True)
class DecodingSource:
    """What all decoders of a comparison decode.

    Attributes:
        kind: Where it is from.
        name: What to call it in messages: a path, or an environment's name.
        loaded: It as an environment. That of a circuit or an error model names a decoder, too, which means nothing.
        p: Physical error rate; None for the environment's target, and where a file gives the noise.
    """

    kind: Literal["circuit", "dem", "environment"]
    name: str
    loaded: LoadedEnvironment
    p: float | None = None

    @property
    def label(self) -> str:
        """What is decoded, in words."""
        return self.name if self.p is None else f"{self.name} at p = {self.p:g}"

    @property
    def rounds(self) -> int | None:
        """Syndrome-measurement rounds, where the environment says them."""
        rounds = self.loaded.environment.code.fields.get("rounds")
        return rounds if isinstance(rounds, int) and not isinstance(rounds, bool) else None

    def problem(self, registry: Registry) -> Problem:
        """Compile it.

        Raises:
            UsageError: The file or an environment's field is invalid; the message names it.
        """
        if self.kind == "environment":
            return build_problem(self.loaded, registry.maker("code"), self.p)
        # As `build_problem`, by the same readers, but a message is about the user's file, not the environment made of it.
        environment = self.loaded.environment
        code = registry.maker("code")(environment.code.kind)
        try:
            config = code.Config(**environment.code.fields)
            built = code.build(config, environment.noise, self.p, self.loaded.files)
        except UsageError as error:
            about = f"code.path: {_FILES[self.kind]} "
            raise UsageError(f"{self.name} {error.problem.removeprefix(about)}", hint=error.hint) from error
        if isinstance(built, stim.Circuit):
            return problem_from_circuit(built, name=self.name)
        return problem_from_dem(built, name=self.name)

    def decoded_by(self, decoder: Choice) -> LoadedEnvironment:
        """It as an environment whose own decoder is another one."""
        environment = self.loaded.environment
        if environment.decoder == decoder:
            return self.loaded
        # Cells and references mean nothing where one decoder is asked, and must not make it fail.
        fields = environment.model_dump(mode="json", exclude={"references", "decoder"})
        fields |= {"decoder": decoder.model_dump(mode="json")}
        text = "".join(f"{name}: {dump_flow(value)}\n" for name, value in fields.items())
        files = {**self.loaded.files, ENVIRONMENT_FILE: text.encode()}
        return environment_from_files(files, origin=self.loaded.origin)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of what fixes the problem: the bytes of the file, or the environment's code, noise and files, and p."""
        if self.kind != "environment":
            return content_hash(self.loaded.files[_FILES[self.kind]])
        environment = self.loaded.environment
        fields = {
            "code": environment.code.model_dump(mode="json"),
            "noise": environment.noise.model_dump(mode="json"),
            "p": environment.noise.target if self.p is None else self.p,
            "files": {n: content_hash(data) for n, data in self.loaded.files.items() if n != ENVIRONMENT_FILE},
        }
        return content_hash(fields)


def source_from_environment(loaded: LoadedEnvironment, p: float | None = None) -> DecodingSource:
    """An environment at one physical error rate.

    Args:
        loaded: The environment.
        p: The rate; None for the environment's target.

    Raises:
        UsageError: The environment's files fix the noise, so that p cannot be chosen, or p is no probability; or its shots are
            recorded: every look at them is one at its holdout.
    """
    if loaded.environment.code.kind == RECORDED:
        raise UsageError(
            f"the shots of {loaded.name} are recorded, and part of them is its holdout",
            hint="compare on the files themselves: --dem FILE.dem --shots FILE --observables FILE",
            code="recorded_shots",
        )
    if p is not None and loaded.environment.noise.kind == "given":
        raise UsageError(f"the files of {loaded.name} fix its noise, so p cannot be chosen", hint="leave out --p")
    if p is not None and not 0.0 < p < 1.0:
        raise UsageError(f"p = {p} is not a probability between 0 and 1", hint="write it as --p 0.001")
    return DecodingSource("environment", loaded.name, loaded, p)


def source_from_circuit(circuit: stim.Circuit | str | bytes, *, name: str = "the circuit") -> DecodingSource:
    """A circuit with noise, detectors and observables.

    Args:
        circuit: The circuit, or its text.
        name: What to call it.
    """
    return _from_text("circuit", circuit if isinstance(circuit, bytes) else str(circuit).encode(), name)


def source_from_dem(dem: stim.DetectorErrorModel | str | bytes, *, name: str = "the error model") -> DecodingSource:
    """A detector error model.

    Args:
        dem: The model, or its text.
        name: What to call it.
    """
    return _from_text("dem", dem if isinstance(dem, bytes) else str(dem).encode(), name)


def source_from_file(path: str | Path, kind: Literal["circuit", "dem"]) -> DecodingSource:
    """A `.stim` or `.dem` file, wherever it is.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is no plain file, or too large.
    """
    return _from_text(kind, _read(Path(path)), str(path))


def _from_text(kind: Literal["circuit", "dem"], data: bytes, name: str) -> DecodingSource:
    file = _FILES[kind]
    fields = {
        "name": _NOT_IN_A_NAME.sub("_", Path(name).stem.lower()).strip("_-")[:_LONGEST_NAME] or kind,
        "code": {"kind": kind, "path": file},
        "noise": {"kind": "given"},
        "decoder": "mwpm",
    }
    text = "".join(f"{key}: {dump_flow(value)}\n" for key, value in fields.items())
    loaded = environment_from_files({ENVIRONMENT_FILE: text.encode(), file: data}, origin=name)
    return DecodingSource(kind, name, loaded)


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no plain file", hint="name a .stim or .dem file")
        size = path.stat().st_size
        if size > BLOB_BYTES:
            problem = f"{path} takes {in_words(size)}, over the limit of {in_words(BLOB_BYTES)}, and was not read"
            raise UsageError(problem, code="over_limit", about={"file": str(path), "limit": BLOB_BYTES})
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}", hint="name a .stim or .dem file that exists") from error
    except OSError as error:
        raise AutoQECError(f"cannot read {path}: {error.strerror}", hint=f"chmod +r {path}") from error
