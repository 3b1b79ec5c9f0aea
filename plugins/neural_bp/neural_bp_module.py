"""Belief propagation in torch: the trainable parameters, and a readable version of `kernels`.

Messages are `[incidences, shots]`; with the batch last, gathers and scatters move whole rows. The product over all other
messages of a check uses a binary tree of its inputs, up and down, in the same representation as the kernels. Dividing the
total product by one input, or subtracting logarithms, would lose all digits if an input is near zero.

In training mode on a CPU in single precision the kernels run, forward and backward, five to eight times faster. Otherwise (in
evaluation mode, on other devices, in double precision) the torch code below runs. Tests check that both agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from autoqec.decoding.array_checks import plain
from autoqec.decoding.lanes import LANES
from autoqec.problem.dem import LLR_BOUND
from autoqec.shared_threads import in_parallel, slices

from .gradients import Gradients, backpropagate
from .kernels import propagate
from .layout import (
    Tanner,
    Weights,
)
from .neural_bp_config import NeuralBPConfig, memory_width, scale_width
from .orbit_factors import OrbitTable

_SMALLEST = float(np.exp(-LLR_BOUND))


class NeuralBPModule(torch.nn.Module):
    """Unrolled belief propagation; see `NeuralBPConfig`.

    Parameters: `scale` `[iterations, 1 | detectors | incidences | orbits]`; `damping` `[1 | iterations]`, `prior_scale` `[1]`,
    `memory` `[1 | mechanisms | orbits]` and `attention` `[iterations, 2]` where they are learned. With `sharing: orbit` there is
    also `correction` `[iterations, orbits]`, which is added to scales, and the labels of `OrbitTable` are buffers.
    """

    #: Training mode is faster and computes the same, so validation during training may use it.
    same_in_training = True

    scale: torch.nn.Parameter
    damping: torch.Tensor
    prior_scale: torch.Tensor
    memory: torch.Tensor
    _mechanism: torch.Tensor
    _detector: torch.Tensor
    _check_orbit: torch.Tensor
    _message_orbit: torch.Tensor
    _alike: torch.Tensor

    def __init__(
        self,
        config: NeuralBPConfig,
        detectors: int,
        mechanisms: int,
        tanner: Tanner,
        orbits: OrbitTable | None = None,
    ) -> None:
        super().__init__()
        self._config = config
        self._detectors = detectors
        self._mechanisms = mechanisms
        self._tanner = tanner
        self._traces = _Traces()
        self.scale = torch.nn.Parameter(
            torch.full((config.iterations, scale_width(config, tanner, orbits)), config.initial_scale)
        )
        damping = torch.full((config.iterations if config.damping == "per_iteration" else 1,), config.damping_value)
        self._parameter_or_constant("damping", damping, learned=config.damping != "fixed")
        self._parameter_or_constant("prior_scale", torch.ones(1), learned=config.learn_prior_scale)
        memory = _first_memory(config, memory_width(config, mechanisms, orbits))
        self._parameter_or_constant("memory", memory, learned=config.memory != "none")
        if config.attention != "none":
            self.attention = torch.nn.Parameter(torch.zeros(config.iterations, 2))
        self.register_buffer("_mechanism", torch.from_numpy(tanner.mechanism).long(), persistent=False)
        self.register_buffer("_detector", torch.from_numpy(tanner.detector).long(), persistent=False)
        if orbits is not None:
            for name, label in orbits.labels.items():
                self.register_buffer(name, torch.from_numpy(label))
            self.correction = torch.nn.Parameter(torch.zeros(config.iterations, orbits.count("correction")))
            self.register_buffer("_check_orbit", torch.from_numpy(orbits.check), persistent=False)
            self.register_buffer("_message_orbit", torch.from_numpy(orbits.message), persistent=False)
            self.register_buffer("_alike", torch.from_numpy(orbits.mechanism), persistent=False)
        self._tree = _Tree(tanner.start) if config.algorithm == "sum_product" else None

    def _parameter_or_constant(self, name: str, value: torch.Tensor, *, learned: bool) -> None:
        if learned:
            self.register_parameter(name, torch.nn.Parameter(value))
        else:
            self.register_buffer(name, value, persistent=False)

    def forward(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        """Refine beliefs.

        Args:
            syndromes: 0 or 1, `[shots, detectors]`.
            beliefs: Log-likelihood ratios, `[shots, mechanisms]`.

        Returns:
            Beliefs, `[shots, mechanisms]`, within ±`LLR_BOUND`.
        """
        on_cpu = beliefs.device.type == "cpu"
        compiled = on_cpu and self._config.attention == "none"
        if self.training and compiled and beliefs.dtype == self.scale.dtype == torch.float32:
            refined: torch.Tensor = _Compiled.apply(
                syndromes,
                beliefs,
                self._per_incidence(self.scale),
                self.damping.expand(self._config.iterations),
                self.prior_scale,
                self._memory(),
                self._tanner,
                self._config.algorithm == "min_sum",
                self._traces if torch.is_grad_enabled() else None,
            )  # type: ignore[no-untyped-call]
            return refined
        return self._clear(syndromes, beliefs)

    def _per_incidence(self, scale: torch.Tensor) -> torch.Tensor:
        if self._config.sharing == "per_check":
            return scale[:, self._detector]
        if self._config.sharing == "orbit":
            return scale[:, self._check_orbit] + self.correction[:, self._message_orbit]
        return scale.expand(-1, len(self._detector))

    def _memory(self) -> torch.Tensor:
        """Return the memory per mechanism, or empty if there is none."""
        if self._config.memory == "none":
            return self.memory[:0]
        if self._config.memory == "per_mechanism" and self._config.sharing == "orbit":
            return self.memory[self._alike]
        return self.memory.expand(self._mechanisms)

    def _weighed(self, message: torch.Tensor, total: torch.Tensor, iteration: int) -> torch.Tensor:
        """Multiply messages by their softmax weights among those to the same mechanism, and by the number of these."""
        agreement = message * total.index_select(0, self._mechanism).sign()
        by_size, by_agreement = self.attention[iteration]
        score = (by_size * message.abs() + by_agreement * agreement).clamp(-LLR_BOUND, LLR_BOUND)
        index = self._mechanism.unsqueeze(1).expand_as(score)
        greatest = total.new_full(total.shape, -LLR_BOUND).scatter_reduce(0, index, score.detach(), "amax")
        odds = (score - greatest.index_select(0, self._mechanism)).exp()
        every = torch.zeros_like(total).index_add(0, self._mechanism, odds)
        count = torch.bincount(self._mechanism, minlength=len(total)).to(total).unsqueeze(1)
        return message * odds * (count / every.clamp(min=_SMALLEST)).index_select(0, self._mechanism)

    def _clear(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        fired = syndromes.T.to(beliefs.dtype)
        prior = self.prior_scale * beliefs.T
        scale = self._per_incidence(self.scale)
        damping = self.damping.expand(self._config.iterations)
        answer_of = self._least_of_others if self._tree is None else self._odd_number_of_others
        memory = self._memory().unsqueeze(1)
        total = prior
        message = prior.new_zeros(len(self._mechanism), prior.shape[1])
        for iteration in range(self._config.iterations):
            x = (total.index_select(0, self._mechanism) - message).clamp(-LLR_BOUND, LLR_BOUND)
            negative = (x < 0).to(x.dtype)
            parity = fired.index_add(0, self._detector, negative)
            sign = 1 - 2 * ((parity.index_select(0, self._detector) - negative) % 2)
            new = scale[iteration].unsqueeze(1) * (sign * answer_of(x.abs()))
            keep = damping[iteration] if iteration else 0.0
            message = (1 - keep) * new + keep * message
            bias = prior + memory * (total - prior) if len(memory) else prior
            heard = message if self._config.attention == "none" else self._weighed(message, total, iteration)
            total = bias.index_add(0, self._mechanism, heard)
        return total.clamp(-LLR_BOUND, LLR_BOUND).T

    def _odd_number_of_others(self, size: torch.Tensor) -> torch.Tensor:
        """Sum-product: the log-odds that an even number of the other inputs fired, from magnitudes."""
        assert self._tree is not None
        odd = self._tree.others(torch.sigmoid(-size)).clamp(min=_SMALLEST)
        return torch.log1p(-odd) - torch.log(odd)

    def _least_of_others(self, size: torch.Tensor) -> torch.Tensor:
        """Min-sum: the smallest magnitude among the other inputs."""
        top = size.new_full((self._detectors, size.shape[1]), LLR_BOUND)
        index = self._detector.unsqueeze(1).expand_as(size)
        least = top.scatter_reduce(0, index, size, "amin")
        has_it = size <= least.index_select(0, self._detector)
        shared = torch.zeros_like(top).index_add(0, self._detector, has_it.to(size.dtype)) > 1
        second = top.scatter_reduce(0, index, size.masked_fill(has_it, LLR_BOUND), "amin")
        second = torch.where(shared, least, second)
        return torch.where(has_it, second.index_select(0, self._detector), least.index_select(0, self._detector))


def _first_memory(config: NeuralBPConfig, width: int) -> torch.Tensor:
    if config.memory != "per_mechanism":
        return torch.full((width,), config.memory_value)
    spread = torch.linspace(-config.memory_spread, config.memory_spread, width)
    return config.memory_value + spread[torch.randperm(width)]


class _Tree:
    """A binary tree over the inputs of each check, level by level, as row numbers."""

    def __init__(self, start: np.ndarray) -> None:
        self._levels: list[tuple[torch.Tensor, ...]] = []
        sizes = np.diff(start).astype(np.int64)
        sizes = sizes[sizes > 0]
        while (sizes > 1).any():
            parents = (sizes + 1) // 2
            rows = np.arange(sizes.sum())
            place = rows - np.repeat(np.cumsum(sizes) - sizes, sizes)
            parent = np.repeat(np.cumsum(parents) - parents, sizes) + place // 2
            alone = (place % 2 == 0) & (place == np.repeat(sizes, sizes) - 1)
            sibling = np.where(alone, rows, rows + np.where(place % 2 == 0, 1, -1))
            left = rows[place % 2 == 0]
            paired = (~alone).astype(np.float32)
            self._levels.append(
                (
                    torch.from_numpy(left),
                    torch.from_numpy(sibling[left]),
                    torch.from_numpy(paired[left]).unsqueeze(1),
                    torch.from_numpy(parent),
                    torch.from_numpy(sibling),
                    torch.from_numpy(paired).unsqueeze(1),
                )
            )
            sizes = parents

    def others(self, q: torch.Tensor) -> torch.Tensor:
        """Return the probability of an odd number among all other leaves of the same tree, `[incidences, shots]`."""
        values = [q]
        for left, right, paired, _, _, _ in self._levels:
            values.append(_odd(values[-1][left], values[-1][right] * paired.to(q)))
        rest = torch.zeros_like(values[-1])
        for level in range(len(self._levels) - 1, -1, -1):
            _, _, _, parent, sibling, paired = self._levels[level]
            rest = _odd(rest[parent], values[level][sibling] * paired.to(q))
        return rest


def _odd(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the probability that exactly one of two independent events happens."""
    return a + b - 2 * a * b


class _Traces:
    """Memory for traces of forward passes, which training needs again in every step.

    A trace has hundreds of megabytes, and the kernel clears fresh memory page by page, which takes longer than filling it.
    """

    def __init__(self) -> None:
        self._spare: list[np.ndarray] = []

    def __deepcopy__(self, memo: Any) -> _Traces:
        return _Traces()

    def __getstate__(self) -> dict[str, Any]:
        return {"_spare": []}

    def lend(self, groups: int, *shape: int) -> _Trace:
        """Lend memory for a trace, which comes back when nothing refers to it any more."""
        fitting = [i for i, array in enumerate(self._spare) if len(array) >= groups and array.shape[1:] == shape]
        whole = self._spare.pop(fitting[0]) if fitting else np.empty((groups, *shape), dtype=np.float32)
        self._spare.clear()  # what is too small stays too small
        return _Trace(whole, groups, self._spare)


class _Trace:
    """A trace that is lent: `array`, float32 `[groups, iterations, incidences + mechanisms, LANES]`."""

    def __init__(self, whole: np.ndarray, groups: int, spare: list[np.ndarray]) -> None:
        self._whole, self._spare = whole, spare
        self.array = whole[:groups]

    def __del__(self) -> None:
        self._spare.append(self._whole)


class _Compiled(torch.autograd.Function):
    """`kernels.propagate` and `kernels.backpropagate` as one differentiable operation, on all threads.

    Threads process whole groups of lanes, and the groups' gradients are summed in order, so the result does not depend on
    the number of threads.
    """

    @staticmethod
    def forward(
        ctx: Any,
        syndromes: torch.Tensor,
        beliefs: torch.Tensor,
        scale: torch.Tensor,
        damping: torch.Tensor,
        prior_scale: torch.Tensor,
        memory: torch.Tensor,
        tanner: Tanner,
        min_sum: bool,
        traces: _Traces | None,
    ) -> torch.Tensor:
        packed = np.packbits(syndromes.detach().numpy() != 0, axis=1, bitorder="little")
        rows = plain(beliefs.detach().numpy())
        weights = Weights(*(plain(part.detach().numpy()) for part in (scale, damping, prior_scale, memory)))
        out = np.empty_like(rows)
        groups = -(-len(rows) // LANES)
        kept = scale.shape[1] + rows.shape[1]
        trace = traces.lend(groups, len(scale), kept, LANES) if traces is not None else None
        array = trace.array if trace is not None else np.empty((0, 0, 0, LANES), dtype=np.float32)

        def work(group: slice) -> None:
            shots = slice(group.start * LANES, group.stop * LANES)
            propagate(packed[shots], rows[shots], tanner, weights, min_sum, array[group], out[shots])

        in_parallel(work, slices(groups, 1))
        ctx.saved = (packed, rows, tanner, weights, min_sum, trace, out)
        return torch.from_numpy(out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        packed, rows, tanner, weights, min_sum, trace, out = ctx.saved
        by_rows = plain(by_out.numpy())
        by_beliefs = np.empty_like(rows)
        groups = len(trace.array)
        gradients = Gradients(
            np.empty((groups, *weights.scale.shape), dtype=np.float32),
            np.empty(trace.array.shape[:2], dtype=np.float32),
            np.empty(groups, dtype=np.float32),
            np.empty((groups, len(weights.memory)), dtype=np.float32),
        )

        def work(group: slice) -> None:
            shots = slice(group.start * LANES, group.stop * LANES)
            backpropagate(
                packed[shots], rows[shots], tanner, weights, min_sum, trace.array[group], out[shots], by_rows[shots],
                Gradients(*(part[group] for part in gradients)), by_beliefs[shots],
            )  # fmt: skip

        in_parallel(work, slices(groups, 1))
        scale, damping, prior_scale, memory = (torch.from_numpy(part.sum(axis=0, keepdims=True)) for part in gradients)
        return None, torch.from_numpy(by_beliefs), scale[0], damping[0], prior_scale, memory[0], None, None, None
