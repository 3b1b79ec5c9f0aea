"""Post-selection in sinter: discard the shots of which a decoder is unsure, or count errors by confidence in one run.

sinter knows two ways to flag shots. A decoder may return one more byte for each shot, and a shot where it is not zero counts as
discarded: `PostSelected`. A sampler may return custom counts: `ConfidenceSampler` counts shots and errors by confidence, from
which `post_selection` reads what any threshold would discard.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import sinter
import stim

from autoqec.errors import UsageError
from autoqec.exchange.sinter_rounds import Compiled, PlainDecoder, RoundDecoder

_COUNT = re.compile(r"(right|wrong)@(\d+(?:\.\d+)?)")


class PostSelected(sinter.Decoder):
    """A decoder that discards the shots of which it is unsure.

    Args:
        decoder: A decoder of `autoqec.sinter.decoders()`, or the name of an installed one, such as `mwpm`.
        above: Shots with more confidence than this are kept. For `mwpm` it is a complementary gap in nats: 2.3 keeps shots whose
            solution is more than ten times likelier than any of another class. For `osd`, 0 keeps the shots on which belief
            propagation converged. For a round it is the confidence of its classical decoder without the predecoder.
    """

    def __init__(self, decoder: PlainDecoder | RoundDecoder | str, above: float) -> None:
        self._decoder = PlainDecoder(decoder) if isinstance(decoder, str) else decoder
        self._above = above

    def __repr__(self) -> str:
        return f"<{self._decoder!r} where its confidence is above {self._above:g}>"

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> CompiledPostSelected:
        """Compile for an error model.

        Raises:
            UsageError: The decoder cannot decode it, or offers no confidence.
        """
        return CompiledPostSelected(_confident(self._decoder, dem), self._above)


class CompiledPostSelected(sinter.CompiledDecoder):
    """`PostSelected` for one error model."""

    def __init__(self, compiled: Compiled, above: float) -> None:
        self._compiled = compiled
        self._above = above

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray) -> np.ndarray:
        """Predict flips as `Compiled` does, with one more byte for each shot: 1 where sinter is to discard it."""
        predicted, confidence = self._compiled.with_confidence(bit_packed_detection_event_data, self._above)
        discarded = (~(confidence > self._above)).astype(np.uint8)
        return np.concatenate([predicted, discarded[:, None]], axis=1)


#: sinter before 1.14 has no samplers.
_SamplerBase: Any = getattr(sinter, "Sampler", object)
_CompiledSamplerBase: Any = getattr(sinter, "CompiledSampler", object)


class ConfidenceSampler(_SamplerBase):
    """Samples with stim, decodes, and counts shots and errors by confidence, without discarding any.

    Each shot adds 1 to the custom count `right@C` or `wrong@C`, where C is its confidence rounded down to a multiple of `step`.

    Args:
        decoder: As for `PostSelected`.
        step: The width of the bins.
        most: Confidences from here on are counted together, so that they need not be computed exactly.
    """

    def __init__(self, decoder: PlainDecoder | RoundDecoder | str, *, step: float = 0.5, most: float = 20.0) -> None:
        if not (isfinite(step) and isfinite(most) and 0 < step <= most):
            raise UsageError(
                f"step ({step}) must be above 0 and at most as large as most ({most}), which must be finite"
            )
        self._decoder = PlainDecoder(decoder) if isinstance(decoder, str) else decoder
        self._step, self._most = step, most

    def __repr__(self) -> str:
        return f"<{self._decoder!r} by confidence>"

    def compiled_sampler_for_task(self, task: sinter.Task) -> CompiledConfidenceSampler:
        """Compile for a task.

        Raises:
            UsageError: The task has a post-selection of its own, or the decoder offers no confidence.
        """
        if task.postselection_mask is not None or task.postselected_observables_mask is not None:
            raise UsageError(
                "a sampler by confidence does not apply the post-selection of its task",
                hint="use autoqec.sinter.PostSelected, which sinter combines with it",
            )
        model = task.detector_error_model or task.circuit.detector_error_model(decompose_errors=True)
        compiled = _confident(self._decoder, model)
        return CompiledConfidenceSampler(compiled, task.circuit, self._step, self._most)


class CompiledConfidenceSampler(_CompiledSamplerBase):
    """`ConfidenceSampler` for one task."""

    def __init__(self, compiled: Compiled, circuit: stim.Circuit, step: float, most: float) -> None:
        self._compiled = compiled
        self._shots = circuit.compile_detector_sampler()
        self._step, self._most = step, most

    def sample(self, suggested_shots: int) -> sinter.AnonTaskStats:
        """Sample, decode and count."""
        from time import monotonic

        begin = monotonic()
        syndromes, truth = self._shots.sample(suggested_shots, bit_packed=True, separate_observables=True)
        predicted, confidence = self._compiled.with_confidence(np.ascontiguousarray(syndromes), self._most)
        wrong = (predicted != truth).any(axis=1)
        bins = np.floor(np.minimum(confidence, self._most) / self._step).astype(np.int64)
        counts: Counter[str] = Counter()
        for failed, word in ((False, "right"), (True, "wrong")):
            found, numbers = np.unique(bins[wrong == failed], return_counts=True)
            counts.update({f"{word}@{place * self._step:g}": int(n) for place, n in zip(found, numbers, strict=True)})
        return sinter.AnonTaskStats(
            shots=len(wrong), errors=int(wrong.sum()), discards=0, seconds=monotonic() - begin, custom_counts=counts
        )


@dataclass(frozen=True)
class Kept:
    """What is kept if shots with a confidence below a threshold are discarded.

    Attributes:
        at_least: The threshold.
        shots: The shots that are kept.
        errors: The logical errors among them.
    """

    at_least: float
    shots: int
    errors: int


def post_selection(custom_counts: Mapping[str, int]) -> list[Kept]:
    """Read the counts of a `ConfidenceSampler`: one row for each threshold, from keeping all shots to keeping the surest.

    Args:
        custom_counts: `sinter.TaskStats.custom_counts`; other counts are ignored.
    """
    shots: Counter[float] = Counter()
    errors: Counter[float] = Counter()
    for name, count in custom_counts.items():
        if found := _COUNT.fullmatch(name):
            shots[float(found[2])] += count
            errors[float(found[2])] += count * (found[1] == "wrong")
    rows, kept, failed = [], 0, 0
    for threshold in sorted(shots, reverse=True):
        kept += shots[threshold]
        failed += errors[threshold]
        rows.append(Kept(threshold, kept, failed))
    return rows[::-1]


def _confident(decoder: PlainDecoder | RoundDecoder, dem: stim.DetectorErrorModel) -> Compiled:
    compiled = decoder.compile_decoder_for_dem(dem=dem)
    compiled.require_confidence(repr(decoder))
    return compiled
