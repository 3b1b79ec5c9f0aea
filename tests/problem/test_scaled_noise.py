"""Noise that a file brings is multiplied by a factor: what comes of it, what is refused, and that nothing old changes."""

import numpy as np
import pytest
import stim

from autoqec.errors import UsageError
from autoqec.loop.auditing import replay_differences
from autoqec.plugins import load_plugins
from autoqec.problem.cell import Cell
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.neighbours import at_cell, neighbours, rates_beside
from autoqec.problem.scaled_noise import scaled_circuit, scaled_model
from autoqec.results.counts import PairedCounts
from autoqec.results.harm import harm_counted, slope_of, two_p_slope
from autoqec.results.verdict_parts import Evidence, HarmCell

#: Identities computed before there were factors.
GIVEN = "eb6e6d9304d9773942a77c6304a00cb7b2137a76be8c3a1f59ae414516ed2bef"
WITH_CELLS = "693d61c295785aaeafea2b7631deb789b7a642e62034fdb14b641dbea0d320be"

FILE = "name: e\ncode: {{kind: {kind}, path: f}}\ndecoder: mwpm\n"


def generated(p):
    return stim.Circuit.generated(
        "surface_code:rotated_memory_x",
        distance=3,
        rounds=20,  # more than stim writes without a REPEAT block
        after_clifford_depolarization=p,
        before_round_data_depolarization=p / 2,
        after_reset_flip_probability=p / 4,
        before_measure_flip_probability=2 * p,
    )


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_scaled_circuit_is_the_circuit_at_another_p(factor):
    # Powers of two, so that the products are exact.
    assert scaled_circuit(generated(2**-8), factor) == generated(2**-8 * factor)


def test_a_scaled_model_has_scaled_errors_with_the_same_targets():
    dem = generated(2**-8).detector_error_model(decompose_errors=True)
    assert any(isinstance(each, stim.DemRepeatBlock) for each in dem)
    before, after = (list(each.flattened()) for each in (dem, scaled_model(dem, 0.5)))
    assert [each.targets_copy() for each in before] == [each.targets_copy() for each in after]
    for old, new in zip(before, after, strict=True):
        if old.type == "error":
            assert new.args_copy() == [old.args_copy()[0] / 2]
        else:
            assert new.args_copy() == old.args_copy()


def test_outcomes_of_a_chain_are_multiplied_and_measurements_and_tags_too():
    chain = stim.Circuit(
        "E[a](0.25) X0\nELSE_CORRELATED_ERROR(0.5) X1\nELSE_CORRELATED_ERROR(0.5) X2\nM(0.125) 0\nM 1\nR 0"
    )
    scaled = scaled_circuit(chain, 0.5)
    first, second, third = (gate.gate_args_copy()[0] for gate in scaled[:3])
    outcomes = [first, (1 - first) * second, (1 - first) * (1 - second) * third]
    assert outcomes == pytest.approx([0.125, 0.1875, 0.09375])
    assert scaled[0].tag == "a"
    assert scaled[3].gate_args_copy() == [0.0625]
    assert scaled[4:] == chain[4:]


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("X_ERROR(0.25) 0", 2.0),
        ("M(0.25) 0", 2.0),
        ("DEPOLARIZE1(0.25) 0", 3.0),
        ("DEPOLARIZE2(0.3125) 0 1", 3.0),
        ("PAULI_CHANNEL_1(0.125,0.0625,0.0625) 0", 4.0),
        ("HERALDED_ERASE(0.5) 0", 2.0),
        ("E(0.25) X0\nELSE_CORRELATED_ERROR(0.333333333333333) X1", 2.0),
    ],
)
def test_a_factor_that_leaves_a_channel_is_refused(line, most):
    circuit = stim.Circuit(line)
    scaled_circuit(circuit, most)
    with pytest.raises(UsageError, match=r"noise\.factor: .* above its maximum of") as caught:
        scaled_circuit(circuit, 1.01 * most)
    assert "the most for it" in caught.value.hint
    dem = stim.DetectorErrorModel("error(0.25) D0")
    scaled_model(dem, 2.0)
    with pytest.raises(UsageError):
        scaled_model(dem, 2.01)
    assert scaled_model(stim.DetectorErrorModel("error(0.75) D0"), 0.8)[0].args_copy() == [pytest.approx(0.6)]


def loaded(text, kind="dem", data=b"error(0.125) D0 L0\nerror(0.0625) D0 D1\nerror(0.25) D1\n"):
    return environment_from_files({ENVIRONMENT_FILE: text.format(kind=kind).encode(), "f": data}, origin="e.yaml")


def priors(environment, p=None):
    return build_problem(environment, load_plugins().maker("code"), p).mechanisms.priors


def test_an_environment_is_scaled_by_its_factor_or_by_what_a_process_asks_for():
    assert priors(loaded(FILE)).tolist() == [0.125, 0.0625, 0.25]
    half = loaded(FILE + "noise: {{kind: given, factor: 0.5}}\n")
    assert priors(half).tolist() == [0.0625, 0.03125, 0.125]
    assert priors(half, 2.0).tolist() == [0.25, 0.125, 0.5]
    assert priors(at_cell(half, Cell(factor=1.0))).tolist() == [0.125, 0.0625, 0.25]
    with pytest.raises(
        UsageError, match=r"e\.yaml, line 4: noise\.factor: 4 times the noise of error\(0\.25\) D1 is 1"
    ):
        priors(loaded(FILE + "noise: {{kind: given, factor: 4}}\n"))
    with pytest.raises(UsageError, match="noise of kind 'depolarizing' has no factor"):
        loaded(FILE + "noise: {{kind: depolarizing, p: [0.1], factor: 2}}\n")
    circuit = loaded(FILE, "circuit", str(generated(2**-8)).encode())
    same = build_problem(loaded(FILE, "circuit", str(generated(2**-7)).encode()), load_plugins().maker("code"))
    scaled = build_problem(circuit, load_plugins().maker("code"), 2.0)
    # A circuit as text has six digits.
    np.testing.assert_allclose(scaled.mechanisms.priors, same.mechanisms.priors, rtol=1e-5)


def test_harm_cells_scale_the_noise_of_a_file():
    assert [cell.said for cell in neighbours(loaded(FILE).environment)] == [{"factor": 0.8}, {"factor": 1.2}]
    assert rates_beside(loaded(FILE).environment) == (0.8, 1.2)
    double = loaded(FILE + "noise: {{kind: given, factor: 2}}\nprotocol: {{harm_cells: [0.5, 1.0]}}\n")
    assert [cell.said for cell in neighbours(double.environment)] == [{"factor": 1.0}]
    none = loaded(FILE + "protocol: {{harm_cells: []}}\n")
    assert neighbours(none.environment) == []
    assert rates_beside(none.environment) == (0.8, 1.2), "in whose company shots are answered again"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("{{factor: 1}}", "the cell is the target"),
        ("{{p: 0.1}}", "set factor, which multiplies its probabilities"),
        ("{{factor: 0}}", "must be a number above 0"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(cells, said):
    with pytest.raises(UsageError, match=said):
        loaded(FILE + f"protocol: {{{{cells: [{cells}]}}}}\n")


def test_identities_of_old_environments_stay():
    assert loaded(FILE).identity == GIVEN
    text = "name: e\ncode: {{kind: stim_generated, task: x, distance: 3, rounds: 3}}\nnoise: {{kind: depolarizing, p: [0.1]}}\n"
    with_cells = text + "decoder: mwpm\nprotocol: {{cells: [{{p: 0.2}}, {{rounds: 5}}]}}\n"
    assert loaded(with_cells).identity == WITH_CELLS


def evidence(field, strengths):
    rows = tuple(
        HarmCell({field: strength}, f"{field} = {strength}", "unknown", counted=harm_counted(counts))
        for strength, counts in strengths.items()
    )
    return Evidence(harm=rows, cell={})


def test_the_slope_is_that_of_factors():
    low, high = PairedCounts(10_000, 10, 40, 20), PairedCounts(10_000, 30, 90, 40)
    found = slope_of(evidence("factor", {0.8: low, 1.2: high}))
    assert found == two_p_slope((0.8, low), (1.2, high))
    assert slope_of(evidence("factor", {0.0: low, 1.2: high})) is None


def test_a_verdict_from_before_is_replayed_alike():
    class Note:
        def __init__(self, cells):
            self.evidence = Evidence(harm=())
            self.rows = [{"cell": cell, "word": "no_harm"} for cell in cells]

        def to_note(self):
            return {"verdict": "VERIFIED", "harm": self.rows, "sent": None, "passes": None}

    today = Note([{"factor": 0.8}, {"factor": 1.2}])
    assert replay_differences(Note([]), today) == []
    assert replay_differences(Note([{"factor": 0.8}]), today) == ["harm"]
    assert replay_differences(Note([{"rounds": 2}]), today) == ["harm"]
