"""Limits of a child count its own time: what other processes take from it does not count, its sleep does."""

import os
import sys
import threading

import pytest

from autoqec.sandbox import work_clock
from autoqec.sandbox.channel import Channel, ChannelTimeout, Message
from autoqec.sandbox.child import Child
from autoqec.sandbox.work_clock import WorkClock, processor_seconds, waited_seconds

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc")


class Clocks:
    """The clocks of a process, set by hand."""

    def __init__(self, monkeypatch):
        self.wall = self.waited = self.spent = 0.0
        monkeypatch.setattr(work_clock.time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(work_clock, "waited_seconds", lambda pid: self.waited)
        monkeypatch.setattr(work_clock, "processor_seconds", lambda pid: self.spent)


@pytest.mark.parametrize(
    ("waited", "spent", "counted"),
    [
        pytest.param(90.0, 10.0, 10.0, id="a-wait-for-a-processor-does-not-count"),
        pytest.param(0.0, 0.0, 100.0, id="sleep-counts"),
        pytest.param(90.0, 100.0, 100.0, id="threads-that-make-each-other-wait-gain-nothing"),
    ],
)
def test_what_counts_of_a_hundred_seconds(monkeypatch, waited, spent, counted):
    clocks = Clocks(monkeypatch)
    clock = WorkClock(1)
    clocks.wall, clocks.waited, clocks.spent = 100.0, waited, spent
    assert clock() == pytest.approx(counted)


def test_it_never_goes_back(monkeypatch):
    clocks = Clocks(monkeypatch)
    clock = WorkClock(1)
    clocks.wall = 5.0
    assert clock() == pytest.approx(5.0)
    clocks.waited = 4.0  # the kernel counts a wait when it ends
    assert clock() == pytest.approx(5.0)


def test_a_process_that_has_ended_is_no_error():
    assert waited_seconds(2**22 + 1) == 0.0
    assert WorkClock(2**22 + 1)() >= 0.0


@linux
def test_the_kernel_has_these_clocks():
    before = processor_seconds(os.getpid())
    sum(range(200_000))
    assert processor_seconds(os.getpid()) > before
    assert waited_seconds(os.getpid()) >= 0.0


@linux
def test_a_child_that_hangs_is_caught():
    with Child("autoqec.scoring.executor_contract:serve_tasks") as child:
        child.send({"function": "autoqec.testing.misbehave:hang"})
        with pytest.raises(ChannelTimeout):
            child.answer(1.0)


def test_a_deadline_passes_by_its_own_clock_and_somebody_may_act_meanwhile():
    read, write = os.pipe()
    ticks = iter(range(10**6))
    looks = []

    def waiting():
        looks.append(None)
        if len(looks) == 2:
            threading.Thread(target=Channel(-1, write).send, args=(Message({"late": True}),)).start()

    # A clock that stands still: the deadline is a thousandth of a second away and does not come.
    assert Channel(read, -1).receive(0.001, clock=lambda: 0.0, waiting=waiting).fields == {"late": True}
    with pytest.raises(ChannelTimeout):
        Channel(read, -1).receive(3, clock=lambda: float(next(ticks)), waiting=waiting)
    os.close(read)
    os.close(write)
