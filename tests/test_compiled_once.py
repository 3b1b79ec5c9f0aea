"""Kernels are compiled by one process, the others wait for it, and what is compiled is told."""

from threading import Event, Thread
from types import SimpleNamespace

from autoqec import compiled_once as module
from autoqec.compiled_once import compiled_once, compiling_told, say_compiling
from autoqec.sandbox.child import serve


class Folder:
    """What numba's caches of one kernel share: a folder and what was saved."""

    def __init__(self, path):
        self.path, self.saved = path / "not made yet", {}


class Cache:
    """Stands in for numba's cache of one process."""

    def __init__(self, folder):
        self.folder, self.cache_path, self.looked = folder, str(folder.path), Event()

    def load_overload(self, sig, target_context):
        found = self.folder.saved.get(sig)
        self.looked.set()
        return found

    def save_overload(self, sig, data):
        self.folder.saved[sig] = data


class Kernel:
    def __init__(self, folder):
        self._cache = Cache(folder)

    def py_func(self):
        """The function that would be compiled."""


def kernel(folder):
    return compiled_once("matching", 9)(Kernel(folder))._cache


def test_another_process_waits_and_loads_what_the_first_compiled(tmp_path):
    folder, found = Folder(tmp_path), []
    first, second = kernel(folder), kernel(folder)
    assert first.load_overload("sig", None) is None
    other = Thread(target=lambda: found.append(second.load_overload("sig", None)))
    other.start()
    second._inner.looked.wait()
    first.save_overload("sig", "machine code")
    other.join()
    assert found == ["machine code"]
    third = kernel(folder)
    assert third.load_overload("another", None) is None, "nobody holds the lock any more"


def test_what_is_compiled_is_told_and_what_is_cached_is_not(tmp_path):
    folder, told = Folder(tmp_path), []
    with compiling_told(lambda *of: told.append(of)):
        first = kernel(folder)
        assert first.load_overload("sig", None) is None
        first.save_overload("sig", "machine code")
        assert first.load_overload("sig", None) == "machine code"
    assert told == [("matching", 9)]


def test_a_kernel_is_told_once_to_whoever_listens_now():
    outer, inner = [], []
    with compiling_told(lambda *of: outer.append(of)):
        say_compiling("matching", 9)
        say_compiling("matching", 9)
        with compiling_told(lambda *of: inner.append(of)):
            say_compiling("gap", 5)
        say_compiling("sums", 2)
        say_compiling("matching", 9)
        for number in range(1000):
            say_compiling(f"name {number}", 1)
    say_compiling("gap", 5)
    assert (outer[:2], inner) == ([("matching", 9), ("sums", 2)], [("gap", 5)])
    assert len(outer) < 100, "a process that runs others' code may name anything"


def test_those_that_end_in_another_order_leave_nobody_behind():
    outer, inner = [], []
    first, second = compiling_told(lambda *of: outer.append(of)), compiling_told(lambda *of: inner.append(of))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    say_compiling("matching", 9)
    second.__exit__(None, None, None)
    say_compiling("gap", 5)
    assert (outer, inner) == ([], [("matching", 9)])


def test_whoever_serves_here_listens_no_longer_than_it_serves():
    told = []
    channel = SimpleNamespace(send=lambda message: told.append(message.fields))
    serve(lambda channel: say_compiling("matching", 9), channel, 0)
    say_compiling("gap", 5)
    assert told == [{"compiling": "matching", "seconds": 9}]


def test_a_compilation_that_failed_stops_nobody(tmp_path, monkeypatch):
    first, second = kernel(Folder(tmp_path)), kernel(Folder(tmp_path))
    assert first.load_overload("sig", None) is None
    assert first.load_overload("sig", None) is None, "this process may try again"
    monkeypatch.setattr(module, "_MOST_SECONDS", 0.0)
    assert second.load_overload("sig", None) is None, "and another does not wait for ever"


def test_without_a_folder_to_write_each_process_compiles_for_itself(tmp_path):
    folder = Folder(tmp_path)
    folder.path.write_text("a file in its place")
    assert kernel(folder).load_overload("sig", None) is None


def test_a_function_that_is_not_compiled_stays_as_it_is():
    assert compiled_once("matching", 9)(len) is len
