"""A decoder in a process of its own gives answers, or a fault that says what it did; nothing of it reaches the caller."""

import numpy as np
import pymatching
import pytest

from autoqec.comparing.decoder_names import read_decoder
from autoqec.comparing.decoder_process import Answers, DecoderFault, PluginProcess
from autoqec.comparing.decoding_source import source_from_circuit
from autoqec.errors import NotFoundError, UsageError


@pytest.fixture
def opened(registry, source, problem):
    """A function from a name to its process."""
    processes = []

    def start(name, **limits):
        processes.append(PluginProcess(read_decoder(name, registry), source, problem, **limits))
        return processes[-1]

    yield start
    for each in processes:
        each.close()


def test_answers_are_those_of_the_library_itself(opened, problem, shots):
    matching = pymatching.Matching.from_detector_error_model(problem.dem)
    own = matching.decode_batch(shots.syndromes, bit_packed_shots=True, bit_packed_predictions=True)
    for process in [opened(name) for name in ("mwpm", "pymatching")]:
        found = process.decode(shots.syndromes)
        assert isinstance(found, Answers)
        np.testing.assert_array_equal(found.decoded.observables, own)
        assert not found.decoded.invalid.any()
        assert found.seconds > 0


@pytest.mark.parametrize(
    ("name", "kind"), [("osd:metod=osd_cs", UsageError), ("sinter:no_such_qec:Right", NotFoundError)]
)
def test_a_decoder_that_cannot_be_made_is_the_users_error(opened, foreign, name, kind):
    with pytest.raises(kind) as caught:
        opened(name).ready()
    assert ("method" if kind is UsageError else "PYTHONPATH") in caught.value.hint


def test_fields_of_a_decoder_without_any_are_refused(opened):
    with pytest.raises(UsageError, match="does not accept") as caught:
        opened("mwpm:colour=red").ready()
    assert "it has no fields" in caught.value.hint


def test_the_known_fields_of_a_decoder_are_listed(registry):
    with pytest.raises(UsageError) as caught:
        registry.get("decoder", "belief_matching").create(colour="red")
    assert "its fields are max_bp_iters, bp_method" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "reason", "told", "place"),
    [
        ("Raises", "exception", "KeyError: 'no such qubit'", True),
        ("Shape", "bad_answer", "must return bit-packed uint8", False),
        ("Beyond", "bad_answer", "bits set after the last of 1", False),
        ("Exits", "crash", "exit status 3", False),
        ("Segfault", "crash", "SIGSEGV", False),
        ("Refuses", "unusable", "no colours", True),
    ],
)
def test_what_a_decoder_does_wrong_is_a_value(opened, foreign, shots, name, reason, told, place):
    process = opened(foreign(name))
    fault = process.decode(shots.syndromes)
    assert isinstance(fault, DecoderFault)
    assert fault.reason == reason
    assert told in fault.problem
    assert (fault.file.endswith("their_qec.py") and fault.line > 1) is place
    assert process.decode(shots.syndromes) is fault is process.ready()


def test_a_hang_ends_by_the_time_the_process_had(opened, foreign, shots):
    fault = opened(foreign("Hangs"), slice_seconds=0.2).decode(shots.syndromes)
    assert fault.reason == "hang"
    assert "no progress within 0.2 s" in fault.problem


def test_what_a_decoder_prints_reaches_nobody(opened, foreign, shots, capfd):
    assert isinstance(opened(foreign("Prints")).decode(shots.syndromes), Answers)
    assert capfd.readouterr() == ("", "")


def test_progress_never_exceeds_the_shots(opened, shots):
    seen = []
    opened("mwpm").decode(shots.syndromes, seen.append)
    assert all(0 <= done <= len(shots) for done in seen)


def test_one_process_decodes_one_problem_after_another(source, problem, shots, registry):
    """Loading a decoder takes seconds; a process that has failed does not go on."""
    other = source_from_circuit(str(source.problem(registry).circuit).replace("0.01", "0.02"), name="other.stim")
    there = other.problem(registry)
    with PluginProcess(read_decoder("mwpm", registry), source, problem) as process:
        assert not process.turn_to(other, there)  # it is not ready yet
        first = process.decode(shots.syndromes[:64])
        pid = process._child.pid
        assert process.turn_to(other, there)
        second = process.decode(shots.syndromes[:64])
        assert process._child.pid == pid
    wanted = registry.get("decoder", "mwpm").create().compile(there).decode(shots.syndromes[:64])
    np.testing.assert_array_equal(second.decoded.observables, wanted.observables)
    assert len(first.decoded.observables) == 64


def test_a_process_that_failed_is_not_turned_to_another_problem(source, problem, shots, registry, foreign):
    with PluginProcess(read_decoder(foreign("Raises"), registry), source, problem) as process:
        assert isinstance(process.decode(shots.syndromes), DecoderFault)
        assert not process.turn_to(source, problem)
