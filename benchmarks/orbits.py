"""Factors shared by orbits: against other sharing at equal training on `surface_d5_depol`, and carried to `surface_d7_depol`.

All candidates are the first template's stage with another `sharing`, trained on the gap of the same drawn shots, and scored on
the same shots behind the template's gate. On the larger code nothing is trained: weights of the smaller one stand against
untrained ones. Intervals are exact (Clopper and Pearson) with 95 %; discordant shots are those that one of two candidates gets
wrong and the other right, and the p-value is exact and two-sided (McNemar).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from time import process_time
from typing import Any

import numpy as np
import torch
from _common import arguments, show
from _gated_shots import GatedShots

from autoqec.candidate.carrying import carried_weights
from autoqec.candidate.compile import build_modules, module_tensors
from autoqec.candidate.cost import measure_cost
from autoqec.candidate.schema import Candidate, read_candidate
from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.plugins import Registry, load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import builtin_environments, load_environment
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import mcnemar_p, rate_interval
from autoqec.runner.train import TRAINING_THREADS
from autoqec.runner.training import train

_SMALL, _LARGE = "surface_d5_depol", "surface_d7_depol"
_THRESHOLDS = {_SMALL: 4.4, _LARGE: 5.8}


def candidate_of(environment: str, sharing: str, shots: int, registry: Registry) -> Candidate:
    """The first template of an environment with this sharing."""
    files = {
        "gate.yaml": f"kind: gap\nthreshold: {_THRESHOLDS[environment]}\n",
        "training.yaml": "loss: logical_gap\nlearning_rate: 0.05\nsampling: gated\nsampled_share: 0.1\nbatch_size: 1280\n"
        f"patience: 0\nshots: {shots}\n",
        "stages/bp/stage.yaml": f"kind: neural_bp\niterations: 5\nsharing: {sharing}\ndamping: per_iteration\n"
        "learn_prior_scale: true\n",
    }
    return read_candidate({path: text.encode() for path, text in files.items()}, registry.maker("stage"))


class Place:
    """An environment, with the shots that the gate sends on and what is known of the others."""

    def __init__(self, name: str, shots: int, seed: int, registry: Registry) -> None:
        self.name, self.registry = name, registry
        loaded = load_environment(builtin_environments() / f"{name}.yaml")
        problem = build_problem(loaded, registry.maker("code"))
        self.problem = problem_from_dem(problem.dem, name=problem.name)  # what the training process has
        self.decoder = compile_decoder(loaded.environment.decoder, self.problem, registry)
        own = candidate_of(name, "per_layer", 0, registry)
        self.sent = GatedShots(problem, self.problem, self.decoder, own, shots, seed)
        chunks = (sample_chunk(problem, seed + chunk) for chunk in range(-(-shots // CHUNK_SHOTS)))
        self.plain = sum(int(self.decoder.decode(each.syndromes).failures(each.observables).sum()) for each in chunks)

    def trained(self, sharing: str, shots: int, seed: int) -> tuple[dict[str, np.ndarray], Mapping[str, Any], float]:
        """Weights, the training's telemetry and its processor seconds."""
        began = process_time()
        found = train(
            candidate_of(self.name, sharing, shots, self.registry),
            [self.problem],
            [self.decoder],
            seed=bytes([seed]) * 32,
            max_shots=10**9,
            initial={},
            inherit=False,
            report=lambda progress: None,
        )
        return found.tensors, found.telemetry, process_time() - began


def row(
    place: Place, what: str, candidate: Candidate, tensors: Mapping[str, np.ndarray], **more: Any
) -> dict[str, Any]:
    """Score a candidate; `against` and `wrong` are for a comparison of pairs."""
    against = more.pop("against", None)
    carried = carried_weights(candidate, tensors, place.problem)
    wrong = place.sent.failures(candidate, tensors)
    failures = place.sent.kept_wrong + int(wrong.sum())
    low, high = rate_interval(failures, place.sent.shots)
    found = {
        "environment": place.name,
        "candidate": what,
        "parameters": measure_cost(candidate, carried.tensors, place.problem).params,
        "shots": place.sent.shots,
        "sent": len(wrong),
        "plain failures": place.plain,
        "failures": failures,
        "LER": failures / place.sent.shots,
        "95 %": f"{low:.5f}–{high:.5f}",
        "ratio to plain": failures / place.plain,
        "messages, of a coarser orbit, of the layer": f"{carried.messages}, {carried.coarser}, {carried.layer}",
        **dict.fromkeys(("loss before", "loss after", "processor s of training", "only this / only the other", "p")),
        **more,
    }
    if against is not None:
        only, other = int((wrong & ~against).sum()), int((against & ~wrong).sum())
        counts = PairedCounts(place.sent.shots, place.sent.kept_wrong + int((wrong & against).sum()), other, only)
        found["only this / only the other"] = f"{only} / {other}"
        worse = PairedCounts(place.sent.shots, counts.both, only, other)
        found["p"] = min(1.0, 2 * min(mcnemar_p(counts), mcnemar_p(worse)))
    print(found, file=sys.stderr, flush=True)
    return {**found, "wrong": wrong}


def rows_of(options: Any, registry: Registry) -> Iterator[dict[str, Any]]:
    """All candidates on the small code, then those on the large one."""
    small = Place(_SMALL, options.shots, options.seed, registry)
    weights, wrong = {}, {}
    for sharing in ("per_layer", "per_check", "orbit"):
        tensors, told, seconds = small.trained(sharing, options.training_shots, options.training_seed)
        weights[sharing] = tensors
        found = row(
            small,
            f"{sharing}, trained",
            candidate_of(_SMALL, sharing, 0, registry),
            tensors,
            against=wrong.get("per_layer"),
            **{
                "loss before": told["validation_before"],
                "loss after": told["validation_after"],
                "processor s of training": seconds,
            },
        )
        wrong[sharing] = found.pop("wrong")
        yield found
    large = Place(_LARGE, options.large_shots, options.seed, registry)
    candidate = candidate_of(_LARGE, "per_check", 0, registry)
    found = row(large, "untrained", candidate, module_tensors(build_modules(candidate, large.problem)))
    untrained = found.pop("wrong")
    yield found
    for sharing in ("per_layer", "orbit"):
        candidate = candidate_of(_LARGE, sharing, 0, registry)
        found = row(large, f"{sharing}, weights of {_SMALL}", candidate, weights[sharing], against=untrained)
        found.pop("wrong")
        yield found


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__,
        shots=(98_304, f"scored shots of {_SMALL}"),
        large_shots=(65_536, f"scored shots of {_LARGE}"),
        training_shots=(409_600, "drawn shots of each training, of which a tenth is computed"),
        training_seed=(0, "seed of the trainings"),
        seed=(3_000_000, "seed of the scored shots"),
    )
    torch.set_num_threads(TRAINING_THREADS)
    rows = list(rows_of(options, load_plugins()))
    show("orbits", rows, {"seed": options.seed, "threads": TRAINING_THREADS}, as_json=options.json)


if __name__ == "__main__":
    main()
