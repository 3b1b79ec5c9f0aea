"""Runs tasks that come as frames, in a child process: what a worker elsewhere has in it, whatever carries the frames."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autoqec.compiled_once import Told, say_compiling
from autoqec.errors import AutoQECError
from autoqec.sandbox.channel import ChannelClosed, Message
from autoqec.sandbox.child import Child, ChildFailed, report_of
from autoqec.scoring.executor_contract import Progress, Task


class TaskHost:
    """Runs one task at a time in a child process, which is replaced when it ends; use as a context manager.

    Args:
        compiling: Called with each kernel that the child compiles; see `autoqec.compiled_once`.
    """

    def __init__(self, compiling: Told = say_compiling):
        # The kernel ties a child's life to the thread that made it, so one thread makes them all and lives as long as this.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="autoqec-task")
        self._compiling = compiling
        self._child: Child | None = None
        self._lock = threading.Lock()
        self._closed = False

    def run(self, frame: bytes, progress: Progress | None = None) -> bytes:
        """Run a task; call this from any thread.

        Args:
            frame: The task as a frame: `task.to_message().to_bytes()`.
            progress: Told how far it is.

        Returns:
            The function's message as a frame; or an error as `report_of` makes it.
        """
        return self._thread.submit(self._run, frame, progress).result()

    def _run(self, frame: bytes, progress: Progress | None) -> bytes:
        try:
            return self._answer(Task.from_message(Message.from_bytes(frame)), progress).to_bytes()
        except ChildFailed as error:
            return Message({**report_of(error), "kind": error.kind}).to_bytes()
        except Exception as error:
            # The child ended, or what it sent was no message: another one does the next task.
            self._end_child()
            return Message(report_of(error)).to_bytes()

    def _answer(self, task: Task, progress: Progress | None) -> Message:
        child = self._opened()
        child.tell(task.to_message())
        while "progress" in (message := child.receive()).fields:
            if progress is not None:
                progress(message.fields["progress"])
        return message

    def _opened(self) -> Child:
        with self._lock:
            if self._closed:
                raise ChannelClosed("the worker was closed")
            if self._child is None:
                self._child = Child("autoqec.scoring.executor_contract:serve_tasks", compiling=self._compiling)
            return self._child

    def stop(self) -> None:
        """End the task that runs, if one does: it is answered by an error, and a new child does the next one."""
        with self._lock:
            if self._child is not None:
                self._child.end()

    def _end_child(self) -> None:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(AutoQECError, OSError):
                child.kill()

    def close(self) -> None:
        """End the child and what it runs; it may be called twice."""
        with self._lock:
            self._closed = True
        self.stop()
        # Its pipes are closed only when the thread that reads them has explained its end.
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._end_child()

    def __enter__(self) -> TaskHost:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
