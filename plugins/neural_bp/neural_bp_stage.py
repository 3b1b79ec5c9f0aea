"""The stage kind `neural_bp`: unrolled belief propagation on the Tanner graph with a few learned factors.

Nachmani, Be'ery and Burshtein, "Learning to decode linear codes using deep learning" (Allerton 2016), introduced weights on
the messages of unrolled belief propagation; Lugosch and Gross (ISIT 2017) share them; Liu and Poulin (PRL 122, 200501) apply
it to quantum codes. Here mechanisms are the variables and detectors the checks. The untrained stage is plain scaled belief
propagation, which in front of matching is already a good decoder (Higgott et al., Phys. Rev. X 13, 031007).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autoqec.candidate.stage_contract import Carried, Inference
from autoqec.decoding.array_checks import check_beliefs, check_syndromes, plain
from autoqec.errors import UsageError
from autoqec.problem.problem import Problem

from .neural_bp_config import NeuralBPConfig, memory_width, scale_width
from .orbit_factors import LABELS, OrbitTable, by_detector, carried_factors, orbit_table

if TYPE_CHECKING:
    import torch

    from .layout import Tanner, Weights


#: Floating-point operations per incidence and iteration in the kernels: exp and log count 10 each; a division, minimum,
#: maximum, absolute value, copysign, gather or scatter counts 1.
_PER_INCIDENCE = {"sum_product": 52, "min_sum": 18}

#: The same for attention on messages: score (7), maximum per mechanism (2), exp (10), sum (1), division (2), weight (2).
_ATTENTION = 24


class NeuralBP:
    """Stage kind: see `NeuralBPConfig` for what it computes."""

    Config = NeuralBPConfig
    LABELS: ClassVar = LABELS

    def build(self, config: NeuralBPConfig, problem: Problem) -> torch.nn.Module:
        """Build the trainable module; untrained, it is belief propagation with the initial scale and damping."""
        from .neural_bp_module import NeuralBPModule

        orbits = _orbits(config, problem)
        return NeuralBPModule(config, problem.num_detectors, len(problem.mechanisms), tanner_graph(problem), orbits)

    def binds_to_family(self, config: NeuralBPConfig) -> bool:
        """Whether the weights fit other codes of the problem's family: those that are shared by orbits do."""
        return config.sharing == "orbit"

    def carried(self, config: NeuralBPConfig, tensors: Mapping[str, np.ndarray], problem: Problem) -> Carried:
        """Return the weights of this problem or of another one of its family in the shapes that this problem gives them.

        Raises:
            AutoQECError: They are those of another family, or malformed.
        """
        return carried_factors(tensors, problem) if self.binds_to_family(config) else Carried(tensors)

    def inference(
        self, config: NeuralBPConfig, tensors: Mapping[str, np.ndarray], problem: Problem
    ) -> Inference | None:
        """Return the numba kernel with the given parameters; it runs on one thread and releases the GIL.

        Raises:
            UsageError: A parameter is missing or has the wrong shape; during inference, as in
                `autoqec.decoding.array_checks`.
        """
        from autoqec.decoding.lanes import LANES

        from .kernels import propagate

        tanner = tanner_graph(problem)
        weights = _weights(config, tensors, tanner, problem)
        if config.attention != "none":
            return None  # only the torch code has attention
        min_sum = config.algorithm == "min_sum"
        no_trace = np.empty((0, 0, 0, LANES), dtype=np.float32)

        def refine(syndromes: np.ndarray, beliefs: np.ndarray) -> np.ndarray:
            syndromes = check_syndromes(problem, syndromes)
            beliefs = check_beliefs(problem, beliefs, len(syndromes))
            refined = np.empty_like(beliefs)
            propagate(syndromes, beliefs, tanner, weights, min_sum, no_trace, refined)
            return refined

        return refine

    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """The fields a search may vary, each with the values worth trying, in order."""
        return {
            "iterations": (3, 5, 8, 10, 12, 16, 24, 40, 60, 100),
            "algorithm": ("sum_product", "min_sum"),
            "scale": (0.6, 0.7, 0.8, 0.9, 1.0),
            "sharing": ("per_layer", "orbit", "per_check", "none"),
            "damping": ("fixed", "scalar", "per_iteration"),
            "damping_value": (0.0, 0.1, 0.2, 0.3),
            "memory": ("none", "scalar", "per_mechanism"),
            "memory_value": (0.0, 0.125, 0.25),
            "learn_prior_scale": (False, True),
        }

    def flops_per_shot(self, config: NeuralBPConfig, problem: Problem) -> int:
        """Floating-point operations of one shot, gathers and scatters included, along the inference kernel."""
        incidences, mechanisms = len(problem.mechanisms.detector), len(problem.mechanisms)
        per_iteration = incidences * _PER_INCIDENCE[config.algorithm] + mechanisms
        if config.memory != "none":
            per_iteration += 3 * mechanisms
        if config.attention != "none":
            per_iteration += _ATTENTION * incidences
        return config.iterations * per_iteration + 3 * mechanisms


def _orbits(config: NeuralBPConfig, problem: Problem) -> OrbitTable | None:
    return orbit_table(problem) if config.sharing == "orbit" else None


def tanner_graph(problem: Problem) -> Tanner:
    """The Tanner graph of a problem, by detector."""
    from .layout import Tanner

    mechanisms = problem.mechanisms
    owner = np.repeat(np.arange(len(mechanisms)), np.diff(mechanisms.start))
    order = by_detector(problem)
    degrees = np.bincount(mechanisms.detector, minlength=problem.num_detectors)
    return Tanner(
        start=np.concatenate([[0], np.cumsum(degrees)]).astype(np.int32),
        mechanism=owner[order].astype(np.int32),
        detector=mechanisms.detector[order].astype(np.int32),
        downwards=np.arange(degrees.max() - 1, -1, -1, dtype=np.int32),
    )


def _weights(config: NeuralBPConfig, tensors: Mapping[str, np.ndarray], tanner: Tanner, problem: Problem) -> Weights:
    """Convert tensors to the layout of the kernels.

    Raises:
        UsageError: A tensor is missing or has the wrong shape.
    """
    from .layout import Weights

    orbits = _orbits(config, problem)
    iterations, width = config.iterations, scale_width(config, tanner, orbits)
    expected: dict[str, tuple[int, ...]] = {"scale": (iterations, width)}
    if orbits is not None:
        expected["correction"] = (iterations, orbits.count("correction"))
    if config.memory != "none":
        expected["memory"] = (memory_width(config, len(problem.mechanisms), orbits),)
    if config.attention != "none":
        expected["attention"] = (iterations, 2)
    if config.damping != "fixed":
        expected["damping"] = (1,) if config.damping == "scalar" else (iterations,)
    if config.learn_prior_scale:
        expected["prior_scale"] = (1,)
    for name, shape in expected.items():
        found = np.shape(tensors[name]) if name in tensors else None
        if found != shape:
            raise UsageError(
                f"neural_bp: parameter {name!r} must have shape {shape} for {problem.name}, "
                + ("but is missing" if found is None else f"not {found}"),
                hint="these weights belong to another configuration or problem; train again",
            )
    memory = np.asarray(tensors.get("memory", ()), dtype=np.float32)
    if config.memory == "scalar":
        memory = np.broadcast_to(memory, (len(problem.mechanisms),))
    scale = np.asarray(tensors["scale"], dtype=np.float32)
    if config.sharing == "per_check":
        scale = scale[:, tanner.detector]
    if orbits is not None:
        correction = np.asarray(tensors["correction"], dtype=np.float32)
        scale = scale[:, orbits.check] + correction[:, orbits.message]
        memory = memory[orbits.mechanism] if config.memory == "per_mechanism" else memory
    damping = np.asarray(tensors["damping"] if config.damping != "fixed" else [config.damping_value], dtype=np.float32)
    prior_scale = np.asarray(tensors["prior_scale"] if config.learn_prior_scale else [1.0], dtype=np.float32)
    return Weights(
        scale=plain(np.broadcast_to(scale, (iterations, len(tanner.mechanism)))),
        damping=plain(np.broadcast_to(damping, (iterations,))),
        prior_scale=plain(prior_scale),
        memory=plain(memory),
    )
