"""A circuit, an error model and an environment are decoded alike, outside of any repository."""

import pytest

from autoqec.comparing.decoding_source import (
    source_from_circuit,
    source_from_dem,
    source_from_environment,
    source_from_file,
)
from autoqec.errors import NotFoundError, UsageError
from autoqec.problem.environment import Choice, environment_from_files
from autoqec.testing import TINY_ENVIRONMENT


@pytest.fixture(scope="module")
def tiny():
    return environment_from_files({"environment.yaml": TINY_ENVIRONMENT.encode()}, origin="tiny")


def test_a_circuit_and_its_error_model_are_one_problem(registry, circuit, problem):
    model = circuit.detector_error_model(decompose_errors=True)
    found = source_from_dem(model).problem(registry)
    assert found.fingerprint == problem.fingerprint
    assert found.circuit is None
    assert problem.circuit == circuit


def test_files_are_read_wherever_they_are(registry, tmp_path, circuit, problem):
    path = tmp_path / "My Circuit (3).stim"
    circuit.to_file(path)
    found = source_from_file(path, "circuit")
    assert found.problem(registry).fingerprint == problem.fingerprint
    assert found.label == str(path)
    assert found.identity == source_from_circuit(path.read_bytes()).identity


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("circuit", "M 0\nNONSENSE", "is not a stim circuit"),
        ("circuit", "M 0", "no detectors"),
        ("dem", "error(0.1) D0", "no logical observables"),
        ("dem", "error(7) D0", "is not a detector error model"),
        ("circuit", "\udcff", "is not a text file"),
    ],
)
def test_an_error_names_the_users_own_file(registry, tmp_path, kind, text, told):
    path = tmp_path / "theirs"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=told) as caught:
        source_from_file(path, kind).problem(registry)
    assert str(path) in caught.value.problem
    assert "environment" not in caught.value.problem


def test_no_file_and_no_plain_file_are_errors_of_use(tmp_path):
    with pytest.raises(NotFoundError, match="there is no file"):
        source_from_file(tmp_path / "none.stim", "circuit")
    with pytest.raises(UsageError, match="no plain file"):
        source_from_file(tmp_path, "dem")


def test_an_environment_has_a_rate_and_rounds(registry, tiny):
    at = source_from_environment(tiny, 0.01)
    assert (at.label, at.rounds) == ("tiny at p = 0.01", 3)
    assert at.identity != source_from_environment(tiny).identity
    assert source_from_environment(tiny, 0.006).identity == source_from_environment(tiny).identity
    assert at.problem(registry).structure == source_from_environment(tiny).problem(registry).structure
    with pytest.raises(UsageError, match="not a probability"):
        source_from_environment(tiny, 1.5)


def test_a_file_that_brings_its_noise_takes_no_rate(registry, source):
    with pytest.raises(UsageError, match="fix its noise"):
        source_from_environment(source.loaded, 0.01)


def test_another_decoder_leaves_the_problem_as_it_is(registry, tiny):
    at = source_from_environment(tiny)
    other = at.decoded_by(Choice(kind="osd", order=4))
    assert other.environment.decoder.label == "osd(order=4)"
    assert source_from_environment(other).problem(registry).fingerprint == at.problem(registry).fingerprint
    assert at.decoded_by(tiny.environment.decoder) is tiny
