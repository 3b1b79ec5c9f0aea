"""The executor of workers elsewhere, whatever carries their frames: who does which task, and whose answer counts.

One thread decides everything, from events in one queue. Workers come from a `WorkerSource`. A task of a worker that is lost is
asked elsewhere, a task that takes much longer than others is asked a second time, and the first answer counts. One task in
`check_one_in` is asked of two workers that round alike, on two machines if there are two: where these differ a third one decides,
and the machine that stands alone is dropped with all its workers, which share its faults. What it answered before is then asked
again, and no answer is given out meanwhile; if any of it was wrong, all tasks fail, because answers that were given out cannot be
taken back.
"""

from __future__ import annotations

import queue
import secrets
import statistics
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError, Future
from functools import partial
from types import TracebackType
from typing import Literal

from autoqec.counted_words import counted
from autoqec.errors import AutoQECError
from autoqec.sandbox.channel import ChannelClosed, Message
from autoqec.sandbox.child import failure_from, plain
from autoqec.scoring.executor_contract import Task, ToldNews, WorkerNews
from autoqec.scoring.remote.answer_identity import identity_of, is_error, may_be_the_machine
from autoqec.scoring.remote.greeting_here import greeting_here, level_asked_for, refusal
from autoqec.scoring.remote.pool_members import KEPT_ANSWERS, Ask, Job, Member, Opinion, Said, Waiting
from autoqec.scoring.remote.pool_options import require_count, require_seconds
from autoqec.scoring.remote.this_machine import HERE, ThisMachine
from autoqec.scoring.remote.worker_greeting import WorkerGreeting
from autoqec.scoring.remote.worker_link import RemoteWorker, WorkerLost, WorkerSource

#: A task that this many workers were lost with is not asked again: it may be what ends them.
_MOST_LOSSES = 3

#: An error that may be the machine's is asked of so many further workers before it is believed; and a worker that failed so many
#: tasks which another one could do is taken out.
_MOST_TROUBLED, _MOST_FAILED = 2, 3

#: Seconds between two looks at what takes long.
_LOOK_SECONDS = 1.0

#: A task is asked a second time if it takes this many times the median of its function, and at least so many seconds; and if
#: so many tasks of that function have been answered.
_SLOW_TIMES, _SLOW_SECONDS, _SLOW_KNOWN = 4.0, 30.0, 3

#: Why a worker is refused that was dropped by an executor of an earlier step.
_DROPPED_BEFORE = "it answered otherwise than others earlier in this command, or is on the machine of a worker that did"

#: Reasons of workers that could not be used that an error names.
_REASONS_NAMED = 3


class WorkersDisagree(AutoQECError):
    """Workers answered the same task otherwise, and it is not known which answers are right."""

    code = "workers_disagree"


class NoWorkers(AutoQECError):
    """No worker is there, and none comes."""

    code = "no_workers"


class RemotePool:
    """Runs tasks on workers elsewhere; use as a context manager.

    Args:
        source: Where workers come from; it is opened and closed by the pool.
        jobs: How many tasks at once, if all workers are there.
        check_one_in: One task in so many, drawn at random, is asked of two workers.
        wait_seconds: How long tasks wait while there is no worker.
        ours: What workers must agree with; by default what this process says of itself.
        this_machine: Makes the worker that decides where two differ and there is no third: this machine, if it rounds as they do.
        clock: Counts seconds.

    Raises:
        UsageError: `check_one_in` or `wait_seconds` is no such number.
    """

    def __init__(
        self,
        source: WorkerSource,
        jobs: int,
        *,
        check_one_in: int = 64,
        wait_seconds: float = 600.0,
        ours: WorkerGreeting | None = None,
        this_machine: Callable[[WorkerGreeting], RemoteWorker] = ThisMachine,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.jobs = jobs
        self._source = source
        self._check_one_in = require_count("check_one_in", check_one_in)
        self._wait_seconds = require_seconds("wait_seconds", wait_seconds)
        self._ours = ours or greeting_here(level_asked_for())
        self._this_machine, self._clock = this_machine, clock
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._members: dict[str, Member] = {}
        self._jobs: set[Job] = set()  # whose futures are not done
        self._waiting = Waiting()
        self._asks: set[Ask] = set()
        self._checks: set[Job] = set()  # answers of dropped workers that are asked again
        self._held: list[tuple[Job, Message | AutoQECError]] = []  # what is given out when these are done
        self._dropped: dict[str, str] = {}  # why, by worker
        self._distrusted: dict[str, str] = {}  # why, by machine
        self._left_out: set[str] = set()  # workers and machines that an earlier executor of this command dropped
        # What was given out by the word of one machine, be it lost by now: if it is dropped, that is asked again elsewhere.
        self._said: dict[str, deque[Said]] = defaultdict(lambda: deque(maxlen=KEPT_ANSWERS))
        self._left: set[str] = set()  # lost, and the source has not said so yet
        self._reasons: deque[tuple[str, str]] = deque(maxlen=_REASONS_NAMED)  # why workers could not be used
        self._failed: Counter[str] = Counter()  # tasks that a worker failed and another one could do
        self._took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=64))  # seconds by function
        self._told: ToldNews | None = None
        self._untold: deque[WorkerNews] = deque(maxlen=1024)  # what happened before anybody watched
        self._alone_since = clock()
        self._broken: AutoQECError | None = None
        self._open = True
        self._thread = threading.Thread(target=self._decide, name="autoqec-pool", daemon=True)

    # What other threads call: each only adds an event.

    def submit(self, task: Task) -> Future[Message]:
        """See `autoqec.scoring.executor_contract.Executor.submit`."""
        future: Future[Message] = Future()
        job = Job(task, future, twice=task.same_everywhere and secrets.randbelow(self._check_one_in) == 0)
        self._events.put(partial(self._add, job))
        future.add_done_callback(
            lambda done: self._events.put(partial(self._cancelled, job)) if done.cancelled() else None
        )
        return future

    def leave_out(self, workers: Collection[str]) -> None:
        """See `autoqec.scoring.executor_contract.SelectiveExecutor.leave_out`."""
        self._events.put(partial(self._leave_out, tuple(workers)))

    def watch(self, told: ToldNews) -> None:
        """See `autoqec.scoring.executor_contract.WatchedExecutor.watch`."""
        self._events.put(partial(self._watch, told))

    def __enter__(self) -> RemotePool:
        self._source.open(
            lambda worker: self._events.put(partial(self._join, worker)),
            lambda name, why: self._events.put(partial(self._gone, name, why)),
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.put(self._close)
        self._thread.join()
        self._source.close()

    # What the one thread does.

    def _decide(self) -> None:
        while self._open:
            try:
                event = self._events.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                event = self._look
            self._step(event)

    def _step(self, event: Callable[[], None]) -> None:
        """Deal with one event, and give work to whoever has none."""
        try:
            event()
            self._hand_out()
        except Exception as error:  # whoever waits for a future must not wait for ever
            self._fail(AutoQECError(f"the executor failed: {type(error).__name__}: {error}", code="raised"))

    def _add(self, job: Job) -> None:
        self._jobs.add(job)
        if self._broken is not None:
            self._give(job, self._broken)
        else:
            self._waiting.add(job)

    def _cancelled(self, job: Job) -> None:
        """Have those who wait for a task that its caller has cancelled know, though all workers are busy."""
        job.settled = True
        self._jobs.discard(job)
        job.begins()

    def _leave_out(self, workers: Collection[str]) -> None:
        self._left_out.update(workers)
        for name, member in list(self._members.items()):
            if not self._left_out.isdisjoint((name, member.machine)):
                del self._members[name]
                member.worker.end()
                self._say("refused", name, _DROPPED_BEFORE, member.machine)

    def _watch(self, told: ToldNews) -> None:
        self._told = told
        for news in self._untold:
            told(news)
        self._untold.clear()

    def _names(self) -> list[str]:
        return [name for name, member in self._members.items() if not member.only_compares]

    def _say(
        self, what: Literal["joined", "refused", "lost", "dropped"], name: str, why: str, machine: str = ""
    ) -> None:
        news = WorkerNews(what, plain(name), plain(why), len(self._names()), machine)
        if what != "joined":
            self._reasons.append((news.worker, news.reason))
        if self._told is not None:
            self._told(news)
        else:
            self._untold.append(news)

    def _join(self, worker: RemoteWorker) -> None:
        why = refusal(self._ours, worker.greeting)
        if not self._left_out.isdisjoint((worker.name, worker.greeting.machine)):
            why = _DROPPED_BEFORE
        why = self._distrusted.get(worker.greeting.machine, why)
        why = self._dropped.get(worker.name, why)
        if worker.name in self._members:
            why = "another worker has this name"
        if why is not None or self._broken is not None:
            worker.end()
            self._say("refused", worker.name, why or "the executor has failed", worker.greeting.machine)
            return
        self._members[worker.name] = Member(worker)
        self._left.discard(worker.name)
        self._say("joined", worker.name, "", worker.greeting.machine)

    def _gone(self, name: str, why: str) -> None:
        if name in self._members:
            self._lose(name, why)
        elif name not in self._dropped and name not in self._left:
            self._say("refused", name, why)
        self._left.discard(name)

    def _lose(self, name: str, why: str) -> None:
        """Take a worker out; what it was doing is asked elsewhere."""
        member = self._members.pop(name)
        self._left.add(name)
        if not self._names():
            self._alone_since = self._clock()
        member.worker.end()
        self._say("lost", name, why, member.machine)
        if member.ask is not None:
            job = member.ask.job
            self._end_ask(member.ask)
            job.asked.add(name)
            job.losses += 1
            if job.settled or job.running:
                return
            if job.losses >= _MOST_LOSSES:
                said = f"{counted(job.losses, 'worker')} were lost with the same task; the last one, {plain(name)}: {plain(why)}"
                self._settle(job, WorkerLost(said, hint="look at the memory and the log of the workers"))
            else:
                self._ask_again(job)

    def _end_ask(self, ask: Ask) -> None:
        self._asks.discard(ask)
        ask.member.ask = None
        ask.job.running -= 1

    def _stop(self, ask: Ask) -> None:
        """Stop a task that is no longer needed. A worker that cannot stop it stays busy until it answers."""
        ask.job.settled = True
        if ask.future is None or ask.future.cancel():
            self._end_ask(ask)

    def _ask_again(self, job: Job) -> None:
        """Have a job done by somebody else, before all others; by anybody, if only those are there who were lost with it."""
        if not any(job.fits(member) for member in self._members.values()):
            job.asked = {opinion.worker for opinion in job.opinions}
        self._waiting.add(job)

    # Who does what.

    def _hand_out(self) -> None:
        for stuck in self._waiting.nobody_fits(self._members.values()):
            self._go_on_without(stuck)
        for member in list(self._members.values()):
            while member.ask is None and self._members.get(member.name) is member:
                job = self._waiting.take_for(member, self._members.values())
                if job is None:
                    break
                self._ask(member, job)
        self._require_workers()

    def _go_on_without(self, job: Job) -> None:
        """Continue with a job whose like no worker is there to do; it has been taken out of those that wait."""
        if job.is_check:
            if len(job.opinions) == 1 and job.future is not None:
                self._believe(job)
            elif not self._asks_another(job, this_machine=True):
                self._fail(_disagreement([each.worker for each in job.opinions] or list(self._dropped)))
        elif job.failed_at and job.elsewhere:
            job.elsewhere = False
            self._waiting.add(job)
        elif job.trouble is not None and self._names():
            self._settle(job, job.trouble)
        else:
            job.asked.clear()
            self._waiting.add(job)

    def _ask(self, member: Member, job: Job) -> None:
        if not job.begins():
            job.settled = True
            return
        ask = Ask(job, member, self._clock())
        member.ask, member.kind = ask, job.task.kind
        job.running += 1
        self._asks.add(ask)
        try:
            progress = None if job.future is None else job.task.progress
            ask.future = member.worker.ask(job.task.to_message().to_bytes(), progress)
        except AutoQECError as error:
            self._lose(member.name, error.problem)
            return
        ask.future.add_done_callback(lambda done: self._events.put(partial(self._answered, ask, done)))

    def _require_workers(self) -> None:
        """Fail what waits if there is no worker and none comes."""
        if self._names() or not self._waiting:
            return
        waited = self._clock() - self._alone_since
        if self._source.expects() and waited < self._wait_seconds:
            return
        if not self._events.empty():
            return  # why the last one went may be among what is still to be heard
        workers: dict[str, dict[str, None]] = {}  # by reason: their names, in order and once
        for worker, reason in self._reasons:
            workers.setdefault(reason, {})[worker] = None
        named = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in workers.items())
        said = "no worker is there" + (f": {named}" if named else f" after {waited:.0f} seconds")
        error = NoWorkers(said, hint=None if named else "start workers, or raise wait_seconds")
        for job in list(self._waiting):
            self._settle(job, error)
        self._waiting = Waiting()

    def _look(self) -> None:
        """Ask a second worker for what takes much longer than other tasks of its function, if one has nothing to do."""
        idle = [member for member in self._members.values() if member.ask is None]
        if self._waiting or not idle:
            return
        for ask in sorted(self._asks, key=lambda each: each.began):
            took = self._took[ask.job.task.function]
            if len(took) < _SLOW_KNOWN or ask.job.running > 1 or ask.job.is_check or ask.job.settled:
                continue
            if self._clock() - ask.began > max(_SLOW_SECONDS, _SLOW_TIMES * statistics.median(took)):
                ask.job.asked.add(ask.member.name)
                if any(ask.job.fits(member) for member in idle):
                    self._waiting.add(ask.job)
                    return

    # Whose answer counts.

    def _answered(self, ask: Ask, done: Future[bytes]) -> None:
        member, job = ask.member, ask.job
        if member.ask is not ask:
            return  # it was lost, dropped or stopped meanwhile
        try:
            answer = Message.from_bytes(done.result())
            identity = identity_of(answer)
        except ChannelClosed as error:
            self._lose(member.name, f"it sent no answer: {error.problem}")
            return
        except (AutoQECError, CancelledError) as error:
            self._lose(member.name, error.problem if isinstance(error, AutoQECError) else "it was stopped")
            return
        except Exception as error:  # one worker's answer, such as one that is nested too deeply, must not end all tasks
            self._lose(member.name, f"its answer cannot be read: {type(error).__name__}")
            return
        self._end_ask(ask)
        if job.settled:
            return
        if not is_error(answer):
            self._took[job.task.function].append(self._clock() - ask.began)
        job.asked.add(member.name)
        if may_be_the_machine(answer) and (
            job.is_check or (len(job.troubled) < _MOST_TROUBLED and self._another_can(job, member))
        ):
            # It says nothing of the task yet. What further workers say too is believed.
            job.trouble = answer
            job.troubled.append(member.name)
            job.failed_at.add(member.machine)
            if not job.running:
                self._waiting.add(job)
            return
        if not may_be_the_machine(answer):
            self._blame(job)
        self._hear(job, Opinion(member.name, member.machine, identity, answer))

    def _another_can(self, job: Job, member: Member) -> bool:
        """Whether there is a worker to ask what failed on this one: on another machine, or else on the same one."""
        others = [each for each in self._members.values() if job.fits(each)]
        job.elsewhere = any(each.machine != member.machine for each in others)
        return bool(others)

    def _blame(self, job: Job) -> None:
        """Take out workers that fail what others can do: one with a full disk fails at once, and so would get most tasks."""
        for name in job.troubled:
            self._failed[name] += 1
            if self._failed[name] >= _MOST_FAILED and name in self._members and job.trouble is not None:
                error = plain(job.trouble.fields.get("error"))
                self._lose(name, f"it failed {self._failed[name]} tasks that others could do; the last one: {error}")
        job.troubled.clear()

    def _hear(self, job: Job, opinion: Opinion) -> None:
        job.opinions.append(opinion)
        if len(job.opinions) == 1:
            job.like = self._members[opinion.worker].worker.greeting.comparable
        if job.future is None:
            self._compare_with_dropped(job, opinion)
        elif len(job.opinions) == 1:
            sure = not job.twice or may_be_the_machine(opinion.answer)
            if sure or not self._asks_another(job, this_machine=False):
                self._believe(job)
        elif job.wins() is not None:
            self._settle_by_majority(job)
        elif len(job.opinions) == 2:
            if not self._asks_another(job, this_machine=True):
                self._fail(_disagreement([each.worker for each in job.opinions]))
        else:
            # No two agree: the task does not repeat itself, and no worker is to blame. What judges a candidate sees that too.
            self._settle(job, job.opinions[0].answer)

    def _believe(self, job: Job) -> None:
        """Settle a job by the word of one worker, which is asked again elsewhere if that worker is dropped."""
        opinion = job.opinions[0]
        if job.task.same_everywhere and not may_be_the_machine(opinion.answer):
            self._said[opinion.machine].append(Said(job.task, opinion.identity, job.like))
        self._settle(job, opinion.answer)

    def _asks_another(self, job: Job, *, this_machine: bool) -> bool:
        """Have another worker that rounds alike do a job too; whether there is one.

        One on the same machine is asked only where there is no other, and it is no third opinion of two machines.
        """
        job.elsewhere = True
        there = any(job.fits(member) for member in self._members.values())
        if not there and this_machine and job.like == self._ours.comparable:
            member = Member(self._this_machine(self._ours), only_compares=True)
            there = member.name not in self._members
            if there:
                self._members[member.name] = member
        if not there and len(job.machines) == 1:
            job.elsewhere = False
            there = any(job.fits(member) for member in self._members.values())
        if there:
            self._waiting.add(job)
        return there

    def _settle_by_majority(self, job: Job) -> None:
        best = job.wins()
        assert best is not None
        agreeing = [each for each in job.opinions if each.identity == best.identity]
        for opinion in job.opinions:
            if opinion.identity != best.identity:
                named = " and ".join(each.worker for each in agreeing)
                self._drop(opinion, f"it answered otherwise than {named} on the same task")
        if all(each.machine in self._distrusted and each.worker != HERE for each in agreeing):
            self._fail(_disagreement([each.worker for each in job.opinions]))
        else:
            self._settle(job, best.answer)

    def _drop(self, opinion: Opinion, why: str) -> None:
        """Take out the machine of a worker that answered wrongly, and ask elsewhere what its workers had answered before."""
        if opinion.machine in self._distrusted:
            return
        beside = f"it is on the machine of {opinion.worker}, which was dropped"
        self._distrusted[opinion.machine] = beside
        for job in (*self._waiting, *(ask.job for ask in self._asks)):
            job.forget(opinion.machine)
        there = [each for each in self._members.values() if each.machine == opinion.machine and not each.only_compares]
        names = [opinion.worker, *(each.name for each in there if each.name != opinion.worker)]
        gone = [self._members.pop(name, None) for name in names]
        if not self._names():
            self._alone_since = self._clock()
        for name in names:
            self._dropped[name] = why if name == opinion.worker else beside
            self._say("dropped", name, self._dropped[name], opinion.machine)
        for member in filter(None, gone):
            self._end_dropped(member)
        for said in self._said.pop(opinion.machine, ()):
            check = Job(said.task, None, expected=said.identity, like=said.like, asked=set(names))
            self._checks.add(check)
            if not self._asks_another(check, this_machine=True):
                self._fail(_disagreement(names))
                return

    def _end_dropped(self, member: Member) -> None:
        member.worker.end()
        if member.ask is not None:
            job = member.ask.job
            self._end_ask(member.ask)
            job.asked.add(member.name)
            if not job.settled and not job.running:
                self._ask_again(job)

    def _compare_with_dropped(self, job: Job, opinion: Opinion) -> None:
        job.settled = True
        self._checks.discard(job)
        if opinion.identity != job.expected:
            self._fail(_disagreement(list(self._dropped)))
        elif not self._checks:
            held, self._held = self._held, []
            for each, result in held:
                self._give(each, result)

    # What callers get.

    def _settle(self, job: Job, result: Message | AutoQECError) -> None:
        """Give out an answer, or hold it back while answers of a dropped worker are asked again."""
        job.settled = True
        for ask in [each for each in self._asks if each.job is job]:
            self._stop(ask)
        if self._checks and job.future is not None:
            self._held.append((job, result))
        else:
            self._give(job, result)

    def _give(self, job: Job, result: Message | AutoQECError) -> None:
        job.settled = True
        self._jobs.discard(job)
        if job.future is None or (job.future.done() and not job.future.cancelled()) or not job.begins():
            return
        if self._broken is None and isinstance(result, Message) and not is_error(result):
            job.future.set_result(result)
        else:
            job.future.set_exception(self._broken or _error_of(result))

    def _fail(self, error: AutoQECError) -> None:
        """Fail everything that is not given out, and all that comes."""
        self._broken = self._broken or error
        self._waiting, self._held = Waiting(), []
        self._checks.clear()
        for ask in list(self._asks):
            self._stop(ask)
        for job in list(self._jobs):
            self._give(job, self._broken)

    def _close(self) -> None:
        self._open = False
        for job in self._waiting:
            if job.future is not None and not job.future.running():
                job.future.cancel()
        self._fail(WorkerLost("the executor was closed before the task was answered"))
        for member in self._members.values():
            member.worker.end()


def _error_of(result: Message | AutoQECError) -> AutoQECError:
    return failure_from(result) if isinstance(result, Message) else result


def _disagreement(workers: list[str]) -> WorkersDisagree:
    return WorkersDisagree(
        f"workers answer the same tasks otherwise, and it is not known who is right: {', '.join(map(plain, sorted(workers)))}",
        hint="leave these workers out, then autoqec resume",
        about={"workers": sorted(workers)},
    )
