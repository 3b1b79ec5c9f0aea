"""A smoke test of a custom stage before training: eight shots reveal most mistakes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from autoqec.errors import UsageError
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_labelled

_SHOTS = 8
_SEED = 1

#: Allowed change of beliefs with the batch, for sums in another order.
_TOLERANCE = 1e-4

_HINT = "docs/candidates.md, section custom, has the rules for forward"


def try_out(make: Callable[[], torch.nn.Module], problem: Problem, path: str) -> None:
    """Run a stage forward and backward.

    Args:
        make: Makes the stage; it is called once, and the stage is discarded.
        problem: The problem to sample.
        path: The module's name, for messages.

    Raises:
        UsageError: Beliefs have the wrong shape or type, are not finite, or differ between calls or with the rest of the
            batch; or a parameter has no gradient, or a gradient that is not finite.
        Exception: Any error that the stage raises.
    """
    stage = make()
    syndromes, _, _ = sample_labelled(problem, _SHOTS, _SEED)
    bits = torch.from_numpy(syndromes).float()
    # Every shot has different beliefs, as after another stage, which reveals a dependence on the batch.
    given = torch.linspace(0.5, 1.0, _SHOTS).unsqueeze(1) * torch.from_numpy(problem.priors_llr)

    def fail(problem: str) -> None:
        raise UsageError(f"{path}: {problem}", hint=_HINT, code="custom_refused")

    refined = stage(bits, given.clone())
    if not isinstance(refined, torch.Tensor):
        fail(f"forward must return a tensor, not {type(refined).__name__}")
    if refined.shape != given.shape or refined.dtype != torch.float32:
        found = f"{refined.dtype} {list(refined.shape)}"
        fail(f"forward must return float32 {list(given.shape)} [shots, mechanisms], not {found}")
    if not bool(torch.isfinite(refined).all()):
        fail("forward must return finite beliefs")
    parameters = {name: p for name, p in stage.named_parameters() if p.requires_grad}
    if parameters:
        if not refined.requires_grad:
            fail("no gradient reaches the parameters: the beliefs do not depend on them")
        refined.square().mean().backward()
        for name, parameter in parameters.items():
            if parameter.grad is None:
                fail(f"no gradient reaches parameter {name}")
            elif not bool(torch.isfinite(parameter.grad).all()):
                fail(f"the gradient of parameter {name} is not finite")
    stage.eval()
    with torch.no_grad():
        once, again = stage(bits, given.clone()), stage(bits, given.clone())
        part = stage(bits[_SHOTS // 2 :], given[_SHOTS // 2 :].clone())
    if not torch.equal(once, again):
        fail("the same shots must give the same beliefs in evaluation mode")
    if part.shape != once[_SHOTS // 2 :].shape or not torch.allclose(part, once[_SHOTS // 2 :], atol=_TOLERANCE):
        fail("the beliefs of a shot must not depend on the other shots of its batch in evaluation mode")
