"""A stream of scored shots: the chunks of one keyed stream, distributed by an executor. Results do not depend on the jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import LoadedEnvironment
from autoqec.problem.recording import chunk_of, chunks_in, is_recorded, part_of_stream, recording_of, without_shots
from autoqec.problem.sampling import CHUNK_SHOTS, Shots
from autoqec.problem.streams import derive_seed
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.executor_contract import Executor, Task
from autoqec.scoring.fault_strata import LISTED_IN_CHUNK
from autoqec.scoring.predictor import fault_from
from autoqec.scoring.running_tasks import RunningTasks
from autoqec.scoring.scored import Scored, total
from autoqec.scoring.scoring_requests import MODELS, ScoringTask
from autoqec.scoring.shard import DRAWING, FUNCTION, ChunkScore

__all__ = ["ScoreStream", "Scored", "ShotProgress", "chunks_for", "score_each"]

#: Chunks per task. A chunk may take minutes, where decoding is slow, and its task a millisecond to send.
_CHUNKS_PER_TASK = 1

#: Called with shots done and shots requested.
ShotProgress = Callable[[int, int], None]


def chunks_for(shots: int) -> int:
    """How many whole chunks hold at least this many shots."""
    return max(1, -(-shots // CHUNK_SHOTS))


@dataclass(frozen=True)
class StrataDraw:
    """How the chunks of a stream are drawn by strata; see `autoqec.scoring.fault_strata.strata_chunk`.

    Attributes:
        shares: How likely a drawn shot is to be of each drawn stratum.
        listed: How many sets of each listed stratum there are, from no fault on.
        listing: The chunk at which the list of sets begins.
    """

    shares: tuple[float, ...]
    listed: tuple[int, ...]
    listing: int

    @property
    def chunks(self) -> int:
        """How many chunks the list takes."""
        return -(-sum(self.listed) // LISTED_IN_CHUNK)

    def fields(self, chunks: Sequence[int]) -> dict[str, Any]:
        """What tasks on some chunks are told."""
        end = sum(self.listed)
        firsts = [(chunk - self.listing) * LISTED_IN_CHUNK for chunk in chunks]
        first = tuple(each if 0 <= each < end else end for each in firsts)
        return {"shares": self.shares, "listed": self.listed, "first_listed": first}


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
        strong: A reference decoder, by kind, instead of those of the environment; None for these.
        drift: Physical error rate at which shots are drawn; None for the one that decoders and candidate are told.
        ungated: Whether no reference runs behind a gate.
        strata: How shots are drawn by strata; None for plain shots.
        device: Where the candidate's stages are computed, see `ScoringTask`. A verdict must come out the same on any machine, so
            none is reached on a GPU.
    """

    executor: Executor
    environment: LoadedEnvironment
    sealed: SealedCandidate
    key: bytes
    domain: str
    p: float | None = None
    strong: str | None = None
    drift: float | None = None
    ungated: bool = False
    strata: StrataDraw | None = None
    device: str = "cpu"

    def task(self, function: str, chunks: Sequence[int], *, references: bool = False, **fields: Any) -> Task:
        """Build the task that runs one function on some chunks; `fields` adds to its message."""
        seeds = [derive_seed(self.key, self.domain, chunk) for chunk in chunks]
        model = MODELS.get(function, ScoringTask)
        told = model(
            environment=without_shots(self.environment).files,
            sealed=self.sealed,
            seeds=tuple(seeds),
            p=self.p,
            references=references,
            strong=self.strong,
            drift=self.drift,
            ungated=self.ungated,
            device=self.device,
            **(self.strata.fields(chunks) if self.strata else {}),
            **(self._given(chunks) if function in DRAWING else {}),
            **(fields if function in MODELS else {}),
        ).to_message()
        # A plugin's function may take fields that no model here has.
        message = told if function in MODELS else Message({**told.fields, **fields}, told.blobs)
        return Task(function, message, kind=self._kind, prefers_gpu=self.device != "cpu")

    @cached_property
    def recorded(self) -> Shots | None:
        """The recorded shots that the stream consists of; None where shots are drawn.

        Raises:
            UsageError: They cannot be used, or the stream needs fresh shots.
        """
        if not is_recorded(self.environment):
            return None
        problem = build_problem(without_shots(self.environment), load_plugins().maker("code"))
        return part_of_stream(recording_of(self.environment, problem), self.domain)

    def chunks_for(self, shots: int) -> int:
        """How many chunks hold at least this many shots; where shots are recorded, at most as many as there are."""
        wanted = chunks_for(shots)
        return wanted if self.recorded is None else min(wanted, chunks_in(self.recorded))

    def shots_in(self, chunks: Sequence[int]) -> int:
        """How many shots some chunks have together."""
        recorded = self.recorded
        return sum(CHUNK_SHOTS if recorded is None else len(chunk_of(recorded, chunk)) for chunk in chunks)

    def _given(self, chunks: Sequence[int]) -> dict[str, Any]:
        """What a task on some chunks is told of their recorded shots."""
        if not chunks or self.recorded is None:
            return {}
        parts = [chunk_of(self.recorded, chunk) for chunk in chunks]
        return {
            "given": tuple(len(part) for part in parts),
            "given_syndromes": b"".join(part.syndromes.tobytes() for part in parts),
            "given_observables": b"".join(part.observables.tobytes() for part in parts),
        }

    @cached_property
    def _kind(self) -> str:
        """What a worker has to load for a task of this stream, as one word."""
        loaded = (self.environment.identity, self.sealed.digest, self.p, self.strong, self.ungated, self.device)
        return hashlib.sha256(repr(loaded).encode()).hexdigest()

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
        self,
        first: int,
        chunks: int,
        *,
        references: bool = False,
        progress: ShotProgress | None = None,
        tabulate: bool = False,
    ) -> Scored:
        """Score chunks `first … first + chunks - 1`.

        Args:
            first: Index of the first chunk.
            chunks: How many.
            references: Whether to run the environment's reference decoders on the same shots.
            progress: Called as chunks come in.
            tabulate: Whether to say where failures are.

        Raises:
            CandidateFault: The candidate broke its contract.
            AutoQECError: The environment or a decoder cannot be used.
            ValueError: That is asked of other shots than development shots: agents see the table, and no agent sees the holdout.
        """
        if tabulate and self.domain != "dev":
            raise ValueError(f"no table of failures is made of {self.domain} shots")
        asked = {"tabulate": True} if tabulate else {}
        wanted = [
            range(i, min(i + _CHUNKS_PER_TASK, first + chunks)) for i in range(first, first + chunks, _CHUNKS_PER_TASK)
        ]
        tasks = [self.task(FUNCTION, part, references=references, **asked) for part in wanted]

        def report(done: float) -> None:
            if progress is not None:
                progress(int(min(done * _CHUNKS_PER_TASK, chunks) * CHUNK_SHOTS), chunks * CHUNK_SHOTS)

        answers = self.gather(tasks, report)
        scored = total(
            (ChunkScore.from_dict(score) for answer in answers for score in answer["chunks"]), references=references
        )
        missing = {name: line for answer in answers for name, line in answer.get("missing", {}).items()}
        return replace(scored, missing=missing) if references else scored

    def gather(self, tasks: Sequence[Task], finished: Callable[[float], None]) -> list[Mapping[str, Any]]:
        """Run tasks, as many at once as the executor allows.

        Args:
            tasks: The tasks.
            finished: Called with the number of tasks done, and parts of others, whenever it has grown.

        Returns:
            The fields of their answers, in the order of the tasks.

        Raises:
            CandidateFault: The candidate broke its contract.
            AutoQECError: The environment or a decoder cannot be used.
        """
        running = RunningTasks(self.executor, tasks)
        try:
            for future in running.each(finished):
                future.result()
        except ChildFailed as error:
            raise fault_from(error) from error
        finally:
            running.cancel()
        return [future.result().fields for future in running.futures]


def score_each(
    streams: Sequence[ScoreStream], first: int, chunks: int, finished: Callable[[float], None]
) -> list[Scored | AutoQECError]:
    """Score the same chunks of several streams.

    Args:
        streams: Of one executor, few shots each.
        first, chunks: As for `ScoreStream.score`.
        finished: Called with the number of streams done, and parts of others, whenever it has grown.

    Returns:
        For each stream its score, or why it has none: a `CandidateFault`, or an error of the environment.
    """
    if not streams:
        return []
    tasks = [each.task(FUNCTION, [chunk]) for each in streams for chunk in range(first, first + chunks)]
    running = RunningTasks(streams[0].executor, tasks)
    mine = [running.futures[place : place + chunks] for place in range(0, len(tasks), chunks)]
    for futures in mine:
        for future in futures:
            future.add_done_callback(partial(_cancel_after_failure, futures))
    try:
        for _ in running.each(lambda done: finished(done / chunks)):
            pass
    finally:
        running.cancel()
    return [_outcome(futures) for futures in mine]


def _cancel_after_failure(futures: Sequence[Future[Message]], done: Future[Message]) -> None:
    """Cancel a stream's other chunks if this one failed: they would fail as well, after loading everything again.

    As a callback it runs in the executor's thread before that begins its next task, so not one more is begun.
    """
    if not done.cancelled() and done.exception() is not None:
        for other in futures:
            other.cancel()


def _outcome(futures: Sequence[Future[Message]]) -> Scored | AutoQECError:
    """The sum of a stream's chunks, or the error of the first that has one."""
    try:
        for future in futures:
            if not future.cancelled():
                future.result()
    except ChildFailed as error:
        return fault_from(error)
    return total(ChunkScore.from_dict(score) for future in futures for score in future.result().fields["chunks"])
