"""The default template and the cheap one: trained as in a default round, then beside plain matching on the same shots.

Microseconds are of processor time on one thread, a mean over all shots: the gate with its plain answers, the pipeline on what it
sends on, and the second decoding. The interval is of the ratio of the rates of wrong answers, on all these shots, valid
at any stopping time. Training uses all cores.
"""

from __future__ import annotations

import os
from time import perf_counter, process_time
from typing import Any

from _common import arguments, show

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as in a training process, and before torch is imported

import numpy as np
import torch
from autoqec_plugins.mwpm.mwpm_decoder import CompiledMwpm, Mwpm
from autoqec_plugins.search.space import template_files
from autoqec_plugins.search.templates import Template, templates_for

from autoqec.agents.agent_contract import Context
from autoqec.candidate.compile import compile_inference
from autoqec.candidate.schema import Candidate, read_candidate
from autoqec.decoding.gating import open_gate
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import builtin_environments, find_environment
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import ratio_interval
from autoqec.runner.train import TRAINING_THREADS
from autoqec.runner.training import train
from autoqec.settings_schema import BUILTIN_PROFILES
from autoqec.testing.agent_context import tiny_context

ENVIRONMENT = "surface_d5_depol"


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, chunks=(200, "chunks of 4,096 shots"), seed=(1, "seed of training and shots"))
    torch.set_num_threads(TRAINING_THREADS)
    registry = load_plugins()
    problem, decoder, context, most = default_round(registry)
    templates = templates_for(context.environment)
    rows = []
    for template in (templates[0], next(each for each in templates if each.role == "cheap")):
        files = {path: text.encode() for path, text in template_files(template, context).items()}
        candidate = read_candidate(files, registry.maker("stage"))
        rows.append(measure(template, candidate, problem, decoder, most, options.chunks, options.seed))
    show("cheap_point", rows, {"environment": ENVIRONMENT, "seed": options.seed}, as_json=options.json)


def default_round(registry: Registry) -> tuple[Problem, CompiledMwpm, Context, int]:
    """Return problem, decoder, the agent's context, and training shots at most, as in the first round of a run."""
    loaded = find_environment(ENVIRONMENT, [builtin_environments()])
    problem = build_problem(loaded, registry.maker("code"))
    most = BUILTIN_PROFILES["dev"].train_shots
    fields = loaded.environment.model_dump(mode="json")
    context = tiny_context(registry, environment=fields, limits={"train_shots": most})
    return problem, Mwpm().compile(problem), context, most


def measure(
    template: Template, candidate: Candidate, problem: Problem, decoder: CompiledMwpm, most: int, chunks: int, seed: int
) -> dict[str, Any]:
    """Train a template, and count its wrong answers and its time."""
    began, busy, key = perf_counter(), process_time(), seed.to_bytes(32, "little")
    trained = train(
        candidate,
        [problem],
        [decoder],
        seed=key,
        max_shots=most,
        initial={},
        inherit=False,
        report=lambda progress: None,
    )
    wall, busy = perf_counter() - began, process_time() - busy
    infer = compile_inference(candidate, trained.tensors, problem)
    assert candidate.gate is not None
    gating = open_gate(candidate.gate, decoder, problem)
    counts, sent, spent = np.zeros(4, dtype=np.int64), 0, np.zeros(3)
    for chunk in range(chunks):
        shots = sample_chunk(problem, derive_seed(key, "cheap point", chunk))
        times = [process_time()]
        split = gating.split(shots.syndromes)
        times.append(process_time())
        rest = np.ascontiguousarray(shots.syndromes[split.sent])
        beliefs = infer(rest, np.repeat(problem.priors_llr[None], len(rest), axis=0))
        times.append(process_time())
        answer = split.filled(decoder.decode(rest, beliefs))
        times.append(process_time())
        spent += np.diff(times)
        wrong = answer.failures(shots.observables)
        plain = decoder.decode(shots.syndromes).failures(shots.observables)
        counts += [len(wrong), (wrong & plain).sum(), (plain & ~wrong).sum(), (wrong & ~plain).sum()]
        sent += len(rest)
    paired = PairedCounts(*map(int, counts))
    gate, predict, decode = (round(part, 2) for part in spent / paired.shots * 1e6)
    return {
        "template": template.text,
        "shots": paired.shots,
        "plain wrong": paired.both + paired.baseline_only,
        "wrong": paired.both + paired.candidate_only,
        "ratio": round((paired.both + paired.candidate_only) / (paired.both + paired.baseline_only), 4),
        "ratio_ci": str([round(end, 4) for end in ratio_interval(paired) if end is not None]),
        "µs per shot": round(gate + predict + decode, 2),
        "gate and plain": gate,
        "pipeline": predict,
        "decoding": decode,
        "sent_on": round(sent / paired.shots, 4),
        "training s": round(wall, 1),
        "its processor s": round(busy, 1),
    }


if __name__ == "__main__":
    main()
