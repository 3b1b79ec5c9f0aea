"""Whole scoring of surface_d5_depol, as a round does it: fresh shots, candidate in its process, matching, baseline, counts.

Memory is the largest resident set of any process that took part, at few shots and at many: it must not grow with them.
"""

from __future__ import annotations

import os
import resource
from time import perf_counter

from _common import arguments, show
from autoqec_plugins.local.local_executor import LocalExecutor
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP

from autoqec.candidate.compile import build_modules, module_tensors
from autoqec.candidate.schema import Candidate, Output, Stage, Training, write_candidate
from autoqec.candidate.weights import save_weights
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import LoadedEnvironment, builtin_environments, find_environment
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.score_stream import ScoreStream, chunks_for

KEY = bytes(32)


def sealed_bp(environment: LoadedEnvironment) -> SealedCandidate:
    """Eight iterations of belief propagation, untrained."""
    problem = build_problem(environment, load_plugins().maker("code"))
    candidate = Candidate(Output(), Training(), (Stage("bp", NeuralBP(), NeuralBPConfig()),))
    tensors = module_tensors(build_modules(candidate, problem))
    return SealedCandidate(write_candidate(candidate), save_weights(tensors, fingerprints=[problem.fingerprint]))


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, few=(131_072, "shots"), many=(1_000_000, "shots"), jobs=(2, "processes that score"))
    environment = find_environment("surface_d5_depol", [builtin_environments()])
    sealed = sealed_bp(environment)
    rows = []
    for shots in (options.few, options.many):
        with LocalExecutor(options.jobs) as executor:
            stream = ScoreStream(executor, environment, sealed, KEY, "dev")
            stream.score(0, options.jobs * 2)  # starts processes and compiles, off the clock
            before, began = os.times(), perf_counter()
            scored = stream.score(0, chunks_for(shots), references=True)
            seconds = perf_counter() - began
        # Children are waited for when the executor closes: only then does the kernel tell what they used.
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        after = os.times()
        rows.append(
            {
                "shots": scored.counts.shots,
                "s": round(seconds, 1),
                "shots/s": round(scored.counts.shots / seconds),
                "processor s": round(after.children_user - before.children_user, 1),
                "predict us": round(scored.predict_us, 1),
                "decode us": round(scored.decode_us, 1),
                "baseline us": round(scored.baseline_us, 1),
                "peak MiB": peak // 1024,
            }
        )
    show("scoring", rows, {"jobs": options.jobs, "processors": os.cpu_count()}, as_json=options.json)


if __name__ == "__main__":
    main()
