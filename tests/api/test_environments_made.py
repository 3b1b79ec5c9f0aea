"""Environments from circuits, error models and matrices: the same as the equal YAML, usable at once, written where asked."""

import numpy as np
import pytest
import stim
from scipy.sparse import csc_matrix

from autoqec import Environment
from autoqec.errors import NotFoundError, UsageError
from autoqec.problem.environment import load_environment

CIRCUIT = stim.Circuit.generated(
    "surface_code:rotated_memory_z", distance=3, rounds=2, after_clifford_depolarization=0.01
)

MODEL = "error(0.1) D0 L0\nerror(0.1) D0 D1\nerror(0.1) D1\n"
CHECKS, OBSERVABLES = [[1, 1, 0], [0, 1, 1]], [[1, 0, 0]]


def written(folder, text, **files):
    """The environment of files that a person wrote."""
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_text(data)
    path = folder / "written.yaml"
    path.write_text(text)
    return load_environment(path)


def test_a_circuit_is_the_environment_of_the_equal_yaml(tmp_path):
    made = Environment.from_circuit(
        CIRCUIT, decoder={"kind": "mwpm"}, references=["mwpm_correlated"], name="mine", story="Mine."
    )
    text = "name: other\ncode: {kind: circuit, path: mine.stim}\ndecoder: mwpm\nreferences: [mwpm_correlated]\n"
    assert made.identity == written(tmp_path, text, mine__stim=f"{CIRCUIT}\n").identity
    assert (made.name, made.story, made.decoder) == ("mine", "Mine.", "mwpm")
    assert made.problem.num_detectors == CIRCUIT.num_detectors
    assert made == Environment.from_circuit(CIRCUIT, decoder="mwpm", references=("mwpm_correlated",), name="mine")
    assert repr(made) == f"<environment mine@{made.identity[:12]}: circuit>"


def test_noise_can_be_added_to_a_circuit_without_any(tmp_path):
    noise = {"kind": "depolarizing", "p": (np.float64(0.001), 0.002)}
    made = Environment.from_circuit(CIRCUIT.without_noise(), noise=noise, protocol={"min_shots": 16384}, name="mine")
    text = (
        "name: other\ncode: {kind: circuit, path: mine.stim}\ndecoder: mwpm\n"
        "noise: {kind: depolarizing, p: [0.001, 0.002]}\nprotocol: {min_shots: 16384}\n"
    )
    assert made.identity == written(tmp_path, text, mine__stim=f"{CIRCUIT.without_noise()}\n").identity


def test_an_error_model_is_the_environment_of_the_equal_yaml(tmp_path):
    made = Environment.from_dem(stim.DetectorErrorModel(MODEL), name="model")
    text = "name: model\ncode: {kind: dem, path: model.dem}\ndecoder: mwpm\n"
    assert made.identity == written(tmp_path, text, model__dem=f"{stim.DetectorErrorModel(MODEL)}\n").identity


@pytest.mark.parametrize(
    "kind", [list, np.array, lambda rows: csc_matrix(np.array(rows)), lambda rows: np.array(rows) > 0]
)
def test_matrices_of_any_kind_are_the_error_model_of_their_columns(kind):
    made = Environment.from_matrices(kind(CHECKS), kind(OBSERVABLES), [0.1, 0.2, 0.3])
    errors = [each for each in made.problem.dem if each.type == "error"]
    columns = [(each.args_copy(), " ".join(map(str, each.targets_copy()))) for each in errors]
    assert columns == [([0.1], "D0 L0"), ([0.2], "D0 D1"), ([0.3], "D1")]
    assert made == Environment.from_matrices(CHECKS, OBSERVABLES, np.array([0.1, 0.2, 0.3]))


def test_matrices_with_one_prior_are_the_environment_of_the_equal_yaml(tmp_path):
    made = Environment.from_matrices(CHECKS, OBSERVABLES, 0.05, name="tiny")
    checks = "%%MatrixMarket matrix coordinate pattern general\n2 3 4\n1 1\n1 2\n2 2\n2 3\n"
    observables = "%%MatrixMarket matrix coordinate pattern general\n1 3 1\n1 1\n"
    text = (
        "name: tiny\ncode: {kind: tanner, paths: {checks: tiny_checks.mtx, observables: tiny_observables.mtx}}\n"
        "noise: {kind: code_capacity, p: [0.05]}\ndecoder: mwpm\n"
    )
    same = written(tmp_path, text, tiny_checks__mtx=checks, tiny_observables__mtx=observables)
    assert made.identity == same.identity


def test_the_default_decoder_is_one_that_takes_the_error_model():
    assert Environment.from_circuit(CIRCUIT).decoder == "mwpm"
    assert Environment.from_dem(stim.DetectorErrorModel(f"{MODEL}error(0.1) D0 D1 D2 L0")).decoder == "osd"


def test_what_is_saved_is_the_same_environment_and_other_files_are_left_alone(tmp_path):
    made = Environment.from_matrices(CHECKS, OBSERVABLES, [0.1, 0.2, 0.3], name="saved")
    path = made.save(tmp_path / "envs")
    assert path == tmp_path / "envs" / "saved.yaml"
    assert Environment.open(path) == Environment.open("saved", [tmp_path / "envs"]) == made
    assert made.save(tmp_path / "envs") == path
    other = Environment.from_matrices(CHECKS, OBSERVABLES, [0.1, 0.2, 0.4], name="saved")
    with pytest.raises(UsageError, match=r"saved_priors\.txt exists already, with other contents"):
        other.save(tmp_path / "envs")
    assert Environment.open(path) == made


def test_the_path_of_a_file_is_as_good_as_what_it_holds(tmp_path):
    (tmp_path / "it.stim").write_text(f"{CIRCUIT}\n")
    (tmp_path / "it.dem").write_text(f"{stim.DetectorErrorModel(MODEL)}\n")
    read = Environment.from_circuit(tmp_path / "it.stim", name="it")
    assert read.identity == Environment.from_circuit(CIRCUIT, name="it").identity
    read = Environment.from_dem(str(tmp_path / "it.dem"), name="it")
    assert read.identity == Environment.from_dem(stim.DetectorErrorModel(MODEL), name="it").identity
    with pytest.raises(NotFoundError, match="there is no file"):
        Environment.from_circuit("nowhere.stim")


def test_it_is_checked_without_a_file():
    found = Environment.from_dem(stim.DetectorErrorModel(MODEL)).check(shots=1000)
    assert found["decoders"]["mwpm"]["shots"] >= 1000
    assert found["mechanisms"] == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Environment.from_circuit(stim.Circuit("H 0")), "has no detectors"),
        (lambda: Environment.from_circuit(CIRCUIT, name="../x"), "name: "),
        (
            lambda: Environment.from_circuit(str(CIRCUIT)),
            r"give a stim\.Circuit or the path of a \.stim file; this is text",
        ),
        (lambda: Environment.from_dem(CIRCUIT), r"give a stim\.DetectorErrorModel .* this is of type Circuit"),
        (
            lambda: Environment.from_circuit(CIRCUIT, decoder="osd", decoders=1),
            "an environment made here has no field 'decoders'",
        ),
        (lambda: Environment.from_circuit(CIRCUIT, protocol={"alpha": 2}), r"protocol\.alpha: "),
        (lambda: Environment.from_circuit(CIRCUIT, protocol={"alpha": object()}), "are YAML values"),
        (lambda: Environment.from_dem(stim.DetectorErrorModel(MODEL), noise={"kind": "si1000"}), "no field 'noise'"),
        (lambda: Environment.from_matrices([[1, 2]], [[1, 0]], 0.1), "entry 2 at row 0, column 1 is neither 0 nor 1"),
        (lambda: Environment.from_matrices([[1, 0], [1]], [[1, 0]], 0.1), "checks is not an array"),
        (lambda: Environment.from_matrices([1, 0], [[1, 0]], 0.1), r"checks must be a matrix .* not of shape \(2,\)"),
        (lambda: Environment.from_matrices(CHECKS, OBSERVABLES, "much"), "priors must hold numbers"),
        (lambda: Environment.from_matrices(CHECKS, OBSERVABLES, [0.1]), "1 numbers for 3 mechanisms"),
        (lambda: Environment.from_matrices(CHECKS, [[1]], 0.1), "has 3 mechanisms and"),
    ],
)
def test_what_cannot_be_an_environment_is_a_usage_error(make, said):
    with pytest.raises(UsageError, match=said) as caught:
        make()
    assert "correct the file" not in (caught.value.hint or "")  # there is no file


def test_one_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(NotFoundError, match="there is no environment named 'nothing'"):
        Environment.open("nothing")
