"""Adapts a `sinter.Decoder`, or any object with its methods, to our decoder interface.

It does not import sinter: it needs only `compile_decoder_for_dem`, or the older `decode_via_files`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from autoqec.decoding.array_checks import check_syndromes
from autoqec.decoding.decoder_contract import Decoded
from autoqec.errors import AutoQECError, MissingPackageError, UsageError
from autoqec.plugin_errors import one_line
from autoqec.plugins import pip_line
from autoqec.problem.problem import Problem


class CompiledForeign:
    """A sinter decoder compiled for one problem.

    Args:
        decoder: An object with `compile_decoder_for_dem(dem=…)` or `decode_via_files(…)`.
        problem: The problem; the decoder gets its error model, decomposed where stim can.
        name: The decoder's name in errors.

    Raises:
        UsageError: The decoder rejects this error model; the message has the decoder's own reason.
    """

    def __init__(self, decoder: Any, problem: Problem, *, name: str) -> None:
        self._decoder = decoder
        self._problem = problem
        self._name = name
        self._compiled: Any = None
        try:
            self._compiled = decoder.compile_decoder_for_dem(dem=problem.dem)
        except (NotImplementedError, AttributeError) as error:
            # The older interface through files works too; `decode` uses it.
            if not hasattr(decoder, "decode_via_files"):
                hint = "choose another decoder: autoqec plugins --kind decoder"
                raise UsageError(f"{name} is not a sinter.Decoder: {one_line(error)}", hint=hint) from error
        except AutoQECError:
            raise
        except Exception as error:
            raise UsageError(
                f"{name} cannot decode {problem.name}: {one_line(error)}",
                hint="choose another decoder (autoqec plugins --kind decoder), or other fields for this one",
            ) from error

    @property
    def not_a_number(self) -> int:
        """See `autoqec.decoding.decoder_contract.not_a_number`."""
        return int(getattr(self._compiled, "not_a_number", 0))

    def decode(self, syndromes: np.ndarray, beliefs: np.ndarray | None = None) -> Decoded:
        """Decode a batch; see `autoqec.decoding.CompiledDecoder`.

        With one extra byte per shot, a sinter decoder marks discarded shots: they are invalid and count as failures.

        Raises:
            UsageError: Beliefs are given, or a shape or dtype is wrong.
            AutoQECError: The decoder raised an error, or its result does not have sinter's format.
        """
        if beliefs is not None:
            raise UsageError(
                f"{self._name} takes no beliefs", hint="set mode: hard_flip in output.yaml, or choose another decoder"
            )
        syndromes = check_syndromes(self._problem, syndromes)
        width = self._problem.observable_bytes
        if not len(syndromes):
            return Decoded(np.zeros((0, width), dtype=np.uint8), np.zeros(0, dtype=bool))
        try:
            answer = self._answer(syndromes)
        except Exception as error:
            raise AutoQECError(f"{self._name} failed on {self._problem.name}: {one_line(error)}") from error
        right = isinstance(answer, np.ndarray) and answer.dtype == np.uint8 and answer.ndim == 2
        if not right or answer.shape not in ((len(syndromes), width), (len(syndromes), width + 1)):
            found = f"{answer.dtype} {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
            problem = f"{self._name} must return bit-packed uint8 ({len(syndromes)}, {width}), not {found}"
            raise AutoQECError(problem, code="bad_answer")
        invalid = answer[:, width:].any(axis=1)
        return Decoded(np.ascontiguousarray(answer[:, :width]), invalid)

    def _answer(self, syndromes: np.ndarray) -> Any:
        if self._compiled is not None:
            return self._compiled.decode_shots_bit_packed(bit_packed_detection_event_data=syndromes)
        problem = self._problem
        with tempfile.TemporaryDirectory(prefix="autoqec-") as folder:
            model, shots, answers, scratch = (Path(folder, name) for name in ("m.dem", "d.b8", "o.b8", "tmp"))
            scratch.mkdir()
            problem.dem.to_file(model)
            shots.write_bytes(syndromes.tobytes())
            self._decoder.decode_via_files(
                num_shots=len(syndromes),
                num_dets=problem.num_detectors,
                num_obs=problem.num_observables,
                dem_path=model,
                dets_b8_in_path=shots,
                obs_predictions_b8_out_path=answers,
                tmp_dir=scratch,
            )
            return np.frombuffer(answers.read_bytes(), dtype=np.uint8).reshape(len(syndromes), -1)


def needed(module: str, distribution: str, decoder: str, *, pip_options: str = "") -> Any:
    """Import a package that only one decoder needs.

    Raises:
        MissingPackageError: The package is not installed; the hint is the command that installs it.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"decoder {decoder} needs the package {distribution}: {error}", hint=pip_line(distribution, pip_options)
        ) from error
