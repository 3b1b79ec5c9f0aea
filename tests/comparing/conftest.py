"""A small circuit, and decoders of somebody else that do everything wrong."""

import textwrap

import pytest
import stim

from autoqec.comparing.decoding_source import source_from_circuit
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk

FOREIGN = """
import os, sys, time
import numpy as np


class Right:  # with the methods of a sinter.Decoder, without its second of imports
    def compile_decoder_for_dem(self, *, dem):
        import pymatching
        self.matching = pymatching.Matching.from_detector_error_model(dem)
        return self

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        return self.matching.decode_batch(
            bit_packed_detection_event_data, bit_packed_shots=True, bit_packed_predictions=True
        )


class Prints(Right):
    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        print("AQF1 hello")
        sys.stdout.flush()
        os.write(1, b"AQF1 hello from C")
        return super().decode_shots_bit_packed(bit_packed_detection_event_data=bit_packed_detection_event_data)


class Late(Right):
    '''Does something wrong on batches that are larger than those of the warm-up.'''

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        if len(bit_packed_detection_event_data) > 8:
            return self.wrong(bit_packed_detection_event_data)
        return super().decode_shots_bit_packed(bit_packed_detection_event_data=bit_packed_detection_event_data)


class Raises(Late):
    def wrong(self, shots):
        raise KeyError("no such qubit")


class Shape(Late):
    def wrong(self, shots):
        return np.zeros((1, 1), dtype=np.uint8)


class Beyond(Late):
    def wrong(self, shots):
        return np.full((len(shots), 1), 2, dtype=np.uint8)


class Exits(Late):
    def wrong(self, shots):
        os._exit(3)


class Segfault(Late):
    def wrong(self, shots):
        os.kill(os.getpid(), 11)


class Hangs(Late):
    def wrong(self, shots):
        time.sleep(600)  # asleep or busy, it counts as its own time


class Refuses(Right):
    def compile_decoder_for_dem(self, *, dem):
        raise ValueError("no colours")
"""


@pytest.fixture(scope="session")
def registry():
    return load_plugins()


@pytest.fixture(scope="session")
def circuit():
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=3,
        rounds=3,
        after_clifford_depolarization=0.01,
        before_measure_flip_probability=0.01,
    )


@pytest.fixture(scope="session")
def source(circuit):
    return source_from_circuit(circuit, name="d3.stim")


@pytest.fixture(scope="session")
def problem(source, registry):
    return source.problem(registry)


@pytest.fixture(scope="session")
def shots(problem):
    return sample_chunk(problem, 7)


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A module of decoders on PYTHONPATH; returns how its classes are named."""
    (tmp_path / "their_qec.py").write_text(textwrap.dedent(FOREIGN))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda name: f"sinter:their_qec:{name}"


@pytest.fixture(scope="session")
def make_own_package(registry):
    """A function from a candidate's files to an untrained round of the tiny environment."""
    from autoqec.exchange.package import Package
    from autoqec.problem.code_contract import build_problem
    from autoqec.problem.environment import environment_from_files
    from autoqec.testing import TINY_ENVIRONMENT, untrained

    def make(**files):
        sources = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 3\n"} | files
        env_files = {"environment.yaml": TINY_ENVIRONMENT.encode()}
        problem = build_problem(environment_from_files(env_files, origin="here"), registry.maker("code"))
        kept = {path: data for path, data in sources.items() if data is not None}
        return Package("exp/here/1", "c0ffee" * 6, env_files, untrained(kept, problem), None)

    return make


@pytest.fixture(scope="session")
def own_package(make_own_package):
    return make_own_package()
