"""Weights as safetensors bytes, with tensors named `<slug>.<parameter>`, bound to the problem of their training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoqec.errors import AutoQECError
from autoqec.size_limits import WEIGHTS_HEADER_BYTES, in_words

#: Maximum size of a weights file in git.
MAX_WEIGHT_BYTES = 50 * 1024 * 1024

#: The key of the metadata that says what weights are bound to, and its only value; without it, they are bound to a problem.
_BOUND, _FAMILY = "bound", "family"


def save_weights(tensors: Mapping[str, np.ndarray], *, fingerprints: Sequence[str], of_family: bool = False) -> bytes:
    """Serialise tensors.

    Args:
        tensors: Arrays by `<slug>.<parameter>`.
        fingerprints: `Problem.fingerprint` of the problems of the training, one per physical error rate, the target's
            first.
        of_family: Whether the tensors fit other problems of the family, and say themselves which these are.

    Raises:
        AutoQECError: The weights are too large for git.
    """
    from safetensors.numpy import save

    data: bytes = save(
        {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)},
        metadata={"fingerprint": " ".join(fingerprints), **({_BOUND: _FAMILY} if of_family else {})},
    )
    if len(data) > MAX_WEIGHT_BYTES:
        raise AutoQECError(
            f"the weights take {len(data) / 2**20:.0f} MiB; at most {MAX_WEIGHT_BYTES // 2**20} are kept in git",
            code="weights_too_large",
        )
    return data


def load_weights(data: bytes, *, fingerprint: str | None = None, same_family: bool = False) -> dict[str, np.ndarray]:
    """Read tensors, and refuse weights of another problem.

    A predecoder on a circuit for which it was not trained is silently worse than no predecoder. Weights that are bound to a
    family fit its other problems too; each stage then refuses those of another family (`autoqec.candidate.carrying`).

    Args:
        data: The result of `save_weights`.
        fingerprint: The problem on which to use them; None to accept weights of any problem.
        same_family: Whether the problem's environment is of the family of that of the training, so that weights bound to a family
            may be used.

    Raises:
        AutoQECError: The bytes are not safetensors, hold non-finite numbers, or were trained for another problem.
    """
    from safetensors.numpy import load

    try:
        metadata = _metadata(data)
        found = str(metadata.get("fingerprint")).split()
        tensors: dict[str, np.ndarray] = load(data)
    except Exception as error:
        raise AutoQECError(f"the weights are not a safetensors file: {error}", code="weights_unreadable") from error
    of_family = same_family and metadata.get(_BOUND) == _FAMILY
    if fingerprint is not None and fingerprint not in found and not of_family:
        raise AutoQECError(
            f"the weights were trained for problem {', '.join(name[:12] for name in found)}, not for {fingerprint[:12]}",
            hint="train on this environment, or use the environment the round names",
            code="weights_of_another_problem",
        )
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise AutoQECError(f"weight {name} holds a number that is not finite", code="weights_not_finite")
    return tensors


def bound_to(data: bytes) -> tuple[str, ...]:
    """Return the fingerprints of the problems of the training, the target's first; empty if there are no weights.

    Raises:
        AutoQECError: The bytes are not safetensors.
    """
    try:
        return tuple(str(_metadata(data).get("fingerprint", "")).split()) if data else ()
    except ValueError as error:
        raise AutoQECError(f"the weights are not a safetensors file: {error}", code="weights_unreadable") from error


def binds_family(data: bytes) -> bool:
    """Whether weights fit other problems of their family, so far as they say themselves.

    Raises:
        AutoQECError: The bytes are not safetensors.
    """
    try:
        return bool(data) and _metadata(data).get(_BOUND) == _FAMILY
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise AutoQECError(f"the weights are not a safetensors file: {error}", code="weights_unreadable") from error


def carried_over(data: bytes, fingerprint: str) -> bytes:
    """Bind the same tensors to another problem.

    Only the judge and comparisons use this, to test a candidate on a problem for which it was not trained. For all others
    `load_weights` refuses such weights.

    Args:
        data: The result of `save_weights`.
        fingerprint: The fingerprint of the other problem.

    Raises:
        AutoQECError: The bytes are not safetensors, or hold numbers that are not finite.
    """
    return save_weights(load_weights(data), fingerprints=[fingerprint]) if data else b""


def _metadata(data: bytes) -> dict[str, Any]:
    """Return `__metadata__` of the header; the format is 8 bytes little-endian length, then JSON."""
    import json

    length = int.from_bytes(data[:8], "little")
    if length > WEIGHTS_HEADER_BYTES:
        raise ValueError(f"the header of the weights takes {in_words(length)}")
    header = json.loads(data[8 : 8 + length])
    return dict(header.get("__metadata__", {}))
