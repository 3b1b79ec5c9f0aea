"""A round takes part sealed, as the judge keeps it: its own code locked, its weights bound to what is decoded, or not at all."""

import numpy as np
import pytest

from autoqec.comparing.decoder_names import TrainedDecoder
from autoqec.comparing.decoder_process import Answers, DecoderFault
from autoqec.comparing.decoding_source import source_from_circuit, source_from_environment
from autoqec.comparing.trained_process import TrainedProcess, fitted
from autoqec.errors import UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import custom_module

ORBIT = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 2\nsharing: orbit\n"}


def decoded(package, source, registry, shots=256):
    problem = source.problem(registry)
    drawn = sample_chunk(problem, 3).syndromes[:shots]
    with TrainedProcess(TrainedDecoder("it", package), source, problem, registry) as process:
        return process.decode(drawn), drawn, process.fits


def test_it_answers_as_the_exported_round_does(own_package, registry):
    found, drawn, fits = decoded(own_package, source_from_environment(own_package.environment), registry)
    assert isinstance(found, Answers)
    assert fits == "trained"
    expected = Deployed(own_package, registry).decode(drawn)
    np.testing.assert_array_equal(found.decoded.observables, expected.observables)


def test_weights_of_orbits_are_carried_to_another_size_and_others_are_not(own_package, make_own_package, registry):
    there = source_from_environment(own_package.environment)
    text = there.loaded.files["environment.yaml"].decode().replace("rounds: 3", "rounds: 4")
    more = source_from_environment(type(there.loaded)(_environment(text), {"environment.yaml": text.encode()}, "more"))
    fault, _, fits = decoded(own_package, more, registry)
    assert isinstance(fault, DecoderFault)
    assert (fault.reason, fits) == ("unusable", None)
    assert "fit no other problem" in fault.problem
    found, _, fits = decoded(make_own_package(**ORBIT), more, registry)
    assert isinstance(found, Answers)
    assert fits == "family"


def _environment(text):
    from autoqec.problem.environment import environment_from_files

    return environment_from_files({"environment.yaml": text.encode()}, origin="more").environment


def test_it_fits_its_own_circuit_from_a_file_and_other_rates_of_the_same_graph(own_package, registry):
    own = source_from_environment(own_package.environment)
    circuit = own.problem(registry).circuit
    file = source_from_circuit(str(circuit))
    assert fitted(own_package, file, file.problem(registry), registry).fits == "trained"
    other = source_from_environment(own_package.environment, 0.004)
    assert fitted(own_package, other, other.problem(registry), registry).fits == "rate"


def test_it_does_not_fit_a_stranger(own_package, source, problem, registry):
    with pytest.raises(UsageError, match="fit no other problem"):
        fitted(own_package, source, problem, registry)


def test_code_of_its_own_that_raises_is_its_fault(make_own_package, registry):
    # It is tried out when it is loaded, so it fails later.
    forward = "self.calls += 1\nif self.calls > 8: raise ValueError('no')\nreturn beliefs + self.w"
    module = custom_module(forward, "self.w, self.calls = torch.nn.Parameter(torch.zeros(1)), 0").encode()
    files = {"stages/c/stage.yaml": b"kind: custom\n", "stages/c/module.py": module, "stages/bp/stage.yaml": None}
    package = make_own_package(**files)
    found, _, _ = decoded(package, source_from_environment(package.environment), registry, 4096)
    assert isinstance(found, DecoderFault)
    assert found.reason in ("crash", "exception")
    assert "ValueError: no" in found.problem
