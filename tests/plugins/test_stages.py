"""Learned stages: the identity until trained, trainable, the same for any batch, and priced as counted by hand."""

import itertools

import numpy as np
import pytest
import stim
import torch
from autoqec_plugins.gnn.gnn_config import GNNConfig
from autoqec_plugins.gnn.wiring import edge_features

from autoqec.candidate.compile import compile_inference, load_tensors, module_tensors
from autoqec.candidate.cost import count_flops
from autoqec.candidate.schema import read_candidate
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import sample_chunk, sample_labelled
from autoqec.runner.training import train
from autoqec.testing import check_stage, surface_problem

REGISTRY = load_plugins()

MESSAGES = (
    "mlp", "gated_mlp", "attention", "gru_cell", "edge_attention", "geometric_attention", "residual_mlp", "normalized_mlp",
)  # fmt: skip
AGGREGATIONS = ("sum", "mean", "max", "attention_pool", "set_transformer", "gated_sum")
NORMALISATIONS = ("none", "layer", "batch", "edge", "graph")

#: One of each kind and head, and of the graph network every choice at least once.
EVERY_STAGE = [
    ("gnn", {"head": "linear"}),
    ("gnn", {"message": "gru_cell", "aggregation": "max", "normalisation": "batch", "layers": 1}),
    ("gnn", {"message": "edge_attention", "aggregation": "set_transformer", "normalisation": "graph", "layers": 1}),
    ("gnn", {"message": "geometric_attention", "aggregation": "mean", "normalisation": "edge", "residual": False}),
    ("cnn3d", {}),
    ("cnn3d", {"head": "mlp", "residual": False, "layers": 1}),
    ("mlp", {}),
    ("mlp", {"head": "mlp", "see_beliefs": False}),
    ("transformer", {}),
    ("transformer", {"head": "mlp", "layers": 2, "heads": 4}),
]


def named(stage):
    return "-".join([stage[0], *map(str, stage[1].values())])


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.01)


def built(name, problem, fields, shake=0.0):
    """A stage, its parameters moved at random so that it says something."""
    kind = REGISTRY.get("stage", name).create()
    torch.manual_seed(1)
    module = kind.build(kind.Config(**fields), problem)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(shake * torch.randn_like(parameter))
    return module


def shots_of(problem, count, seed=3, spread=0.0):
    syndromes, _, fired = sample_labelled(problem, count, seed)
    noise = spread * torch.randn(count, len(problem.mechanisms), generator=torch.Generator().manual_seed(seed))
    beliefs = torch.from_numpy(problem.priors_llr) + noise
    return torch.from_numpy(syndromes).float(), beliefs, torch.from_numpy(fired).float()


def loss_of(beliefs, fired):
    return torch.nn.functional.binary_cross_entropy_with_logits(-beliefs, fired)


def candidate_of(*stages, training="shots: 4096\nbatch_size: 128\nlearning_rate: 0.01\n"):
    files = {"training.yaml": training.encode()}
    for position, (kind, fields) in enumerate(stages):
        lines = [f"kind: {kind}", f"position: {position}", *(f"{k}: {str(v).lower()}" for k, v in fields.items())]
        files[f"stages/s{position}/stage.yaml"] = "\n".join(lines).encode()
    return read_candidate(files, REGISTRY.maker("stage"))


@pytest.mark.parametrize("stage", EVERY_STAGE, ids=named)
def test_conforms(stage, problem):
    check_stage(REGISTRY.get("stage", stage[0]).create(), problem, **stage[1])


@pytest.mark.parametrize(("message", "aggregation"), list(itertools.product(MESSAGES, AGGREGATIONS)))
def test_every_graph_network_is_the_identity_and_learns(message, aggregation, problem):
    """Untrained, beliefs pass unchanged; then the head gets a gradient, and once it has moved everything does."""
    syndromes, beliefs, fired = shots_of(problem, 4, spread=1.0)
    for normalisation in NORMALISATIONS:
        fields = {"message": message, "aggregation": aggregation, "normalisation": normalisation, "hidden": 4}
        module = built("gnn", problem, fields | {"layers": 1})
        assert torch.equal(module(syndromes, beliefs), beliefs)
        torch.nn.init.normal_(module.head.last.weight)
        loss_of(module(syndromes, beliefs), fired).backward()
        moved = {name: p.grad for name, p in module.named_parameters()}
        assert all(g is not None and torch.isfinite(g).all() for g in moved.values()), normalisation
        assert all(moved[name].any() for name in ("embed_detector.weight", "embed_mechanism.weight")), normalisation


@pytest.mark.parametrize("stage", EVERY_STAGE[4:], ids=named)
def test_untrained_a_stage_changes_nothing(stage, problem):
    syndromes, beliefs, _ = shots_of(problem, 8, spread=2.0)
    assert torch.equal(built(stage[0], problem, stage[1])(syndromes, beliefs), beliefs)


@pytest.mark.parametrize("stage", [("neural_bp", {"attention": "messages"}), *EVERY_STAGE], ids=named)
def test_a_prediction_does_not_depend_on_its_batch_to_the_last_bit(stage, problem):
    candidate = candidate_of(stage)
    module = built(*(stage[0], problem, stage[1]), shake=0.3)
    tensors = {f"s0.{name}": value.detach().numpy() for name, value in module.state_dict().items()}
    syndromes = sample_chunk(problem, 1).syndromes[:200]
    beliefs = np.repeat(problem.priors_llr[None], 200, axis=0)
    infer = compile_inference(candidate, tensors, problem)
    whole = infer(syndromes, beliefs)
    assert whole.std(axis=0).max() > 0.01, "it says something about shots"
    assert (infer(syndromes, beliefs) == whole).all()
    for chosen in (np.arange(199, -1, -3), np.array([7]), np.arange(64, 130)):
        again = infer(np.ascontiguousarray(syndromes[chosen]), beliefs[chosen])
        assert (again == whole[chosen]).all()


@pytest.mark.parametrize("stage", EVERY_STAGE, ids=named)
def test_weights_survive_a_file(stage, problem):
    module = built(stage[0], problem, stage[1], shake=0.3)
    with torch.no_grad():
        module.train()(*shots_of(problem, 8)[:2])  # running statistics are weights too
    modules, fresh = (torch.nn.ModuleDict({"s": m}) for m in (module, built(stage[0], problem, stage[1])))
    tensors = load_weights(save_weights(module_tensors(modules), fingerprints=["f"]))
    assert load_tensors(fresh, tensors) == sorted(tensors)
    inputs = shots_of(problem, 8)[:2]
    assert torch.equal(fresh.eval()["s"](*inputs), module.eval()(*inputs))


@pytest.mark.parametrize("stage", EVERY_STAGE, ids=named)
def test_it_runs_in_mixed_precision(stage, problem):
    """As on a GPU: products in bfloat16, the rest wherever that leads."""
    syndromes, beliefs, fired = shots_of(problem, 8)
    module = built(stage[0], problem, stage[1], shake=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        refined = module(syndromes, beliefs).float()
    loss_of(refined, fired).backward()
    plain = module(syndromes, beliefs)
    assert (refined - plain).abs().mean() < 0.1 * (plain - beliefs).abs().mean()


def test_belief_propagation_and_a_graph_network_train_end_to_end(problem):
    chained = candidate_of(("neural_bp", {"iterations": 3}), ("gnn", {"layers": 1}))
    trained = train(
        chained,
        [problem],
        None,
        seed=b"k" * 32,
        max_shots=4096,
        initial={},
        inherit=False,
        report=lambda progress: None,
    )
    telemetry = trained.telemetry
    assert telemetry["validation_after"] < 0.98 * telemetry["validation_before"]
    start = module_tensors(torch.nn.ModuleDict({"s0": built("neural_bp", problem, {"iterations": 3})}))
    assert (trained.tensors["s0.scale"] != start["s0.scale"]).all(), "the first stage learns through the second"
    assert any(trained.tensors["s1.head.last.weight"].ravel())


# One detector, two mechanisms, three incidences: few enough to count by hand.
SMALL = "error(0.1) D0 L0\nerror(0.1) D0 D1\ndetector(0, 0, 0) D0\ndetector(2, 0, 1) D1"
D, M, E = 2, 2, 3


def _linear(rows, inputs, outputs, bias=True):
    return rows * outputs * (2 * inputs + bias)


def _gnn(h=8, features=4):
    """As in `GNNModule.forward`, one layer, message mlp, sum, no norm, linear head; per shot but for what all share."""

    def sweep(source, target):
        nodes = (
            _linear(source, h, h) + _linear(target, h, h, bias=False) + D * (2 * h + h)
        )  # A, B, the bit and adding it
        edges = 2 * E * h + E * h + E * h + E * h  # two gathers, their sum, the edge term, the ReLU
        heard = E * h + target * h + _linear(target, h, h, bias=False)  # scatter, the mean degree, W
        return nodes + edges + heard + _linear(target, h, h) + target * h + target * h + target * h

    inputs = D + D + M + M + M + 2 * M  # 2s - 1; scaled beliefs; tanh of half of them; both stacked
    ends = _linear(D, 1, h) + _linear(M, 2, h) + _linear(M, h, 1) + M
    shared = 2 * E * features * h  # edge features times C, twice, once per batch
    return inputs + ends + sweep(M, D) + sweep(D, M), shared


def _detector_input():
    return M + M + E + E + D + D + 2 * D  # -beliefs, sigmoid, gather, scatter, 2s, -1, stack


def _readout(inputs):
    return E * inputs * 3 + E + M + M  # gather, weights, their sum; scatter; bias; adding to the beliefs


def _cnn3d(width=8):
    cells = 2 * 1 * 2  # two times, one y, two x
    grid = 3 * D + D + 3 * D + 3 * cells  # ones, cat, scatter into zeros
    layers = cells * (2 * 27 * 3 * width + width) + cells * (2 * 27 * width * width + width) + cells * width
    return _detector_input() + grid + layers + width * D + _readout(width)


def _mlp(hidden=32):
    inputs = D + M
    return M + M + M + inputs + 2 * inputs * hidden + hidden + 2 * hidden * M + M


def _transformer(w=16, heads=2):
    attention = 2 * w * 3 * w * D + w * D + 2 * heads * (2 * D * D * w // heads) + 5 * heads * D * D
    return (
        _detector_input() + 2 * 2 * w * D + D * w  # embed, place
        + attention + 2 * w * w * D + w * D  # and the mixing, and adding it
        + 2 * 7 * (w * D) + 2 * (2 * w * 2 * w * D) + 2 * w * D + w * D + _readout(w)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fields", "by_hand"),
    [
        ("gnn", {"layers": 1, "head": "linear"}, _gnn()),
        ("cnn3d", {"layers": 2}, (_cnn3d(), 0)),
        ("mlp", {}, (_mlp(), 0)),
        ("transformer", {}, (_transformer(), 0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_flops_are_what_a_count_by_hand_gives(name, fields, by_hand):
    """Within a twentieth: a copy that a view needs, or a constant's own operation, may be counted beside."""
    problem = problem_from_dem(stim.DetectorErrorModel(SMALL), name="small")
    module, shots = built(name, problem, fields).eval(), 64
    inputs = shots_of(problem, shots)[:2]
    with torch.no_grad():
        counted = count_flops(lambda: module(*inputs))
    assert counted == pytest.approx(by_hand[0] * shots + by_hand[1], rel=0.05)


#: Two parts, of three and of two incidences.
PARTS = (
    "error(0.1) D0 L0\nerror(0.2) D0 D1\nerror(0.1) D2 D3\n"
    "detector(0, 0, 0) D0\ndetector(2, 0, 2) D1\ndetector(0, 9, 1) D2\ndetector(0, 9, 1) D3"
)


@pytest.mark.parametrize(
    ("field", "by_hand"),
    [
        ("edge_round", [-1, -1, 1, 0, 0]),
        ("edge_distance", [0, 1, 1, 0, 0]),  # as a share of the largest
        ("edge_prior", [(np.log(odds) - 7) / 2 for odds in (9, 4, 4, 9, 9)]),
        ("edge_type", [1, 1, 1, -1, -1]),
    ],
)
def test_an_edge_feature_says_what_it_is_called(field, by_hand):
    problem = problem_from_dem(stim.DetectorErrorModel(PARTS), name="parts")
    none = {f"edge_{name}": False for name in ("syndrome", "round", "type", "distance", "prior")}
    features, _ = edge_features(GNNConfig(**none | {field: True}), problem)
    assert features.shape == (5, 1, 1)
    sign = np.sign(features[0, 0, 0]) if field == "edge_type" else 1  # which part is called 1 is nobody's business
    assert features[:, 0, 0] * sign == pytest.approx(by_hand, abs=1e-6)
    assert edge_features(GNNConfig(**none), problem)[0].shape == (5, 0, 1)


def test_messages_see_the_syndrome_where_they_may(problem):
    seen, unseen = (built("gnn", problem, {"edge_syndrome": on}).state_dict() for on in (True, False))
    assert any(".bit." in name for name in seen)
    assert not any(".bit." in name for name in unseen)


#: Detectors that nothing flips, hyperedges, an error likelier than not, one nearly impossible, parts that do not touch.
ODD = {
    "lonely": "error(0.1) D0 L0\nerror(0.1) D0 D1",
    "hyper": "error(0.1) D0 D1 D2 L0\nerror(0.05) D0\nerror(0.7) D1",
    "islands": "error(0.1) D0 D1 L0\nerror(0.1) D2 D3\nerror(1e-12) D2",
    "single": "error(0.1) D0 L0",
}
PLACES = "".join(f"\ndetector({d % 2}, {d // 2}, 0) D{d}" for d in range(5))


@pytest.mark.parametrize(
    "stage", [("neural_bp", {}), ("neural_bp", {"attention": "messages"}), *EVERY_STAGE], ids=named
)
@pytest.mark.parametrize("odd", ODD)
def test_odd_error_models_are_trained_on_and_answered(stage, odd):
    problem = problem_from_dem(stim.DetectorErrorModel(ODD[odd] + PLACES), name=odd)
    for loss in ("bce", "focal", "weighted_bce"):
        candidate = candidate_of(stage, training=f"shots: 128\nbatch_size: 64\nloss: {loss}\n")
        common = {"seed": b"k" * 32, "max_shots": 128, "initial": {}, "inherit": False, "report": lambda progress: None}
        trained = train(candidate, [problem], None, **common)
        assert trained.telemetry["nan_steps"] == 0
        syndromes = sample_chunk(problem, 1).syndromes[:64]
        beliefs = compile_inference(candidate, trained.tensors, problem)(
            syndromes, np.repeat(problem.priors_llr[None], 64, axis=0)
        )
        assert np.isfinite(beliefs).all()


def test_detectors_without_coordinates():
    """The graph network goes without; convolutions cannot, and say what to do."""
    problem = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D0 D1"), name="bare")
    module = built("gnn", problem, {}, shake=0.1)
    assert torch.isfinite(module(*shots_of(problem, 4)[:2])).all()
    with pytest.raises(UsageError, match="not every detector of bare has coordinates") as caught:
        built("cnn3d", problem, {})
    assert "kind: gnn" in caught.value.hint


def test_scattered_coordinates_are_no_grid():
    lines = [f"error(0.1) D{i} D{i + 1} L0\ndetector({i}, {i * i % 97}, {i * i * i % 89}) D{i}" for i in range(50)]
    dem = stim.DetectorErrorModel("\n".join([*lines, "detector(1, 2, 3) D50"]))
    with pytest.raises(UsageError, match="51 detectors of scattered would need a grid of"):
        built("cnn3d", problem_from_dem(dem, name="scattered"), {})


def test_detectors_that_share_a_place_have_a_slot_each():
    problem = problem_from_dem(
        stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D0 D1\ndetector(0, 0) D0\ndetector(0, 0) D1"), name="one"
    )
    module = built("cnn3d", problem, {"layers": 1}, shake=0.3)
    _, beliefs, _ = shots_of(problem, 2)
    one, other = module(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), beliefs)
    assert not torch.allclose(one, other)


def test_too_many_detectors_for_attention():
    dem = stim.DetectorErrorModel("repeat 1100 {\nerror(0.1) D0 L0\nshift_detectors 1\n}")
    with pytest.raises(UsageError, match="1100 detectors; at most 1024"):
        built("transformer", problem_from_dem(dem, name="long"), {})


def test_heads_must_share_the_width():
    with pytest.raises(UsageError, match="stage.yaml: .*width 10 is not a multiple of heads 4"):
        candidate_of(("transformer", {"width": 10, "heads": 4}))


@pytest.mark.parametrize("name", ["gnn", "cnn3d", "mlp", "transformer", "custom"])
def test_the_search_space_is_made_of_valid_values(name):
    kind = REGISTRY.get("stage", name).create()
    for field, values in kind.space().items():
        for value in values:
            kind.Config.model_validate({field: value})
    assert all(field.default is not None for field in kind.Config.model_fields.values())
