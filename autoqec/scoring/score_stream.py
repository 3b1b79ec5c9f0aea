"""A stream of scored shots: the chunks of one keyed stream, distributed by an executor. Results do not depend on the jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.problem.environment import LoadedEnvironment
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_seed
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.executor_contract import Executor, Task
from autoqec.scoring.predictor import fault_from
from autoqec.scoring.scored import Scored, total
from autoqec.scoring.scoring_requests import MODELS, ScoringTask
from autoqec.scoring.shard import FUNCTION, ChunkScore

__all__ = ["ScoreStream", "Scored", "ShotProgress", "chunks_for", "score_each"]

#: Chunks per task: enough work to make its transport cheap, little enough to balance the load.
_CHUNKS_PER_TASK = 2

#: Called with shots done and shots requested.
ShotProgress = Callable[[int, int], None]


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
        domain: The purpose of the stream: `dev` or `holdout`.
        p: Physical error rate; None for the environment's target.
        strong: One more reference decoder, by kind; None for those of the environment alone.
        drift: Physical error rate at which shots are drawn; None for the one that decoders and candidate are told.
    """

    executor: Executor
    environment: LoadedEnvironment
    sealed: SealedCandidate
    key: bytes
    domain: str
    p: float | None = None
    strong: str | None = None
    drift: float | None = None

    def task(self, function: str, chunks: Sequence[int], *, references: bool = False, **fields: Any) -> Task:
        """Build the task that runs one function on some chunks; `fields` adds to its message."""
        seeds = [derive_seed(self.key, self.domain, chunk) for chunk in chunks]
        model = MODELS.get(function, ScoringTask)
        told = model(
            environment=self.environment.files,
            sealed=self.sealed,
            seeds=tuple(seeds),
            p=self.p,
            references=references,
            strong=self.strong,
            drift=self.drift,
            **(fields if function in MODELS else {}),
        ).to_message()
        # A plugin's function may take fields that no model here has.
        return Task(function, told if function in MODELS else Message({**told.fields, **fields}, told.blobs))

    def run(self, function: str, chunks: Sequence[int] = (), **fields: Any) -> Mapping[str, Any]:
        """Run one task and return its fields.

        Args:
            function: The task's function.
            chunks: The chunks whose seeds it receives.
            fields: More fields of its message.

        Raises:
            CandidateFault: The candidate broke its contract.
            AutoQECError: The environment or a decoder cannot be used.
        """
        return self.gather([self.task(function, chunks, **fields)], lambda done: None)[0]

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
        tasks = [self.task(FUNCTION, part, references=references) for part in wanted]

        def report(done: int) -> None:
            if progress is not None:
                progress(min(done * _CHUNKS_PER_TASK, chunks) * CHUNK_SHOTS, chunks * CHUNK_SHOTS)

        answers = self.gather(tasks, report)
        scored = total(
            (ChunkScore.from_dict(score) for answer in answers for score in answer["chunks"]), references=references
        )
        missing = {name: line for answer in answers for name, line in answer.get("missing", {}).items()}
        return replace(scored, missing=missing) if references else scored

    def gather(self, tasks: Sequence[Task], finished: Callable[[int], None]) -> list[Mapping[str, Any]]:
        """Run tasks, as many at once as the executor allows.

        Args:
            tasks: The tasks.
            finished: Called with the number of tasks done whenever some are.

        Returns:
            The fields of their answers, in the order of the tasks.

        Raises:
            CandidateFault: The candidate broke its contract.
            AutoQECError: The environment or a decoder cannot be used.
        """
        futures = [self.executor.submit(task) for task in tasks]
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                finished(len(futures) - len(pending))
        except ChildFailed as error:
            raise fault_from(error) from error
        finally:
            for future in pending:
                future.cancel()
        return [future.result().fields for future in futures]


def score_each(
    streams: Sequence[ScoreStream], first: int, chunks: int, finished: Callable[[int], None]
) -> list[Scored | AutoQECError]:
    """Score the same chunks of several streams, one task a stream, so that each is prepared in one process only.

    Args:
        streams: Of one executor, few shots each.
        first, chunks: As for `ScoreStream.score`.
        finished: Called with the number of streams done whenever some are.

    Returns:
        For each stream its score, or why it has none: a `CandidateFault`, or an error of the environment.
    """
    futures = [each.executor.submit(each.task(FUNCTION, range(first, first + chunks))) for each in streams]
    pending = set(futures)
    while pending:
        _, pending = wait(pending, return_when=FIRST_COMPLETED)
        finished(len(futures) - len(pending))
    return [_outcome(future) for future in futures]


def _outcome(future: Future[Message]) -> Scored | AutoQECError:
    try:
        return total(ChunkScore.from_dict(score) for score in future.result().fields["chunks"])
    except ChildFailed as error:
        return fault_from(error)
