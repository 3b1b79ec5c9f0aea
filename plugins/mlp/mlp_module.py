"""The multilayer perceptron in torch."""

from __future__ import annotations

from typing import cast

import torch

from autoqec.problem.problem import Problem

from .mlp_config import MLPConfig


class MLPModule(torch.nn.Module):
    """See `MLPConfig`. The belief input is `tanh(belief / 2)` minus the prior's value, which is 0 in a first stage."""

    def __init__(self, config: MLPConfig, problem: Problem) -> None:
        super().__init__()
        mechanisms = len(problem.mechanisms)
        prior = torch.tanh(torch.from_numpy(problem.priors_llr) * 0.5)
        self.register_buffer("_prior", prior, persistent=False)
        self.first = torch.nn.Linear(problem.num_detectors + mechanisms * config.see_beliefs, config.hidden)
        self.second = torch.nn.Linear(config.hidden, config.hidden) if config.head == "mlp" else None
        self.last = torch.nn.Linear(config.hidden, mechanisms)
        torch.nn.init.zeros_(self.last.weight)
        torch.nn.init.zeros_(self.last.bias)
        self._see_beliefs = config.see_beliefs

    def forward(self, syndromes: torch.Tensor, beliefs: torch.Tensor) -> torch.Tensor:
        """Refine beliefs.

        Args:
            syndromes: 0 or 1, float32 `[shots, detectors]`.
            beliefs: Log-likelihood ratios, float32 `[shots, mechanisms]`.

        Returns:
            Beliefs, `[shots, mechanisms]`; equal to the input until the last layer is trained.
        """
        seen = syndromes
        if self._see_beliefs:
            seen = torch.cat([syndromes, torch.tanh(beliefs * 0.5) - cast(torch.Tensor, self._prior)], dim=1)
        state = torch.relu(self.first(seen))
        if self.second is not None:
            state = torch.relu(self.second(state))
        refined: torch.Tensor = beliefs + self.last(state)
        return refined
