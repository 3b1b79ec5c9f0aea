"""The pool of workers elsewhere: whoever is lost, slow or wrong, each task has one right answer or a reason."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import CancelledError, Future, wait

import pytest
from pool_stand_ins import GREETING, Source, StepPool, Worker, answer_of

from autoqec.errors import UsageError
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed, report_of
from autoqec.scoring.executor_contract import Task
from autoqec.scoring.remote.pool_members import Job
from autoqec.scoring.remote.remote_pool import NoWorkers, RemotePool, WorkersDisagree
from autoqec.scoring.remote.worker_link import WorkerLost


def numbers(futures):
    return [future.result(0).fields["number"] for future in futures]


def wrong(task):
    return Message({"number": -1})


def full_disk(task):
    return Message(report_of(OSError(28, "No space left on device")))


def test_tasks_are_answered_in_full_and_errors_keep_their_code():
    with RemotePool(Source(Worker("a"), Worker("b")), 2, ours=GREETING) as pool:
        futures = [pool.submit(Task("a:b", Message({"number": number}))) for number in range(9)]
        assert [future.result(60).fields["number"] for future in futures] == list(range(9))
    pool = StepPool(Worker("a", lambda task: Message(report_of(UsageError("no", hint="so")))))
    (future,) = pool.ask(1)
    error = future.exception(0)
    assert isinstance(error, ChildFailed)
    assert (error.problem, error.code, error.kind, error.hint) == ("no", "usage", "UsageError", "so")


def test_a_task_of_a_lost_worker_is_asked_elsewhere():
    a, b = Worker("a", waits=True), Worker("b", waits=True)
    pool = StepPool(a, b)
    futures = pool.ask(1, 2)
    a.die("the connection broke")
    pool.step()
    b.answer()
    pool.step()
    b.answer()
    pool.step()
    assert numbers(futures) == [1, 2]
    assert [(each.what, each.worker, each.reason, each.workers) for each in pool.news] == [
        ("joined", "a", "", 1), ("joined", "b", "", 2), ("lost", "a", "the connection broke", 1),
    ]  # fmt: skip


def test_a_worker_that_the_source_calls_gone_is_lost_too():
    a, b = Worker("a", waits=True), Worker("b", waits=True)
    pool = StepPool(a)
    futures = pool.ask(1)
    pool.source.gone("a", "the scheduler closed it")
    pool.source.joined(b)
    pool.step()
    b.answer()
    pool.step()
    assert numbers(futures) == [1]
    assert a.ended
    assert a.open[0][1].cancelled() or not a.open[0][1].done()


def test_a_task_with_which_three_workers_were_lost_is_given_up():
    workers = [Worker(name, waits=True) for name in "abcd"]
    pool = StepPool(*workers)
    (future,) = pool.ask(1)
    for worker in workers:
        if worker.open:
            worker.die("it was killed")
            pool.step()
    with pytest.raises(WorkerLost, match="3 workers were lost with the same task; the last one, c: it was killed"):
        future.result(0)
    assert pool.said("lost") == ["a", "b", "c"]


def test_a_worker_that_comes_back_may_do_what_it_was_lost_with():
    a = Worker("a", waits=True)
    pool = StepPool(a)
    futures = pool.ask(1)
    a.die()
    pool.step()
    pool.source.joined(Worker("a"))
    pool.step()
    assert numbers(futures) == [1]


@pytest.mark.parametrize("frame", [b"", b"junk", Message({}, {"a": b"12"}).to_bytes()[:-1]])
def test_what_is_no_frame_is_no_answer(frame):
    a, b = Worker("a", waits=True), Worker("b")
    pool = StepPool(a)
    futures = pool.ask(1)
    pool.source.joined(b)
    a.answer(frame)
    pool.step()
    assert numbers(futures) == [1]
    assert pool.said("lost") == ["a"]


def nested(levels):
    return [nested(levels - 1)] if levels else 1


@pytest.mark.parametrize("answer", [Message({}, {"\ud800": b""}), Message({"number": nested(600)})])
def test_an_answer_that_cannot_be_compared_ends_its_worker_and_nothing_else(answer):
    pool = StepPool(Worker("bad", lambda task: answer), Worker("good", waits=True))
    futures = pool.ask(1, 2)
    for _ in range(2):
        pool.source.workers[1].answer()
        pool.step()
    assert numbers(futures) in ([1, 2], [2, 1])
    (lost,) = [each for each in pool.news if each.what == "lost"]
    assert lost.worker == "bad"
    assert lost.reason.startswith("its answer cannot be read: ")


def test_a_code_of_an_error_that_is_no_text_is_no_code():
    (future,) = StepPool(Worker("a", lambda task: Message({"error": "no", "code": ["raised"]}))).ask(1)
    assert isinstance(future.exception(0), ChildFailed)


def test_a_worker_that_differs_from_here_is_refused_with_the_reason():
    pool = StepPool(Worker("a", code="b" * 64), Worker("b"), Worker("b"))
    assert [(each.what, each.worker, each.reason) for each in pool.news if each.what == "refused"] == [
        ("refused", "a", "the code of AutoQEC is bbbbbbbbbbbb there, aaaaaaaaaaaa here"),
        ("refused", "b", "another worker has this name"),
    ]
    assert numbers(pool.ask(1, 2)) == [1, 2]


def test_without_workers_tasks_wait_until_none_can_come():
    pool = StepPool(wait_seconds=60)
    (future,) = pool.ask(1)
    pool.look(59)
    assert not future.done()
    pool.look(1)
    with pytest.raises(NoWorkers, match="no worker is there after 60 seconds"):
        future.result(0)


def test_if_none_can_come_the_error_names_why():
    pool = StepPool(more=False)
    pool.source.gone("ssh a", "exit status 255: no route to host\x1b[2J")
    (future,) = pool.ask(1)
    with pytest.raises(NoWorkers, match=r"ssh a: exit status 255: no route to host\?\[2J"):
        future.result(0)
    assert pool.said("refused") == ["ssh a"]


def test_tasks_of_a_kind_go_to_the_worker_that_has_it_loaded():
    a, b = Worker("a", waits=True), Worker("b", waits=True)
    pool = StepPool(a, b)
    pool.ask(1, kind="x")
    pool.ask(2, kind="y")
    pool.ask(3, kind="y")
    pool.ask(4, kind="x")
    for worker in (b, a):
        worker.answer()
        pool.step()
    assert (a.asked, b.asked) == ([1, 4], [2, 3])


def test_a_task_that_prefers_a_gpu_waits_for_the_worker_with_one():
    a, gpu = Worker("a", waits=True), Worker("gpu", waits=True, device="H100")
    pool = StepPool(a, gpu)
    pool.ask(1, 2, prefers_gpu=True)
    pool.ask(3)
    assert (a.asked, gpu.asked) == ([3], [1])
    gpu.answer()
    pool.step()
    assert gpu.asked == [1, 2]
    assert numbers(StepPool(Worker("a")).ask(1, prefers_gpu=True)) == [1]


def test_what_takes_much_longer_than_others_is_asked_again_and_counts_once():
    a, b = Worker("a", waits=True), Worker("b")
    pool = StepPool(a, b)
    futures = pool.ask(*range(6))
    pool.look(29)
    assert not futures[0].done()
    pool.look(2)
    assert numbers(futures) == list(range(6))
    assert b.asked == [1, 2, 3, 4, 5, 0]
    assert a.open[0][1].cancelled()
    (last,) = pool.ask(7)
    assert a.asked == [0, 7], "the worker whose task was stopped gets the next one"
    a.answer()
    pool.step()
    assert numbers([last]) == [7]


def test_one_task_in_so_many_is_asked_of_two_workers():
    a, b = Worker("a"), Worker("b")
    pool = StepPool(a, b, check_one_in=1)
    assert numbers(pool.ask(1, 2, 3)) == [1, 2, 3]
    assert (sorted(a.asked), sorted(b.asked)) == ([1, 2, 3], [1, 2, 3])
    assert numbers(StepPool(Worker("a"), check_one_in=1).ask(1)) == [1], "one worker has nobody to be compared with"
    c = Worker("c", arithmetic="arm64")
    assert numbers(StepPool(Worker("a"), c, check_one_in=1).ask(1)) == [1]
    assert c.asked == [], "a worker that rounds otherwise is not compared"


def test_what_may_differ_from_worker_to_worker_is_asked_once_and_compared_with_nothing():
    """Such as a training: on a slower worker it has fewer steps."""
    dice = iter(range(9))
    bad = Worker("bad", lambda task: Message({"number": -next(dice)}))
    pool = StepPool(bad, Worker("b"), check_one_in=1)
    (trained,) = pool.ask(7, same_everywhere=False)
    assert (numbers([trained]), len(bad.asked)) == ([0], 1)
    pool.source.joined(c := Worker("c"))
    assert numbers(pool.ask(1, 2)) == [1, 2]
    assert pool.said("dropped") == ["bad"]
    assert 7 not in c.asked


@pytest.mark.parametrize(
    "options",
    [
        {"check_one_in": 0},
        {"check_one_in": 2.5},
        {"check_one_in": True},
        {"wait_seconds": "9"},
        {"wait_seconds": float("nan")},
    ],
)
def test_an_option_that_is_no_such_number_is_named(options):
    with pytest.raises(UsageError, match=f"{next(iter(options))} must be a .*number (of seconds )?from"):
        RemotePool(Source(), 1, ours=GREETING, **options)


def test_how_many_are_asked_twice_is_one_in_so_many(monkeypatch):
    drawn = random.Random(1)
    monkeypatch.setattr("secrets.randbelow", drawn.randrange)
    a, b = Worker("a"), Worker("b")
    numbers(StepPool(a, b, check_one_in=8).ask(*range(800)))
    assert 870 < len(a.asked) + len(b.asked) < 930


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_the_worker_that_stands_alone_is_dropped_whatever_the_order(order):
    workers = [Worker(name, wrong if name == "b" else answer_of) for name in order]
    pool = StepPool(*workers, check_one_in=1)
    assert numbers(pool.ask(1, 2, 3)) == [1, 2, 3]
    (news,) = [each for each in pool.news if each.what == "dropped"]
    assert (news.worker, news.workers) == ("b", 2)
    assert news.reason in {f"it answered otherwise than {x} and {y} on the same task" for x, y in ("ac", "ca")}
    assert next(worker for worker in workers if worker.name == "b").ended
    pool.source.joined(Worker("b"))
    pool.step()
    assert pool.said("refused") == ["b"], "a worker that was dropped does not come back"


def test_of_two_workers_this_machine_decides():
    pool = StepPool(Worker("a", wrong), Worker("b"), check_one_in=1)
    assert numbers(pool.ask(1, 2)) == [1, 2]
    assert pool.said("dropped") == ["a"]
    assert 1 in pool.here[0].asked
    assert pool.said("joined") == ["a", "b"], "this machine is no worker of the pool"


def test_what_a_dropped_worker_said_of_open_tasks_does_not_count():
    a, b = Worker("a", wrong), Worker("b", waits=True)
    pool = StepPool(a, b, check_one_in=1)
    futures = pool.ask(1, 2)
    b.answer()
    pool.step()
    assert pool.said("dropped") == ["a"]
    b.die()
    pool.step()
    assert not any(future.done() and future.result(0).fields["number"] < 0 for future in futures)
    pool.source.joined(Worker("c"))
    pool.step()
    assert numbers(futures) == [1, 2]


def test_of_two_workers_that_round_otherwise_than_this_machine_nobody_decides():
    arm = {"arithmetic": "arm64"}
    pool = StepPool(Worker("a", wrong, **arm), Worker("b", **arm), check_one_in=1)
    futures = pool.ask(1, 2)
    for future in (*futures, *pool.ask(3)):
        with pytest.raises(WorkersDisagree, match="otherwise, and it is not known who is right: a, b"):
            future.result(0)


def test_answers_that_a_dropped_worker_gave_before_are_asked_again_and_hold_others_back(monkeypatch):
    """The order that would give out a wrong answer: the last task finds the worker out, and all have their answers."""
    bad = Worker("bad", lambda task: wrong(task) if task.message.fields["number"] == 9 else answer_of(task))
    pool = StepPool(bad)
    early = pool.ask(1, 2)
    b, c = Worker("b", waits=True), Worker("c", waits=True)
    for worker in (b, c):
        pool.source.joined(worker)
    pool.step()
    pool._check_one_in = 1
    (last,) = pool.ask(9)
    for worker in (b, c):
        worker.answer()
        pool.step()
    assert pool.said("dropped") == ["bad"]
    assert not last.done(), "an answer was given out although others may be wrong"
    assert sorted(b.asked + c.asked) == [1, 2, 9, 9]
    b.answer()
    pool.step()
    assert not last.done()
    c.answer()
    pool.step()
    assert numbers([*early, last]) == [1, 2, 9]


def test_a_wrong_answer_that_was_given_out_fails_everything():
    bad = Worker("bad", wrong)
    pool = StepPool(bad)
    (early,) = pool.ask(1)
    pool.source.joined(Worker("b"))
    pool.source.joined(Worker("c"))
    pool.step()
    pool._check_one_in = 1
    futures = pool.ask(2)
    assert numbers([early]) == [-1]
    for future in (*futures, *pool.ask(3)):
        with pytest.raises(WorkersDisagree, match="bad") as caught:
            future.result(0)
        assert caught.value.about == {"workers": ["bad"]}


def test_a_worker_that_is_lost_before_it_is_found_out_is_asked_again_all_the_same():
    bad = Worker("bad", wrong)
    pool = StepPool(bad)
    pool.ask(1)
    b, c = Worker("b", waits=True), Worker("c", waits=True)
    pool.source.joined(b)
    pool.source.joined(c)
    pool._check_one_in = 1
    (future,) = pool.ask(2)  # answered by bad, and now by b
    pool.source.gone("bad", "it left")
    pool.step()
    for worker in (b, c):
        worker.answer()
        pool.step()
    assert pool.said("dropped") == ["bad"]
    for worker in (b, c):
        if worker.open:
            worker.answer()
            pool.step()
    with pytest.raises(WorkersDisagree):
        future.result(0)


def test_a_task_that_does_not_repeat_itself_costs_nobody_his_place():
    count = itertools.count()
    dice = [Worker(name, lambda task: Message({"number": next(count)})) for name in "abc"]
    pool = StepPool(*dice, check_one_in=1)
    assert numbers(pool.ask(1)) == [0]
    assert pool.said("dropped") == []


def test_a_machine_is_one_witness_however_many_workers_it_has():
    """Two workers of a machine that answers wrongly agree; the answer of another machine is not outvoted."""
    bad = [Worker(name, wrong, machine="bad") for name in ("bad 1", "bad 2", "bad 3")]
    good = Worker("good")
    pool = StepPool(*bad, good, check_one_in=1)
    assert numbers(pool.ask(1, 2, 3)) == [1, 2, 3]
    assert sorted(pool.said("dropped")) == ["bad 1", "bad 2", "bad 3"], "they share their fault"
    assert all(each.ended for each in bad)
    (why,) = {each.reason for each in pool.news if each.what == "dropped" and "otherwise" not in each.reason}
    assert why.startswith("it is on the machine of bad ")
    pool.source.joined(Worker("bad 4", machine="bad"))
    pool.step()
    assert pool.said("refused") == ["bad 4"]


def test_of_two_machines_no_further_worker_of_one_decides():
    arm = {"arithmetic": "arm64"}
    bad = [Worker(name, wrong, machine="bad", **arm) for name in ("bad 1", "bad 2", "bad 3")]
    (future,) = StepPool(*bad, Worker("good", **arm), check_one_in=1).ask(1)
    with pytest.raises(WorkersDisagree):
        future.result(0)


def test_the_workers_of_one_machine_are_compared_if_there_is_no_other():
    workers = [Worker(name, wrong if name == "b" else answer_of, machine="one") for name in "ab"]
    pool = StepPool(*workers, check_one_in=1)
    assert numbers(pool.ask(1)) == [1], "this machine decides"
    assert sorted(pool.said("dropped")) == ["a", "b"], "a machine that contradicts itself is not believed"
    arm = [Worker(each, wrong if each == "b" else answer_of, machine="one", arithmetic="arm64") for each in "abc"]
    (future,) = StepPool(*arm, check_one_in=1).ask(1)
    with pytest.raises(WorkersDisagree):
        future.result(0)


def test_what_all_workers_of_a_dropped_machine_said_is_asked_again():
    one, two = (
        Worker(name, wrong if name == "two" else answer_of, machine="m1", waits=True) for name in ("one", "two")
    )
    pool = StepPool(one, two)
    futures = pool.ask(1, 2)
    for each in (one, two):
        each.answer()
        pool.step()
    assert numbers(futures) == [1, -1]
    one.does = wrong  # and is found out, though the wrong answer that was given out is of its neighbour
    pool.source.joined(Worker("three"))
    pool.step()
    pool._check_one_in = 1
    (last,) = pool.ask(3)
    for each in (one, two):
        if each.open:
            each.answer()
            pool.step()
    with pytest.raises(WorkersDisagree):
        last.result(0)


def test_an_error_of_the_machine_is_asked_of_another_machine_if_there_is_one():
    full = [Worker(f"full {number}", full_disk, machine="full") for number in range(5)]
    assert numbers(StepPool(*full, Worker("good")).ask(1)) == [1]
    (future,) = StepPool(*full).ask(1)
    with pytest.raises(ChildFailed, match="No space left"):
        future.result(0)
    assert sum(len(each.asked) for each in full) == 4, "one of six, then three"


def test_who_was_dropped_in_an_earlier_step_does_not_come_back():
    pool = StepPool(Worker("a", machine="x"), Worker("b"), Worker("c"))
    pool.leave_out(("b", "x"))
    pool.source.joined(Worker("d", machine="x"))
    pool.step()
    assert pool.said("refused") == ["a", "b", "d"]
    assert {each.machine for each in pool.news if each.what == "refused"} == {"x", "b"}
    assert numbers(pool.ask(1)) == [1]


def test_if_the_others_leave_the_first_answer_counts():
    a, b = Worker("a"), Worker("b", waits=True)
    pool = StepPool(a, b, check_one_in=1)
    futures = pool.ask(1)
    b.die()
    pool.step()
    assert numbers(futures) == [1]


def test_an_error_of_the_machine_is_asked_elsewhere_and_is_no_opinion():
    a, b = Worker("a", full_disk), Worker("b")
    assert numbers(StepPool(a, b, check_one_in=1).ask(1, 2, 3)) == [1, 2, 3]
    pool = StepPool(Worker("a", full_disk), Worker("b", full_disk), check_one_in=1)
    (future,) = pool.ask(1)
    with pytest.raises(ChildFailed, match="No space left"):
        future.result(0)
    assert pool.said("dropped") == []
    a = Worker("a", full_disk)
    (future,) = StepPool(a).ask(1)
    with pytest.raises(ChildFailed, match="No space left"):
        future.result(0)
    assert a.asked == [1]


def test_workers_that_fail_what_others_can_do_are_taken_out_and_end_no_task():
    """Two that fail at once would get all tasks, and agree with each other."""
    bad = [Worker(name, full_disk) for name in ("full", "broken")]
    good = Worker("good", waits=True)
    pool = StepPool(*bad, good)
    futures = pool.ask(*range(8))
    while not all(future.done() for future in futures):
        good.answer()
        pool.step()
    assert numbers(futures) == list(range(8))
    lost = [each for each in pool.news if each.what == "lost"]
    assert sorted(each.worker for each in lost) == ["broken", "full"]
    assert (
        lost[0].reason
        == "it failed 3 tasks that others could do; the last one: OSError: [Errno 28] No space left on device"
    )
    assert max(len(each.asked) for each in bad) <= 8


def test_an_error_of_the_machine_counts_if_the_only_other_worker_leaves():
    a, b = Worker("a", full_disk), Worker("b", waits=True)
    pool = StepPool(a, b)
    first, second = pool.ask(1, 2)
    b.die()
    pool.step()
    with pytest.raises(ChildFailed, match="No space left"):
        first.result(0)
    assert second.done()


def test_who_waits_for_a_cancelled_task_is_told_though_all_workers_are_busy():
    pool = StepPool(Worker("a", waits=True))
    first, second = pool.ask(1, 2)
    assert second.cancel()
    assert not wait([second], timeout=0).done, "concurrent.futures tells only once the executor has noticed"
    pool.step()
    assert wait([second], timeout=0).done == {second}
    third, fourth = pool.ask(3, 4)
    assert third.cancel()
    pool._fail(NoWorkers("none"))
    assert wait([first, second, third, fourth], timeout=0).done == {first, second, third, fourth}
    pool.step()


def test_what_waits_can_be_cancelled_and_what_runs_is_told_when_it_is_closed():
    a = Worker("a", waits=True)
    with RemotePool(source := Source(a), 1, ours=GREETING) as pool:
        told = []
        running = pool.submit(Task("a:b", Message({"number": 1})))
        waiting = pool.submit(Task("a:b", Message({"number": 2})))
        cancelled = pool.submit(Task("a:b", Message({"number": 3})))
        assert cancelled.cancel()
        pool.watch(told.append)
    with pytest.raises(WorkerLost, match="closed"):
        running.result(0)
    with pytest.raises(CancelledError):
        waiting.result(0)
    assert a.ended
    assert source.closed
    assert [each.what for each in told] == ["joined"]
    assert a.asked == [1]


def test_an_error_of_whoever_is_told_ends_all_tasks():
    pool = StepPool(Worker("a", waits=True))
    (future,) = pool.ask(1)

    def fails(news):
        raise ZeroDivisionError("the display")

    pool.watch(fails)
    pool.source.joined(Worker("b"))
    pool.step()
    assert "ZeroDivisionError: the display" in str(future.exception(0))


def answered_in_any_order(seed):
    """How many of 20 tasks got their answer; any other must have a reason."""
    drawn, made = random.Random(seed), itertools.count()

    def worker():
        kind = drawn.choice([{}, {"arithmetic": "arm64"}, {"device": "H100"}])
        return Worker(f"w{next(made)}", drawn.choice([answer_of, answer_of, full_disk]), waits=True, **kind)

    everybody = [worker() for _ in range(drawn.randrange(1, 7))]
    pool = StepPool(*everybody, check_one_in=drawn.choice([1, 2, 10**9]))
    futures = [
        *pool.ask(*range(12), kind=drawn.choice("xy")),
        *pool.ask(*range(12, 20), kind=drawn.choice("xy"), prefers_gpu=drawn.random() < 0.5),
    ]
    for _ in range(10_000):
        busy = [each for each in everybody if any(not future.done() for _, future in each.open)]
        what = drawn.choice(["answer"] * 8 + ["die", "gone", "join", "look"])
        for each in busy:
            each.open = [(task, future) for task, future in each.open if not future.done()]
        if what == "join" or not busy:
            everybody.append(new := worker())
            pool.source.joined(new)
        elif what == "answer":
            drawn.choice(busy).answer()
        elif what == "die" and drawn.random() < 0.3:
            drawn.choice(busy).die()
        elif what == "gone" and drawn.random() < 0.3:
            pool.source.gone(drawn.choice(busy).name, "it left")
        pool.look(10.0) if what == "look" else pool.step()
        if all(future.done() for future in futures):
            break
    given_up = [future for future in futures if future.exception(0) is not None]
    assert all(
        "3 workers were lost" in str(each.exception()) or "No space" in str(each.exception()) for each in given_up
    )
    assert [each.result().fields["number"] for each in futures if each not in given_up] == [
        number for number, each in enumerate(futures) if each not in given_up
    ]
    assert pool.said("dropped") == []
    return len(futures) - len(given_up)


def test_each_task_has_its_one_answer_for_any_number_of_workers_and_any_order_of_failures():
    assert sum(answered_in_any_order(seed) for seed in range(25)) > 400


def test_why_the_last_worker_went_is_heard_before_tasks_fail():
    class NoneComes:
        def expects(self):
            return False

    pool = RemotePool(NoneComes(), 1)
    job = Job(Task("a:b"), Future())
    pool._events.put(lambda: pool._gone("here", "it cannot be started"))
    pool._step(lambda: pool._add(job))
    assert not job.future.done()
    pool._step(pool._events.get())
    with pytest.raises(NoWorkers, match="here: it cannot be started"):
        job.future.result(0)
