"""A Tanner graph with nothing behind it: which mechanisms flip which checks and observables, and how likely each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import stim
from pydantic import BaseModel, ConfigDict

from autoqec.errors import UsageError
from autoqec.problem.columns import model_of_columns
from autoqec.problem.matrices import checked_priors, read_matrix, read_priors
from autoqec.problem.noise import Noise


class TannerFiles(BaseModel):
    """Files beside the environment.

    Attributes:
        checks: Checks by mechanisms, a matrix of 0 and 1; see `autoqec.problem.matrices` for formats.
        observables: Observables by mechanisms, likewise.
        priors: Probability of each mechanism, as text, `.npy`, `.npz` or `.mtx`; if not given, the noise says one p for all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    checks: str
    observables: str
    priors: str | None = None


class TannerFields(BaseModel):
    """The files of a Tanner graph, which has neither rounds nor bases.

    Attributes:
        paths: The files.
        priors: Probability of each mechanism as a list, in place of a file of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    paths: TannerFiles
    priors: tuple[float, ...] | None = None


class Tanner:
    """A Tanner graph as an error model: mechanism m is `error(prior[m])` on the ones of column m."""

    Config = TannerFields
    EXAMPLE: ClassVar = {
        "code": {"paths": {"checks": "checks.txt", "observables": "observables.txt"}},
        "noise": {"kind": "code_capacity", "p": [0.05]},
        "files": {"checks.txt": "1 1 0\n0 1 1\n", "observables.txt": "1 0 0\n"},
    }

    def build(
        self, config: TannerFields, noise: Noise, p: float | None, files: Mapping[str, bytes]
    ) -> stim.DetectorErrorModel:
        """See `autoqec.problem.code_contract.Code.build`."""
        paths = config.paths
        checks = read_matrix(files[paths.checks], paths.checks, "code.paths.checks")
        observables = read_matrix(files[paths.observables], paths.observables, "code.paths.observables")
        count = checks.shape[1]
        if observables.shape[1] != count:
            raise UsageError(
                f"code.paths: {paths.checks} has {count} mechanisms and {paths.observables} has {observables.shape[1]}"
            )
        return model_of_columns(checks, observables, self._priors(config, noise, p, count, files))

    @staticmethod
    def _priors(
        config: TannerFields, noise: Noise, p: float | None, count: int, files: Mapping[str, bytes]
    ) -> np.ndarray:
        path, listed = config.paths.priors, config.priors
        if path is None and listed is None:
            if noise.kind != "code_capacity" or p is None:
                raise UsageError(
                    f"noise.kind: a Tanner graph without priors has mechanisms of one probability, not {noise.kind} noise",
                    hint="noise: {kind: code_capacity, p: [0.05]}, or name a file of priors under code.paths",
                )
            return np.full(count, p)
        if path is not None and listed is not None:
            raise UsageError(f"code.priors: {path} brings the priors too", hint="remove one of them")
        field = "code.paths.priors" if listed is None else "code.priors"
        if noise.kind != "given":
            source = path if listed is None else "the list"
            raise UsageError(f"noise.kind: {source} brings the priors", hint=f"remove the noise section, or {field}")
        if path is not None:
            return read_priors(files[path], path, field, count)
        return checked_priors(listed or (), field, count)
