"""A Tanner graph with nothing behind it: which mechanisms flip which checks and observables, and how likely each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import stim
from pydantic import BaseModel, ConfigDict

from autoqec.errors import UsageError
from autoqec.problem.matrices import read_matrix
from autoqec.problem.noise import Noise


class TannerFiles(BaseModel):
    """Files beside the environment.

    Attributes:
        checks: Checks by mechanisms, a matrix of 0 and 1; see `autoqec.problem.matrices` for formats.
        observables: Observables by mechanisms, likewise.
        priors: Probability of each mechanism, one number a line; if not given, the noise says one p for all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    checks: str
    observables: str
    priors: str | None = None


class TannerFields(BaseModel):
    """The files of a Tanner graph, which has neither rounds nor bases.

    Attributes:
        paths: The files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    paths: TannerFiles


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
        priors = self._priors(paths.priors, noise, p, count, files)
        dem = stim.DetectorErrorModel()
        for check in range(len(checks)):
            dem.append("detector", [], [stim.target_relative_detector_id(check)])
        for mechanism, prior in enumerate(priors):
            targets = [stim.target_relative_detector_id(int(d)) for d in np.flatnonzero(checks[:, mechanism])]
            targets += [stim.target_logical_observable_id(int(o)) for o in np.flatnonzero(observables[:, mechanism])]
            dem.append("error", float(prior), targets)
        return dem

    @staticmethod
    def _priors(
        path: str | None, noise: Noise, p: float | None, count: int, files: Mapping[str, bytes]
    ) -> list[float] | np.ndarray:
        if path is None:
            if noise.kind != "code_capacity" or p is None:
                raise UsageError(
                    f"noise.kind: a Tanner graph without priors has mechanisms of one probability, not {noise.kind} noise",
                    hint="noise: {kind: code_capacity, p: [0.05]}, or name a file of priors under code.paths",
                )
            return np.full(count, p)
        if noise.kind != "given":
            raise UsageError(
                f"noise.kind: {path} brings the priors", hint="remove the noise section, or code.paths.priors"
            )
        priors = []
        for number, line in enumerate(files[path].decode("utf-8", errors="replace").splitlines(), start=1):
            for word in line.partition("#")[0].split():
                try:
                    prior = float(word)
                except ValueError:
                    prior = -1.0
                if not 0 < prior < 1:
                    raise UsageError(f"code.paths.priors: {path}, line {number}: {word!r} is not between 0 and 1")
                priors.append(prior)
        if len(priors) != count:
            raise UsageError(f"code.paths.priors: {path} has {len(priors)} numbers for {count} mechanisms")
        return priors
