"""Describes an environment before any research: the size of its graphs, and how often its own decoders fail."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import process_time
from typing import Any

from autoqec.decoding.compile_decoder import compile_decoder, compile_references
from autoqec.plugins import Registry
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, LoadedEnvironment
from autoqec.problem.locating import line_of
from autoqec.problem.sampling import sample_chunk
from autoqec.problem.streams import derive_seed
from autoqec.results.statistics import rate_interval
from autoqec.scoring.problem_findings import components, degrees, findings
from autoqec.scoring.sampling_advice import sampling_advice
from autoqec.scoring.score_stream import chunks_for
from autoqec.scoring.split_pairs import split_pairs_finding


def describe_environment(loaded: LoadedEnvironment, registry: Registry, shots: int) -> dict[str, Any]:
    """Compile an environment and measure its decoders on fresh shots.

    Args:
        loaded: The environment.
        registry: Installed plugins.
        shots: At least so many shots.

    Returns:
        Name, identity, sizes (`matching_edges` is None for an error model that is not graph-like), degrees, fingerprint, per
        decoder its logical error rate with an exact 95 % interval, which sampling pays, and findings with the field and line
        they come from.
    """
    problem = build_problem(loaded, registry.maker("code"))
    environment = loaded.environment
    references, missing = compile_references(environment.references, problem, registry)
    decoders = {environment.decoder.label: compile_decoder(environment.decoder, problem, registry)} | references
    failures = dict.fromkeys(decoders, 0)
    key, chunks, total, seconds = os.urandom(32), chunks_for(shots), 0, 0.0
    baseline = environment.decoder.label
    for chunk in range(chunks):
        began = process_time()
        batch = sample_chunk(problem, derive_seed(key, "check", chunk))
        total += len(batch)
        failures[baseline] += int(decoders[baseline].decode(batch.syndromes).failures(batch.observables).sum())
        seconds += process_time() - began
        for name in decoders.keys() - {baseline}:
            failures[name] += int(decoders[name].decode(batch.syndromes).failures(batch.observables).sum())
    split = split_pairs_finding(problem, environment.decoder, decoders[baseline], registry)
    rates = {
        name: {"ler": count / total, "ler_ci": list(rate_interval(count, total)), "shots": total}
        for name, count in failures.items()
    }
    return {
        "name": environment.name,
        "identity": loaded.identity,
        "detectors": problem.num_detectors,
        "observables": problem.num_observables,
        "mechanisms": len(problem.mechanisms),
        "incidences": len(problem.mechanisms.detector),
        "matching_edges": len(problem.edges) if problem.edges is not None else None,
        "matchable": problem.edges is not None,
        "components": components(problem),
        **degrees(problem),
        "fingerprint": problem.fingerprint,
        "decoders": rates,
        "sampling": sampling_advice(
            problem, decoders[baseline], key, chunks, failures[baseline] / total, seconds / total
        ),
        "findings": [
            found | {"line": line_of(loaded.files[ENVIRONMENT_FILE], found["field"]) if loaded.origin else None}
            for found in [*findings(problem, next(iter(rates.values()))), *split, *_left_out(missing)]
        ],
    }


def _left_out(missing: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"field": "references", "finding": f"{label} is left out because it is not installed: {line}"}
        for label, line in missing.items()
    ]
