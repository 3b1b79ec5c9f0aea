"""FLOPs of every kind of layer a stage may be made of, against counts by hand, in the mode that inference runs in."""

from math import ceil, log2

import pytest
import torch
from torch import nn
from torch.nn import functional

from autoqec.candidate.operation_counts import COUNTS, count_flops
from autoqec.candidate.recorded_program import Program, record, stored_numbers
from autoqec.errors import UsageError

B, L, D, H, F = 4, 6, 8, 2, 16  # shots, places, width, heads, hidden units
N = B * L * D
SEQUENCE = torch.randn(B, L, D)
PLANES = torch.randn(B, D, L)
IMAGES = torch.randn(B, 3, 5, 5)
SPACES = torch.randn(B, 3, 4, 4, 4)


def attention(batch, queries, keys, width):
    """Scores, their scale, a softmax of five steps, and weighted sums."""
    return batch * queries * keys * (2 * width + 1 + 5 + 2 * width)


def many_heads(queries=L, keys=L):
    return 2 * B * D * D * (2 * queries + 2 * keys) + attention(B * H, queries, keys, D // H)


NORM = 7 * N  # mean, difference, square, its mean, quotient, factor, term
FEED = 2 * B * L * D * F * 2 + B * L * F
ENCODER = many_heads() + FEED + 2 * NORM + 2 * N
DECODER = 2 * many_heads() + FEED + 3 * NORM + 3 * N


def recurrent(gates, of_gates, state=D):
    """Two matrix products for each step, and so many pointwise steps on units of the state."""
    return B * L * (2 * gates * state * (D + state) + of_gates * state)


def log(n):
    return ceil(log2(n))


#: Layer, inputs, count by hand, and how far they may be apart: matrix products are exact, the rest depends on how torch cuts it.
LAYERS = {
    "Linear": (nn.Linear(D, 3), [SEQUENCE], 2 * B * L * D * 3, 0),
    "Bilinear": (nn.Bilinear(D, D, 3), [SEQUENCE, SEQUENCE], 3 * B * L * 3 * D * D, 0.05),
    "Identity": (nn.Identity(), [SEQUENCE], 0, 0),
    "Flatten": (nn.Flatten(), [SEQUENCE], 0, 0),
    "Unflatten": (nn.Unflatten(2, (2, 4)), [SEQUENCE], 0, 0),
    "Sequential": (
        nn.Sequential(nn.Linear(D, F), nn.ReLU(), nn.Linear(F, 1)),
        [SEQUENCE],
        B * L * F * (2 * D + 1 + 2),
        0,
    ),
    "Conv1d": (nn.Conv1d(D, 4, 3, padding=1), [PLANES], 2 * B * 4 * D * 3 * L, 0),
    "Conv1d grouped": (nn.Conv1d(D, D, 3, padding=1, groups=D), [PLANES], 2 * B * D * 3 * L, 0),
    "Conv2d": (nn.Conv2d(3, 4, 3), [IMAGES], 2 * B * 4 * 3 * 9 * 9, 0),
    "Conv3d": (nn.Conv3d(3, 4, 3), [SPACES], 2 * B * 4 * 3 * 27 * 8, 0),
    "ConvTranspose1d": (nn.ConvTranspose1d(D, 4, 3), [PLANES], 2 * B * 4 * D * 3 * L, 0),
    "ConvTranspose2d": (nn.ConvTranspose2d(3, 4, 3, stride=2), [IMAGES], 2 * B * 4 * 3 * 9 * 25, 0),
    "ConvTranspose3d": (nn.ConvTranspose3d(3, 4, 3), [SPACES], 2 * B * 4 * 3 * 27 * 64, 0),
    "RNN": (nn.RNN(D, D, batch_first=True), [SEQUENCE], recurrent(1, 2), 0.07),
    "LSTM": (nn.LSTM(D, D, batch_first=True), [SEQUENCE], recurrent(4, 13), 0.1),
    "LSTM both ways": (nn.LSTM(D, D, batch_first=True, bidirectional=True), [SEQUENCE], 2 * recurrent(4, 13), 0.1),
    "GRU": (nn.GRU(D, D, batch_first=True), [SEQUENCE], recurrent(3, 13), 0.02),
    "RNNCell": (nn.RNNCell(D, D), [SEQUENCE[:, 0]], B * D * (2 * (D + D) + 2), 0.05),
    "LSTMCell": (nn.LSTMCell(D, D), [SEQUENCE[:, 0]], B * D * (4 * 2 * (D + D) + 13), 0.05),
    "GRUCell": (nn.GRUCell(D, D), [SEQUENCE[:, 0]], B * D * (3 * 2 * (D + D) + 10), 0.1),
    "MultiheadAttention": (nn.MultiheadAttention(D, H, batch_first=True), [SEQUENCE] * 3, many_heads(), 0.05),
    "MultiheadAttention across": (
        nn.MultiheadAttention(D, H, batch_first=True),
        [SEQUENCE, SEQUENCE[:, :3].clone(), SEQUENCE[:, :3].clone()],
        many_heads(L, 3),
        0.1,
    ),
    "TransformerEncoderLayer": (nn.TransformerEncoderLayer(D, H, F, batch_first=True), [SEQUENCE], ENCODER, 0.02),
    "TransformerEncoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(D, H, F, batch_first=True), 2),
        [SEQUENCE],
        2 * ENCODER,
        0.02,
    ),
    "TransformerDecoderLayer": (nn.TransformerDecoderLayer(D, H, F, batch_first=True), [SEQUENCE] * 2, DECODER, 0.05),
    "TransformerDecoder": (
        nn.TransformerDecoder(nn.TransformerDecoderLayer(D, H, F, batch_first=True), 2),
        [SEQUENCE] * 2,
        2 * DECODER,
        0.05,
    ),
    "Transformer": (
        nn.Transformer(D, H, 1, 1, F, batch_first=True),
        [SEQUENCE] * 2,
        ENCODER + DECODER + 2 * NORM,
        0.05,
    ),
    "Embedding": (nn.Embedding(5, D), [torch.zeros(B, L, dtype=torch.long)], N, 0),
    "EmbeddingBag": (nn.EmbeddingBag(5, D, mode="sum"), [torch.zeros(B, L, dtype=torch.long)], N, 0.05),
    "LayerNorm": (nn.LayerNorm(D), [SEQUENCE], NORM, 0),
    "RMSNorm": (nn.RMSNorm(D), [SEQUENCE], 4 * N, 0.1),
    "GroupNorm": (nn.GroupNorm(2, D), [PLANES], NORM, 0),
    "BatchNorm1d": (nn.BatchNorm1d(D), [PLANES], 2 * N, 0),
    "BatchNorm2d": (nn.BatchNorm2d(3), [IMAGES], 2 * B * 75, 0),
    "BatchNorm3d": (nn.BatchNorm3d(3), [SPACES], 2 * B * 192, 0),
    "InstanceNorm1d": (nn.InstanceNorm1d(D, affine=True), [PLANES], 7 * N, 0.1),
    "LocalResponseNorm": (nn.LocalResponseNorm(2), [PLANES], 8 * N, 0.05),
    "MaxPool1d": (nn.MaxPool1d(2), [PLANES], N, 0),
    "MaxPool2d": (nn.MaxPool2d(2), [IMAGES], B * 3 * 4 * 4, 0),
    "MaxPool3d": (nn.MaxPool3d(2), [SPACES], B * 3 * 8 * 8, 0),
    "AvgPool1d": (nn.AvgPool1d(2), [PLANES], N, 0),
    "AvgPool2d": (nn.AvgPool2d(2), [IMAGES], B * 3 * 4 * 4, 0),
    "AvgPool3d": (nn.AvgPool3d(2), [SPACES], B * 3 * 8 * 8, 0),
    "LPPool1d": (nn.LPPool1d(2, 2), [PLANES], 2 * N + 6 * N // 2, 0.1),
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(3), [PLANES], N, 0),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d(5), [IMAGES], B * 75, 0),
    "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(3), [PLANES], N, 0),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d(5), [IMAGES], B * 75, 0),
    "AdaptiveAvgPool3d": (nn.AdaptiveAvgPool3d(2), [SPACES], B * 192, 0),
    "Upsample": (nn.Upsample(scale_factor=2), [PLANES], 2 * N, 0),
    "Upsample linear": (nn.Upsample(scale_factor=2, mode="linear"), [PLANES], 2 * 2 * 2 * N, 0),
    "Upsample bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), [IMAGES], 2 * 4 * 4 * B * 75, 0),
    "PixelShuffle": (nn.PixelShuffle(2), [torch.randn(B, 4, 3, 3)], B * 36, 0),
    "Unfold": (nn.Unfold(3), [IMAGES], B * 27 * 9, 0),
    "Fold": (nn.Fold((4, 4), 2), [torch.randn(B, 12, 9)], B * 12 * 9, 0.6),
    "ZeroPad1d": (nn.ZeroPad1d(1), [PLANES], B * D * (L + 2), 0),
    "ReflectionPad1d": (nn.ReflectionPad1d(1), [PLANES], B * D * (L + 2), 0),
    "ReplicationPad2d": (nn.ReplicationPad2d(1), [IMAGES], B * 3 * 49, 0),
    "CircularPad1d": (nn.CircularPad1d(1), [PLANES], B * D * (L + 2), 0.6),
    "CosineSimilarity": (nn.CosineSimilarity(dim=2), [SEQUENCE, SEQUENCE], 8 * N, 0.1),
    "PairwiseDistance": (nn.PairwiseDistance(), [SEQUENCE, SEQUENCE], 4 * N, 0.3),
    "Softmax": (nn.Softmax(dim=1), [SEQUENCE], 5 * N, 0),
    "LogSoftmax": (nn.LogSoftmax(dim=1), [SEQUENCE], 5 * N, 0),
    "Softmin": (nn.Softmin(dim=1), [SEQUENCE], 6 * N, 0),
    "Dropout": (nn.Dropout(0.5), [SEQUENCE], 0, 0),
    "PReLU": (nn.PReLU(), [SEQUENCE], N, 0.1),
    "GLU": (nn.GLU(), [SEQUENCE], 3 * N, 0.8),
    "Softsign": (nn.Softsign(), [SEQUENCE], 3 * N, 0),
    "Tanhshrink": (nn.Tanhshrink(), [SEQUENCE], 2 * N, 0),
}
for _name in (
    "ReLU ReLU6 ELU SELU CELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Softplus Hardtanh Hardswish Hardsigmoid Hardshrink "
    "Softshrink LeakyReLU"
).split():
    LAYERS[_name] = (getattr(nn, _name)(), [SEQUENCE], N, 0)
LAYERS["Threshold"] = (nn.Threshold(0.1, 0.0), [SEQUENCE], N, 0)
LAYERS["RReLU"] = (nn.RReLU(), [SEQUENCE], N, 0)

SQUARE = torch.eye(D) + 0.1 * torch.randn(B, D, D)
POSITIVE = SQUARE @ SQUARE.mT + torch.eye(D)
PLACES = torch.tensor([0, 2, 2, 5, 7])
ROWS = torch.randn(B, D)

#: The same for functions of torch, its linear algebra, and what moves elements.
FUNCTIONS = {
    "matmul": (lambda: SEQUENCE @ torch.empty(D, 3), 2 * N * 3, 0),
    "batched matmul": (lambda: SEQUENCE @ SEQUENCE.mT, 2 * B * L * L * D, 0),
    "vector": (lambda: torch.mv(SQUARE[0], ROWS[0]), 2 * D * D, 0),
    "dot": (lambda: torch.dot(ROWS[0], ROWS[1]), 2 * D, 0),
    "outer": (lambda: torch.outer(ROWS[0], ROWS[1]), D * D, 0),
    "einsum": (lambda: torch.einsum("bld,bmd->blm", SEQUENCE, SEQUENCE), 2 * B * L * L * D, 0),
    "bmm": (lambda: torch.bmm(SQUARE, SQUARE), 2 * B * D**3, 0),
    "addmm": (lambda: torch.addmm(ROWS[0], ROWS, SQUARE[0]), 2 * B * D * D, 0),
    "baddbmm": (lambda: torch.baddbmm(SQUARE, SQUARE, SQUARE), 2 * B * D**3, 0),
    "addbmm": (lambda: torch.addbmm(SQUARE[0], SQUARE, SQUARE), 2 * B * D**3, 0),
    "linear": (lambda: functional.linear(ROWS, SQUARE[0]), 2 * B * D * D, 0),
    "tensordot": (lambda: torch.tensordot(SEQUENCE, SQUARE[0], dims=1), 2 * N * D, 0),
    "kron": (lambda: torch.kron(SQUARE[0], SQUARE[1]), D**4, 0),
    "scaled_dot_product_attention": (
        lambda: functional.scaled_dot_product_attention(SEQUENCE, SEQUENCE, SEQUENCE),
        attention(B, L, L, D),
        0.05,
    ),
    "solve_triangular": (lambda: torch.linalg.solve_triangular(SQUARE, SQUARE, upper=False), B * D**3, 0),
    "solve": (lambda: torch.linalg.solve(SQUARE, SQUARE), B * D**3 * (2 / 3 + 2), 0.01),
    "inv": (lambda: torch.linalg.inv(SQUARE), 2 * B * D**3, 0),
    "cholesky": (lambda: torch.linalg.cholesky(POSITIVE), B * D**3 / 3, 0.01),
    "det": (lambda: torch.linalg.det(SQUARE), B * D**3 * 2 / 3, 0.1),
    "qr": (lambda: torch.linalg.qr(SQUARE), 4 * B * D**3, 0),
    "svd": (lambda: torch.linalg.svd(SQUARE), 22 * B * D**3, 0),
    "eigh": (lambda: torch.linalg.eigh(POSITIVE), 9 * B * D**3, 0),
    "norm": (lambda: torch.linalg.norm(SEQUENCE, dim=2), 2 * N, 0),
    "cdist": (lambda: torch.cdist(SEQUENCE, SEQUENCE), 3 * B * L * L * D, 0),
    "complex matmul": (
        lambda: torch.mm(torch.empty(D, D) * 1j, torch.empty(D, D) * 1j),
        4 * 2 * D**3 + 8 * D * D,
        0.05,
    ),
    "complex sum": (lambda: COMPLEX + COMPLEX, 4 * N, 0),
    "fft": (lambda: torch.fft.fft(COMPLEX, dim=2), 5 * N * 3, 0),
    "rfft": (lambda: torch.fft.rfft(SEQUENCE, dim=2), 5 * N * 3 // 2, 0),
    "irfft": (lambda: torch.fft.irfft(COMPLEX[..., :5], n=8, dim=2), 5 * N * 3 // 2, 0.7),
    "fft2": (lambda: torch.fft.fft2(COMPLEX, dim=(1, 2)), 5 * N * 6, 0.05),
    "cumsum": (lambda: SEQUENCE.cumsum(1), N, 0),
    "logsumexp": (lambda: SEQUENCE.logsumexp(1), 4 * N, 0),
    "softmax": (lambda: SEQUENCE.softmax(1), 5 * N, 0),
    "var": (lambda: SEQUENCE.var(1), 4 * N, 0),
    "sort": (lambda: SEQUENCE.sort(dim=1), N * log(L), 0),
    "argsort": (lambda: SEQUENCE.argsort(dim=2), N * log(D), 0),
    "topk": (lambda: SEQUENCE.topk(4, dim=2), N + B * L * 4 * 2, 0),
    "median": (lambda: SEQUENCE.median(dim=1), N, 0),
    "unique": (lambda: torch.unique(SEQUENCE), N * log(N), 0),
    "searchsorted": (lambda: torch.searchsorted(ROWS[0], ROWS[1]), D * 3, 0),
    "bucketize": (lambda: torch.bucketize(SEQUENCE, ROWS[0]), N * 3, 0),
    "gather": (lambda: SEQUENCE.gather(2, torch.zeros(B, L, 1, dtype=torch.long)), 2 * B * L, 0),
    "index": (lambda: ROWS[:, PLACES], B * 5, 0),
    "index_select": (lambda: ROWS.index_select(1, PLACES), B * 5, 0),
    "take_along_dim": (lambda: torch.take_along_dim(ROWS, PLACES.expand(B, 5), 1), 2 * B * 5, 0),
    "scatter_add": (lambda: ROWS.scatter_add(1, PLACES.expand(B, 5), ROWS[:, :5]), B * 5, 0),
    "index_add": (lambda: ROWS.index_add(1, PLACES, ROWS[:, :5]), B * 5, 0),
    "scatter_reduce": (lambda: ROWS.scatter_reduce(1, PLACES.expand(B, 5), ROWS[:, :5], "amax"), B * D, 0),
    "index_put": (lambda: ROWS.clone().index_put((torch.tensor([0]),), ROWS[1]), B * D + D, 0),
    "mask": (lambda: ROWS[ROWS > -100.0], 2 * B * D, 0),
    "where": (lambda: torch.where(ROWS > 0, ROWS, -ROWS), 3 * B * D, 0),
    "clamp": (lambda: ROWS.clamp(0, 1), B * D, 0),
    "addcmul": (lambda: torch.addcmul(ROWS, ROWS, ROWS), 3 * B * D, 0),
    "lerp": (lambda: torch.lerp(ROWS, ROWS, 0.5), 3 * B * D, 0),
    "cat": (lambda: torch.cat([ROWS, ROWS]), 2 * B * D, 0),
    "stack": (lambda: torch.stack([ROWS, ROWS]), 2 * B * D, 0),
    "view": (lambda: SEQUENCE.transpose(1, 2).unflatten(1, (2, 4))[:, 0].unsqueeze(0), 0, 0),
    "copy": (lambda: SEQUENCE.transpose(1, 2).reshape(-1), N, 0),
    "repeat": (lambda: ROWS.repeat(3, 1), 3 * B * D, 0),
    "flip": (lambda: ROWS.flip(1), B * D, 0),
    "roll": (lambda: ROWS.roll(1, 1), B * D, 0),
    "pad": (lambda: functional.pad(ROWS, (1, 1)), B * (D + 2), 0),
    "one_hot": (lambda: functional.one_hot(PLACES, D), 5 * D + 5 * 9, 0),
    "grid_sample": (
        lambda: functional.grid_sample(IMAGES, torch.zeros(B, 2, 2, 2), align_corners=False),
        2 * 4 * B * 3 * 4 + B * 8,
        0,
    ),
    "integers": (lambda: torch.bitwise_xor(PLACES, PLACES), 5, 0),
    "pairs": (lambda: functional.pdist(ROWS), 3 * D * B * (B - 1) // 2, 0),
}
COMPLEX = torch.complex(SEQUENCE, SEQUENCE)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_counts_what_it_counts_by_hand(name):
    layer, inputs, by_hand, apart = LAYERS[name]
    layer.eval()
    assert count_flops(lambda: layer(*inputs)) == pytest.approx(by_hand, rel=apart, abs=0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_counts_what_it_counts_by_hand(name):
    function, by_hand, apart = FUNCTIONS[name]
    assert count_flops(function) == pytest.approx(by_hand, rel=apart, abs=0)


def test_every_layer_of_torch_is_counted_by_hand_or_left_out_for_a_reason():
    """A layer that a later torch has must be added here."""
    left_out = {
        # made of others by name, not a computation
        *"Module Container ModuleDict ModuleList Parameter ParameterDict ParameterList UninitializedBuffer Buffer".split(),
        *"UninitializedParameter DataParallel SyncBatchNorm AdaptiveLogSoftmaxWithLoss ChannelShuffle".split(),
        # random, or the same with another rank
        *"FractionalMaxPool2d FractionalMaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d RNNBase RNNCellBase".split(),
        *"FeatureAlphaDropout AlphaDropout Dropout1d Dropout2d Dropout3d AdaptiveMaxPool3d LPPool2d LPPool3d".split(),
        *"InstanceNorm2d InstanceNorm3d CrossMapLRN2d Softmax2d UpsamplingBilinear2d UpsamplingNearest2d".split(),
        *"PixelUnshuffle MultiheadAttention".split(),
    }
    layers = {
        name
        for name, each in vars(nn).items()
        if isinstance(each, type) and issubclass(each, nn.Module) and "Loss" not in name
    }
    missing = {
        name
        for name in layers - left_out - {each.split()[0] for each in LAYERS}
        if not name.startswith("Lazy") and "Pad" not in name
    }
    assert missing == set()


@pytest.mark.parametrize(
    "function",
    [
        lambda: torch.rand(3),
        lambda: functional.dropout(SEQUENCE, 0.5, training=True),
        lambda: torch.empty(3).normal_(),
        lambda: SEQUENCE.to_sparse() @ torch.ones(D, 1),
    ],
)
def test_what_has_no_count_is_refused(function):
    with pytest.raises(UsageError, match="cannot be counted") as error:
        count_flops(function)
    assert error.value.code == "uncounted_operation"


@pytest.mark.parametrize("name", LAYERS)
def test_a_recorded_layer_answers_and_costs_the_same(name):
    layer, inputs, _, _ = LAYERS[name]
    layer.eval()
    first, rest = inputs[0], inputs[1:]

    def forward(given, _):
        made = layer(given, *rest)
        return made[0] if isinstance(made, tuple) else made

    unused = torch.zeros(1)
    weights = layer.state_dict(keep_vars=True)
    program = Program.from_bytes(record(forward, first, unused, weights).to_bytes())
    run = program.runner({name: tensor.detach() for name, tensor in weights.items()})
    with torch.inference_mode():
        assert torch.equal(run(first, unused), forward(first, unused))
    assert count_flops(lambda: run(first, unused)) == count_flops(lambda: forward(first, unused))


def test_no_count_is_negative_and_every_name_is_an_operation_of_torch():
    unknown = {
        name for name in COUNTS if not hasattr(torch.ops.aten, name) and not hasattr(torch.ops.aten, name + "__")
    }
    assert unknown == set()


@pytest.mark.parametrize(
    ("tensor", "numbers"),
    [
        (torch.zeros(100), 0),
        (torch.eye(10), 10),
        (torch.arange(100), 99),  # as many words again are the upper halves, which are zero
        (torch.arange(100).to(torch.uint8), 25),
        (torch.linspace(0.1, 1, 64, dtype=torch.float64), 126),
        (torch.full((9,), 3.5), 0),
        (torch.empty(0), 0),
    ],
)
def test_a_constant_counts_by_what_is_in_it(tensor, numbers):
    assert stored_numbers(tensor) == pytest.approx(numbers, abs=2)
