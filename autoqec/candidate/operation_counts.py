"""What one FLOP is: a count for every tensor operation that a predecoder may use, from the shapes of its operands.

A multiply-add is two operations. A pointwise function is one for each element, whichever function it is; so are copies, gathers,
scatters, comparisons and sums. What is made of such steps counts as the steps do: a softmax as a maximum, a difference, an
exponential, a sum and a quotient. A complex number counts as four real ones. Views and allocations are free. An operation that
torch makes of others is counted as those, and one that has no count here is refused: it would be free otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, log2, prod
from typing import Any

from autoqec.errors import UsageError

#: Counts one call, from its arguments by position and by name, and what it returned.
Count = Callable[[tuple[Any, ...], Mapping[str, Any], Any], int]

#: A complex multiplication is four real ones.
_COMPLEX = 4

#: Operations that only create views, allocate memory or check something.
_FREE = (
    "view _unsafe_view expand expand_as unsqueeze squeeze transpose t permute detach alias slice select split "
    "split_with_sizes unsafe_split unsafe_split_with_sizes unbind as_strided empty empty_like empty_strided empty_permuted "
    "new_empty new_empty_strided lift_fresh lift _reshape_alias unfold diagonal view_as_complex view_as_real view_as "
    "_conj _neg_view numpy_T mT mH swapaxes swapdims movedim unflatten chunk tensor_split _assert_async _assert_scalar "
    "_functional_assert_async _functional_assert_scalar _assert_tensor_metadata is_same_size _linalg_check_errors "
    "_has_same_storage_numel record_stream _local_scalar_dense"
)

#: One operation for each element of the result: it is moved.
_MOVED = "index_select gather embedding index _unsafe_index take constant_pad_nd"

#: One operation for each element that is written, where the values are a tensor.
_WRITTEN = (
    "index_add scatter_add scatter_reduce index_put _unsafe_index_put _index_put_impl scatter index_copy index_reduce put "
    "masked_scatter slice_scatter select_scatter diagonal_scatter as_strided_scatter"
)

#: One operation for each element of the largest operand or result.
_POINTWISE = (
    "abs acos acosh add angle asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or "
    "bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min complex conj_physical _conj_physical copysign cos "
    "cosh deg2rad digamma div elu eq erf erfc erfinv exp exp2 expm1 floor floor_divide fmax fmin fmod frac frexp gcd ge gelu "
    "gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 igamma igammac isin isinf isnan isneginf isposinf lcm "
    "ldexp le leaky_relu lgamma log log10 log1p log2 log_sigmoid_forward logaddexp logaddexp2 logical_and logical_not "
    "logical_or logical_xor logit lt masked_fill maximum minimum mish mul mvlgamma nan_to_num ne neg nextafter polar "
    "polygamma pow _prelu_kernel rad2deg reciprocal relu remainder round rsqrt rsub sgn sigmoid sign signbit silu sin sinc "
    "sinh softplus softshrink special_entr special_erfcx special_i0e special_i1 special_i1e special_log_ndtr special_ndtri "
    "special_xlog1py special_zeta special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1 sqrt sub tan tanh "
    "threshold trunc where xlogy __and __or __xor __lshift __rshift __ilshift __irshift __iand __ior __ixor",
    # sums, and what walks over all elements once
    "sum nansum mean prod amax amin aminmax _aminmax max min argmax argmin any all cumsum cumprod cummax cummin "
    "_cummax_helper _cummin_helper count_nonzero nonzero nonzero_static masked_select trace bincount median nanmedian "
    "kthvalue mode equal _is_all_true _is_any_true repeat_interleave tril triu histc segment_reduce allclose",
    # copies and what fills memory
    "clone copy _to_copy cat stack _stack _chunk_cat repeat flip roll rot90 fill index_fill zero zeros zeros_like ones "
    "ones_like full full_like new_zeros new_ones new_full eye arange range linspace logspace scalar_tensor tril_indices "
    "triu_indices diag_embed block_diag im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle reflection_pad1d "
    "reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d max_unpool2d max_unpool3d "
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d "
    "_upsample_nearest_exact3d affine_grid_generator",
)

#: Mean, difference, square, its mean, quotient, factor and term.
_NORMALISED = 7

#: So many operations for each element of the largest operand or result.
_COMPOSED: Mapping[str, int] = {
    **dict.fromkeys(("addcmul", "addcdiv", "lerp", "glu"), 3),
    **dict.fromkeys(("linalg_vector_norm", "norm", "mse_loss", "smooth_l1_loss", "huber_loss"), 2),
    "dist": 3,
    **dict.fromkeys(("std", "std_mean", "var", "var_mean", "logsumexp", "_logcumsumexp", "logcumsumexp"), 4),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax", "_masked_softmax"), 5),
    **dict.fromkeys(("native_layer_norm", "native_group_norm", "_weight_norm_interface", "renorm"), _NORMALISED),
    **dict.fromkeys(("binary_cross_entropy", "binary_cross_entropy_with_logits", "linalg_cross"), 6),
}


def elements(values: Any) -> int:
    """The elements of the largest tensor among values, complex ones four times."""
    import torch

    if isinstance(values, torch.Tensor):
        return values.numel() * (_COMPLEX if values.is_complex() else 1)
    if isinstance(values, list | tuple):
        return max((elements(value) for value in values), default=0)
    return 0


def _free(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    return 0


def _moved(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    return elements(out)


def _written(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    import torch

    return elements(args[-1]) if isinstance(args[-1], torch.Tensor) else elements(args)


def _each(weight: int) -> Count:
    return lambda args, kwargs, out: weight * max(elements(out), elements(args), elements(list(kwargs.values())))


def _factor(*tensors: Any) -> int:
    return _COMPLEX if any(tensor.is_complex() for tensor in tensors) else 1


def _product(first: int, second: int) -> Count:
    """A matrix product of two arguments: a multiply-add for each element of the result and each term of its sum."""

    def count(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
        a, b = args[first], args[second]
        return 2 * int(out.numel() * a.shape[-1]) * _factor(a, b)

    return count


def _outer(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    return 2 * elements(out)


def _summed_products(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """`addbmm`: the products of a batch are added too."""
    a, b = args[1], args[2]
    return 2 * int(prod(a.shape) * b.shape[-1]) * _factor(a, b)


def _dot(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    return 2 * elements(args[:2])


def _convolved(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A multiply-add for each weight and each place where the kernel lies."""
    given, weight = args[0], args[1]
    transposed = bool(args[6]) if len(args) > 6 else bool(kwargs.get("transposed", False))
    places = given if transposed else out
    return 2 * int(weight.numel() * places.shape[0] * prod(places.shape[2:])) * _factor(given, weight)


def _mkldnn_rnn(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A fused recurrent layer: matrix products of input and state with all gates, and the pointwise steps of the gates."""
    steps = prod(args[0].shape[:2])
    return int(steps * recurrent_step(args[1], args[2]))


def recurrent_step(of_input: Any, of_state: Any) -> int:
    """One step of an LSTM's cell for one sequence, as torch makes it of matrix products and pointwise steps."""
    gates, width = of_state.shape
    products = 2 * gates * (of_input.shape[1] + width)
    # The two products are added (4 widths); three sigmoids, a tanh, three products, a sum, a tanh (9).
    return int(products + gates + 9 * width)


def _attended(batch: int, queries: int, keys: int, width: int, value_width: int, masked: bool) -> int:
    """Scaled dot products: scores, their scale, the mask, a softmax, and the weighted sums."""
    scores = batch * queries * keys
    return 2 * scores * width + scores * (6 + masked) + 2 * scores * value_width


def _attention(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    query, key, value = args[:3]
    batch = prod(query.shape[:-2])
    masked = kwargs.get("attn_mask") is not None or kwargs.get("attn_bias") is not None
    return _attended(batch, query.shape[-2], key.shape[-2], query.shape[-1], value.shape[-1], masked)


def _many_heads(query: Any, key: Any, width: int, heads: int, masked: bool) -> int:
    """Attention with its four projections."""
    (batch, queries), keys = query.shape[:2], key.shape[1]
    inner = batch * heads
    projections = 2 * batch * (2 * queries + 2 * keys) * width * width
    return projections + _attended(inner, queries, keys, width // heads, width // heads, masked)


def _native_attention(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    masked = (args[11] if len(args) > 11 else kwargs.get("mask")) is not None
    return _many_heads(args[0], args[1], int(args[3]), int(args[4]), masked)


def _encoder_layer(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A fused layer: attention, two normalisations, two residual sums, and two linear layers with a function between."""
    source, width, heads = args[0], int(args[1]), int(args[2])
    first = next(each for each in args[14:] if hasattr(each, "dim") and each.dim() == 2)
    tokens, hidden = prod(source.shape[:2]), first.shape[0]
    masked = (args[20] if len(args) > 20 else kwargs.get("mask")) is not None
    feed = 2 * 2 * tokens * width * hidden + tokens * hidden
    around = 2 * _NORMALISED * tokens * width + 2 * tokens * width
    return _many_heads(source, source, width, heads, masked) + feed + around


def _trilinear(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """Products of three tensors that are spread over each other's axes, summed over some."""
    sizes: dict[int, int] = {}
    for tensor, spread in zip(args[:3], args[3:6], strict=True):
        own = iter(tensor.shape)
        for axis in range(tensor.dim() + len(spread)):
            size = 1 if axis in spread else next(own)
            sizes[axis] = max(sizes.get(axis, 1), int(size))
    return 3 * prod(sizes.values())


def _bag(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A row of the table is added for each index, after its product with a weight if there is one."""
    weighted = len(args) > 6 and args[6] is not None
    return int(args[1].numel() * args[0].shape[1] * (2 if weighted else 1))


def _pooled(sides: int) -> Count:
    """A window: one operation for each of its elements."""

    def count(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
        size = args[1] if len(args[1]) == sides else [args[1][0]] * sides
        return elements(out) * prod(int(each) for each in size)

    return count


def _adaptively_pooled(sides: int) -> Count:
    def count(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
        result = out[0] if isinstance(out, tuple) else out
        axes = zip(args[0].shape[-sides:], result.shape[-sides:], strict=True)
        return elements(result) * prod(ceil(given / made) if made else 0 for given, made in axes)

    return count


def _interpolated(points: int) -> Count:
    """A multiply-add for each point that a result is interpolated between."""
    return lambda args, kwargs, out: 2 * points * elements(out)


def _logarithm(size: int) -> int:
    return max(1, ceil(log2(size))) if size > 1 else 1


def _sorted(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """Comparisons along the axis, n log n of them."""
    given = args[0]
    axes = [each for each in args[1:] if isinstance(each, int) and not isinstance(each, bool)]
    axis = kwargs.get("dim", axes[0] if axes else -1)
    return elements(given) * _logarithm(int(given.shape[axis]) if given.dim() else 1)


def _largest(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """The largest k of n are found in n steps, and sorted."""
    k = int(args[1] if len(args) > 1 else kwargs["k"])
    return elements(args[0]) + elements(out[0]) * _logarithm(k)


def _all_sorted(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    return elements(args[0]) * _logarithm(args[0].numel())


def _searched(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A binary search for each element."""
    return int(out.numel()) * _logarithm(int(args[0].shape[-1]))


def _transformed(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A fast Fourier transform: 5 n log2 n if it is complex at both ends, half of that else (Cooley and Tukey)."""
    larger = max(args[0], out, key=lambda tensor: int(tensor.numel()))
    along = args[1]
    points = prod(int(larger.shape[axis]) for axis in along)
    whole = args[0].is_complex() and out.is_complex()
    return 5 * int(larger.numel()) * _logarithm(points) // (1 if whole else 2)


def _cube(share: float) -> Count:
    """An algorithm on square matrices that takes so many times n cubed."""

    def count(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
        matrix = args[0]
        rows, columns = matrix.shape[-2:]
        return ceil(share * matrix.numel() * min(rows, columns)) * _factor(matrix)

    return count


def _solved(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """Substitution: n squared for each column of the right-hand side."""
    matrix = args[0]
    return int(out.numel() * matrix.shape[-1]) * _factor(matrix)


def _solved_by_factors(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """Two substitutions, by the two factors that are among the arguments."""
    result = out[0] if isinstance(out, tuple) else out
    return 2 * int(result.numel() * result.shape[-2]) * _factor(result)


def _solved_wholly(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    return _cube(2 / 3)(args, kwargs, out) + _solved_by_factors(args, kwargs, out)


def _distances(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A difference, a power and a sum for each coordinate."""
    return 3 * int(out.numel() * args[0].shape[-1])


def _normalised(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """By the batch's own statistics as any normalisation; by running ones, one factor and one term for each channel."""
    return (_NORMALISED if args[5] else 2) * elements(args[0])


def _in_evaluation(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int:
    """A function that is random in training, and has no count there."""
    if args[4] if len(args) > 4 else kwargs.get("training"):
        raise uncounted("rrelu in training")
    return elements(out)


COUNTS: dict[str, Count] = {
    **dict.fromkeys(_FREE.split(), _free),
    **dict.fromkeys(_MOVED.split(), _moved),
    **dict.fromkeys(_WRITTEN.split(), _written),
    **{name: _each(1) for names in _POINTWISE for name in names.split()},
    **{name: _each(weight) for name, weight in _COMPOSED.items()},
    **{name: _product(0, 1) for name in ("mm", "bmm", "mv")},
    **{name: _product(1, 2) for name in ("addmm", "baddbmm", "addmv", "_addmm_activation")},
    "addbmm": _summed_products,
    "addr": _outer,
    **dict.fromkeys(("dot", "vdot"), _dot),
    **dict.fromkeys(("convolution", "_convolution", "mkldnn_convolution", "convolution_overrideable"), _convolved),
    "mkldnn_rnn_layer": _mkldnn_rnn,
    **{
        f"_scaled_dot_product_{name}": _attention
        for name in ("flash_attention_for_cpu", "flash_attention", "efficient_attention")
    },
    "_native_multi_head_attention": _native_attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "_trilinear": _trilinear,
    **dict.fromkeys(("_embedding_bag", "_embedding_bag_forward_only"), _bag),
    **{f"avg_pool{n}d": _pooled(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": _pooled(n) for n in (1, 2, 3)},
    **{f"fractional_max_pool{n}d": _pooled(n) for n in (2, 3)},
    **{f"adaptive_{which}_pool{n}d": _adaptively_pooled(n) for which in ("avg", "max") for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": _adaptively_pooled(n) for n in (2, 3)},
    "upsample_linear1d": _interpolated(2),
    **dict.fromkeys(("upsample_bilinear2d", "_upsample_bilinear2d_aa", "grid_sampler_2d"), _interpolated(4)),
    **dict.fromkeys(("upsample_trilinear3d", "grid_sampler_3d"), _interpolated(8)),
    **dict.fromkeys(("upsample_bicubic2d", "_upsample_bicubic2d_aa"), _interpolated(16)),
    "sort": _sorted,
    "topk": _largest,
    **dict.fromkeys(("_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive"), _all_sorted),
    "searchsorted": _searched,
    "bucketize": lambda args, kwargs, out: int(out.numel()) * _logarithm(int(args[1].numel())),
    **{f"_fft_{kind}": _transformed for kind in ("c2c", "c2r", "r2c")},
    "linalg_cholesky_ex": _cube(1 / 3),
    **dict.fromkeys(("linalg_lu_factor_ex", "linalg_lu", "_linalg_det", "_linalg_slogdet"), _cube(2 / 3)),
    "linalg_ldl_factor_ex": _cube(1 / 3),
    "linalg_inv_ex": _cube(2),
    **dict.fromkeys(("linalg_qr", "geqrf", "linalg_householder_product"), _cube(4)),
    "_linalg_eigh": _cube(9),
    "_linalg_svd": _cube(22),
    **dict.fromkeys(("linalg_eig", "_linalg_eigvals", "linalg_eigvals"), _cube(25)),
    "linalg_matrix_exp": _cube(30),
    "linalg_pinv": _cube(26),
    **dict.fromkeys(("linalg_solve_triangular", "triangular_solve"), _solved),
    "_linalg_solve_ex": _solved_wholly,
    **dict.fromkeys(
        ("linalg_lu_solve", "cholesky_solve", "_cholesky_solve_helper", "linalg_ldl_solve"), _solved_by_factors
    ),
    "lu_unpack": _each(1),
    **dict.fromkeys(("_cdist_forward", "_euclidean_dist"), _distances),
    "_pdist_forward": _distances,
    "rrelu_with_noise": _in_evaluation,
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit"), _normalised),
}


#: Views where the memory allows them, and copies where it does not: torch is asked.
_MAY_COPY = frozenset(("reshape",))


def name_of(operation: Any) -> str:
    """The name of one of torch's operations, the same in place or not: `aten::add_.Tensor` is `add`."""
    return str(operation._schema.name).split("::")[1].rstrip("_")


def made_of_others(operation: Any) -> bool:
    """Whether torch makes an operation of others."""
    import torch

    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(operation.name(), "CompositeImplicitAutograd"))


def count_flops(function: Callable[[], Any]) -> int:
    """Count the operations of one call, in the mode that inference runs in.

    Raises:
        UsageError: It uses an operation that has no count.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
        total = 0

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # otherwise torch imports its compiler, which takes two seconds and is not used here

        def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            name = name_of(op)
            count = COUNTS.get(name) if op.namespace == "aten" and name not in _MAY_COPY else None
            if count is None:
                if not made_of_others(op):
                    raise uncounted(name)
                with self:  # torch's own kernel, which inference runs too, and not the one in Python for its compiler
                    return op._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
            out = op(*args, **kwargs)
            self.total += count(args, kwargs, out)
            return out

    with torch.inference_mode(), Counter() as counter:  # type: ignore[no-untyped-call]
        function()
    return counter.total


def uncounted(name: str) -> UsageError:
    """The error about an operation that has no count."""
    return UsageError(
        f"FLOPs of torch operation {name} cannot be counted",
        hint="use operations that docs/candidates.md, section FLOPs, lists",
        code="uncounted_operation",
    )
