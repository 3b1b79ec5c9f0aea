"""Matrices as files, and linear algebra on them."""

import io

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from autoqec.errors import UsageError
from autoqec.problem.css import css_code
from autoqec.problem.gf2 import independent_of, kernel, rank
from autoqec.problem.matrices import read_matrix

BINARY = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(0, 1))
STEANE = np.array([[0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 0, 0, 1, 1], [1, 0, 1, 0, 1, 0, 1]], dtype=np.uint8)


def saved(matrix, save):
    stream = io.BytesIO()
    save(stream, matrix)
    return stream.getvalue()


def alist(matrix):
    rows, columns = matrix.shape
    weights = matrix.sum(axis=0), matrix.sum(axis=1)
    places = [[i + 1 for i in np.flatnonzero(line)] for line in [*matrix.T, *matrix]]
    lines = [[columns, rows], [weights[0].max(), weights[1].max()], *weights, *places]
    return "\n".join(" ".join(map(str, line)) for line in lines).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("h.txt", b"# Hamming\n0001111\n0110011  # second\n\n1 0 1 0 1 0 1\n"),
        ("h.csv", b"0,0,0,1,1,1,1\n0,1,1,0,0,1,1\n1,0,1,0,1,0,1"),
        ("h.mtx", saved(scipy.sparse.coo_matrix(STEANE), scipy.io.mmwrite)),
        ("h.mtx", saved(STEANE, scipy.io.mmwrite)),
        ("h.npz", saved(scipy.sparse.csr_matrix(STEANE), scipy.sparse.save_npz)),
        ("h.npz", saved(STEANE, np.savez)),
        ("h.npy", saved(STEANE.astype(bool), np.save)),
        ("h.alist", alist(STEANE)),
    ],
)
def test_each_format_is_read(name, data):
    assert (read_matrix(data, name, "f") == STEANE).all()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("h.txt", b"", "shape (0, 0)"),
        ("h.txt", b"101\n12\n", "line 2 has characters other than 0 and 1"),
        ("h.txt", b"101\n10\n", "line 2 has 2 entries, but the first row has 3"),
        ("h.txt", b"\xff\xfe", "is not a text file"),
        ("h.mtx", b"hello", "first line is not that of a Matrix Market matrix"),
        ("h.mtx", saved(np.array([[0, 2]]), scipy.io.mmwrite), "entry 2 at row 0, column 1 is neither 0 nor 1"),
        ("h.mtx", b"%%MatrixMarket matrix coordinate integer general\n99999 99999 1\n1 1 1\n", "too large"),
        ("h.npz", b"PK nonsense", "cannot be read"),
        ("h.npy", saved(np.array([{"a": 1}], dtype=object), np.save), "cannot be read"),
        ("h.npy", saved(np.zeros(3), np.save), "shape (3,)"),
        ("h.alist", b"3 2\n1 1\n1 1 1\n1 1\n1\n3\n1\n", "column 2 should have 1 rows between 1 and 2"),
        ("h.alist", b"3 2\n1 1\n1 1 1\n", "the first line says 3 columns"),
        ("h.alist", b"3\n", "cannot be read"),
    ],
)
def test_what_is_no_matrix_is_refused_by_name(name, data, reason):
    with pytest.raises(UsageError) as caught:
        read_matrix(data, name, "code.paths.hx")
    assert reason in caught.value.problem
    assert caught.value.problem.startswith(f"code.paths.hx: {name}")


def span(matrix):
    """Every sum of rows, by brute force."""
    sums = {bytes(matrix.shape[1])}
    for row in matrix:
        sums |= {bytes(np.frombuffer(one, dtype=np.uint8) ^ row) for one in sums}
    return sums


@settings(deadline=None)  # the first example imports ldpc
@given(BINARY)
def test_rank_and_kernel_are_those_of_the_span(matrix):
    assert len(span(matrix)) == 2 ** rank(matrix)
    depend = [j for j in range(matrix.shape[1]) if rank(matrix[:, : j + 1]) == (rank(matrix[:, :j]) if j else 0)]
    assert (kernel(matrix)[:, depend] == np.eye(len(depend))).all()
    assert len(kernel(matrix)) == matrix.shape[1] - rank(matrix)
    assert not ((matrix.astype(int) @ kernel(matrix).T) % 2).any()
    assert rank(kernel(matrix)) == len(kernel(matrix))


@settings(deadline=None)  # the first example imports ldpc
@given(BINARY, st.data())
def test_what_is_independent_completes_the_span(matrix, data):
    cut = data.draw(st.integers(0, len(matrix)))
    kept = independent_of(matrix[cut:], matrix[:cut])
    assert len(kept) == rank(matrix) - rank(matrix[:cut])
    assert span(np.concatenate([matrix[:cut], kept])) == span(matrix)


def test_logical_operators_commute_with_checks_and_not_with_each_other():
    code = css_code(STEANE, STEANE)
    assert (code.num_qubits, len(code.lx), len(code.lz)) == (7, 1, 1)
    assert not ((code.lx.astype(int) @ code.hz.T) % 2).any()
    assert (code.lx.astype(int) @ code.lz.T) % 2 == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hz": np.eye(7, dtype=np.uint8)}, "X check 0 and Z check 3 anticommute"),
        ({"hz": STEANE[:, :6]}, "7 qubits, but the Z checks on 6"),
        ({"lz": STEANE[:1]}, "product of checks"),
        ({"lz": np.eye(7, dtype=np.uint8)[:1]}, "lz: row 0 anticommutes"),
        ({"lx": np.ones((2, 7), dtype=np.uint8)}, "needs 1 logical operators"),
        ({"hx": np.array([[1, 1]], dtype=np.uint8), "hz": np.array([[1, 1]], dtype=np.uint8)}, "no logical qubit"),
    ],
)
def test_what_is_no_css_code_is_refused(changes, reason):
    with pytest.raises(UsageError) as caught:
        css_code(**({"hx": STEANE, "hz": STEANE} | changes))
    assert reason in caught.value.problem
