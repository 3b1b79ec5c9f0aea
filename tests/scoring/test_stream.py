"""A stream's counts are the stream's: not the executor's, its workers' or the order in which they are done."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_seed
from autoqec.results.counts import PairedCounts
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import running_tasks
from autoqec.scoring import score_stream as stream_module
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.running_tasks import RunningTasks
from autoqec.scoring.score_stream import ScoreStream, score_each
from autoqec.scoring.shard import ChunkScore
from autoqec.testing import TINY_ENVIRONMENT

KEY = bytes(range(32))


def chunk(seed):
    both, plain, own = (int(n) for n in np.random.default_rng(seed).integers(0, 50, 3))
    return ChunkScore(
        PairedCounts(CHUNK_SHOTS, both, plain, own), 0, {}, 0.0, 0.0, 0.0, 0.0, f"{seed:016x}", "0" * 1024, "", None
    )


class Threads:
    """An executor whose tasks end in any order."""

    def __init__(self, jobs, seed):
        self.pool, self.chance, self.seeds = ThreadPoolExecutor(jobs), random.Random(seed), []

    def submit(self, task):
        return self.pool.submit(self.run, task, self.chance.random() / 500)

    def run(self, task, pause):
        time.sleep(pause)
        seeds = task.message.fields["seeds"]
        self.seeds += seeds
        return Message({"chunks": [chunk(seed).to_dict() for seed in seeds]})


def stream(executor):
    loaded = environment_from_files({ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, origin="e.yaml")
    return ScoreStream(executor, loaded, SealedCandidate({}, b""), KEY, "holdout")


@pytest.mark.parametrize("jobs", [1, 2, 7])
@pytest.mark.parametrize("per_task", [1, 2, 5])
def test_counts_do_not_depend_on_workers_order_or_batches(jobs, per_task, monkeypatch):
    monkeypatch.setattr(stream_module, "_CHUNKS_PER_TASK", per_task)
    executor = Threads(jobs, seed=jobs * per_task)
    whole = stream(executor).score(0, 23)
    seeds = [derive_seed(KEY, "holdout", i) for i in range(23)]
    assert sorted(executor.seeds) == sorted(seeds), "each chunk is drawn once"
    assert whole.digests == tuple(f"{seed:016x}" for seed in seeds), "and stands in its place"
    assert whole.counts == sum((chunk(seed).counts for seed in seeds), PairedCounts())
    assert stream(executor).score(0, 9).counts + stream(executor).score(9, 14).counts == whole.counts


def test_progress_ends_where_the_shots_end():
    said = []
    stream(Threads(3, 1)).score(4, 7, progress=lambda done, total: said.append((done, total)))
    assert said == sorted(said)
    assert said[-1] == (7 * CHUNK_SHOTS, 7 * CHUNK_SHOTS)


def test_a_fault_ends_the_stream_and_keeps_its_reason():
    class Broken(Threads):
        def run(self, task, pause):
            raise ChildFailed("timeout: no answer", kind="CandidateFault", about={"reason": "timeout"})

    with pytest.raises(CandidateFault) as caught:
        stream(Broken(2, 1)).score(0, 5)
    assert caught.value.reason == "timeout"


def test_parts_of_a_task_count_as_progress():
    class Telling(Threads):
        def submit(self, task):
            task.progress(0.25)
            task.progress(0.75)
            task.progress(0.5)  # a report that comes late
            task.progress("nonsense")
            return super().submit(task)

    done = []
    tasks = [stream(Telling(1, 1)).task("f", [chunk]) for chunk in range(4)]
    running = RunningTasks(Telling(1, 1), tasks)
    assert sorted(running._parts) == [0.75] * 4
    for future in running.each(done.append):
        future.result()
    assert done == sorted(done)
    assert done[-1] == 4.0


def test_streams_are_scored_side_by_side_and_a_fault_is_one_streams():
    class Odd(Threads):
        def run(self, task, pause):
            if task.message.blobs["file:bad"] == b"yes":
                raise ChildFailed("timeout: no answer", kind="CandidateFault", about={"reason": "timeout"})
            return super().run(task, pause)

    executor = Odd(2, 1)
    made = [replace(stream(executor), sealed=SealedCandidate({"bad": each}, b"")) for each in (b"no", b"yes", b"no")]
    said = []
    first, fault, last = score_each(made, 3, 4, said.append)
    assert isinstance(fault, CandidateFault)
    assert first.digests == last.digests == tuple(f"{derive_seed(KEY, 'holdout', i):016x}" for i in range(3, 7))
    assert said[-1] == 3.0


def test_no_chunk_is_begun_after_one_of_its_stream_failed(monkeypatch):
    """Each would load everything again and fail: a worker must not be faster than who cancels them."""
    go, begun, wait = threading.Event(), [], running_tasks.wait

    class Odd(Threads):
        def run(self, task, pause):
            go.wait()
            begun.append(task.message.fields["seeds"])
            raise ChildFailed("timeout: no answer", kind="CandidateFault", about={"reason": "timeout"})

    def slow(*arguments, **options):
        go.set()
        found = wait(*arguments, **options)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(running_tasks, "wait", slow)
    faults = score_each([stream(Odd(1, 1))] * 2, 0, 4, lambda done: None)
    assert [type(fault) for fault in faults] == [CandidateFault] * 2
    assert len(begun) == 2, "one of each stream"
