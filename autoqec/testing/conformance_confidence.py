"""Conformance checks of a decoder's confidence in its plain answers, if it offers any."""

from __future__ import annotations

import itertools
from math import sqrt

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, Decoder
from autoqec.problem.problem import Problem, problem_from_dem
from autoqec.problem.sampling import sample_chunk

_PARTS = ("confidence_kind", "confidence", "decode_with_confidence")

#: How far two runs of a decoder may differ, relative to a confidence above 1.
_NOISE = 1e-4

#: A model of edges alone, with two observables, a boundary and a loop away from it; a gap on it is found by trying all sets.
SMALL_MODEL = """
error(0.1) D0
error(0.05) D0 D1
error(0.12) D1 D2 L1
error(0.02) D0 D2
error(0.2) D2 L0
error(0.07) D3
error(0.03) D2 D3
"""


def check_confidence(decoder: Decoder, compiled: CompiledDecoder, problem: Problem, seed: int) -> None:
    """Check the confidence of a decoder; one that offers none passes.

    Args:
        decoder: The decoder.
        compiled: It, compiled for the problem.
        problem: The problem.
        seed: Of the shots.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    found = [part for part in _PARTS if hasattr(compiled, part)]
    if not found:
        return
    missing = [part for part in _PARTS if part not in found]
    assert isinstance(compiled, ConfidentDecoder), f"it offers {found[0]}, but lacks {', '.join(missing)}"
    kind = compiled.confidence_kind
    assert isinstance(kind, str), f"confidence_kind must be a word, not {kind!r}"
    assert kind.strip() not in ("", "none"), f"confidence_kind must be a word other than none, not {kind!r}"
    shots = sample_chunk(problem, seed)
    few = shots.syndromes[:256]
    whole = compiled.confidence(few)
    _check_values(whole, len(few))
    _check_batches(compiled, few, whole)
    _check_limit(compiled, few, whole)
    _check_pairs(compiled, few, whole)
    _check_order(compiled, shots.syndromes, shots.observables)
    if kind == "gap":
        _check_gap(decoder)


def _close(left: np.ndarray, right: np.ndarray) -> bool:
    return bool(np.allclose(left, right, rtol=_NOISE, atol=_NOISE))


def _check_values(confidence: np.ndarray, shots: int) -> None:
    assert isinstance(confidence, np.ndarray), f"confidence must be an array, not {type(confidence).__name__}"
    assert confidence.dtype == np.float32, f"confidence must be float32, not {confidence.dtype}"
    assert confidence.shape == (shots,), f"confidence must have shape ({shots},), not {confidence.shape}"
    assert not np.isnan(confidence).any(), "confidence must not be NaN"
    assert (confidence >= 0).all(), "confidence must not be negative"


def _check_batches(compiled: ConfidentDecoder, syndromes: np.ndarray, whole: np.ndarray) -> None:
    alone = np.concatenate([compiled.confidence(syndromes[i : i + 1]) for i in range(16)])
    assert _close(alone, whole[:16]), "a confidence must not depend on the other shots of a batch"
    back = compiled.confidence(np.ascontiguousarray(syndromes[::-1]))[::-1]
    assert _close(back, whole), "a confidence must not depend on the order of a batch"
    _check_values(compiled.confidence(syndromes[:0]), 0)


def _check_limit(compiled: ConfidentDecoder, syndromes: np.ndarray, whole: np.ndarray) -> None:
    finite = whole[np.isfinite(whole)]
    if not len(finite):
        return
    limit = float(np.median(finite))
    limited = compiled.confidence(syndromes, at_most=limit)
    _check_values(limited, len(syndromes))
    near = whole <= limit
    assert _close(limited[near], whole[near]), "a confidence up to at_most must be what it is without at_most"
    assert (limited[~near] >= limit * (1 - _NOISE)).all(), "a confidence above at_most must stay above it"


def _check_pairs(compiled: ConfidentDecoder, syndromes: np.ndarray, whole: np.ndarray) -> None:
    plain = compiled.decode(syndromes)
    decoded, confidence = compiled.decode_with_confidence(syndromes)
    _check_values(confidence, len(syndromes))
    same = (decoded.observables == plain.observables).all() and (decoded.invalid == plain.invalid).all()
    assert same, "decode_with_confidence must answer what decode answers"
    assert _close(confidence, whole), "decode_with_confidence and confidence must give the same confidence"
    assert not confidence[decoded.invalid].any(), "a shot without a valid answer must have confidence 0"


def _check_order(compiled: ConfidentDecoder, syndromes: np.ndarray, truth: np.ndarray) -> None:
    """Check that the least sure tenth fails no less often than the others, up to four standard errors."""
    decoded, confidence = compiled.decode_with_confidence(syndromes)
    unsure = confidence <= np.quantile(confidence, 0.1, method="lower")
    if unsure.all():
        return
    failed = decoded.failures(truth)
    low, high = failed[unsure].mean(), failed[~unsure].mean()
    rate = failed.mean()
    noise = sqrt(rate * (1 - rate) * (1 / unsure.sum() + 1 / (~unsure).sum()))
    assert high <= low + 4 * noise, (
        f"shots of which it is least sure fail less often ({low:.4f}) than the others ({high:.4f})"
    )


def all_sets(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The weight of every set of a small problem's mechanisms, its syndrome and its observables, each as one number."""
    mechanisms = problem.mechanisms
    columns = np.zeros((len(mechanisms), problem.num_detectors), dtype=np.int64)
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    columns[owner, mechanisms.detector] = 1
    flips = np.unpackbits(mechanisms.observables, axis=1, count=problem.num_observables, bitorder="little")
    sets = np.array(list(itertools.product((0, 1), repeat=len(mechanisms))))
    weights = sets @ problem.priors_llr.astype(np.float64)
    places = (sets @ columns % 2) @ (1 << np.arange(problem.num_detectors))
    classes = (sets @ flips % 2) @ (1 << np.arange(problem.num_observables))
    return weights, places, classes


def _check_gap(decoder: Decoder) -> None:
    """Check gaps against the lightest of all sets of errors in each class."""
    import stim

    problem = problem_from_dem(stim.DetectorErrorModel(SMALL_MODEL), name="small")
    weights, places, classes = all_sets(problem)
    least = np.full((1 << problem.num_detectors, 1 << problem.num_observables), np.inf)
    np.minimum.at(least, (places, classes), weights)
    syndromes = np.arange(len(least), dtype=np.uint8)[:, None]
    compiled = decoder.compile(problem)
    assert isinstance(compiled, ConfidentDecoder)
    decoded, gaps = compiled.decode_with_confidence(syndromes)
    for syndrome, answer in enumerate(decoded.observables[:, 0]):
        others = np.delete(least[syndrome], answer).min()
        expected = max(0.0, float(others - least[syndrome, answer]))
        assert abs(float(gaps[syndrome]) - expected) <= 0.01, (
            f"a gap is the weight of the lightest solution in any other class less that of the answer's: {expected:.3f} nats for "
            f"syndrome {syndrome:0{problem.num_detectors}b} of a small model, not {gaps[syndrome]:.3f}"
        )
