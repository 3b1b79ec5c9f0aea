"""Weights as safetensors bytes, named `<slug>.<parameter>` and bound to the problem they were trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoqec.errors import AutoQECError

#: A weights file beyond this size does not belong in a git repository.
MAX_WEIGHT_BYTES = 50 * 1024 * 1024


def save_weights(tensors: Mapping[str, np.ndarray], *, fingerprints: Sequence[str]) -> bytes:
    """Serialise tensors.

    Args:
        tensors: Arrays by `<slug>.<parameter>`.
        fingerprints: `Problem.fingerprint` of the problems they were trained for, one for each physical error rate, the
            target's first.

    Raises:
        AutoQECError: They are larger than a repository should hold.
    """
    from safetensors.numpy import save

    data: bytes = save(
        {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)},
        metadata={"fingerprint": " ".join(fingerprints)},
    )
    if len(data) > MAX_WEIGHT_BYTES:
        raise AutoQECError(
            f"the weights take {len(data) / 2**20:.0f} MiB; at most {MAX_WEIGHT_BYTES // 2**20} are kept in git",
            code="weights_too_large",
        )
    return data


def load_weights(data: bytes, *, fingerprint: str | None = None) -> dict[str, np.ndarray]:
    """Read tensors back, refusing weights of another problem.

    A predecoder trained for one circuit and used on another is silently worse than none.

    Args:
        data: What `save_weights` made.
        fingerprint: The problem they are to be used on; None to read them whatever they were trained for.

    Raises:
        AutoQECError: The bytes are not safetensors, hold non-finite numbers, or were trained for another problem.
    """
    from safetensors.numpy import load

    try:
        found = str(_metadata(data).get("fingerprint")).split()
        tensors: dict[str, np.ndarray] = load(data)
    except Exception as error:
        raise AutoQECError(f"the weights are not a safetensors file: {error}", code="weights_unreadable") from error
    if fingerprint is not None and fingerprint not in found:
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
    """The fingerprints of the problems that weights were trained for, the target's first; none if there are no weights.

    Raises:
        AutoQECError: The bytes are not safetensors.
    """
    try:
        return tuple(str(_metadata(data).get("fingerprint", "")).split()) if data else ()
    except ValueError as error:
        raise AutoQECError(f"the weights are not a safetensors file: {error}", code="weights_unreadable") from error


def carried_over(data: bytes, fingerprint: str) -> bytes:
    """The same tensors, bound to another problem.

    For a judge that wants to know what a candidate does where it was not trained, and says so; everybody else is refused such
    weights by `load_weights`, and should be.

    Args:
        data: What `save_weights` made.
        fingerprint: The other problem's.

    Raises:
        AutoQECError: The bytes are not safetensors, or hold numbers that are not finite.
    """
    return save_weights(load_weights(data), fingerprints=[fingerprint]) if data else b""


def _metadata(data: bytes) -> dict[str, Any]:
    """The header's `__metadata__`; the format is 8 bytes little-endian length, then JSON."""
    import json

    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return dict(header.get("__metadata__", {}))
