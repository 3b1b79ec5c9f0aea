"""Conformance checks for decoders, stages and agents: functions that raise AssertionError with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autoqec.agents.agent_contract import ROLES, Agent, Context, Role
from autoqec.agents.asking import ask
from autoqec.agents.calls import estimate_of
from autoqec.candidate.stage_contract import StageKind
from autoqec.decoding.decoder_contract import Decoder
from autoqec.errors import AutoQECError
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_chunk, sample_labelled
from autoqec.results.figures import Costs, Figures
from autoqec.results.metrics import Metrics
from autoqec.results.metrics_parts import Measured
from autoqec.testing.agent_context import tiny_context
from autoqec.testing.conformance_confidence import check_confidence
from autoqec.testing.conformance_solutions import check_solutions

_SEED = 2024
_SHOTS = 256

#: The figures of a round with a significant gain, as an Analyst receives them.
_METRICS = Metrics.of(
    Figures(131_072, 0.014, 0.01, 0.004, (0.003, 0.005), 0.71, (0.65, 0.78)),
    Costs(1000, 8, 10.0, 10.0, 10.0),
    Measured(),
    {},
)


def check_decoder(decoder: Decoder, problem: Problem) -> None:
    """Check a decoder on a problem it says it can decode.

    The shapes and dtypes of its answers, that an empty syndrome needs no correction, that it beats doing nothing, that an
    answer does not depend on the rest of the batch, that it heeds beliefs if it takes them, and that its confidence is one and
    its solutions are some, if it offers any.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    compiled = decoder.compile(problem)
    shots = sample_chunk(problem, _SEED)
    syndromes, truth = shots.syndromes[:_SHOTS], shots.observables[:_SHOTS]
    whole = compiled.decode(syndromes)
    assert whole.observables.dtype == np.uint8, f"observables must be uint8, not {whole.observables.dtype}"
    expected = (_SHOTS, problem.observable_bytes)
    assert whole.observables.shape == expected, f"observables must have shape {expected}, not {whole.observables.shape}"
    assert (whole.invalid.shape, whole.invalid.dtype) == ((_SHOTS,), np.dtype(bool)), (
        "invalid must be bool, one per shot"
    )
    empty = compiled.decode(np.zeros((1, problem.syndrome_bytes), dtype=np.uint8))
    assert int(empty.observables.sum()) + int(empty.invalid.sum()) == 0, "an empty syndrome needs no correction"
    none = compiled.decode(syndromes[:0])
    assert none.observables.shape == (0, problem.observable_bytes), "an empty batch is a batch"
    alone = np.concatenate([compiled.decode(syndromes[i : i + 1]).observables for i in range(16)])
    assert (alone == whole.observables[:16]).all(), "an answer must not depend on the other shots of a batch"
    rate, idle = whole.failures(truth).mean(), truth.any(axis=1).mean()
    assert rate < idle, f"it fails on {rate:.3f} of the shots; doing nothing fails on {idle:.3f}"
    if decoder.takes_beliefs:
        _check_beliefs(decoder, problem)
    check_confidence(decoder, compiled, problem, _SEED)
    check_solutions(decoder, compiled, problem, _SEED)


def _check_beliefs(decoder: Decoder, problem: Problem) -> None:
    compiled = decoder.compile(problem)
    syndromes, observables, fired = sample_labelled(problem, _SHOTS, _SEED)
    packed = np.packbits(syndromes, axis=1, bitorder="little")
    told = np.where(fired, np.float32(-8), np.float32(8))
    truth = np.packbits(observables, axis=1, bitorder="little")
    wrong, untold = (compiled.decode(packed, beliefs).failures(truth).mean() for beliefs in (told, None))
    assert wrong <= untold / 2, (
        f"with true beliefs it fails on {wrong:.3f} of the shots, without beliefs on {untold:.3f}: it ignores beliefs"
    )


def check_stage(kind: StageKind, problem: Problem, **fields: object) -> None:
    """Check a stage kind: shapes, finite beliefs, gradients, batch independence, and its two paths agreeing.

    Args:
        kind: The stage kind.
        problem: Any problem.
        fields: Fields of its configuration other than `kind`; the rest keep their defaults.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    import torch

    default = kind.Config.model_fields["kind"].default
    config = kind.Config.model_validate({"kind": default if isinstance(default, str) else "checked", **fields})
    module = kind.build(config, problem)
    syndromes = sample_labelled(problem, 32, _SEED).syndromes
    bits = torch.from_numpy(syndromes).float()
    beliefs = torch.from_numpy(problem.priors_llr).expand(32, -1).contiguous()
    refined = module(bits, beliefs)
    assert refined.shape == beliefs.shape, (
        f"beliefs must keep their shape {tuple(beliefs.shape)}, not {tuple(refined.shape)}"
    )
    assert bool(torch.isfinite(refined).all()), "beliefs must be finite"
    refined.square().mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, f"no gradient for {name}"
        assert bool(torch.isfinite(parameter.grad).all()), f"a gradient of {name} is not finite"
    # In training a stage may look across its batch; what it answers afterwards may not.
    module.eval()
    with torch.no_grad():
        refined, half = module(bits, beliefs), module(bits[16:], beliefs[16:])
    assert torch.allclose(half, refined[16:], atol=1e-5), "beliefs must not depend on the other shots of a batch"
    infer = kind.inference(config, {n: t.detach().numpy() for n, t in module.state_dict().items()}, problem)
    if infer is not None:
        answer = infer(np.packbits(syndromes, axis=1, bitorder="little"), beliefs.numpy())
        scale = np.maximum(1.0, np.abs(answer))
        worst = float((np.abs(answer - refined.numpy()) / scale).max())
        assert worst <= 1e-4, f"inference and torch differ by {worst:.1e} (relative above 1)"


def check_estimates(agent: Agent, context: Context | None = None, roles: Sequence[Role] = ROLES) -> None:
    """Check an agent's estimate of a call, without making a call. Arguments as for `check_agent`.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    told = context or tiny_context()
    for role in roles:
        if role == "analyst":
            told = replace(told, metrics=told.metrics or _METRICS)
        estimate = estimate_of(agent, role, told)
        assert 0 <= estimate.prompt_tokens <= estimate.tokens, f"the {role} takes no fewer tokens than its prompt has"
        assert estimate.cost is None or estimate.cost >= 0, f"the {role} cannot cost {estimate.cost}"


def check_agent(agent: Agent, context: Context | None = None, roles: Sequence[Role] = ROLES) -> dict[Role, Any]:
    """Check an agent in its roles: that it says beforehand what it takes, and that its replies can be used.

    Args:
        agent: The agent.
        context: The context it receives, by default `tiny_context()`. The Coder also receives the agent's own hypothesis, the
            Analyst the hypothesis and figures.
        roles: Those that it plays.

    Returns:
        Its messages by role.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    found: dict[Role, Any] = {}
    context = context or tiny_context()
    for role in roles:
        told = context
        if role != "ideator" and "ideator" in found:
            told = replace(told, hypothesis=found["ideator"].model_dump(mode="json"))
        if role == "analyst":
            told = replace(told, metrics=told.metrics or _METRICS)
        check_estimates(agent, told, [role])
        try:
            found[role] = ask(agent, role, told)
        except AutoQECError as error:
            raise AssertionError(f"{role}: {error.problem}") from error
    return found
