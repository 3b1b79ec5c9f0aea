"""Conformance check for executors: run tasks, return their answers or errors, and end everything they start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from autoqec.errors import AutoQECError
from autoqec.sandbox.channel import Message
from autoqec.scoring.executor_contract import Executor, Task

#: A task that takes longer than this has been lost.
_SECONDS = 120.0
_BLOB = bytes(range(256)) * 64


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
        for function, said in (("refuse", "the task refuses"), ("fail", "the task fails")):
            _check_error(executor.submit(_task(function)), said)
        assert _result(executor.submit(_task("echo", number=7))).fields["number"] == 7, (
            "a task fails after one that failed"
        )


def _task(function: str, blob: bytes = b"", **fields: Any) -> Task:
    return Task(f"autoqec.testing.example_tasks:{function}", Message(fields, {"blob": blob}))


def _result(future: Future[Message]) -> Message:
    try:
        answer = future.result(timeout=_SECONDS)
    except TimeoutError as error:
        raise AssertionError(f"a task was not answered within {_SECONDS:g} seconds") from error
    assert isinstance(answer, Message), f"a future must hold a Message, not {type(answer).__name__}"
    return answer


def _check_error(future: Future[Message], said: str) -> None:
    try:
        answer = future.result(timeout=_SECONDS)
    except TimeoutError as error:
        raise AssertionError(f"a task was not answered within {_SECONDS:g} seconds") from error
    except Exception as error:
        # A task of ours raises AutoQECError; what anything else becomes is the executor's to say, if it says it.
        text = error.problem if isinstance(error, AutoQECError) else str(error)
        if said not in text:
            raise AssertionError(f"an error must keep its words, {said!r}, and says {text!r}") from error
    else:
        raise AssertionError(f"a task that fails must be an error, and was answered by {answer!r}")
