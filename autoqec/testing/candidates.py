"""Small candidates: the source of a custom stage, and the weights that a candidate starts from."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.problem.problem import Problem
from autoqec.sandbox.sealed import SealedCandidate


def custom_module(
    forward: str = "return beliefs + self.w", init: str = "self.w = torch.nn.Parameter(torch.zeros(1))"
) -> str:
    """The source of a custom stage that adds one learned number to all beliefs, unless you ask for something else.

    Args:
        forward: Lines of `forward(self, syndromes, beliefs)`.
        init: Lines of `__init__(self, graph)`.
    """
    return (
        "import torch\nclass Stage(torch.nn.Module):\n    def __init__(self, graph):\n        super().__init__()\n"
        f"{_indented(init)}    def forward(self, syndromes, beliefs):\n{_indented(forward)}"
    )


def _indented(lines: str) -> str:
    return "".join(f"        {line}\n" for line in lines.strip("\n").split("\n"))


def untrained(files: Mapping[str, bytes], problem: Problem) -> SealedCandidate:
    """A candidate in its canonical files, with the weights that its stages start from."""
    # torch takes seconds to import.
    from autoqec.candidate.carrying import binds_to_family
    from autoqec.candidate.compile import build_modules, module_tensors
    from autoqec.candidate.schema import read_candidate, write_candidate
    from autoqec.candidate.weights import save_weights
    from autoqec.plugins import load_plugins

    candidate = read_candidate(files, load_plugins().maker("stage"))
    tensors = module_tensors(build_modules(candidate, problem))
    of_family = binds_to_family(candidate)
    weights = save_weights(tensors, fingerprints=[problem.fingerprint], of_family=of_family)
    return SealedCandidate(write_candidate(candidate), weights)
