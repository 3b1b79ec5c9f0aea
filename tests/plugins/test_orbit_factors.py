"""`sharing: orbit`: factors shared by what is alike, one computation everywhere, and weights that fit a whole family."""

import numpy as np
import pytest
import stim
import torch
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP, tanner_graph
from autoqec_plugins.neural_bp.orbit_factors import (
    CHECK_ORBITS,
    LABELS,
    MECHANISM_ORBITS,
    MESSAGE_ORBITS,
    by_detector,
    orbit_table,
)

from autoqec.candidate.carrying import binds_to_family, carried_weights
from autoqec.candidate.compile import build_modules, compile_inference, module_tensors
from autoqec.candidate.cost import measure_cost
from autoqec.candidate.schema import read_candidate
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.errors import AutoQECError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.orbits import find_orbits
from autoqec.problem.problem import problem_from_circuit
from autoqec.problem.sampling import sample_labelled
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.testing import surface_problem
from tests.problem.test_orbits import bicycle, colour

KIND = NeuralBP()
CONFIGS = [
    NeuralBPConfig(sharing="orbit", iterations=3, damping="scalar", damping_value=0.1, learn_prior_scale=True),
    NeuralBPConfig(
        sharing="orbit", iterations=3, algorithm="min_sum", memory="per_mechanism", memory_value=0.1, memory_spread=0.2
    ),
]
STAGE = b"kind: neural_bp\niterations: 3\nsharing: orbit\nmemory: per_mechanism\nmemory_spread: 0.2\n"


@pytest.fixture(scope="module")
def small():
    return surface_problem(3, 0.01)


@pytest.fixture(scope="module")
def large():
    return surface_problem(5, 0.008, rounds=4)


def shaken(config, problem):
    torch.manual_seed(1)
    module = KIND.build(config, problem)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


def arrays_of(module):
    return {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}


def shots_of(problem, shots=70):
    syndromes, _, _ = sample_labelled(problem, shots, 3)
    beliefs = np.repeat(problem.priors_llr[None], shots, axis=0)
    return syndromes, np.packbits(syndromes.astype(bool), axis=1, bitorder="little"), beliefs


def expanded(config, arrays, problem):
    """The same factors without sharing, by the definition: each message has that of its orbit."""
    table = orbit_table(problem)
    own = {name: array for name, array in arrays.items() if name not in LABELS}
    own["scale"] = arrays["scale"][:, table.check] + arrays["correction"][:, table.message]
    del own["correction"]
    if config.memory == "per_mechanism":
        own["memory"] = arrays["memory"][table.mechanism]
    return config.model_copy(update={"sharing": "none"}), own


@pytest.mark.parametrize("config", CONFIGS, ids=["sum_product", "min_sum"])
def test_it_is_the_same_as_factors_of_every_message_that_are_alike(config, small):
    module = shaken(config, small)
    syndromes, packed, beliefs = shots_of(small)
    found = KIND.inference(config, arrays_of(module), small)(packed, beliefs)
    apart = KIND.inference(*expanded(config, arrays_of(module), small), small)(packed, beliefs)
    assert found.tobytes() == apart.tobytes()
    given = torch.from_numpy(syndromes).float(), torch.from_numpy(beliefs)
    assert module.train()(*given).detach().numpy().tobytes() == found.tobytes()
    np.testing.assert_allclose(module.eval()(*given).detach().numpy(), found, atol=1e-3)


@pytest.mark.parametrize("config", CONFIGS, ids=["sum_product", "min_sum"])
def test_a_gradient_is_the_sum_over_what_is_alike(config, small):
    syndromes, _, beliefs = shots_of(small)
    module = shaken(config, small).train()
    alone, own = expanded(config, arrays_of(module), small)
    apart = KIND.build(alone, small).train()
    apart.load_state_dict({name: torch.from_numpy(array) for name, array in own.items()})
    for each in (module, apart):
        each(torch.from_numpy(syndromes).float(), torch.from_numpy(beliefs)).sigmoid().sum().backward()
    table = orbit_table(small)
    for parameter, of, orbit in (
        ("scale", "scale", table.check),
        ("correction", "scale", table.message),
        ("memory", "memory", table.mechanism),
    ):
        if config.memory == "none" and parameter == "memory":
            continue
        whole, parts = getattr(module, parameter).grad.numpy(), getattr(apart, of).grad.numpy()
        summed = np.zeros_like(whole)
        np.add.at(summed.T, orbit, parts.T)
        np.testing.assert_allclose(whole, summed, rtol=1e-3, atol=1e-4)
        assert np.abs(whole).max() > 0.01


def test_orbits_are_in_the_order_of_the_kernels(small):
    """A message from the same detector to a mechanism of the same detectors, relative to it, has the same factor."""
    table, tanner, found = orbit_table(small), tanner_graph(small), find_orbits(small)
    assert (small.mechanisms.detector[by_detector(small)] == tanner.detector).all()
    assert (table.labels[MESSAGE_ORBITS][0][table.message] == found.messages[0][by_detector(small)]).all()
    assert (table.labels[CHECK_ORBITS][0][table.check] == found.detectors[0][tanner.detector]).all()
    assert table.labels[MESSAGE_ORBITS][2].sum() == len(small.mechanisms.detector)


def candidate_of(*, stage=STAGE, **training):
    files = {"stages/bp/stage.yaml": stage}
    if training:
        files["training.yaml"] = "".join(f"{name}: {value}\n" for name, value in training.items()).encode()
    return read_candidate(files, load_plugins().maker("stage"))


def weights_of(problem, candidate=None, seed=2):
    tensors = module_tensors(build_modules(candidate or candidate_of(), problem))
    rng = np.random.default_rng(seed)
    return {
        name: (t + rng.normal(0, 0.1, t.shape)).astype(np.float32) if t.dtype == np.float32 else t
        for name, t in tensors.items()
    }


def test_shared_factors_are_the_parameters_and_their_names_are_not(small):
    candidate, tensors = candidate_of(), weights_of(small)
    orbits = find_orbits(small)
    kinds = orbits.detectors, orbits.messages, orbits.mechanisms
    checks, messages, mechanisms = (len(set(names[0].tolist())) for names in kinds)
    cost = measure_cost(candidate, tensors, small)
    assert cost.params == 3 * (checks + messages) + mechanisms
    assert cost.labels == 2 * (3 * (checks + messages + mechanisms) + 3)
    sealed = SealedCandidate({}, save_weights(tensors, fingerprints=["f"]))
    assert sealed.parameters() - cost.labels == cost.params


def test_every_number_of_a_stage_without_labels_is_a_parameter(small):
    candidate = candidate_of(stage=b"kind: neural_bp\niterations: 3\n")
    assert measure_cost(candidate, weights_of(small, candidate), small).labels == 0


#: Parameters of a stage, by the names that tell their columns apart: those of all things of a problem, in one order.
NAMES = {
    "scale": (
        CHECK_ORBITS,
        lambda found, problem: found.detectors[:, problem.mechanisms.detector[by_detector(problem)]],
    ),
    "correction": (MESSAGE_ORBITS, lambda found, problem: found.messages[:, by_detector(problem)]),
    "memory": (MECHANISM_ORBITS, lambda found, problem: found.mechanisms),
}


def of_things(problem, tensors):
    """Factors of each incidence, incidence and mechanism, by the parameter."""
    table = orbit_table(problem)
    orbits = {"scale": table.check, "correction": table.message, "memory": table.mechanism}
    return {name: tensors[f"bp.{name}"][..., orbit] for name, orbit in orbits.items()}


def expected(tensors, problem, found):
    """The same by the definition: by name, else the mean over the coarser name, else over all; and the level of each."""
    factors, levels = {}, {}
    for parameter, (label, names_of) in NAMES.items():
        (fine, coarse, count), learned = tensors[f"bp.{label}"], tensors[f"bp.{parameter}"]
        factors[parameter], levels[parameter] = [], []
        for own, coarser in zip(*names_of(found, problem).tolist(), strict=True):
            level = 0 if own in fine else 1 if coarser in coarse else 2
            alike = (fine == own, coarse == coarser, fine == fine)[level]
            factors[parameter].append((learned * count)[..., alike].sum(axis=-1) / count[alike].sum())
            levels[parameter].append(level)
    worst = np.maximum(levels["scale"], levels["correction"])
    return {name: np.array(each).T for name, each in factors.items()}, np.bincount(worst, minlength=3).tolist()


def assert_carried(carried, tensors, problem, found=None):
    wanted, levels = expected(tensors, problem, found or find_orbits(problem))
    assert (carried.messages, carried.coarser, carried.layer) == (sum(levels), levels[1], levels[2])
    for name, factors in of_things(problem, carried.tensors).items():
        np.testing.assert_allclose(factors, wanted[name], rtol=1e-5)
    assert set(carried.tensors) == set(tensors)
    for name in LABELS:
        assert (carried.tensors[f"bp.{name}"] == orbit_table(problem).labels[name]).all()


def test_weights_of_another_distance_rounds_and_p_are_found_by_name(large):
    tensors = weights_of(surface_problem(7, 0.004, rounds=5))
    for problem in (large, surface_problem(9, 0.006, rounds=5)):
        carried = carried_weights(candidate_of(), tensors, problem)
        assert (carried.coarser, carried.layer) == (0, 0)
        assert_carried(carried, tensors, problem)


def test_what_never_occurred_takes_the_mean_of_the_coarser_orbit_and_then_of_the_layer(small, large):
    tensors = weights_of(small)
    carried = carried_weights(candidate_of(), tensors, large)
    assert carried.coarser > 100
    assert carried.layer > 100
    assert_carried(carried, tensors, large)


def test_a_problem_keeps_its_own_weights_as_they_are(small):
    tensors = weights_of(small)
    carried = carried_weights(candidate_of(), tensors, small)
    assert carried.messages == 0
    assert all(carried.tensors[name] is tensor for name, tensor in tensors.items())


def test_weights_of_a_torus_fit_one_that_covers_it_to_the_message():
    small, large = bicycle(6, 6), bicycle(12, 6)
    tensors = weights_of(small)
    carried = carried_weights(candidate_of(), tensors, large)
    assert (carried.coarser, carried.layer) == (0, 0)
    assert_carried(carried, tensors, large, find_orbits(large, find_orbits(small).periods))
    back = carried_weights(candidate_of(), carried.tensors, small)
    assert back.coarser > 0, "a torus does not tell which way around a mechanism of the larger one goes"
    assert_carried(back, carried.tensors, small)


def test_whole_layers_start_all_orbits(small):
    layered = candidate_of(stage=b"kind: neural_bp\niterations: 3\n")
    given = {name: t for name, t in weights_of(small, layered).items() if name == "bp.scale"}
    found = carried_weights(candidate_of(), given, small).tensors["bp.scale"]
    assert found.shape[1] > 1
    assert (found == given["bp.scale"]).all()


def phenomenological(distance):
    noise = {"before_round_data_depolarization": 0.01, "before_measure_flip_probability": 0.01}
    circuit = stim.Circuit.generated("surface_code:rotated_memory_z", distance=distance, rounds=distance, **noise)
    return problem_from_circuit(circuit, name="phenomenological")


@pytest.mark.parametrize("name", ["bp.scale", "bp.correction", *(f"bp.{label}" for label in sorted(LABELS))])
def test_tensors_of_any_shape_are_refused_and_not_a_crash(small, name):
    given = weights_of(small)
    for hostile in (given[name].flat[0], given[name][..., :0], given[name][None]):
        with pytest.raises(AutoQECError) as error:
            compile_inference(candidate_of(), {**given, name: np.asarray(hostile)}, small)
        assert type(error.value) is UsageError or error.value.code == "weights_do_not_fit"


def test_counts_that_overflow_make_no_family(small):
    given = weights_of(small)
    labels, factors = given[f"bp.{MESSAGE_ORBITS}"], given["bp.correction"]
    foreign = np.stack([np.arange(4), np.zeros(4), np.full(4, 2**62)]).astype(np.int64)
    labels, factors = np.hstack([labels, foreign]), np.hstack([factors, np.zeros((len(factors), 4), factors.dtype)])
    order = np.argsort(labels[0])
    forged = {**given, f"bp.{MESSAGE_ORBITS}": labels[:, order], "bp.correction": factors[:, order]}
    with pytest.raises(AutoQECError, match="100% of its messages occurred in training, and 0% of those of training"):
        compile_inference(candidate_of(), forged, small)


OTHERS = {
    "colour": lambda: colour(5, 5),
    "unrotated": lambda: surface_problem(3, 0.01, task="unrotated_memory_z"),
    "one round": lambda: surface_problem(5, 0.01, rounds=1),
    "torus": lambda: bicycle(6, 6),
    "other polynomials": lambda: bicycle(15, 3, 2, "x^9 + y + y^2", "1 + x^2 + x^7"),
    "phenomenological": lambda: phenomenological(5),
}


@pytest.mark.parametrize(
    ("trained", "used"),
    [("surface", "colour"), ("surface", "unrotated"), ("surface", "one round"), ("one round", "surface"),
     ("colour", "surface"), ("torus", "surface"), ("torus", "other polynomials"), ("surface", "phenomenological"),
     ("phenomenological", "surface")],
)  # fmt: skip
def test_weights_of_another_family_are_refused(trained, used, large):
    make = {**OTHERS, "surface": lambda: large}
    tensors = weights_of(make[trained]())
    with pytest.raises(AutoQECError, match="belong to another family than .*: [0-9]+% of its messages") as error:
        compile_inference(candidate_of(), tensors, make[used]())
    assert error.value.code == "weights_of_another_family"


@pytest.mark.parametrize(
    ("trained", "used"),
    [
        (lambda: surface_problem(3, 0.01), lambda: surface_problem(7, 0.01)),
        (lambda: surface_problem(5, 0.01), lambda: surface_problem(3, 0.001, rounds=2)),
        (lambda: surface_problem(4, 0.01), lambda: surface_problem(5, 0.01)),
        (lambda: colour(5, 5), lambda: colour(7, 7)),
        (lambda: bicycle(12, 6), lambda: bicycle(9, 6)),
    ],
)
def test_members_of_a_family_are_not(trained, used):
    carried = carried_weights(candidate_of(), weights_of(trained()), used())
    assert carried.messages > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda t: {**t, "bp.message_orbits": t["bp.message_orbits"][:2]},
        lambda t: {**t, "bp.message_orbits": t["bp.message_orbits"].astype(np.float64)},
        lambda t: {**t, "bp.message_orbits": np.zeros_like(t["bp.message_orbits"])},
        lambda t: {**t, "bp.scale": t["bp.scale"][:, 1:]},
        lambda t: {name: tensor for name, tensor in t.items() if name != "bp.periods"},
    ],
)
def test_labels_that_do_not_fit_the_factors_are_refused(change, small):
    with pytest.raises(AutoQECError, match="must"):
        compile_inference(candidate_of(), change(weights_of(small)), small)


def test_only_weights_that_are_bound_to_a_family_load_elsewhere(small):
    tensors = weights_of(small)
    assert binds_to_family(candidate_of())
    assert not binds_to_family(candidate_of(stage=b"kind: neural_bp\nsharing: per_check\n"))
    bound = save_weights(tensors, fingerprints=["a"], of_family=True)
    assert set(load_weights(bound, fingerprint="b", same_family=True)) == set(tensors)
    for data, same in ((bound, False), (save_weights(tensors, fingerprints=["a"]), True)):
        with pytest.raises(AutoQECError) as error:
            load_weights(data, fingerprint="b", same_family=same)
        assert error.value.code == "weights_of_another_problem"
