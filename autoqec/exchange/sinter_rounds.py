"""Provides rounds and AutoQEC's decoders as sinter decoders.

    sinter collect --custom_decoders_module_function autoqec.sinter:decoders --decoders autoqec:exp/<run>/<N> ...

A round also has the name `autoqec:exp/<run>/<N>@<digest>`. sinter distinguishes results by the decoder's name alone, so a name
with the digest never mixes two sets of weights in one CSV.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import sinter
import stim

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.package import Package, StoredPackage, stored_packages
from autoqec.history import open_ledger
from autoqec.plugins import Registry, load_plugins, missing_packages
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem, problem_from_dem, same_problem

_DIGITS = 12


class Compiled(sinter.CompiledDecoder):
    """An AutoQEC decoder for one error model.

    For a shot without a valid result it predicts no flips. sinter could only discard the shot, which would hide failures from
    the logical error rate.

    Args:
        decoder: The decoder; None to predict no flips on all shots.
        observable_bytes: Bytes of a prediction.
    """

    def __init__(self, decoder: CompiledDecoder | Deployed | None, observable_bytes: int) -> None:
        self._decoder = decoder
        self._width = observable_bytes

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray) -> np.ndarray:
        """Predict flips, bit-packed uint8 `[shots, ceil(observables / 8)]`, from bit-packed detection events."""
        if self._decoder is None:
            return np.zeros((len(bit_packed_detection_event_data), self._width), dtype=np.uint8)
        return self._decoder.decode(bit_packed_detection_event_data).observables

    def require_confidence(self, name: str) -> None:
        """Check that the decoder can say how sure it is.

        Raises:
            UsageError: It cannot.
        """
        if not (self._decoder is None or isinstance(self._decoder, (ConfidentDecoder, Deployed))):
            raise UsageError(
                f"{name} does not say how sure it is of its answers", hint="use mwpm, osd or bp_lsd, which do"
            )
        if isinstance(self._decoder, Deployed):
            self._decoder.require_confidence()

    def with_confidence(self, syndromes: np.ndarray, at_most: float) -> tuple[np.ndarray, np.ndarray]:
        """Predict flips, and say how sure the decoder is, float32 `[shots]`; see `ConfidentDecoder`."""
        if self._decoder is None:
            return np.zeros((len(syndromes), self._width), dtype=np.uint8), np.full(len(syndromes), np.float32(np.inf))
        assert isinstance(self._decoder, (ConfidentDecoder, Deployed))
        decoded, confidence = self._decoder.decode_with_confidence(syndromes, at_most)
        return decoded.observables, confidence


class RoundDecoder(sinter.Decoder):
    """A round's predecoder with its classical decoder.

    It holds the round's bytes or a reference to its lab, so sinter can pickle it for its workers. A round in a lab is read
    when it first decodes.

    Args:
        source: The round.
    """

    def __init__(self, source: Package | StoredPackage) -> None:
        self._source = source

    def __getstate__(self) -> dict[str, object]:
        return {"_source": self._source}

    def __repr__(self) -> str:
        digest = self._source.digest or self.package.digest
        return f"<autoqec:{self._source.name}@{digest[:_DIGITS]}>"

    @cached_property
    def package(self) -> Package:
        """The round with all its bytes."""
        return self._source if isinstance(self._source, Package) else self._source.read()

    @property
    def metadata(self) -> dict[str, Any]:
        """Round, commit, environment, digest and verdict, for sinter's `json_metadata`."""
        return self.package.metadata()

    @cached_property
    def _deployed(self) -> Deployed:
        return Deployed(self.package, load_plugins())

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> Compiled:
        """Compile for the problem of the round's training, or for another one of the family that its weights are bound to.

        Raises:
            UsageError: The error model is a different one; there a predecoder is silently worse than none.
        """
        own = self._deployed.problem
        given = problem_from_dem(dem, name="this circuit")
        if same_problem(own, given):
            return Compiled(self._deployed, own.observable_bytes)
        try:
            return Compiled(self._deployed.on(given), given.observable_bytes)
        except AutoQECError as error:
            environment = self.package.environment
            other = "other error rates" if own.structure == given.structure else f"another error model ({_size(given)})"
            raise UsageError(
                f"{self!r} was trained for {environment.name}@{environment.identity[:_DIGITS]} ({_size(own)}), but this "
                f"circuit has {other}",
                hint=f"use the circuit of its environment; autoqec export {self.package.name} --to DIR writes it",
            ) from error


class PlainDecoder(sinter.Decoder):
    """A registered decoder with the priors of the error model, for any problem.

    Args:
        kind: The decoder's name.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __repr__(self) -> str:
        return f"<autoqec:{self._kind}>"

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> Compiled:
        """Compile for an error model; without observables or detectable errors, it predicts no flips.

        Raises:
            UsageError: The decoder cannot decode this error model.
        """
        width = (dem.num_observables + 7) // 8
        seen = any(
            i.type == "error" and i.args_copy()[0] > 0 and any(t.is_relative_detector_id() for t in i.targets_copy())
            for i in dem.flattened()
        )
        if not (dem.num_observables and seen):
            return Compiled(None, width)
        problem = problem_from_dem(dem, name="this circuit")
        return Compiled(compile_decoder(Choice(kind=self._kind), problem, load_plugins()), width)


def plain_decoders(registry: Registry) -> dict[str, sinter.Decoder]:
    """Return every installed decoder as `autoqec:<kind>`."""
    missing = missing_packages(registry)
    kinds = [kind for kind in registry.names("decoder") if not kind.endswith(":") and kind not in missing]
    return {f"autoqec:{kind}": PlainDecoder(kind) for kind in kinds}


def round_decoders(source: Package | StoredPackage) -> dict[str, sinter.Decoder]:
    """Return one round under its name and, if its digest is known, under its name with the digest."""
    decoder = RoundDecoder(source)
    name = f"autoqec:{source.name}"
    return {name: decoder} | ({f"{name}@{source.digest[:_DIGITS]}": decoder} if source.digest else {})


def decoders() -> dict[str, sinter.Decoder]:
    """Return the decoders for `sinter collect --custom_decoders_module_function autoqec.sinter:decoders`.

    Returns:
        Every installed decoder as `autoqec:<kind>` and, inside a lab, every round with weights as `autoqec:exp/<run>/<N>`.
    """
    found = plain_decoders(load_plugins())
    try:
        ledger = open_ledger(".")
    except NotFoundError:
        return found
    for stored in stored_packages(ledger):
        found |= round_decoders(stored)
    return found


def _size(problem: Problem) -> str:
    return f"{problem.num_detectors} detectors, {len(problem.mechanisms)} mechanisms"
