"""Neural BP: exact on trees, one computation in torch and in numba, right gradients, sane before training."""

import itertools

import numpy as np
import pytest
import stim
import torch
from autoqec_plugins.mwpm.mwpm_decoder import Mwpm
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP

from autoqec.decoding.lanes import LANES
from autoqec.errors import UsageError
from autoqec.problem.dem import LLR_BOUND
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk, sample_labelled
from autoqec.runner.adam import CosineAdam
from autoqec.testing import surface_problem

KIND = NeuralBP()


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.01)


def arrays_of(module):
    return {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}


def tensors_of(problem, shots, seed=1, spread=0.0):
    """Syndromes, beliefs around the priors, and what fired."""
    syndromes, _, fired = sample_labelled(problem, shots, seed)
    noise = np.random.default_rng(seed).normal(0, 1, (shots, len(problem.mechanisms))) * spread
    beliefs = (problem.priors_llr + noise).astype(np.float32)
    return torch.from_numpy(syndromes).float(), torch.from_numpy(beliefs), torch.from_numpy(fired).float()


def packed(syndromes):
    return np.packbits(syndromes.numpy().astype(bool), axis=1, bitorder="little")


def shaken(config, problem, seed=0):
    """A module whose parameters are not where they started, so that mixing two of them up shows."""
    torch.manual_seed(seed)
    module = KIND.build(config, problem)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


EVERY_CONFIG = [
    NeuralBPConfig(
        algorithm=algorithm, sharing=sharing, damping=damping, damping_value=0.1, learn_prior_scale=prior, iterations=6
    )
    for algorithm, sharing, damping, prior in itertools.product(
        ("sum_product", "min_sum"),
        ("none", "per_layer", "per_check"),
        ("fixed", "scalar", "per_iteration"),
        (False, True),
    )
] + [
    NeuralBPConfig(
        algorithm=algorithm, memory=memory, memory_value=0.1, memory_spread=0.3, damping="scalar", iterations=6
    )
    for algorithm, memory in itertools.product(("sum_product", "min_sum"), ("scalar", "per_mechanism"))
]


def named(config):
    return f"{config.algorithm}-{config.sharing}-{config.damping}-{config.learn_prior_scale}-{config.memory}"


@pytest.mark.parametrize("config", EVERY_CONFIG, ids=named)
def test_torch_and_numba_agree(config, problem):
    module = shaken(config, problem).eval()
    syndromes, beliefs, _ = tensors_of(problem, 80, spread=2.0)
    with torch.no_grad():
        expected = module(syndromes, beliefs).numpy()
        in_training = module.train()(syndromes, beliefs).numpy()
    found = KIND.inference(config, arrays_of(module), problem)(packed(syndromes), beliefs.numpy())
    assert found.dtype == np.float32
    allowed = 1e-4 * np.maximum(1, np.abs(expected))
    np.testing.assert_array_less(np.abs(found - expected), allowed)
    assert in_training.tobytes() == found.tobytes()


@pytest.mark.parametrize("algorithm", ["sum_product", "min_sum"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 30.0, LLR_BOUND])
def test_they_agree_at_both_ends_too(algorithm, size, problem):
    config = NeuralBPConfig(algorithm=algorithm, iterations=4)
    module = KIND.build(config, problem)
    rng = np.random.default_rng(3)
    beliefs = rng.uniform(-size, size, (64, len(problem.mechanisms))).astype(np.float32)
    beliefs[::2] = size * np.sign(beliefs[::2])
    syndromes, _, _ = tensors_of(problem, 64)
    with torch.no_grad():
        expected = module.eval()(syndromes, torch.from_numpy(beliefs)).numpy()
    found = KIND.inference(config, arrays_of(module), problem)(packed(syndromes), beliefs)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= LLR_BOUND).all()
    np.testing.assert_array_less(np.abs(found - expected), 1e-4 * np.maximum(1, np.abs(expected)))


def _tree(seed, p_range):
    """A Tanner graph without loops: each new detector hangs on one mechanism of an earlier one."""
    rng = np.random.default_rng(seed)
    members = [[0], [0], [0]]
    for detector in range(1, 5):
        members[rng.integers(len(members))].append(detector)
        members += [[detector] for _ in range(rng.integers(1, 3))]
    unique = {}
    for number, detectors in enumerate(members):
        unique.setdefault((tuple(detectors), number), rng.uniform(*p_range))
    lines = [
        # An observable of its own keeps two mechanisms on the same detectors apart.
        f"error({p:.12f}) {' '.join(f'D{d}' for d in detectors)} L{number}"
        for (detectors, number), p in unique.items()
    ]
    return problem_from_dem(stim.DetectorErrorModel("\n".join(lines)), name=f"tree{seed}")


def _marginals(problem, syndrome, priors):
    """Posterior log-likelihood ratios by adding up all patterns of errors."""
    count = len(problem.mechanisms)
    start, detector = problem.mechanisms.start, problem.mechanisms.detector
    checks = np.zeros((count, problem.num_detectors), int)
    for m in range(count):
        checks[m, detector[start[m] : start[m + 1]]] = 1
    patterns = np.array(list(itertools.product((0, 1), repeat=count)))
    explains = ((patterns @ checks) % 2 == syndrome).all(axis=1)
    weight = np.exp(-(patterns[explains] * priors).sum(axis=1))
    return np.log(((1 - patterns[explains]).T @ weight) / (patterns[explains].T @ weight))


@pytest.mark.parametrize("p_range", [(0.05, 0.45), (1e-6, 1e-4)])
@pytest.mark.parametrize("seed", range(5))
def test_sum_product_is_exact_on_trees(seed, p_range):
    problem = _tree(seed, p_range)
    config = NeuralBPConfig(iterations=12, scale=1.0)
    module = KIND.build(config, problem).eval()
    refine = KIND.inference(config, arrays_of(module), problem)
    rng = np.random.default_rng(seed)
    priors = problem.priors_llr.astype(np.float64)
    for _ in range(6):
        fired = rng.random(len(priors)) < 0.3
        bits = np.zeros(problem.num_detectors, int)
        for m in np.flatnonzero(fired):
            bits[problem.mechanisms.detector[problem.mechanisms.start[m] : problem.mechanisms.start[m + 1]]] ^= 1
        expected = np.clip(_marginals(problem, bits, priors), -LLR_BOUND, LLR_BOUND)
        syndrome = torch.tensor(bits[None]).float()
        given = torch.from_numpy(problem.priors_llr[None])
        np.testing.assert_allclose(refine(packed(syndrome), given.numpy())[0], expected, rtol=2e-5, atol=2e-5)
        with torch.no_grad():
            np.testing.assert_allclose(module(syndrome, given)[0].numpy(), expected, rtol=2e-5, atol=2e-5)


def test_beliefs_do_not_depend_on_the_batch(problem):
    syndromes, beliefs, _ = tensors_of(problem, 2 * LANES + 7, spread=1.0)
    bits, given = packed(syndromes), beliefs.numpy()
    for algorithm in ("sum_product", "min_sum"):
        config = NeuralBPConfig(algorithm=algorithm)
        refine = KIND.inference(config, arrays_of(KIND.build(config, problem)), problem)
        whole = refine(bits, given)
        order = np.random.default_rng(0).permutation(len(bits))
        assert refine(bits[order], given[order]).tobytes() == whole[order].tobytes()
        for shot in (0, LANES - 1, LANES, 2 * LANES + 6):
            alone = refine(bits[shot : shot + 1], given[shot : shot + 1])
            assert alone.tobytes() == whole[shot : shot + 1].tobytes()
        assert refine(bits[:0], given[:0]).shape == (0, len(problem.mechanisms))


def _gradients(module, syndromes, beliefs, fired):
    module.zero_grad()
    given = beliefs.clone().requires_grad_(True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(-module(syndromes, given), fired, reduction="sum")
    (loss / len(beliefs)).backward()
    return {name: p.grad.double() for name, p in module.named_parameters()} | {"beliefs": given.grad.double()}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("config", EVERY_CONFIG[5::6], ids=named)
def test_compiled_gradients_are_those_of_autograd(config, threads, problem):
    """Against the clear version in double precision; beliefs are spread so that min-sum meets no ties."""
    syndromes, beliefs, fired = tensors_of(problem, LANES + 30, spread=0.5)
    module = shaken(config, problem)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        fast = _gradients(module.train(), syndromes, beliefs, fired)
    finally:
        torch.set_num_threads(before)
    clear = _gradients(module.double().eval(), syndromes.double(), beliefs.double(), fired.double())
    for name, expected in clear.items():
        assert (fast[name] - expected).norm() <= 1e-4 * expected.norm(), name


@pytest.mark.parametrize("algorithm", ["sum_product", "min_sum"])
def test_autograd_of_the_clear_version_is_right(algorithm):
    problem = _tree(1, (0.05, 0.4))
    config = NeuralBPConfig(
        algorithm=algorithm, iterations=3, damping="per_iteration", damping_value=0.2, learn_prior_scale=True
    )
    module = shaken(config, problem).double().eval()
    syndromes, beliefs, _ = tensors_of(problem, 2, spread=0.7)
    names = [name for name, _ in module.named_parameters()]

    def run(given, *parameters):
        return torch.func.functional_call(
            module, dict(zip(names, parameters, strict=True)), (syndromes.double(), given)
        )

    inputs = (
        beliefs.double().requires_grad_(True),
        *(p.detach().clone().requires_grad_(True) for p in module.parameters()),
    )
    assert torch.autograd.gradcheck(run, inputs, atol=1e-6)


def test_gradients_do_not_depend_on_threads(problem):
    syndromes, beliefs, fired = tensors_of(problem, 5 * LANES)
    module = shaken(NeuralBPConfig(sharing="per_check", damping="scalar"), problem).train()
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(_gradients(module, syndromes, beliefs, fired))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(other[name], value) for name, value in results[0].items())


def test_extreme_beliefs_give_finite_gradients(problem):
    syndromes, beliefs, fired = tensors_of(problem, 8)
    for algorithm in ("sum_product", "min_sum"):
        for training in (True, False):
            module = KIND.build(NeuralBPConfig(algorithm=algorithm, damping="scalar"), problem).train(training)
            for size in (0.0, 1e-30, 20.0, LLR_BOUND, 1e6):
                sign = torch.where(
                    torch.rand(beliefs.shape, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0
                )
                found = _gradients(module, syndromes, sign * size, fired)
                assert all(torch.isfinite(value).all() for value in found.values()), (algorithm, training, size)


def test_untrained_it_beats_plain_matching_and_training_lowers_the_loss():
    problem = surface_problem(5, 0.007)
    decoder = Mwpm().compile(problem)
    shots = [sample_chunk(problem, seed) for seed in range(3)]
    config = NeuralBPConfig(damping="per_iteration", learn_prior_scale=True)

    def failures(refine):
        given = np.repeat(problem.priors_llr[None], len(shots[0]), axis=0)
        return sum(
            decoder.decode(part.syndromes, refine(part.syndromes, given)).failures(part.observables).sum()
            for part in shots
        )

    plain = sum(decoder.decode(part.syndromes).failures(part.observables).sum() for part in shots)
    module = KIND.build(config, problem)
    untrained = failures(KIND.inference(config, arrays_of(module), problem))
    assert untrained < 0.9 * plain

    held_out = tensors_of(problem, 1024, seed=99)

    def loss(syndromes, beliefs, fired):
        return torch.nn.functional.binary_cross_entropy_with_logits(-module(syndromes, beliefs), fired)

    with torch.no_grad():
        before = loss(*held_out).item()
    optimiser = CosineAdam(module.parameters(), 0.02, 30)
    for step in range(30):
        optimiser.forget_gradients()
        loss(*tensors_of(problem, 2 * LANES, seed=step)).backward()
        optimiser.step(usable=True)
    with torch.no_grad():
        after = loss(*held_out).item()
    assert after < before
    trained = failures(KIND.inference(config, arrays_of(module), problem))
    assert trained < 0.9 * plain


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (NeuralBPConfig(), 8),
        (NeuralBPConfig(damping="scalar", learn_prior_scale=True), 10),
        (NeuralBPConfig(iterations=5, damping="per_iteration"), 10),
        (NeuralBPConfig(sharing="per_check"), 8 * 24),
    ],
)
def test_parameters_are_few_and_all_are_saved(config, count, problem):
    module = KIND.build(config, problem)
    assert sum(p.numel() for p in module.parameters()) == count
    assert set(arrays_of(module)) == {name for name, _ in module.named_parameters()}


def test_weights_of_another_configuration_are_refused(problem):
    arrays = arrays_of(KIND.build(NeuralBPConfig(sharing="per_check"), problem))
    with pytest.raises(UsageError, match=r"'scale' must have shape \(8, 1\).*not \(8, 24\)"):
        KIND.inference(NeuralBPConfig(), arrays, problem)
    with pytest.raises(UsageError, match="'damping'.*missing"):
        KIND.inference(NeuralBPConfig(sharing="per_check", damping="scalar"), arrays, problem)


def test_wrong_arrays_are_refused_and_read_only_ones_are_not(problem):
    config = NeuralBPConfig()
    refine = KIND.inference(config, arrays_of(KIND.build(config, problem)), problem)
    bits = np.zeros((2, problem.syndrome_bytes), np.uint8)
    given = np.repeat(problem.priors_llr[None], 2, axis=0)
    bits.flags.writeable = given.flags.writeable = False
    copy = given.copy()
    refine(bits, given)
    assert (given == copy).all()
    with pytest.raises(UsageError, match="float64"):
        refine(bits, given.astype(np.float64))
    with pytest.raises(UsageError, match="uint8"):
        refine(np.zeros((2, problem.num_detectors), np.float32), given)


def test_hyperedges_and_lone_detectors_are_fine():
    model = "error(0.1) D0 D1 D2 L0\nerror(0.2) D0\nerror(0.1) D1 D3\ndetector D4"
    problem = problem_from_dem(stim.DetectorErrorModel(model), name="hyper")
    for algorithm in ("sum_product", "min_sum"):
        config = NeuralBPConfig(algorithm=algorithm)
        module = KIND.build(config, problem)
        syndromes = torch.tensor([[1.0, 0, 0, 0, 0], [1, 1, 1, 0, 1]])
        given = torch.from_numpy(np.repeat(problem.priors_llr[None], 2, axis=0))
        found = KIND.inference(config, arrays_of(module), problem)(packed(syndromes), given.numpy())
        with torch.no_grad():
            np.testing.assert_allclose(module.eval()(syndromes, given).numpy(), found, rtol=1e-4, atol=1e-4)
        assert (found < 0).tolist() == [[False, True, False], [True, False, False]]


def test_the_search_space_is_made_of_valid_values():
    for field, values in KIND.space().items():
        for value in values:
            NeuralBPConfig.model_validate({"kind": "neural_bp", field: value})
    assert NeuralBPConfig().initial_scale == 0.9
    assert NeuralBPConfig(algorithm="min_sum").initial_scale == 0.75


def test_flops_are_what_a_count_by_hand_gives():
    """Exponentials and logarithms are ten, all else is one; along the sum-product and min-sum rules, in their stable form."""
    problem = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D0 D1"), name="small")
    incidences, mechanisms, iterations = 3, 2, 5
    extrinsic = 1 + 1 + 2  # gather the total, take the message off, clip at both ends
    by_hand = {
        # e^-|x|, q = e / (1 + e), its sign; the product before (4) and the sign of all (2);
        "sum_product": (extrinsic + 2 + 10 + 2 + 1 + 4 + 2)
        # odd = b + a (1 - 2b), at least something; the product after; log((1 - odd) / odd) and its sign;
        + (4 + 1) + (1 + 4) + (2 + 10 + 2)
        # scale and damping; scatter.
        + 3 + 1,
        # magnitude, least and second least (3), the sign of all (2); the least of the others, its sign (2);
        "min_sum": (extrinsic + 1 + 3 + 2) + (1 + 1 + 2)
        # scale and damping; scatter.
        + 3 + 1,
    }  # fmt: skip
    for algorithm, each in by_hand.items():
        whole = iterations * (incidences * each + mechanisms) + 3 * mechanisms  # a new total; scale, load and clip
        config = NeuralBPConfig(algorithm=algorithm, iterations=iterations)
        assert KIND.flops_per_shot(config, problem) == pytest.approx(whole, rel=0.05)


def test_declared_flops_are_within_a_factor_of_what_torch_does(problem):
    from autoqec.candidate.cost import count_flops

    for config in (NeuralBPConfig(), NeuralBPConfig(algorithm="min_sum", iterations=4)):
        module = KIND.build(config, problem).eval()
        syndromes, beliefs, _ = tensors_of(problem, 64)
        with torch.no_grad():
            counted = count_flops(lambda: module(syndromes, beliefs)) / 64  # noqa: B023
        declared = KIND.flops_per_shot(config, problem)
        assert counted / 3 < declared < counted * 3


def test_attention_starts_by_weighing_all_messages_alike(problem):
    syndromes, beliefs, _ = tensors_of(problem, 16, spread=1.0)
    with torch.no_grad():
        plain, weighed = (
            KIND.build(NeuralBPConfig(iterations=4, attention=kind), problem).eval()(syndromes, beliefs)
            for kind in ("none", "messages")
        )
    torch.testing.assert_close(plain, weighed, rtol=1e-4, atol=1e-4)


def test_attention_learns_and_keeps_shots_apart(problem):
    module = shaken(NeuralBPConfig(iterations=3, attention="messages"), problem).train()
    syndromes, beliefs, fired = tensors_of(problem, 32, spread=1.0)
    refined = module(syndromes, beliefs)
    torch.nn.functional.binary_cross_entropy_with_logits(-refined, fired).backward()
    assert module.attention.grad.abs().min() > 0
    with torch.no_grad():
        torch.testing.assert_close(module(syndromes[5:6], beliefs[5:6])[0], refined[5], rtol=1e-4, atol=1e-4)
    assert KIND.inference(NeuralBPConfig(iterations=3, attention="messages"), arrays_of(module), problem) is None


def test_memories_are_spread_and_come_from_the_seed(problem):
    config = NeuralBPConfig(memory="per_mechanism", memory_value=0.2, memory_spread=0.4)
    first, again, other = (memory_of_seed(config, problem, seed) for seed in (1, 1, 2))
    assert first.min() == pytest.approx(-0.2, abs=1e-6)
    assert first.max() == pytest.approx(0.6, abs=1e-6)
    assert (first == again).all()
    assert (first != other).any()


def memory_of_seed(config, problem, seed):
    torch.manual_seed(seed)
    return KIND.build(config, problem).memory.detach().numpy()


def test_memory_of_a_trace_is_lent_again_and_validation_needs_none(problem):
    module = KIND.build(NeuralBPConfig(iterations=2), problem).train()
    syndromes, beliefs, _ = tensors_of(problem, 2 * LANES)
    with torch.no_grad():
        plain = module(syndromes, beliefs)
    assert not module._traces._spare
    refined = module(syndromes, beliefs)
    assert torch.equal(refined, plain)
    other = module(syndromes[:LANES], beliefs[:LANES])  # while the first is in use
    refined.sum().backward()
    other.sum().backward()
    del refined, other
    kept = {array.ctypes.data for array in module._traces._spare}
    assert len(kept) == 2
    module(syndromes, beliefs).sum().backward()
    assert {array.ctypes.data for array in module._traces._spare} <= kept
