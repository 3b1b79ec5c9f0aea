"""The local executor: whatever happens to its processes, each task has an answer or a reason, and nothing stays open."""

import os
import signal
import sys
import threading

import pytest
from autoqec_plugins.local import local_executor
from autoqec_plugins.local.local_executor import LocalExecutor
from open_files import open_files, opened_since

from autoqec.sandbox.channel import ChannelClosed, Message
from autoqec.sandbox.child import Child
from autoqec.scoring.executor_contract import Task

HANG = Task("autoqec.testing.misbehave:hang", Message({}))


def test_a_task_that_runs_when_it_is_closed_is_told_how_its_process_ended(monkeypatch):
    """The order that broke it: the thread that waits for the answer explains the end after everything was closed."""
    asked, killed = threading.Event(), threading.Event()
    explained, receive, kill = Child._explained, Child.receive, Child.kill

    def late(self, error):
        killed.wait(0.5)  # it comes only afterwards
        return explained(self, error)

    def told(self, *arguments):
        asked.set()
        return receive(self, *arguments)

    monkeypatch.setattr(Child, "_explained", late)
    monkeypatch.setattr(Child, "receive", told)
    monkeypatch.setattr(Child, "kill", lambda self: (killed.set(), kill(self))[1])
    with LocalExecutor(jobs=1) as executor:
        future = executor.submit(HANG)
        assert asked.wait(60)
    with pytest.raises(ChannelClosed, match="SIGKILL"):
        future.result()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_processes_that_cannot_all_be_made_leave_nothing(monkeypatch):
    made = []

    def scarce(*arguments, **more):
        if len(made) == 2:
            raise OSError(11, "Resource temporarily unavailable")
        made.append(Child(*arguments, **more))
        return made[-1]

    before = open_files()
    monkeypatch.setattr(local_executor, "Child", scarce)
    with pytest.raises(OSError, match="unavailable"):
        LocalExecutor(jobs=3)
    assert opened_since(before) == []
    for child in made:
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)


def test_a_task_whose_process_has_died_is_told_how():
    with LocalExecutor(jobs=1) as executor:
        os.kill(executor._children[0].pid, signal.SIGSEGV)
        with pytest.raises(ChannelClosed, match="SIGSEGV"):
            executor.submit(HANG).result(60)


def test_a_task_says_how_far_it_is():
    said = []
    with LocalExecutor(jobs=1) as executor:
        task = Task("autoqec.testing.misbehave:half_way", progress=said.append)
        assert executor.submit(task).result(60).fields == {"done": True}
    assert said == [0.5]


class Slow:
    """A child that answers when it is let go, and notes what it was asked."""

    def __init__(self, served, gone):
        self.served, self.gone = served, gone

    def tell(self, message):
        self.served.append(message.fields["name"])

    def receive(self):
        self.gone.wait(60)
        return Message({})

    def end(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def test_tasks_of_one_kind_follow_each_other_on_one_process(monkeypatch):
    served, gone = [], threading.Event()
    monkeypatch.setattr(local_executor, "Child", lambda target: Slow(served, gone))
    with LocalExecutor(jobs=1) as executor:
        names = ["a1", "b1", "a2", "c1", "b2", "c2", "c3"]
        tasks = [Task("m:f", Message({"name": name}), kind=name[0]) for name in names]
        futures = [executor.submit(tasks[0])]
        while not served:
            threading.Event().wait(0.001)
        futures += [executor.submit(task) for task in tasks[1:]]
        gone.set()
        for future in futures:
            future.result(60)
    assert served == ["a1", "a2", "c1", "c2", "c3", "b1", "b2"], "then the kind with the most tasks"
