"""Our decoders among sinter's: its own shipped tests, rounds that travel to workers, and the refusal of other circuits."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sinter
import stim
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP
from sinter._decoding._decoding import sample_decode

import autoqec.sinter
from autoqec import history
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.errors import AutoQECError, UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.sinter_rounds import RoundDecoder, plain_decoders, round_decoders
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.problem import problem_from_circuit, problem_from_dem, same_problem
from autoqec.problem.sampling import sample_chunk
from autoqec.scoring.predictor import settle_beliefs
from autoqec.testing import record_round, record_run
from autoqec.testing.whole_notes import whole_metrics

FAST = "autoqec:mwpm-None or autoqec:osd-None"


def shipped_tests(tmp_path, chosen):
    """Run the tests that sinter ships for decoders on ours."""
    (tmp_path / "ours_for_sinter.py").write_text("from autoqec.sinter import decoders\n")
    (tmp_path / "empty.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "empty.ini")]
    variables = {"PYTHONPATH": str(tmp_path), "SINTER_PYTEST_CUSTOM_DECODERS": "ours_for_sinter:decoders"}
    done = subprocess.run(
        [*command, "--pyargs", "sinter._decoding._decoding_test", "-k", chosen],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return int(done.stdout.rsplit(" passed", 1)[0].rsplit(maxsplit=1)[-1])


def test_ours_pass_the_tests_that_sinter_ships(tmp_path):
    assert shipped_tests(tmp_path, FAST) >= 36


@pytest.mark.slow
def test_all_that_are_installed_pass_the_tests_that_sinter_ships(tmp_path):
    # sinter spares its own correlated matching the errors likelier than not, and Chromobius decodes colour codes only.
    chosen = "autoqec: and not chromobius and not (test_post_selection and mwpm_correlated)"
    assert shipped_tests(tmp_path, chosen) >= 150


def test_every_installed_decoder_is_offered():
    offered = plain_decoders(load_plugins())
    assert {"autoqec:mwpm", "autoqec:mwpm_correlated", "autoqec:osd", "autoqec:bp_lsd"} <= offered.keys()
    assert not [name for name in offered if name.endswith(":")]
    assert repr(offered["autoqec:osd"]) == "<autoqec:osd>"


def circuit_of(package):
    return Deployed(package, load_plugins()).problem.circuit


@pytest.mark.parametrize("on_disk", [None, True])
def test_a_round_decodes_its_circuit(package, on_disk):
    circuit = circuit_of(package)
    rates = {}
    for name in ("autoqec:exp/here/1", "autoqec:mwpm"):
        stats = sample_decode(
            num_shots=4000,
            circuit_obj=circuit,
            circuit_path=None,
            dem_obj=circuit.detector_error_model(decompose_errors=True),
            dem_path=None,
            decoder=name,
            custom_decoders=round_decoders(package) | plain_decoders(load_plugins()),
            __private__unstable__force_decode_on_disk=on_disk,
        )
        assert stats.discards == 0
        rates[name] = stats.errors / stats.shots
    assert 0.01 < rates["autoqec:exp/here/1"] < rates["autoqec:mwpm"] + 0.01 < 0.06


def test_a_round_travels_as_bytes_and_says_what_it_is(package):
    decoder = RoundDecoder(package)
    dem = circuit_of(package).detector_error_model(decompose_errors=True)
    decoder.compile_decoder_for_dem(dem=dem)  # now it holds a compiled problem
    copy = pickle.loads(pickle.dumps(decoder))
    assert copy.package == package
    assert len(pickle.dumps(decoder)) < 10_000
    assert repr(copy) == f"<autoqec:exp/here/1@{package.digest[:12]}>"
    assert copy.metadata == package.metadata()
    assert set(round_decoders(package)) == {"autoqec:exp/here/1", f"autoqec:exp/here/1@{package.digest[:12]}"}


def test_the_digest_changes_with_anything_that_changes_an_answer(package, make_package):
    others = [
        make_package(**{"output.yaml": b"mode: hard_flip\n"}),
        make_package(**{"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 4\n"}),
        make_package(package.environment_files["environment.yaml"].decode().replace("0.006", "0.005")),
    ]
    assert len({made.digest for made in [package, *others]}) == 4
    assert make_package().digest == package.digest


@pytest.mark.parametrize("change", ["rate", "distance", "one error"])
def test_another_circuit_is_refused_by_name(package, change):
    dem = circuit_of(package).detector_error_model(decompose_errors=True)
    if change == "one error":
        dem.append("error", 0.001, [stim.DemTarget("D0"), stim.DemTarget("D30")])
    else:
        dem = stim.Circuit.generated(
            "surface_code:unrotated_memory_z",
            distance=3 if change == "rate" else 5,
            rounds=3,
            after_clifford_depolarization=0.005,
            after_reset_flip_probability=0.005,
            before_measure_flip_probability=0.005,
            before_round_data_depolarization=0.005,
        ).detector_error_model(decompose_errors=True)
    with pytest.raises(UsageError, match="was trained for tiny@") as caught:
        RoundDecoder(package).compile_decoder_for_dem(dem=dem)
    assert package.digest[:12] in caught.value.problem
    assert "autoqec export exp/here/1" in caught.value.hint
    # Equal numbers of detectors and mechanisms would explain nothing.
    assert ("this circuit has other error rates" in caught.value.problem) == (change == "rate")


def memory(task, distance, p):
    noise = dict.fromkeys(("after_clifford_depolarization", "before_measure_flip_probability"), p)
    noise |= dict.fromkeys(("after_reset_flip_probability", "before_round_data_depolarization"), p)
    return stim.Circuit.generated(f"surface_code:{task}", distance=distance, rounds=4, **noise)


def test_a_round_with_orbits_decodes_other_circuits_of_its_family_alone(make_package):
    made = make_package(**{"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\nsharing: orbit\n"})
    circuit = memory("unrotated_memory_z", 5, 0.004)
    dem = circuit.detector_error_model(decompose_errors=True)
    problem = problem_from_dem(dem, name="larger")
    shots = sample_chunk(problem_from_circuit(circuit, name="larger"), 5)
    found = RoundDecoder(made).compile_decoder_for_dem(dem=dem)
    flips = found.decode_shots_bit_packed(bit_packed_detection_event_data=shots.syndromes[:512])
    # Untrained, all factors are the initial ones, whatever the sharing.
    config = NeuralBPConfig(iterations=3)
    infer = NeuralBP().inference(config, {"scale": np.full((3, 1), config.initial_scale, np.float32)}, problem)
    beliefs = infer(shots.syndromes[:512], np.repeat(problem.priors_llr[None], 512, axis=0))
    plain = compile_decoder(Choice(kind="mwpm"), problem, load_plugins())
    settle_beliefs(beliefs, problem.priors_llr)
    assert (flips == plain.decode(shots.syndromes[:512], beliefs).observables).all()
    rotated = memory("rotated_memory_z", 5, 0.004).detector_error_model(decompose_errors=True)
    with pytest.raises(UsageError, match="was trained for tiny@"):
        RoundDecoder(made).compile_decoder_for_dem(dem=rotated)


def test_the_same_errors_in_another_order_are_the_same_problem(package):
    dem = circuit_of(package).detector_error_model(decompose_errors=True).flattened()
    turned = stim.DetectorErrorModel()
    for instruction in reversed(list(dem)):
        turned.append(instruction)
    one, other = problem_from_dem(dem, name="one"), problem_from_dem(turned, name="other")
    assert one.fingerprint != other.fingerprint
    assert same_problem(one, other)
    RoundDecoder(package).compile_decoder_for_dem(dem=turned)


@pytest.fixture
def recorded(package, autoqec_lab):
    """The package as round 1 of the run `here`, as if it had been trained and scored; and what the metrics say it is."""
    sealed = package.sealed
    commit = record_round(autoqec_lab, record_run(autoqec_lab, "here"), sealed.files, weights=sealed.weights)

    def score(candidate):
        history.append_note(autoqec_lab, "here", "metrics", commit, whole_metrics(candidate=candidate))

    return score


def test_a_labs_rounds_are_read_when_they_decode(recorded, package, monkeypatch, tmp_path):
    recorded(package.sealed.digest)
    with monkeypatch.context() as patch:
        patch.setattr("autoqec.exchange.package.read_attachment", lambda *_: pytest.fail("the weights were read"))
        offered = autoqec.sinter.decoders()
        sent = pickle.dumps(offered)
    assert package.sealed.weights not in sent
    monkeypatch.chdir(tmp_path)  # a worker may be anywhere
    decoder = pickle.loads(sent)[f"autoqec:exp/here/1@{package.digest[:12]}"]
    dem = circuit_of(package).detector_error_model(decompose_errors=True)
    decoder.compile_decoder_for_dem(dem=dem)
    assert decoder.package.sealed == package.sealed
    dem.append("error", 0.001, [stim.DemTarget("D0"), stim.DemTarget("D30")])
    with pytest.raises(UsageError, match=f"exp/here/1@{package.digest[:12]}> was trained for tiny@"):
        decoder.compile_decoder_for_dem(dem=dem)


def test_a_round_that_is_not_what_was_scored_is_refused(recorded, package):
    assert [name for name in autoqec.sinter.decoders() if "exp/" in name] == ["autoqec:exp/here/1"]  # not scored yet
    recorded("0" * 64)
    decoder = autoqec.sinter.decoders()["autoqec:exp/here/1"]
    with pytest.raises(AutoQECError, match="differ from those that were scored"):
        decoder.compile_decoder_for_dem(dem=circuit_of(package).detector_error_model(decompose_errors=True))


def test_outside_a_lab_there_are_the_plain_decoders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = autoqec.sinter.decoders()
    assert found.keys() == plain_decoders(load_plugins()).keys()
    assert all(isinstance(decoder, sinter.Decoder) for decoder in found.values())
