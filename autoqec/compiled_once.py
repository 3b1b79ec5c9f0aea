"""Kernels that several processes need are compiled by one of them: the others wait, and load the result from numba's cache.

A first start compiles for a minute. Without this, every process of a round would compile the same kernels at the same time.
What is compiled is told to the parent process, and so on (`autoqec.sandbox.child`), up to the command, which shows it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_Kernel = TypeVar("_Kernel")

#: Called with the name of a kernel that is being compiled, and about how many seconds that takes; from any thread.
Told = Callable[[str, float], None]

#: Seconds to wait for another process; then this one compiles too, so that one that hangs stops nobody.
_MOST_SECONDS = 120.0

#: Seconds between two looks at the lock: short beside any compilation.
_LOOK_SECONDS = 0.05

#: Kernels of different names that one process tells of at most: several times as many as there are. The names may come from a
#: process that runs others' code.
_MOST_NAMES = 64


@dataclass(eq=False)
class _Listener:
    """Who is told, and of which kernels it was."""

    told: Told
    names: set[str] = field(default_factory=set)


#: Those that listen in this process; only the last is told.
_listeners: list[_Listener] = []


@contextlib.contextmanager
def compiling_told(told: Told) -> Iterator[None]:
    """While it is open, have a function of this process called for each kernel that has to be compiled, here or in a child.

    Threads may open and close several in any order; of those that are open, the last is told.
    """
    listener = _Listener(told)
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def say_compiling(name: str, seconds: float) -> None:
    """Tell that a kernel is compiled; a second time tells nothing, because the second process only waits for the first."""
    for listener in _listeners[-1:]:
        if name not in listener.names and len(listener.names) < _MOST_NAMES:
            listener.names.add(name)
            listener.told(name, seconds)


def compiled_once(name: str, seconds: float) -> Callable[[_Kernel], _Kernel]:
    """Decorates a function of `numba.njit(cache=True)` that takes long to compile.

    Args:
        name: What it does, in words for a user.
        seconds: About how long it takes to compile on one core.
    """

    def decorate(kernel: _Kernel) -> _Kernel:
        dispatcher: Any = kernel
        if hasattr(dispatcher, "_cache"):  # not where numba's compiler is switched off
            dispatcher._cache = _OneAtATime(dispatcher._cache, dispatcher.py_func.__qualname__, name, seconds)
        return kernel

    return decorate


class _OneAtATime:
    """A kernel's cache, of which one process at a time has what is missing compiled.

    Args:
        cache: numba's.
        function: The kernel's name.
        name, seconds: See `compiled_once`.
    """

    def __init__(self, cache: Any, function: str, name: str, seconds: float) -> None:
        self._inner, self._function, self._name, self._seconds = cache, function, name, seconds
        self._held: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is in the cache; if that is nothing, `None` as soon as no other process compiles it."""
        found = self._inner.load_overload(sig, target_context)
        if found is None:
            say_compiling(self._name, self._seconds)
            self._take()
            found = self._inner.load_overload(sig, target_context)
            if found is not None:
                self._release()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, and let the next process have it."""
        try:
            self._inner.save_overload(sig, data)
        finally:
            self._release()

    def _take(self) -> None:
        self._release()  # of a compilation that failed
        with contextlib.suppress(OSError):  # then each process compiles for itself
            folder = Path(self._inner.cache_path)
            folder.mkdir(parents=True, exist_ok=True)
            self._held = os.open(folder / f"{self._function}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            until = time.monotonic() + _MOST_SECONDS
            while time.monotonic() < until:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                time.sleep(_LOOK_SECONDS)

    def _release(self) -> None:
        if self._held is not None:
            fcntl.flock(self._held, fcntl.LOCK_UN)  # a fork may hold it too
            os.close(self._held)
            self._held = None
