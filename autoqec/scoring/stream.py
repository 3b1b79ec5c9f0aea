"""A stream of scored shots: chunk after chunk of one keyed stream, spread over an executor, the same for any number of jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field, replace
from typing import Any

from autoqec.problem.environment import LoadedEnvironment
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_seed
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.counts import PairedCounts
from autoqec.scoring.executor import Executor, Task
from autoqec.scoring.predictor import fault_from
from autoqec.scoring.shard import FUNCTION, ChunkScore

#: Chunks of one task: enough work to make its transport cheap, little enough to share evenly.
_CHUNKS_PER_TASK = 2

#: Called with shots done and shots asked for.
ShotProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Scored:
    """The sum of many chunks.

    Attributes:
        counts: Baseline against candidate.
        invalid: Candidate's shots without a valid answer.
        references: Failures of each reference decoder, over `reference_shots` shots.
        missing: References that were left out, and the lines that install what they need.
        chunks: Chunks summed.
        predict_us, decode_us, baseline_us: Microseconds per shot of one process.
        cpu_us: Microseconds per shot of processor time in the candidate's process, as the kernel counts it.
        digests: SHA-256 of each chunk's shots, in order.
        failed: Which shots of each chunk the candidate failed, a bit each, in hex.
        answers: SHA-256 of each chunk's predictions.
        lock: The walls around the candidate's process; None where it ran unlocked.
    """

    counts: PairedCounts = field(default_factory=PairedCounts)
    invalid: int = 0
    references: Mapping[str, int] = field(default_factory=dict)
    reference_shots: int = 0
    missing: Mapping[str, str] = field(default_factory=dict)
    chunks: int = 0
    predict_us: float = 0.0
    cpu_us: float = 0.0
    decode_us: float = 0.0
    baseline_us: float = 0.0
    digests: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    lock: Mapping[str, Any] | None = None


def chunks_for(shots: int) -> int:
    """How many whole chunks hold at least this many shots."""
    return max(1, -(-shots // CHUNK_SHOTS))


@dataclass(frozen=True)
class ScoreStream:
    """One candidate, one problem, one keyed stream of shots.

    Attributes:
        executor: Where chunks are scored.
        environment: The environment with its files.
        sealed: The candidate.
        key: Key of the stream.
        domain: What the stream is for: `dev` or `holdout`.
        p: Physical error rate; None for the environment's target.
        strong: One more reference decoder, by kind; None for those of the environment alone.
    """

    executor: Executor
    environment: LoadedEnvironment
    sealed: SealedCandidate
    key: bytes
    domain: str
    p: float | None = None
    strong: str | None = None

    def task(self, function: str, chunks: Sequence[int], *, references: bool = False) -> Task:
        """The task that runs one function of the shard on some chunks."""
        seeds = [derive_seed(self.key, self.domain, chunk) for chunk in chunks]
        blobs = {f"env:{name}": data for name, data in self.environment.files.items()} | self.sealed.to_blobs()
        return Task(
            function, Message({"seeds": seeds, "p": self.p, "references": references, "strong": self.strong}, blobs)
        )

    def score(
        self, first: int, chunks: int, *, references: bool = False, progress: ShotProgress | None = None
    ) -> Scored:
        """Score chunks `first … first + chunks - 1`.

        Args:
            first: Index of the first chunk.
            chunks: How many.
            references: Whether to run the environment's reference decoders on the same shots.
            progress: Called as chunks come in.

        Raises:
            CandidateFault: The candidate broke its contract.
            AutoQECError: The environment or a decoder cannot be used.
        """
        wanted = [
            range(i, min(i + _CHUNKS_PER_TASK, first + chunks)) for i in range(first, first + chunks, _CHUNKS_PER_TASK)
        ]
        futures = {self.executor.submit(self.task(FUNCTION, part, references=references)): part for part in wanted}
        pending, results, missing = set(futures), dict[int, ChunkScore](), dict[str, str]()
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    answer = future.result().fields
                    results |= zip(futures[future], map(ChunkScore.from_dict, answer["chunks"]), strict=True)
                    missing |= answer.get("missing", {})
                if progress is not None:
                    progress(len(results) * CHUNK_SHOTS, chunks * CHUNK_SHOTS)
        except ChildFailed as error:
            raise fault_from(error) from error
        finally:
            for future in pending:
                future.cancel()
        scored = combine([results[chunk] for chunk in sorted(results)], references)
        return replace(scored, missing=missing) if references else scored


def combine(scores: Sequence[ChunkScore], references: bool) -> Scored:
    """Sum chunk scores; times become microseconds per shot."""
    counts = sum((score.counts for score in scores), PairedCounts())
    names = sorted({name for score in scores for name in score.references})
    per_shot = 1e6 / max(1, counts.shots)
    return Scored(
        counts=counts,
        invalid=sum(score.invalid for score in scores),
        references={name: sum(score.references[name] for score in scores) for name in names},
        reference_shots=counts.shots if references else 0,
        chunks=len(scores),
        predict_us=sum(score.predict_seconds for score in scores) * per_shot,
        cpu_us=sum(score.cpu_seconds for score in scores) * per_shot,
        decode_us=sum(score.decode_seconds for score in scores) * per_shot,
        baseline_us=sum(score.baseline_seconds for score in scores) * per_shot,
        digests=tuple(score.digest for score in scores),
        failed=tuple(score.failed for score in scores),
        answers=tuple(score.answers for score in scores),
        lock=min(
            (score.lock for score in scores if score.lock is not None),
            key=lambda lock: int(lock["level"]),
            default=None,
        ),
    )
