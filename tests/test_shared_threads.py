"""One pool for a process: results in order, nothing left of it after closing, and none of a parent's threads in a fork."""

import os
import threading

import pytest

from autoqec.shared_threads import close_threads, in_parallel, limit_threads, slices, thread_count


@pytest.fixture(autouse=True)
def pool():
    limit_threads(3)
    yield
    limit_threads(None)


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("autoqec")]


def test_parts_are_done_at_the_same_time_and_come_back_in_order():
    meet = threading.Barrier(3, timeout=30)
    assert thread_count() == 3

    def work(part):
        meet.wait()
        return part.stop - part.start

    assert in_parallel(work, slices(8, 3)) == [3, 3, 2]


def test_one_part_needs_no_thread():
    assert in_parallel(lambda part: threading.current_thread(), [0]) == [threading.current_thread()]
    assert in_parallel(lambda part: part, []) == []
    assert not ours()


def test_threads_are_kept_until_they_are_closed():
    in_parallel(lambda part: part, range(9))
    kept = ours()
    in_parallel(lambda part: part, range(9))
    assert kept
    assert set(kept) <= set(ours())
    close_threads()
    assert not ours()
    assert in_parallel(lambda part: 2 * part, range(3)) == [0, 2, 4]


def test_an_error_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda part: 1 // part, [1, 0])


def test_a_fork_starts_its_own():
    in_parallel(lambda part: part, range(9))
    child = os.fork()
    if child == 0:
        done = in_parallel(lambda part: part + 1, range(4)) == [1, 2, 3, 4]
        os._exit(0 if done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
