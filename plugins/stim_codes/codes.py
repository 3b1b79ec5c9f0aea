"""Builders for stim's generated circuits and for `.stim` and `.dem` files."""

from __future__ import annotations

from collections.abc import Mapping

import stim
from pydantic import BaseModel, ConfigDict, Field

from autoqec.errors import UsageError
from autoqec.problem.environment import Noise


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GeneratedFields(_Fields):
    """`task` as in `stim.Circuit.generated`, code distance, and syndrome-measurement rounds."""

    task: str
    distance: int = Field(ge=2, le=51)
    rounds: int = Field(ge=1, le=1000)


class FileFields(_Fields):
    """`path` of a file beside the environment."""

    path: str


class StimGenerated:
    """A memory experiment from `stim.Circuit.generated`, all four noise arguments at one p."""

    Config = GeneratedFields

    def build(self, config: GeneratedFields, noise: Noise, p: float | None, files: Mapping[str, bytes]) -> stim.Circuit:
        """See `autoqec.problem.code.Code.build`."""
        if p is None:
            raise UsageError(
                "noise.kind: a generated circuit needs noise", mend="noise: {kind: depolarizing, p: [0.005]}"
            )
        try:
            return stim.Circuit.generated(
                config.task,
                distance=config.distance,
                rounds=config.rounds,
                after_clifford_depolarization=p,
                after_reset_flip_probability=p,
                before_measure_flip_probability=p,
                before_round_data_depolarization=p,
            )
        except ValueError as error:
            raise UsageError(f"code.task, distance or rounds: stim refuses: {str(error).splitlines()[0]}") from error


def _text(path: str, noise: Noise, files: Mapping[str, bytes]) -> str:
    if noise.kind != "given":
        raise UsageError(
            f"noise.kind: {path} brings its own noise", mend="remove the noise section, or say {kind: given}"
        )
    try:
        return files[path].decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"code.path: {path} is not a text file") from error


class CircuitFile:
    """A `.stim` circuit with its own noise, detectors and observables."""

    Config = FileFields

    def build(self, config: FileFields, noise: Noise, p: float | None, files: Mapping[str, bytes]) -> stim.Circuit:
        """See `autoqec.problem.code.Code.build`."""
        try:
            return stim.Circuit(_text(config.path, noise, files))
        except (ValueError, IndexError) as error:
            raise UsageError(f"code.path: {config.path} is not a stim circuit: {str(error).splitlines()[0]}") from error


class ErrorModelFile:
    """A `.dem` detector error model."""

    Config = FileFields

    def build(
        self, config: FileFields, noise: Noise, p: float | None, files: Mapping[str, bytes]
    ) -> stim.DetectorErrorModel:
        """See `autoqec.problem.code.Code.build`."""
        try:
            return stim.DetectorErrorModel(_text(config.path, noise, files))
        except (ValueError, IndexError) as error:
            raise UsageError(
                f"code.path: {config.path} is not a detector error model: {str(error).splitlines()[0]}"
            ) from error
