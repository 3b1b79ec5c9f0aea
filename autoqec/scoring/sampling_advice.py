"""Which sampling pays at an environment's rate: a few shots by strata tell how many plain shots each of them is worth."""

from __future__ import annotations

from time import process_time
from typing import Any

import numpy as np

from autoqec.decoding.decoder_contract import CompiledDecoder
from autoqec.errors import UsageError
from autoqec.problem.problem import Problem
from autoqec.problem.streams import derive_seed
from autoqec.results.statistics import candidate_rate_bounds
from autoqec.results.stratified_counts import DrawnStrata, shares_for
from autoqec.scoring.fault_strata import strata_chunk, strata_of
from autoqec.scoring.strata_tally import StrataTally, tally, together

#: At a rate above this, plain shots fail so often that strata are no help.
RARE = 1e-3

#: Strata pay if a second of processor time is worth so many seconds of plain shots: below, the difference is not worth having.
_PAYS = 2.0

#: The one listed set: that of no fault.
_SETS = (1,)


def sampling_advice(
    problem: Problem, decoder: CompiledDecoder, key: bytes, chunks: int, ler: float, plain_seconds: float
) -> dict[str, Any]:
    """Which sampling pays for the baseline.

    Args:
        problem: The problem.
        decoder: The environment's decoder.
        key: Of the shots.
        chunks: Chunks of shots by strata: half with the first shares, half with those that their failures give.
        ler: The rate on plain shots, as far as it is known.
        plain_seconds: Processor time of a plain shot.

    Returns:
        `pays`: `plain` or `stratified`; `why`, a sentence; and, if shots were drawn by strata, the rate `ler` with its interval
        `ler_ci`, `worth`, how many plain shots each is worth, and `speedup`, the same for a second of processor time.
    """
    if ler > RARE:
        return {"pays": "plain", "why": f"plain shots fail often enough, at a rate above {RARE:g}"}
    try:
        strata = strata_of(problem)
    except UsageError as error:
        return {"pays": "plain", "why": error.problem.removeprefix("protocol.sampling: ")}
    chances = tuple(strata.probabilities[1:].tolist())
    drawn = DrawnStrata(tuple(range(1, strata.most + 1)), chances, strata.beyond)
    phases: list[tuple[tuple[float, ...], StrataTally]] = []
    seconds = 0.0
    for phase in range(2):
        past = together(phases, drawn, [strata.no_fault]).phases if phases else ()
        shares, tallies, began = shares_for(chances, past), [], process_time()
        for chunk in range(max(1, chunks // 2)):
            made = strata_chunk(problem, strata, derive_seed(key, f"advice/{phase}", chunk), shares, chunk and 1, _SETS)
            fails = decoder.decode(made.shots.syndromes).failures(made.shots.observables)
            tallies.append(tally(made, 1, len(shares), fails, np.zeros_like(fails)))
        phases.append((shares, sum(tallies[1:], tallies[0])))
        seconds = process_time() - began
    counts = together(phases[1:], drawn, [strata.no_fault])
    effective, shots = counts.effective_shots, counts.phases[0].shots
    low, high = candidate_rate_bounds(together(phases, drawn, [strata.no_fault]).mirrored(), 0.025)
    found: dict[str, Any] = {"ler": counts.ler_baseline, "ler_ci": [low, high]}
    if effective is None:
        return found | {
            "pays": "plain",
            "why": f"no failure in {shots:,} shots by strata either",
            "worth": None,
            "speedup": None,
        }
    speedup = effective * plain_seconds / max(seconds, 1e-9)
    pays = "stratified" if speedup >= _PAYS else "plain"
    why = f"a shot by strata is worth {effective / shots:.2g} plain ones, and a second of processor time {speedup:.2g}"
    return found | {"pays": pays, "why": why, "worth": effective / shots, "speedup": speedup}
