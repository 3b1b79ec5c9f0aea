"""The process that holds a candidate: it trains, returns beliefs for syndromes, and counts costs.

It receives the error model and the candidate's bytes, then serves requests until its channel closes. It has no repository, and
no observable and no seed of a shot it is scored on. It draws training shots itself, from a separate key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import stim

from autoqec.candidate.compile import compile_inference
from autoqec.candidate.cost import measure_cost
from autoqec.candidate.schema import Candidate, read_candidate
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import TeachingDecoder
from autoqec.errors import UsageError
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem, problem_from_dem
from autoqec.runner.warm_up import parts, sample_candidate, warm_up_predictions, warm_up_training
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.lock import lock
from autoqec.sandbox.trust import ours
from autoqec.sandbox.worker_requests import CandidateRequest, PredictionRequest, TrainingRequest, WarmUpRequest


@dataclass(frozen=True)
class _Warm:
    """The state of a prediction process before it receives a candidate; nothing here belongs to a candidate.

    Attributes:
        registry: Installed plugins.
        dem: The error model of `problem`; empty if there is none yet.
        problem: The compiled problem.
        warmed_up: The parts that it has warmed up on the problem; see `autoqec.runner.warm_up.parts`.
    """

    registry: Registry
    dem: bytes = b""
    problem: Problem | None = None
    warmed_up: frozenset[str] = frozenset()


def _problem(dem: bytes) -> Problem:
    return problem_from_dem(stim.DetectorErrorModel(dem.decode()), name="this environment")


def _open(request: CandidateRequest | TrainingRequest, warm: _Warm) -> tuple[Candidate, Problem]:
    problem = warm.problem if warm.problem is not None and warm.dem == request.dem else _problem(request.dem)
    return read_candidate(request.sealed.files, warm.registry.maker("stage")), problem


def _lock(channel: Channel, warm_up: Callable[[], None]) -> None:
    """Lock this process and report it. No code of the candidate has run yet, so the report is authentic."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for a warm-up's small tasks cost more than they help
    warm_up()
    torch.set_num_threads(threads)
    channel.send(Message({"lock": lock(channel.descriptors).to_dict()}))


def _teacher(fields: Mapping[str, Any], problem: Problem, registry: Registry) -> TeachingDecoder:
    decoder = compile_decoder(Choice.model_validate(fields), problem, registry)
    if not isinstance(decoder, TeachingDecoder):
        raise UsageError(
            f"training.yaml: loss: logical_gap needs a decoder that computes a gap, and decoder {fields['kind']!r} does not",
            hint="use loss: bce, or an environment whose decoder is mwpm",
            code="loss_needs_teacher",
        )
    return decoder


def _at_other_rates(dems: Mapping[str, bytes], target: Problem) -> list[Problem]:
    """The same circuit at the environment's other physical error rates."""
    ordered = [dems[number] for number in sorted(dems, key=int)]
    problems = [problem_from_dem(stim.DetectorErrorModel(dem.decode()), name=target.name) for dem in ordered]
    for problem in problems:
        if problem.structure != target.structure:
            raise UsageError(
                "noise.p: the error models at two of these rates have different mechanisms, so they cannot share weights",
                hint="list rates at which the same errors can happen, none of them 0",
            )
    return problems


def warm_predictions(message: Message) -> Callable[[Channel], None]:
    """Load what any candidate's process needs, and warm up, in a process that will be forked (`autoqec.sandbox.fork_server`).

    Args:
        message: A `WarmUpRequest`.

    Returns:
        `serve_predictions`, for each fork; it begins with what was loaded here.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a locked process has no device, and torch keeps a thread for each
    registry, wanted = load_plugins(), WarmUpRequest.from_message(message)
    problem, candidate = _problem(wanted.dem), sample_candidate(ours(wanted.kinds, registry), registry.maker("stage"))
    warm_up_predictions(candidate, problem)
    return partial(_serve_fork, warm=_Warm(registry, wanted.dem, problem, frozenset(parts(candidate))))


def _serve_fork(channel: Channel, warm: _Warm) -> None:
    """Serve with fresh random generators, as in a newly started process; Python reseeds its own generator after a fork."""
    import torch

    np.random.seed()
    torch.seed()
    _serve_predictions(channel, warm)


def serve_predictions(channel: Channel) -> None:
    """First message: a `CandidateRequest`.

    Answered by `{"lock": {"level", …}}` if so, before anything of the candidate's runs, then by
    `{"ready": true, "output": {"mode", "threshold"}}`.

    Then a `PredictionRequest` `predict` is answered by blob `beliefs` (float32, row-major), and `cost` by
    `{"flops_per_shot", "params"}`. Another first message puts another candidate in its place, but in a locked process.
    """
    _serve_predictions(channel, _Warm(load_plugins()))


def _serve_predictions(channel: Channel, warm: _Warm) -> None:
    request = CandidateRequest.from_message(channel.receive())
    while not request.lock:
        request = _serve_candidate(channel, request, warm)
    _serve_candidate(channel, request, warm)


def _serve_candidate(channel: Channel, request: CandidateRequest, warm: _Warm) -> CandidateRequest:
    """Serve one candidate until the first message of another, which is returned."""
    candidate, problem = _open(request, warm)
    if request.lock:
        _lock(
            channel, lambda: warm_up_predictions(candidate, problem, warm.warmed_up if warm.problem is problem else ())
        )
    tensors = load_weights(request.sealed.weights, fingerprint=problem.fingerprint)
    infer = compile_inference(candidate, tensors, problem)
    channel.send(Message({"ready": True, "output": candidate.output.model_dump(mode="json")}))
    while True:
        message = channel.receive()
        if "op" not in message.fields:
            return CandidateRequest.from_message(message)
        asked = PredictionRequest.from_message(message)
        if asked.op == "cost":
            cost = measure_cost(candidate, tensors, problem)
            channel.send(Message({"flops_per_shot": cost.flops_per_shot, "params": cost.params}))
            continue
        syndromes = np.frombuffer(asked.syndromes, dtype=np.uint8).reshape(-1, problem.syndrome_bytes)
        priors = np.broadcast_to(problem.priors_llr, (len(syndromes), len(problem.mechanisms)))
        beliefs = infer(syndromes, np.ascontiguousarray(priors))
        contiguous = np.ascontiguousarray(beliefs, dtype=np.float32)
        channel.send(Message({}, {"beliefs": contiguous.view(np.uint8).data.cast("B")}))  # type: ignore[dict-item]


def serve_training(channel: Channel) -> None:
    """One message: a `TrainingRequest`.

    Answered by `{"lock": …}` as above, progress messages `{"step", "steps", "shots", "loss"}` and at last
    `{"done": true, "telemetry", "cost"}` with blob `weights`.
    """
    from autoqec.runner.training import Progress, train

    request = TrainingRequest.from_message(channel.receive())
    registry = load_plugins()
    candidate, problem = _open(request, _Warm(registry))
    problems = [problem, *_at_other_rates(request.other_dems, problem)]
    decoders = None
    if candidate.training.loss == "logical_gap":
        decoders = [_teacher(request.decoder, each, registry) for each in problems]
    if request.lock:
        _lock(channel, lambda: warm_up_training(candidate, problems, decoders))

    def report(progress: Progress) -> None:
        channel.send(Message(dict(vars(progress))))

    trained = train(
        candidate,
        problems,
        decoders,
        seed=request.seed,
        max_shots=request.max_shots,
        initial=load_weights(request.sealed.weights) if request.sealed.weights else {},
        inherit=request.inherit,
        seconds=request.seconds,
        report=report,
    )
    cost = measure_cost(candidate, trained.tensors, problem)
    weights = save_weights(trained.tensors, fingerprints=[each.fingerprint for each in problems])
    fields = {
        "done": True,
        "telemetry": trained.telemetry,
        "cost": {"flops_per_shot": cost.flops_per_shot, "params": cost.params},
    }
    channel.send(Message(fields, {"weights": weights}))
