"""Plain `osd` against ldpc's `BpOsdDecoder` with the same fields, on the same shots: processor time, other answers, failures.

`only ours` and `only ldpc` are shots on which one fails and the other does not: the failures that tell the two apart. `sign p` is
the probability of a split as uneven if neither fails more often (two-sided sign test). ldpc's messages can become NaN, which
ours cannot; `NaN` counts these shots. The gross code is the code of bb144_depol with data errors alone (`code_capacity`), where
all priors are equal and so belief propagation ties most; its last rows decode random errors of weight 4, which are correctable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import process_time
from typing import Any

from _common import arguments, one_thread, show

one_thread()

import numpy as np  # noqa: E402
from autoqec_plugins.osd.osd_config import OsdConfig  # noqa: E402
from autoqec_plugins.osd.osd_decoder import Osd  # noqa: E402
from autoqec_plugins.osd.shots import ByShot  # noqa: E402
from ldpc.bposd_decoder import BpOsdDecoder  # noqa: E402
from scipy.stats import binomtest  # noqa: E402

from autoqec.decoding.decoder_contract import Decoded  # noqa: E402
from autoqec.decoding.flipping import syndromes_of_mechanisms  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.code_contract import build_problem  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.problem.problem import Problem  # noqa: E402
from autoqec.problem.sampling import sample_chunk  # noqa: E402

SEED = 20251
FIELDS: tuple[dict[str, Any], ...] = ({}, {"method": "osd_cs", "order": 10})


@dataclass(frozen=True)
class Shots:
    """Syndromes and true observables of some shots."""

    name: str
    problem: Problem
    syndromes: np.ndarray
    truth: np.ndarray


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__,
        bb72=(4096, "shots of bb72_depol"),
        bb144=(512, "shots of bb144_depol"),
        surface=(4096, "shots of surface_d5_depol"),
        gross=(20000, "shots of the gross code with data errors"),
    )
    sets = [
        sampled("bb72_depol", _environment("bb72_depol"), options.bb72),
        sampled("bb144_depol", _environment("bb144_depol"), options.bb144),
        sampled("surface_d5_depol", _environment("surface_d5_depol"), options.surface),
        sampled("gross code, p = 0.05", _gross(0.05), options.gross),
        of_weight("gross code, weight 4", _gross(0.001), 4, options.gross),
    ]
    rows = [row(shots, fields) for shots in sets if len(shots.syndromes) for fields in FIELDS]
    show("plain_osd", rows, {"seed": SEED}, as_json=options.json)


def _environment(name: str) -> Problem:
    return build_problem(find_environment(name, [builtin_environments()]), load_plugins().maker("code"))


def _gross(p: float) -> Problem:
    found = find_environment("bb144_depol", [builtin_environments()])
    noise = found.environment.noise.model_copy(update={"kind": "code_capacity"})
    changed = replace(found, environment=found.environment.model_copy(update={"noise": noise}))
    return build_problem(changed, load_plugins().maker("code"), p)


def sampled(name: str, problem: Problem, shots: int) -> Shots:
    """Shots of a problem."""
    chunks = [sample_chunk(problem, SEED)]
    while sum(len(chunk.syndromes) for chunk in chunks) < shots:
        chunks.append(sample_chunk(problem, SEED + len(chunks)))
    syndromes = np.concatenate([chunk.syndromes for chunk in chunks])[:shots]
    truth = np.concatenate([chunk.observables for chunk in chunks])[:shots]
    return Shots(name, problem, syndromes, truth)


def of_weight(name: str, problem: Problem, weight: int, shots: int) -> Shots:
    """Sets of so many mechanisms, each as likely as any other."""
    rng = np.random.default_rng(SEED)
    fired = [rng.choice(len(problem.mechanisms), weight, replace=False) for _ in range(shots)]
    columns, flips = syndromes_of_mechanisms(problem), problem.mechanisms.observables
    syndromes = np.array([np.bitwise_xor.reduce(columns[own], axis=0) for own in fired], dtype=np.uint8)
    truth = np.array([np.bitwise_xor.reduce(flips[own], axis=0) for own in fired], dtype=np.uint8)
    return Shots(name, problem, syndromes, truth)


def row(shots: Shots, fields: dict[str, Any]) -> dict[str, Any]:
    """Both decoders on the same shots."""
    compiled = Osd(**fields).compile(shots.problem)
    compiled.decode(shots.syndromes[:8])  # compiles
    began = process_time()
    ours, confidence = compiled.decode_with_confidence(shots.syndromes)
    own_seconds = process_time() - began
    config = OsdConfig(**fields)
    began = process_time()
    theirs, converged, broken = _ldpc(shots, config)
    sure = confidence > 0
    seconds = process_time() - began
    mine, their = ours.failures(shots.truth), theirs.failures(shots.truth)
    apart = [int((mine & ~their).sum()), int((their & ~mine).sum())]
    count = len(shots.syndromes)
    return {
        "shots of": shots.name,
        "method": f"{config.method} {config.order}",
        "shots": count,
        "µs ours": own_seconds / count * 1e6,
        "µs ldpc": seconds / count * 1e6,
        "times": seconds / own_seconds,
        "converged ours": int(sure.sum()),
        "converged ldpc": int(converged.sum()),
        "converged in one": int((converged != sure).sum()),
        "NaN": broken,
        "other answers": int((ours.observables != theirs.observables).any(axis=1).sum()),
        "failures ours": int(mine.sum()),
        "failures ldpc": int(their.sum()),
        "only ours": apart[0],
        "only ldpc": apart[1],
        "sign p": float(binomtest(apart[0], sum(apart)).pvalue) if sum(apart) else 1.0,
    }


def _ldpc(shots: Shots, config: OsdConfig) -> tuple[Decoded, np.ndarray, int]:
    """Answers of ldpc, where its belief propagation converged, and how many shots had a NaN."""
    decoder = BpOsdDecoder(**config.for_ldpc(shots.problem), osd_method=config.method, osd_order=config.order)
    converged = np.ones(len(shots.syndromes), dtype=bool)
    broken = 0

    def correct(shot: int, bits: np.ndarray) -> np.ndarray:
        nonlocal broken
        answer: np.ndarray = decoder.decode(bits)
        found_nan = bool(np.isnan(decoder.log_prob_ratios).any())
        broken += found_nan
        converged[shot] = bool(decoder.converge) and not found_nan
        return answer

    return ByShot(shots.problem).decode(shots.syndromes, correct), converged, broken


if __name__ == "__main__":
    main()
