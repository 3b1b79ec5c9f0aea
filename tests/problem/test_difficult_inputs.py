"""Inputs that are easy to get wrong compile to what they say, or are refused at once."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
import stim
from autoqec_plugins.matrix_codes.colouring import edge_colouring

from autoqec.errors import UsageError
from autoqec.problem.geometry import find_geometry
from autoqec.problem.matrices import read_matrix, read_priors
from autoqec.problem.model_size import model_size
from autoqec.problem.orbits import find_orbits
from autoqec.problem.sampling import sample_chunk, sample_labelled
from autoqec.testing import DIFFICULT_INPUTS, DifficultInput

BY_NAME = {each.name: each for each in DIFFICULT_INPUTS}


def saved(array, save=np.save):
    stream = io.BytesIO()
    save(stream, array)
    return stream.getvalue()


def test_it_is_a_problem_or_is_refused_at_once(difficult_input):
    if difficult_input.refused is not None:
        with pytest.raises(UsageError) as caught:
            difficult_input.problem()
        assert difficult_input.refused in caught.value.problem
        assert f"{difficult_input.name}.yaml" in caught.value.problem
        assert "\n" not in caught.value.problem
        return
    problem = difficult_input.problem()
    assert (problem.mechanisms.priors > 0).all()
    assert (problem.mechanisms.priors < 1).all()
    assert (np.diff(problem.mechanisms.start) > 0).all()
    labelled = sample_labelled(problem, 64, seed=1)
    assert labelled.fired.shape == (64, len(problem.mechanisms))
    assert sample_chunk(problem, 2).syndromes.shape[1] == problem.syndrome_bytes


def test_priors_mean_the_same_however_they_are_written():
    """A mechanism that never fires is left out by every reader, and one that flips nothing too."""
    written = ["zero_prior", "priors_npy", "priors_npz", "priors_list", "inline_priors"]
    problems = [BY_NAME[name].problem() for name in written]
    assert len({problem.fingerprint for problem in problems}) == 1
    assert all(problem.mechanisms.of_instruction.tolist() == [0, 1, -1, 2] for problem in problems)
    assert BY_NAME["zero_column"].problem().mechanisms.of_instruction.tolist() == [0, 1, -1, 2]
    assert BY_NAME["empty_error"].problem().mechanisms.of_instruction.tolist() == [-1, -1, 0]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.npy", saved(np.array([[0.25], [0.5], [0.0]], dtype=np.float32))),
        ("p.npy", saved(np.array([0.25, 0.5, 0.0]))),
        ("p.npz", saved(np.array([[0.25, 0.5, 0.0]]), np.savez_compressed)),
        ("p.npz", saved(scipy.sparse.csr_matrix([[0.25, 0.5, 0.0]]), scipy.sparse.save_npz)),
        ("p.mtx", b"%%MatrixMarket matrix array real general\n3 1\n0.25\n0.5\n0\n"),
        ("p.txt", b"0.25, 0.5 # two\n0"),
        ("p.json", b"[0.25,\n 0.5, 0.0]\n"),
        ("p", b"\xef\xbb\xbf0.25\t0.5\r\n0.0"),
    ],
)
def test_priors_are_read_from_every_format(name, data):
    assert read_priors(data, name, "f", 3).tolist() == [0.25, 0.5, 0.0]


def zipped(member, data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
    return stream.getvalue()


def with_index(index):
    """A sparse matrix with an index out of range, which scipy's compiled code would follow."""
    parts = {"format": np.array(b"csr"), "shape": np.array([1, 3]), "data": np.array([1.0])}
    stream = io.BytesIO()
    np.savez(stream, **parts, indices=np.array([index]), indptr=np.array([0, 1]))
    return stream.getvalue()


HUGE = saved(np.zeros((2, 2))).replace(b"(2, 2)", b"(2000000, 9000000)")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("h.npy", HUGE, "2,000,000 by 9,000,000 is too large"),
        ("h.npy", saved(np.zeros((2, 2))).replace(b"(2, 2)", b"(2, 900)"), "claims the shape (2, 900), more than the file holds"),
        ("h.npz", zipped("a.npy", HUGE), "2,000,000 by 9,000,000 is too large"),
        ("h.npz", with_index(2_000_000_000), "cannot be read"),
        ("h.npz", with_index(-7), "cannot be read"),
        ("h.npy", saved(np.array(["a"])), "entries are <U1, not numbers"),
        ("h.npy", saved(np.array([1j])), "entries are complex128, not numbers"),
        ("h.txt", saved(np.zeros(2)), "is not a text file"),
        ("h.mtx", b"%%MatrixMarket matrix coordinate real general\n9 9 999999999999\n1 1 1\n", "claims 999,999,999,999 entries"),
        ("h.mtx", b"%%MatrixMarket matrix coordinate integer general\n3 1 7\n1 1 1\xd2", "is not a text file"),
        ("h.mtx", b"%%MatrixMarket matrix coordinate integer general\n3 1 1\n-7 1 1\n", "cannot be read"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reader", [read_matrix, lambda *given: read_priors(*given, 3)], ids=["matrix", "priors"])
def test_what_a_file_claims_is_checked_before_memory_is_reserved(reader, name, data, reason):
    with pytest.raises(UsageError) as caught:
        reader(data, name, "code.paths.x")
    assert reason in caught.value.problem
    assert caught.value.problem.startswith(f"code.paths.x: {name}")
    assert caught.value.problem.isprintable()


def test_what_an_archive_unpacks_to_is_known_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr("autoqec.problem.array_files.ARRAY_BYTES", 2**20)
    with pytest.raises(UsageError, match=r"h\.npz: unpacked it takes 3\.0 MiB, over the limit of 1\.0 MiB"):
        read_matrix(zipped("a.npy", bytes(3 * 2**20)), "h.npz", "f")


def test_coordinates_beyond_any_integer_are_no_places():
    problem = BY_NAME["far_away"].problem()
    assert not find_geometry(problem).has_coordinates
    assert not find_orbits(problem).placed


def test_the_size_of_a_model_is_that_of_the_flattened_one():
    text = (
        "error[ D9 { ](0.1) D0 ^ D1 L2\nrepeat 3 {\n error(0.1) D1\n shift_detectors(0, 1) 2\n repeat[x] 2 {\n"
        "  error(0.2) D4 L7\n  shift_detectors 1\n }\n detector(1) D0\n}\ndetector D1\n"
    )
    dem = stim.DetectorErrorModel(text)
    size, flat = model_size(str(dem), "it"), dem.flattened()
    assert (size.detectors, size.observables) == (flat.num_detectors, flat.num_observables)
    assert (
        size.instructions == len(flat) + 3 + 3 + 3 * 2 + 3 * 2
    )  # shifts and turns: of the outer block, of the inner one
    targets = [target for line in flat for target in line.targets_copy() if not target.is_separator()]
    assert size.targets == len(targets)


def test_matrices_that_would_be_too_large_an_experiment_are_refused():
    noise = "{kind: code_capacity, p: [0.01]}"
    wide = DifficultInput(
        "wide", "x", "{kind: parity_check, paths: {hx: h.txt, hz: h.txt}, rounds: 2}", {"h.txt": "1" * 20_000}
    )
    with pytest.raises(UsageError, match="19,998 logical qubits; at most 4,096"):
        wide.problem(noise=noise)
    many = replace(wide, code=wide.code.replace("2", "1000"), files={"h.txt": "\n".join(["1" * 600] * 2000)})
    with pytest.raises(UsageError, match=r"1000 rounds of this code have 4,000,600 measurements; at most 1,000,000"):
        many.problem(noise=noise)
    with pytest.raises(UsageError, match=r"20,000 neighbours; 20,001 checks and qubits may have at most 3,355 each"):
        edge_colouring(np.ones((1, 20_000), dtype=np.uint8))
