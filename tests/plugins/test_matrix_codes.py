"""Codes given by matrices: circuits that measure them, and Tanner graphs as they stand."""

import numpy as np
import pytest
from autoqec_plugins.matrix_codes.colouring import edge_colouring
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from autoqec.errors import NotFoundError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import load_environment

STEANE = "0001111\n0110011\n1010101\n"


def toric(size):
    """X checks on vertices and Z checks on faces of a torus: the code of Kitaev 2003, [[2 size², 2, size]]."""
    hx, hz = np.zeros((2, size**2, 2 * size**2), dtype=int)
    for u in range(size):
        for v in range(size):
            right, down = u * size + v, size**2 + u * size + v  # the edges that leave vertex (u, v)
            hx[u * size + v, [right, down, u * size + (v - 1) % size, size**2 + (u - 1) % size * size + v]] = 1
            hz[u * size + v, [right, down, (u + 1) % size * size + v, size**2 + u * size + (v + 1) % size]] = 1
    return ["\n".join("".join(map(str, row)) for row in matrix) for matrix in (hx, hz)]


@pytest.fixture
def build(tmp_path):
    def write(code, noise="{kind: code_capacity, p: [0.05]}", **files):
        for name, text in files.items():
            (tmp_path / f"{name}.txt").write_text(text)
        (tmp_path / "e.yaml").write_text(f"name: e\ncode: {code}\nnoise: {noise}\ndecoder: mwpm\n")
        return build_problem(load_environment(tmp_path / "e.yaml"), load_plugins().maker("code"))

    return write


CSS = "{kind: parity_check, paths: {hx: hx.txt, hz: hz.txt}, rounds: %d, basis: %s, detectors: %s}"


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 1)))
def test_a_colouring_has_every_one_once_and_as_few_layers_as_there_can_be(matrix):
    layers = edge_colouring(matrix)
    assert len(layers) == max(matrix.sum(axis=0).max(), matrix.sum(axis=1).max())
    assert sorted(pair for layer in layers for pair in layer) == [tuple(pair) for pair in np.argwhere(matrix)]
    for layer in layers:
        for side in zip(*layer, strict=True):
            assert len(set(side)) == len(side)


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("detectors", ["basis", "both"])
def test_the_toric_code_is_a_memory_that_matching_decodes(build, basis, detectors):
    hx, hz = toric(3)
    problem = build(CSS % (2, basis, detectors), "{kind: depolarizing, p: [0.01]}", hx=hx, hz=hz)
    problem.circuit.detector_error_model()  # raises if a detector is not deterministic
    assert problem.num_detectors == 9 * 3 + (9 if detectors == "both" else 0)
    assert problem.num_observables == 2
    assert problem.edges is not None


def test_each_detector_has_a_place_and_a_round_and_noise_may_be_phenomenological(build):
    hx, hz = toric(3)
    problem = build(CSS % (4, "Z", "both"), "{kind: phenomenological, p: [0.01]}", hx=hx, hz=hz)
    places = problem.circuit.get_detector_coordinates()
    assert len(places) == problem.num_detectors == 9 * 5 + 9 * 3
    assert all(len(place) == 3 for place in places.values())
    assert {place[2] for place in places.values()} == {0, 1, 2, 3, 4}
    assert len(set(map(tuple, places.values()))) == len(places)
    # No gate fails, so an error is a flip of data before a round or of a result: at most two rounds, never three checks of one.
    assert max(np.diff(problem.mechanisms.start)) <= 4
    assert problem.edges is not None


def test_code_capacity_is_the_matrix_itself(build):
    """Depolarizing at p flips each column of hz with probability 2p/3; the last row of the torus is a sum of the others."""
    hx, hz = toric(3)
    problem = build(CSS % (1, "Z", "basis"), hx=hx, hz=hz)
    assert problem.mechanisms.priors == pytest.approx([2 / 3 * 0.05] * 18)
    # The first round's detectors are the columns of the checks; the readout repeats them, so none of its own fires.
    columns = {tuple(np.flatnonzero([int(row[q]) for row in hz.split()])) for q in range(18)}
    start = problem.mechanisms.start
    assert {tuple(problem.mechanisms.detector[start[m] : start[m + 1]]) for m in range(18)} == columns


def test_given_logicals_are_the_observables(build):
    code = CSS.replace("hz: hz.txt", "hz: hz.txt, lz: lz.txt")
    problem = build(code % (1, "Z", "basis"), hx=STEANE, hz=STEANE, lz="1110000")
    flips = [(m, bool(o[0])) for m, o in enumerate(problem.mechanisms.observables)]
    assert sum(flip for _, flip in flips) == 3


def test_a_tanner_graph_is_taken_as_it_stands(build):
    problem = build(
        "{kind: tanner, paths: {checks: h.txt, observables: o.txt, priors: p.txt}}",
        "{kind: given}",
        h="110\n011\n000",
        o="1 0 0\n0 0 1",
        p="0.1 0.2  # two\n3e-2",
    )
    assert problem.num_detectors == 3
    assert problem.mechanisms.priors.tolist() == [0.1, 0.2, 0.03]
    assert problem.mechanisms.detector.tolist() == [0, 0, 1, 1]
    assert problem.mechanisms.observables.tolist() == [[1], [0], [2]]
    one = build("{kind: tanner, paths: {checks: h.txt, observables: o.txt}}")
    assert one.mechanisms.priors.tolist() == [0.05] * 3


@pytest.mark.parametrize(
    ("code", "noise", "files", "reason"),
    [
        (CSS % (1, "Z", "basis"), None, {"hx": "11", "hz": "10"}, "code.paths: X check 0 and Z check 0 anticommute"),
        (CSS % (1, "Z", "basis"), None, {"hx": "11", "hz": "00"}, "code: no Z check acts on any qubit"),
        (CSS % (1, "Z", "basis"), None, {"hx": "11"}, "code.paths.hz names hz.txt, but there is no such file"),
        (CSS % (1, "Z", "basis"), None, {"hx": "1a", "hz": "11"}, "code.paths.hx: hx.txt: line 1"),
        (CSS % (0, "Z", "basis"), None, {"hx": STEANE, "hz": STEANE}, "rounds: must be a whole number from 1"),
        (CSS % (1, "Y", "basis"), None, {"hx": STEANE, "hz": STEANE}, "basis: must be one of X, Z"),
        (CSS % (1, "Z", "basis"), "{kind: given}", {"hx": STEANE, "hz": STEANE}, "this code needs a noise model"),
        ("{kind: parity_check, paths: h.txt, rounds: 1}", None, {}, "code.paths must be a mapping"),
        ("{kind: parity_check, paths: {hx: ../h.txt}, rounds: 1}", None, {}, "code.paths.hx must name a file beside"),
        ("{kind: parity_check, paths: {hx: environment.yaml}, rounds: 1}", None, {}, "must name a file beside"),
        ("{kind: tanner, paths: {checks: h.txt, observables: o.txt}}", None, {"h": "11", "o": "1"}, "has 2 mechanisms"),
        (
            "{kind: tanner, paths: {checks: h.txt, observables: o.txt}}",
            "{kind: si1000, p: [0.1]}",
            {"h": "11", "o": "11"},
            "not si1000 noise",
        ),
        (
            "{kind: tanner, paths: {checks: h.txt, observables: o.txt, priors: p.txt}}",
            "{kind: given}",
            {"h": "11", "o": "11", "p": "0.1\n1"},
            "code.paths.priors: p.txt: mechanism 1 has probability 1, which always fires",
        ),
        (
            "{kind: tanner, paths: {checks: h.txt, observables: o.txt, priors: p.txt}}",
            "{kind: given}",
            {"h": "11", "o": "11", "p": "0.1"},
            "1 numbers for 2 mechanisms",
        ),
        (
            "{kind: tanner, paths: {checks: h.txt, observables: o.txt, priors: p.txt}}",
            "{kind: given}",
            {"h": "11", "o": "11", "p": "0.1\n0.x"},
            "code.paths.priors: p.txt: line 2: '0.x' is not a number",
        ),
        (
            "{kind: tanner, paths: {checks: h.txt, observables: o.txt}, priors: [0.1, -0.1]}",
            "{kind: given}",
            {"h": "11", "o": "11"},
            "code.priors: mechanism 1 has probability -0.1, which is not at least 0 and below 1",
        ),
        (
            "{kind: tanner, paths: {checks: h.txt, observables: o.txt, priors: p.txt}, priors: [0.1, 0.1]}",
            "{kind: given}",
            {"h": "11", "o": "11", "p": "0.1 0.1"},
            "code.priors: p.txt brings the priors too",
        ),
    ],
)
def test_what_cannot_be_built_names_field_and_file(build, code, noise, files, reason):
    with pytest.raises((UsageError, NotFoundError), match=r"e\.yaml") as caught:
        build(code, noise or "{kind: code_capacity, p: [0.05]}", **files)
    assert reason in caught.value.problem
