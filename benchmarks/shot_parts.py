"""The parts of a shot's cost behind the default gate, and other decoders on the same shots.

Microseconds of processor time for each shot that is drawn; `sent_on` says which share the predecoder, the edges and the second
decoding see. The pipelines are those of the first templates, untrained. Other decoders decode the first `--slow` shots, and
failures are counted on the shots that a decoder decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

from _common import arguments, one_thread, show

one_thread()

import numpy as np  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_config import NeuralBPConfig  # noqa: E402
from autoqec_plugins.neural_bp.neural_bp_stage import NeuralBP  # noqa: E402

from autoqec.decoding.edges import edge_log_odds, edge_uses  # noqa: E402
from autoqec.decoding.gate_file import Gate  # noqa: E402
from autoqec.decoding.gating import open_gate  # noqa: E402
from autoqec.errors import AutoQECError  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.code_contract import build_problem  # noqa: E402
from autoqec.problem.environment import builtin_environments, find_environment  # noqa: E402
from autoqec.problem.problem import Problem  # noqa: E402
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk  # noqa: E402

SEED = 20251

_MATCHED = {"iterations": 5, "sharing": "per_check"}
_ORDERED = {"iterations": 16, "scale": 0.8, "memory": "scalar", "memory_value": 0.125, "damping_value": 0.3}

#: Environment → its gate, its first template's stage, and other decoders.
WAYS: dict[str, tuple[Gate, dict[str, Any], list[str]]] = {
    "surface_d5_depol": (
        Gate(kind="gap", threshold=4.4),
        _MATCHED,
        ["mwpm_correlated", "belief_matching", "tesseract"],
    ),
    "surface_d7_depol": (
        Gate(kind="gap", threshold=5.8),
        _MATCHED,
        ["mwpm_correlated", "belief_matching", "tesseract"],
    ),
    "bb72_depol": (Gate(short_bp=16), _ORDERED, ["relay_bp", "tesseract"]),
}


class Clock:
    """Processor time of parts, in microseconds for each of `shots`."""

    def __init__(self, shots: int) -> None:
        self._shots = shots
        self.parts: dict[str, float] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        """Do the work, and add its time to a part."""
        began = process_time()
        result = work()
        self.parts[name] = self.parts.get(name, 0.0) + (process_time() - began) / self._shots * 1e6
        return result


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__, chunks=(4, "chunks of 4,096 shots"), slow=(400, "shots of the other decoders"))
    rows: list[dict[str, Any]] = []
    for name in WAYS:
        rows += measure(name, options.chunks, options.slow)
    show("shot_parts", rows, {"chunks": options.chunks, "slow": options.slow, "seed": SEED}, as_json=options.json)


def measure(name: str, chunks: int, slow: int) -> list[dict[str, Any]]:
    """The rows of one environment."""
    gate, fields, others = WAYS[name]
    registry, environment = load_plugins(), find_environment(name, [builtin_environments()])
    problem = build_problem(environment, registry.maker("code"))
    decoder = registry.get("decoder", environment.environment.decoder.kind).create().compile(problem)
    gating = open_gate(gate, decoder, problem)
    refine = _pipeline(problem, fields)
    uses = edge_uses(problem.edges) if problem.edges is not None else None
    first = sample_chunk(problem, SEED)
    few = first.syndromes[:slow]
    _candidate(gating, refine, decoder, problem, uses, few, Clock(1))  # compiles
    clock = Clock(chunks * CHUNK_SHOTS)
    sent = plain_failures = failures = 0
    for number in range(chunks):
        shots = clock("sampling", lambda number=number: sample_chunk(problem, SEED + number))
        answer, sent_here = _candidate(gating, refine, decoder, problem, uses, shots.syndromes, clock)
        sent += sent_here
        failures += int(answer.failures(shots.observables).sum())
        if gate.kind == "gap":  # where there is no gap, plain decoding takes milliseconds
            plain = clock("plain", lambda shots=shots: decoder.decode(shots.syndromes))
            plain_failures += int(plain.failures(shots.observables).sum())
    shots_in_all = chunks * CHUNK_SHOTS
    mean = sum(value for part, value in clock.parts.items() if part in ("gate and plain", "BP", "decoding"))
    row = _row(name, "gated candidate, untrained", shots_in_all, failures, mean)
    row |= {"sent_on": sent / shots_in_all} | {part: round(clock.parts.get(part, 0.0), 2) for part in _PARTS}
    plain_us = clock.parts.get("plain")
    found = [row]
    if plain_us is not None:
        found.append(_row(name, "plain", shots_in_all, plain_failures, plain_us))
    else:
        found.append(_timed(name, "plain", decoder, few, first.observables[:slow]))
    for other in others:
        try:
            compiled = registry.get("decoder", other).create().compile(problem)
            compiled.decode(few[:2])
        except AutoQECError:
            continue
        found.append(_timed(name, other, compiled, few, first.observables[:slow]))
    base = found[1]["mean µs"]
    return [each | {"of plain's": round(each["mean µs"] / base, 2)} for each in found]


_PARTS = ("sampling", "gate and plain", "BP", "edges", "decoding")


def _row(environment: str, decoder: str, shots: int, failures: int, mean: float) -> dict[str, Any]:
    head = {"environment": environment, "decoder": decoder, "shots": shots, "failures": failures}
    return head | {"mean µs": round(mean, 2), "sent_on": 1.0} | dict.fromkeys(_PARTS, 0.0)


def _timed(environment: str, name: str, compiled: Any, syndromes: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    clock = Clock(len(syndromes))
    decoded = clock("all", lambda: compiled.decode(syndromes))
    return _row(environment, name, len(syndromes), int(decoded.failures(truth).sum()), clock.parts["all"])


def _pipeline(problem: Problem, fields: dict[str, Any]) -> Any:
    kind, config = NeuralBP(), NeuralBPConfig(**fields)
    module = kind.build(config, problem)
    tensors = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    refine = kind.inference(config, tensors, problem)
    assert refine is not None
    return refine


def _candidate(
    gating: Any, refine: Any, decoder: Any, problem: Problem, uses: Any, syndromes: np.ndarray, clock: Clock
) -> tuple[Any, int]:
    """Answers of a gated candidate, and how many shots are sent on."""
    split = clock("gate and plain", lambda: gating.split(syndromes))
    rest = np.ascontiguousarray(syndromes[split.sent])
    start = np.repeat(problem.priors_llr[None], len(rest), axis=0)
    beliefs = clock("BP", lambda: refine(rest, start))
    if uses is not None:
        clock("edges", lambda: edge_log_odds(beliefs, uses))  # a part of what follows, measured by itself
    return split.filled(clock("decoding", lambda: decoder.decode(rest, beliefs))), len(rest)


if __name__ == "__main__":
    main()
