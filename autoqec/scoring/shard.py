"""One task of scoring: draw some chunks of shots, decode them with and without the candidate, count, and forget them.

This runs in an executor's process, which keeps the compiled problem, decoders and candidate between tasks. It holds the
truth; the candidate's process, which it starts, is sent syndromes only.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoqec.decoding.compiling import compile_decoder
from autoqec.decoding.contract import CompiledDecoder, Decoded
from autoqec.decoding.flipping import HardFlip
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code import build_problem
from autoqec.problem.environment import Choice, environment_from_files
from autoqec.problem.problem import Problem
from autoqec.problem.sampling import Shots, sample_chunk
from autoqec.sandbox.channel import Message
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.counts import PairedCounts
from autoqec.scoring.executor import blobs_with_prefix
from autoqec.scoring.predictor import Predictor

FUNCTION = "autoqec.scoring.shard:score_chunks"


@dataclass(frozen=True)
class ChunkScore:
    """What one chunk of shots said.

    Attributes:
        counts: Baseline against candidate.
        invalid: Shots on which the candidate gave no valid answer (they are among its failures).
        references: Failures of each reference decoder.
        predict_seconds, decode_seconds, baseline_seconds: Wall time of one process on this chunk.
        digest: SHA-256 of the packed shots, 64 hex digits, for replay.
        failed: Which shots the candidate failed, a bit each, in hex: two candidates scored on the same shots can be paired.
    """

    counts: PairedCounts
    invalid: int
    references: Mapping[str, int]
    predict_seconds: float
    decode_seconds: float
    baseline_seconds: float
    digest: str
    failed: str

    def to_dict(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        return dict(vars(self)) | {"counts": self.counts.to_dict()}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> ChunkScore:
        """The inverse of `to_dict`."""
        return ChunkScore(**{**fields, "counts": PairedCounts.from_dict(fields["counts"])})


@dataclass
class _Bench:
    """Everything one process needs to score one candidate on one problem."""

    problem: Problem
    baseline: CompiledDecoder
    backend: CompiledDecoder
    references: dict[str, CompiledDecoder]
    predictor: Predictor | None
    resources: ExitStack


#: The bench of the last task in this process; a task for another candidate or problem replaces it.
_bench: tuple[str, _Bench] | None = None


def _open_bench(blobs: Mapping[str, bytes], p: float | None, strong: str | None) -> _Bench:
    registry = load_plugins()
    loaded = environment_from_files(blobs_with_prefix("env:", blobs), origin="the environment")
    problem = build_problem(loaded, registry.maker("code"), p)
    environment = loaded.environment
    sealed = SealedCandidate.from_blobs(blobs)
    resources = ExitStack()
    predictor = None
    if any(path.startswith("stages/") for path in sealed.files):
        predictor = resources.enter_context(Predictor(sealed, problem))
    baseline = compile_decoder(environment.decoder, problem, registry)
    chosen = [*environment.references, *([Choice(kind=strong)] if strong else [])]
    references = {choice.label: compile_decoder(choice, problem, registry) for choice in chosen}
    backend = baseline
    # The first call of everything pays for loading and compiling; it is made here, off the clock, on no real shot.
    blank = np.zeros((1, problem.syndrome_bytes), dtype=np.uint8)
    if predictor is not None:
        output = predictor.wait()
        if output.mode == "hard_flip":
            backend = HardFlip(baseline, problem, output.threshold)
        elif not registry.get("decoder", environment.decoder.kind).capabilities.get("takes_beliefs"):
            raise UsageError(
                f"decoder {environment.decoder.kind!r} takes no per-shot beliefs, so soft_priors cannot reach it",
                mend="set output.yaml's mode to hard_flip",
            )
        backend.decode(blank, predictor.predict(blank)[0])
    for decoder in (baseline, *references.values()):
        decoder.decode(blank)
    return _Bench(problem, baseline, backend, references, predictor, resources)


def _current_bench(message: Message) -> _Bench:
    global _bench
    names = sorted(name for name in message.blobs)
    parts = [name.encode() + hashlib.sha256(message.blobs[name]).digest() for name in names]
    p, strong = message.fields.get("p"), message.fields.get("strong")
    key = hashlib.sha256(b"".join(parts) + json.dumps([p, strong]).encode()).hexdigest()
    if _bench is None or _bench[0] != key:
        if _bench is not None:
            _bench[1].resources.close()
            _bench = None
        _bench = key, _open_bench(message.blobs, p, strong)
    return _bench[1]


def _score(bench: _Bench, shots: Shots, with_references: bool) -> ChunkScore:
    start = time.perf_counter()
    plain = bench.baseline.decode(shots.syndromes)
    decoded_plain = time.perf_counter()
    if bench.predictor is None:
        answer, predicted = plain, decoded_plain
    else:
        beliefs, invalid = bench.predictor.predict(shots.syndromes)
        predicted = time.perf_counter()
        decoded = bench.backend.decode(shots.syndromes, beliefs)
        answer = Decoded(decoded.observables, decoded.invalid | invalid)
    done = time.perf_counter()
    base_fails = plain.failures(shots.observables)
    fails = answer.failures(shots.observables)
    chosen = bench.references.items() if with_references else ()
    return ChunkScore(
        counts=PairedCounts(
            shots=len(shots),
            both=int((base_fails & fails).sum()),
            baseline_only=int((base_fails & ~fails).sum()),
            candidate_only=int((~base_fails & fails).sum()),
        ),
        invalid=int(answer.invalid.sum()),
        references={n: int(d.decode(shots.syndromes).failures(shots.observables).sum()) for n, d in chosen},
        predict_seconds=predicted - decoded_plain,
        decode_seconds=done - predicted,
        baseline_seconds=decoded_plain - start,
        digest=hashlib.sha256(shots.syndromes.tobytes() + shots.observables.tobytes()).hexdigest(),
        failed=np.packbits(fails).tobytes().hex(),
    )


def score_chunks(message: Message) -> Message:
    """Score chunks.

    Args:
        message: Fields `seeds` (one 64-bit seed a chunk), `p` (physical error rate or null), `references` (whether to run
            them) and `strong` (one more of them, by kind, or null); blobs `env:<name>` (the environment's files),
            `file:<path>` and `weights` (the sealed candidate).

    Returns:
        Field `chunks`: one `ChunkScore` as a mapping per seed, in order.

    Raises:
        CandidateFault: The candidate broke its contract.
        UsageError, NotFoundError: The environment or a decoder cannot be used.
    """
    bench = _current_bench(message)
    with_references = bool(message.fields.get("references"))
    scores = [
        _score(bench, sample_chunk(bench.problem, int(seed)), with_references) for seed in message.fields["seeds"]
    ]
    return Message({"chunks": [score.to_dict() for score in scores]})


@dataclass(frozen=True)
class GivenScore:
    """What shots that were built and not drawn said: their score, and which of them each side failed, bool `[shots]`."""

    problem: Problem
    score: ChunkScore
    baseline: np.ndarray
    candidate: np.ndarray


def score_given(message: Message, build: Callable[[Problem], Shots]) -> GivenScore:
    """Score shots that a function makes of the problem, on the same way as those that are drawn.

    Args:
        message: As for `score_chunks`, but for its seeds.
        build: Makes the shots.
    """
    bench = _current_bench(message)
    shots = build(bench.problem)
    score = _score(bench, shots, False)
    candidate = np.unpackbits(np.frombuffer(bytes.fromhex(score.failed), np.uint8), count=len(shots)).astype(bool)
    baseline = bench.baseline.decode(shots.syndromes).failures(shots.observables)
    return GivenScore(bench.problem, score, baseline, candidate)


def examine(message: Message) -> Message:
    """What a fresh process says: the same beliefs for other batches of the same shots? And at what cost?

    Args:
        message: As for `score_chunks`; the first seed's chunk is used.

    Returns:
        Fields `differing` — shots whose beliefs changed after rounding when every eighth shot came alone, in reverse; 0 for
        any stage that treats shots one by one — and `flops_per_shot` and `params`.
    """
    bench = _current_bench(message)
    if bench.predictor is None:
        return Message({"differing": 0, "flops_per_shot": 0, "params": 0})
    shots = sample_chunk(bench.problem, int(message.fields["seeds"][0]))
    chosen = np.arange(0, len(shots), 8)
    with Predictor(SealedCandidate.from_blobs(message.blobs), bench.problem) as fresh:
        first, _ = bench.predictor.predict(shots.syndromes)
        again, _ = fresh.predict(np.ascontiguousarray(shots.syndromes[chosen][::-1]))
        return Message({"differing": int((first[chosen] != again[::-1]).any(axis=1).sum()), **fresh.cost()})
