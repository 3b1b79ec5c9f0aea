"""What the pool of workers knows of each worker, and of each task until it is settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import Task
from autoqec.scoring.remote.worker_link import RemoteWorker

#: Answers of a worker that are kept, to be asked again elsewhere if it is dropped. A verdict has a few hundred.
KEPT_ANSWERS = 8192


@dataclass(frozen=True)
class Opinion:
    """An answer to a task: who gave it, and the digest of what counts of it; see `autoqec.scoring.remote.answer_identity`.

    Workers of one machine share its faults, so what counts as a witness is the machine.
    """

    worker: str
    machine: str
    identity: bytes
    answer: Message


@dataclass(frozen=True)
class Said:
    """What is kept of an answer that was given out.

    Attributes:
        task: The task.
        identity: The digest of what counts of the answer.
        like: Which workers would give the same; see `WorkerGreeting.comparable`.
    """

    task: Task
    identity: bytes
    like: tuple[str, ...]


@dataclass(eq=False)
class Job:
    """A task until it is settled.

    Attributes:
        task: The task.
        future: The caller's; None where an answer of a dropped worker is only compared.
        twice: Whether another worker is asked too.
        expected: Of an answer of a dropped worker, what it said.
        like: Which workers may answer, by `WorkerGreeting.comparable`; empty for all.
        opinions: Answers so far.
        asked: Workers that do not get it again: they have answered, or were lost with it.
        losses: How many workers were lost with it.
        running: How many workers do it now.
        trouble: The last error that may be of the machine that reported it.
        troubled: The workers that reported one.
        failed_at: The machines on which one was reported.
        elsewhere: Whether machines that have answered it, by an opinion or by trouble, do not get it again.
        settled: Whether nothing more is to be done.
        notified: Whether those who wait for the future know that it is cancelled.
    """

    task: Task
    future: Future[Message] | None
    twice: bool = False
    expected: bytes = b""
    like: tuple[str, ...] = ()
    opinions: list[Opinion] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    losses: int = 0
    running: int = 0
    trouble: Message | None = None
    troubled: list[str] = field(default_factory=list)
    failed_at: set[str] = field(default_factory=set)
    elsewhere: bool = True
    settled: bool = False
    notified: bool = False

    def begins(self) -> bool:
        """Have the caller's future run, if it does not yet; whether it does.

        One that its caller has cancelled does not. `concurrent.futures.wait` hears of that only here.
        """
        if self.future is None or self.future.running():
            return True
        if self.notified:
            return False
        began = self.future.set_running_or_notify_cancel()
        self.notified = not began
        return began

    @property
    def is_check(self) -> bool:
        """Whether it is asked to be compared: such jobs go first, and hold others back."""
        return bool(self.opinions) or self.future is None

    def fits(self, member: Member) -> bool:
        """Whether a worker may be asked. This machine may decide, whatever workers it has."""
        if member.name in self.asked:
            return False
        if self.elsewhere and not member.only_compares and member.machine in self.machines | self.failed_at:
            return False
        return member.worker.greeting.comparable == self.like if self.like else not member.only_compares

    @property
    def machines(self) -> set[str]:
        """The machines whose opinions there are."""
        return {opinion.machine for opinion in self.opinions}

    def forget(self, machine: str) -> None:
        """Forget what workers of a machine said that was dropped since."""
        self.opinions = [opinion for opinion in self.opinions if opinion.machine != machine]
        if not self.opinions and self.future is not None:
            self.like = ()

    def wins(self) -> Opinion | None:
        """The opinion of most of those who were asked; None while one is missing, or if no two agree."""
        for opinion in self.opinions:
            same = sum(other.identity == opinion.identity for other in self.opinions)
            if 2 * same > len(self.opinions):
                return opinion
        return None


@dataclass(eq=False)
class Ask:
    """One worker that does one job."""

    job: Job
    member: Member
    began: float
    future: Future[bytes] | None = None


@dataclass(eq=False)
class Member:
    """A worker of the pool.

    Attributes:
        worker: It.
        only_compares: Whether it gets only what others have answered: this machine, where there is no third worker.
        ask: What it does now.
        kind: The kind of its last task.
    """

    worker: RemoteWorker
    only_compares: bool = False
    ask: Ask | None = None
    kind: str | None = None

    @property
    def name(self) -> str:
        """As the user knows it."""
        return self.worker.name

    @property
    def machine(self) -> str:
        """The machine that it is on."""
        return self.worker.greeting.machine

    @property
    def has_gpu(self) -> bool:
        """Whether it has a GPU."""
        return bool(self.worker.greeting.device)


@dataclass
class Waiting:
    """Jobs that wait for a worker. Those that any worker may do wait by kind, so handing out takes no longer for more of them.

    Attributes:
        anywhere: Jobs that any worker may do, by kind.
        chosen: Jobs for some workers: what is compared, what a worker was lost with, what prefers a GPU.
    """

    anywhere: dict[str, deque[Job]] = field(default_factory=dict)
    chosen: deque[Job] = field(default_factory=deque)

    def __iter__(self) -> Iterator[Job]:
        yield from self.chosen
        for jobs in self.anywhere.values():
            yield from jobs

    def __bool__(self) -> bool:
        return bool(self.chosen) or any(self.anywhere.values())

    def add(self, job: Job) -> None:
        """Have a job wait."""
        if job.is_check or job.asked or job.task.prefers_gpu:
            self.chosen.append(job)
        else:
            self.anywhere.setdefault(job.task.kind, deque()).append(job)

    def take_for(self, member: Member, members: Collection[Member]) -> Job | None:
        """The job that an idle worker gets, taken out; None if none is for it.

        What is compared comes first, then what a worker was lost with; then a task of the kind that it has loaded; then one of a
        kind that no worker has; then one of the kind with the most tasks waiting. A task that prefers a GPU waits for a worker
        that has one, if any does.
        """
        fitting = [job for job in self.chosen if job.fits(member) and _suits(job, member, members)]
        if fitting:
            job = next((each for each in fitting if each.is_check), fitting[0])
            self.chosen.remove(job)
            return job
        if member.only_compares:
            return None
        taken = {each.kind for each in members}
        while self.anywhere:
            kinds = self.anywhere
            kind = max(kinds, key=lambda each: (each == member.kind, each not in taken, len(kinds[each])))
            while kinds[kind]:
                job = kinds[kind].popleft()
                if not _is_over(job):
                    return job
            del kinds[kind]
        return None

    def nobody_fits(self, members: Collection[Member]) -> list[Job]:
        """Of the jobs for some workers, take out those that no worker of these may do."""
        found = [job for job in self.chosen if not _is_over(job) and not any(job.fits(each) for each in members)]
        self.chosen = deque(job for job in self.chosen if not _is_over(job) and job not in found)
        return found


def _is_over(job: Job) -> bool:
    """Whether a job has been settled since, or its caller has cancelled it."""
    return job.settled or (job.future is not None and job.future.cancelled())


def _suits(job: Job, member: Member, members: Collection[Member]) -> bool:
    if not job.task.prefers_gpu or job.is_check or member.has_gpu:
        return True
    return not any(each.has_gpu and job.fits(each) for each in members)
