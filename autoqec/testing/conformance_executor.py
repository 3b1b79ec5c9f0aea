"""Conformance check for executors: run tasks, return their answers or errors, and end everything they start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from autoqec.errors import AutoQECError, code_of
from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import Executor, Task, WatchedExecutor, WorkerNews

#: A task that takes longer than this has been lost.
_SECONDS = 120.0
_BLOB = bytes(range(256)) * 64

#: More than any buffer between two processes holds.
_LARGE = bytes(8 * 1024 * 1024)


def check_executor(factory: Callable[..., Executor], jobs: int = 2) -> None:
    """Check an executor: tasks are answered in full, one that fails is an error of its own future, and others go on.

    Args:
        factory: Makes the executor, as `factory(jobs=N)`.
        jobs: How many tasks it is to run at once.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    with factory(jobs=jobs) as executor:
        assert isinstance(executor.jobs, int), "jobs must say how many tasks run at once"
        assert 1 <= executor.jobs <= jobs, f"jobs must be at most what was asked for, {jobs}, and not {executor.jobs}"
        futures = [executor.submit(_task("echo", number=number, blob=_BLOB)) for number in range(3 * jobs)]
        for number, future in enumerate(futures):
            assert isinstance(future, Future), "submit must return a concurrent.futures.Future"
            answer = _result(future)
            assert answer.fields.get("number") == number, f"task {number} was answered as {answer.fields.get('number')}"
            assert bytes(answer.blobs["blob"]) == _BLOB, "a task's blobs must arrive as they are"
        assert bytes(_result(executor.submit(_task("echo", blob=_LARGE))).blobs["blob"]) == _LARGE, (
            "a large blob must arrive as it is"
        )
        for function, said, code in (("refuse", "the task refuses", "usage"), ("fail", "the task fails", "raised")):
            _check_error(executor.submit(_task(function)), said, code)
        assert _result(executor.submit(_task("echo", number=7))).fields["number"] == 7, (
            "a task fails after one that failed"
        )
        _check_cancelled(executor, jobs)
        if isinstance(executor, WatchedExecutor):
            _check_news(executor)


def _task(function: str, blob: bytes = b"", **fields: Any) -> Task:
    return Task(f"autoqec.testing.example_tasks:{function}", Message(fields, {"blob": blob}))


def _result(future: Future[Message]) -> Message:
    try:
        answer = future.result(timeout=_SECONDS)
    except TimeoutError as error:
        raise AssertionError(f"a task was not answered within {_SECONDS:g} seconds") from error
    assert isinstance(answer, Message), f"a future must hold a Message, not {type(answer).__name__}"
    return answer


def _check_cancelled(executor: Executor, jobs: int) -> None:
    """Check that tasks which are cancelled while they wait do not hold up others."""
    futures = [executor.submit(_task("echo", number=number)) for number in range(8 * jobs)]
    cancelled = {number for number, future in enumerate(futures) if number % 2 and future.cancel()}
    for number, future in enumerate(futures):
        if number not in cancelled:
            assert _result(future).fields["number"] == number, "a task is answered by another one's answer"


def _check_news(executor: WatchedExecutor) -> None:
    told: SimpleQueue[WorkerNews] = SimpleQueue()
    executor.watch(told.put)
    try:
        news = told.get(timeout=_SECONDS)
    except Empty:
        raise AssertionError("watch must tell of the workers that have joined already") from None
    assert news.what == "joined", f"what is told first of a worker that has answered is 'joined', not {news.what!r}"
    assert news.workers >= 1, "news must say how many workers work"


def _check_error(future: Future[Message], said: str, code: str) -> None:
    try:
        answer = future.result(timeout=_SECONDS)
    except TimeoutError as error:
        raise AssertionError(f"a task was not answered within {_SECONDS:g} seconds") from error
    except Exception as error:
        # A task of ours raises AutoQECError; what anything else becomes is the executor's to say, if it says it.
        text = error.problem if isinstance(error, AutoQECError) else str(error)
        if said not in text:
            raise AssertionError(f"an error must keep its words, {said!r}, and says {text!r}") from error
        if code_of(error) != code:
            raise AssertionError(f"an error must keep its code, {code!r}, and has {code_of(error)!r}") from error
    else:
        raise AssertionError(f"a task that fails must be an error, and was answered by {answer!r}")
