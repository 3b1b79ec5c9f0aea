"""Weights: bytes in, the same arrays out, and never on a problem they were not trained for."""

import numpy as np
import pytest

from autoqec.candidate.weights import bound_to, carried_over, load_weights, save_weights
from autoqec.errors import AutoQECError

TENSORS = {"bp.scale": np.array([0.9, 0.8], dtype=np.float32), "bp.damping": np.float32(0.1).reshape(())}


def test_the_same_tensors_come_back_and_bytes_do_not_depend_on_order():
    data = save_weights(TENSORS, fingerprints=["f" * 64])
    assert data == save_weights(dict(reversed(TENSORS.items())), fingerprints=["f" * 64])
    back = load_weights(data, fingerprint="f" * 64)
    assert {name: tensor.tolist() for name, tensor in back.items()} == {n: t.tolist() for n, t in TENSORS.items()}


def test_weights_of_another_problem_are_refused():
    with pytest.raises(AutoQECError, match="trained for problem fff"):
        load_weights(save_weights(TENSORS, fingerprints=["f" * 64]), fingerprint="e" * 64)


@pytest.mark.parametrize("data", [b"", b"12345678", b"\xff" * 100, save_weights(TENSORS, fingerprints=["f"])[:-3]])
def test_bytes_that_are_not_weights_are_refused(data):
    with pytest.raises(AutoQECError, match="not a safetensors file"):
        load_weights(data)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(AutoQECError, match=r"bp\.x holds a number that is not finite"):
        load_weights(save_weights({"bp.x": np.array([np.nan], dtype=np.float32)}, fingerprints=["f"]))


def test_a_judge_may_carry_weights_over_to_another_problem():
    data = save_weights(TENSORS, fingerprints=["f" * 64, "e" * 64])
    assert bound_to(data) == ("f" * 64, "e" * 64)
    moved = carried_over(data, "d" * 64)
    assert bound_to(moved) == ("d" * 64,)
    assert load_weights(moved, fingerprint="d" * 64).keys() == TENSORS.keys()
    assert (bound_to(b""), carried_over(b"", "d" * 64)) == ((), b"")
    with pytest.raises(AutoQECError, match="not a safetensors file"):
        bound_to(b"\xff" * 100)
