"""The process that holds a candidate: it trains, returns beliefs for syndromes, and counts costs.

It receives the error model and the candidate's bytes, then serves requests until its channel closes. It has no repository, and
no observable and no seed of a shot it is scored on. It draws training shots itself, from a separate key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import stim

from autoqec.allowed_values import schema_of
from autoqec.candidate.carrying import binds_to_family
from autoqec.candidate.compile import build_modules, chained, compile_stages, module_tensors
from autoqec.candidate.cost import Cost, Meter, measure_cost, measure_recorded, record_stages
from autoqec.candidate.recorded_program import Program
from autoqec.candidate.schema import Candidate, Training, read_candidate, write_candidate
from autoqec.candidate.stage_contract import Inference, StageConfig, StageKind
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.candidate_paths import ENSEMBLE_FILE, TRAINING_FILE
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import CompiledDecoder, ConfidentDecoder, TeachingDecoder
from autoqec.decoding.gate_file import Gate
from autoqec.errors import UsageError
from autoqec.plugins import Registry, load_plugins, own_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.problem import Problem, problem_from_dem
from autoqec.problem.sampling import Shots
from autoqec.runner.curriculum import levels_above
from autoqec.runner.devices import inference_device
from autoqec.runner.labelling import labellings_for
from autoqec.runner.warm_up import parts, sample_candidate, training_from, warm_up_predictions, warm_up_training
from autoqec.sandbox.channel import Channel, Message
from autoqec.sandbox.lock import lock
from autoqec.sandbox.stage_files import own_kinds, stage_kinds
from autoqec.sandbox.worker_requests import (
    CandidateRequest,
    PredictionRequest,
    Preparation,
    ProgramRequest,
    ReadingRequest,
    ScreenPassed,
    TrainingPreparation,
    TrainingRequest,
    WarmUpRequest,
)
from autoqec.shared_threads import close_threads


@dataclass(frozen=True)
class _Warm:
    """The state of a process before it receives a candidate; nothing here belongs to a candidate.

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


def _registry(lock: bool) -> Registry:
    """Installed plugins; in a process that stays unlocked only our own, so that no other code can see the candidate."""
    # What explains a wrong field loads modules at its first use, and behind the lock none can be loaded.
    schema_of(StageConfig)
    return load_plugins() if lock else load_plugins(own_plugins())


def _lock(channel: Channel, warm_up: Callable[[], None]) -> None:
    """Lock this process and report it. It has nothing of the candidate yet, so the report is authentic."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for a warm-up's small tasks cost more than they help
    warm_up()
    torch.set_num_threads(threads)
    close_threads()  # some layers of the lock cover only threads that start afterwards
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


def _confident(fields: Mapping[str, Any], problem: Problem, registry: Registry) -> ConfidentDecoder:
    decoder = compile_decoder(Choice.model_validate(fields), problem, registry)
    if not isinstance(decoder, ConfidentDecoder):
        problem_is = f"gated needs a decoder that says how sure it is, and decoder {fields['kind']!r} does not"
        raise UsageError(
            f"{TRAINING_FILE}: sampling: {problem_is}",
            hint="use sampling: all, or an environment whose decoder offers a confidence, such as mwpm",
            code="bad_value",
            about={"file": TRAINING_FILE, "field": "sampling", "problem": problem_is, "choices": ["all"]},
        )
    return decoder


def _decoders(
    training: Training, fields: Mapping[str, Any], problems: Sequence[Problem], registry: Registry
) -> list[CompiledDecoder] | None:
    """The environment's decoder at each rate, if training asks it anything."""
    if training.sampling != "all":
        _confident(fields, problems[0], registry)
    if training.loss == "logical_gap":
        return [_teacher(fields, each, registry) for each in problems]
    return [_confident(fields, each, registry) for each in problems] if training.sampling != "all" else None


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
    registry, wanted = load_plugins(), WarmUpRequest.from_message(message)
    stages = [json.dumps({"kind": kind}) for kind in own_kinds(wanted.kinds, registry)]
    problem, candidate = _problem(wanted.dem), sample_candidate(stages, registry.maker("stage"))
    warm_up_predictions(candidate, problem)
    return partial(_serve_fork, warm=_Warm(registry, wanted.dem, problem, frozenset(parts(candidate))))


def _serve_fork(channel: Channel, warm: _Warm) -> None:
    """Serve with fresh random generators, as in a newly started process; Python reseeds its own generator after a fork."""
    import torch

    np.random.seed()
    torch.seed()
    _serve_predictions(channel, warm)


def serve_predictions(channel: Channel) -> None:
    """First message: a `Preparation`; answered by `{"lock": {"level", …}}` if the process is to be locked.

    Then a `CandidateRequest`, which no code of others sees in a process that is not locked; answered by
    `{"ready": true, "output": {"mode", "threshold"}}`.

    Then a `PredictionRequest` `predict` is answered by blob `beliefs` (float32, row-major), `cost` by
    `{"flops_per_shot", "params", "labels"}`, and `program` by `{"stages"}`, all slugs in order, with blobs `program:<slug>`.
    Another preparation begins another candidate, but in a locked process.

    A `ProgramRequest` in a candidate's place is served in the same way, without its code; `cost` is then answered by
    `{"flops_per_shot", "constants"}`.
    """
    _serve_predictions(channel, None)


def _serve_predictions(channel: Channel, warm: _Warm | None) -> None:
    message = channel.receive()
    while True:
        wanted = Preparation.from_message(message)
        warm = _prepared(channel, wanted, warm or _Warm(_registry(wanted.lock)))
        message = _serve_candidate(channel, warm)
        if wanted.lock:
            return


def _prepared(channel: Channel, wanted: Preparation, warm: _Warm) -> _Warm:
    """Do what comes before the candidate."""
    known: frozenset[str] = frozenset()
    if warm.problem is not None and warm.dem == wanted.dem:
        problem, known = warm.problem, warm.warmed_up
    else:
        problem = _problem(wanted.dem)
    if wanted.lock:
        sample = sample_candidate(wanted.stages, warm.registry.maker("stage"))
        _lock(channel, lambda: warm_up_predictions(sample, problem, known))
    return replace(warm, dem=wanted.dem, problem=problem, warmed_up=known)


def _serve_candidate(channel: Channel, warm: _Warm) -> Message:
    """Serve one candidate until the first message of another, which is returned."""
    message, problem = channel.receive(), warm.problem
    assert problem is not None
    if "stages" in message.fields:
        candidate, infer, answers = _recorded(ProgramRequest.from_message(message), warm.registry, problem)
    else:
        candidate, infer, answers = _loaded(CandidateRequest.from_message(message), warm.registry, problem)
    channel.send(Message({"ready": True, "output": candidate.output.model_dump(mode="json")}))
    while True:
        message = channel.receive()
        if "op" not in message.fields:
            return message
        asked = PredictionRequest.from_message(message)
        if asked.op in answers:
            channel.send(answers[asked.op](asked))
            continue
        syndromes = np.frombuffer(asked.syndromes, dtype=np.uint8).reshape(-1, problem.syndrome_bytes)
        start = np.frombuffer(asked.priors, dtype=np.float32) if asked.priors else problem.priors_llr
        priors = np.broadcast_to(start, (len(syndromes), len(problem.mechanisms)))
        beliefs = infer(syndromes, np.ascontiguousarray(priors))
        contiguous = np.ascontiguousarray(beliefs, dtype=np.float32)
        channel.send(Message({}, {"beliefs": contiguous.view(np.uint8).data.cast("B")}))  # type: ignore[dict-item]


#: What answers each request but `predict`.
_Answers = Mapping[str, Callable[[PredictionRequest], Message]]


def _loaded(request: CandidateRequest, registry: Registry, problem: Problem) -> tuple[Candidate, Inference, _Answers]:
    """Load a candidate with its code."""
    sealed = request.sealed
    candidate = read_candidate(sealed.files, registry.maker("stage"))
    tensors = load_weights(sealed.weights, fingerprint=problem.fingerprint)
    device = inference_device(request.device) if request.device != "cpu" else None
    stages = compile_stages(candidate, tensors, problem, device)

    def cost(asked: PredictionRequest) -> Message:
        counted = measure_cost(candidate, tensors, problem)
        found = {"flops_per_shot": counted.flops_per_shot, "params": counted.params, "labels": counted.labels}
        return Message(found)

    def program(asked: PredictionRequest) -> Message:
        recorded = record_stages(stages, _foreign(candidate, registry), problem)
        written = {f"program:{slug}": each.to_bytes() for slug, each in recorded.items()}
        return Message({"stages": [stage.slug for stage in candidate.stages]}, written)

    return candidate, chained([each.infer for each in stages]), {"cost": cost, "program": program}


def _foreign(candidate: Candidate, registry: Registry) -> list[str]:
    """The slugs of the stages that bring code of others."""
    own = own_kinds([stage.config.kind for stage in candidate.stages], registry)
    return [stage.slug for stage in candidate.stages if stage.module is not None or stage.config.kind not in own]


def _recorded(request: ProgramRequest, registry: Registry, problem: Problem) -> tuple[Candidate, Inference, _Answers]:
    """Load a candidate without code of others: programs stand in its place."""
    # An ensemble is the judge's to apply, and its file is refused where no stage is left.
    prefixes = (ENSEMBLE_FILE, *(f"stages/{slug}/" for slug in request.programs))
    files = {path: data for path, data in request.sealed.files.items() if not path.startswith(prefixes)}
    kinds = own_kinds(stage_kinds(files), registry)

    def maker(kind: str) -> StageKind:
        if kind not in kinds:
            raise UsageError(f"the candidate's process recorded no program of a stage of kind {kind!r}")
        made: StageKind = registry.maker("stage")(kind)
        return made

    candidate = read_candidate(files, maker)
    tensors = load_weights(request.sealed.weights, fingerprint=problem.fingerprint)
    programs = {slug: Program.from_bytes(data) for slug, data in request.programs.items()}
    meter = Meter(request.stages, candidate, programs, tensors, problem)

    def cost(asked: PredictionRequest) -> Message:
        told, start = asked.syndromes, np.frombuffer(asked.priors, dtype=np.float32) if asked.priors else None
        shots = np.frombuffer(told, dtype=np.uint8).reshape(-1, problem.syndrome_bytes) if told else None
        return Message({"flops_per_shot": meter.flops(shots, start), "constants": meter.constants})

    return candidate, meter.infer, {"cost": cost}


def serve_reading(channel: Channel) -> None:
    """First message: a `Preparation`, answered by `{"lock": …}`; then a `ReadingRequest`, answered by blobs `file:<path>`."""
    wanted = Preparation.from_message(channel.receive())
    maker = _registry(wanted.lock).maker("stage")
    if wanted.lock:
        write_candidate(sample_candidate(wanted.stages, maker))  # what is loaded on first use is loaded here
        channel.send(Message({"lock": lock(channel.descriptors).to_dict()}))
    files = ReadingRequest.from_message(channel.receive()).files
    channel.send(ReadingRequest(write_candidate(read_candidate(files, maker))).to_message())


def _measured(
    candidate: Candidate, tensors: Mapping[str, np.ndarray], problem: Problem, registry: Registry, *, recorded: bool
) -> Cost:
    """The cost that a verifier will count."""
    if not recorded:
        return measure_cost(candidate, tensors, problem)
    return measure_recorded(
        compile_stages(candidate, tensors, problem), _foreign(candidate, registry), tensors, problem
    )


def serve_training(channel: Channel) -> None:
    """First message: a `TrainingPreparation`, answered by `{"lock": …}` as above; then a `TrainingRequest`.

    Answered by progress messages `{"step", "steps", "shots", "loss", "planned"}` and at last `{"done": true, "telemetry",
    "cost"}` with blob `weights`. At its screen the same comes with `"screen": true` in place of `"done"`, and a `ScreenPassed`
    is awaited.
    """
    from autoqec.runner.training import Progress, Screen, Trained, train

    wanted = TrainingPreparation.from_message(channel.receive())
    registry, problem = _registry(wanted.lock), _problem(wanted.dem)
    problems = [problem, *_at_other_rates(wanted.other_dems, problem)]
    training = training_from(wanted.training)
    levels = levels_above(problem, training.curriculum)
    decoders = _decoders(training, wanted.decoder, [*problems, *levels], registry)
    labellings = labellings_for(training, wanted.teacher, [*problems, *levels], registry)
    if wanted.lock:
        # The gate itself is the candidate's, which is not here yet; all kernels that any gate runs are compiled with this one.
        gate = Gate(short_bp=1) if training.sampling == "gated" else None
        sample = replace(sample_candidate(wanted.stages, registry.maker("stage")), training=training, gate=gate)
        _lock(channel, lambda: warm_up_training(sample, problems, decoders, levels, labellings))
    request = TrainingRequest.from_message(channel.receive())
    candidate = read_candidate(request.sealed.files, registry.maker("stage"))

    if wanted.lock:  # what cannot be counted is found before the training, not after
        _measured(candidate, module_tensors(build_modules(candidate, problem)), problem, registry, recorded=True)

    def report(progress: Progress) -> None:
        channel.send(Message(dict(vars(progress))))

    def answer(trained: Trained, what: str) -> None:
        cost = _measured(candidate, trained.tensors, problem, registry, recorded=wanted.lock)
        fingerprints = [each.fingerprint for each in problems]
        weights = save_weights(trained.tensors, fingerprints=fingerprints, of_family=binds_to_family(candidate))
        costs = {"flops_per_shot": cost.flops_per_shot, "params": cost.params, "constants": cost.constants}
        channel.send(Message({what: True, "telemetry": trained.telemetry, "cost": costs}, {"weights": weights}))

    def at_screen(trained: Trained) -> None:
        answer(trained, "screen")
        ScreenPassed.from_message(channel.receive())

    trained = train(
        candidate,
        problems,
        decoders,
        levels=levels,
        labellings=labellings,
        seed=request.seed,
        max_shots=request.max_shots,
        initial=load_weights(request.sealed.weights) if request.sealed.weights else {},
        inherit=request.inherit,
        seconds=request.seconds,
        report=report,
        screen=Screen(request.screen_share, at_screen) if request.screen_share else None,
        recorded=_recorded_shots(request, problem),
    )
    answer(trained, "done")


def _recorded_shots(request: TrainingRequest, problem: Problem) -> Shots | None:
    """The recorded shots that a training is given."""
    if not request.recorded_syndromes:
        return None
    return Shots(
        np.frombuffer(request.recorded_syndromes, dtype=np.uint8).reshape(-1, problem.syndrome_bytes),
        np.frombuffer(request.recorded_observables, dtype=np.uint8).reshape(-1, problem.observable_bytes),
    )
