"""Finds the plugin, distribution, file and line that an error comes from.

The loader registers which modules belong to which plugin. Finding the place reads and imports nothing, so this also works in a
locked process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType


@dataclass(frozen=True)
class Owner:
    """A plugin: the name of its entry point, and the distribution with its version."""

    plugin: str
    distribution: str

    def __str__(self) -> str:
        return f"plugin {self.plugin} ({self.distribution})"


@dataclass(frozen=True)
class Origin:
    """The place in a plugin's code where an error was raised, or from which the code that raised it was called.

    Attributes:
        owner: The plugin.
        file: The whole path.
        line: Counted from 1.
        module: The dotted name of the module, as far as it is known.
    """

    owner: Owner
    file: str
    line: int
    module: str = ""

    @property
    def place(self) -> str:
        """File and line, without the folders above the package, because this is kept in git and machines differ."""
        parts = self.module.count(".") + 1 + (os.path.basename(self.file) == "__init__.py")
        return f"{'/'.join(self.file.split(os.sep)[-parts:])}, line {self.line}"


#: Module or package → the plugin it belongs to. A package covers all its modules that are not listed themselves.
_owners: dict[str, Owner] = {}


def own(module: str, owner: Owner) -> None:
    """Register a module, and its package unless another plugin has it, as belonging to a plugin."""
    _owners[module] = owner
    _owners.setdefault(module.partition(".")[0], owner)


def owner_of(module: str) -> Owner | None:
    """The plugin that a module belongs to, by its dotted name."""
    while module:
        if module in _owners:
            return _owners[module]
        module = module.rpartition(".")[0]
    return None


def origin(error: BaseException, owner: Owner | None = None) -> Origin | None:
    """The place in a plugin that an error comes from: the innermost frame that belongs to one.

    Args:
        error: Any exception.
        owner: The plugin that was called. If no frame belongs to a plugin, the place is the innermost frame outside this
            package.

    Returns:
        None if no plugin is to blame, or a candidate's own code raised the error.
    """
    if isinstance(error, SyntaxError) and owner and error.filename and error.lineno:
        return Origin(owner, error.filename, error.lineno)
    frames = list(_frames(error))[::-1]
    for module, code, line in frames:
        if _is_candidates(code.co_filename):
            return None
        found = owner_of(module)
        if found is not None:
            return Origin(found, code.co_filename, line, module)
    theirs = [(module, code, line) for module, code, line in frames if not _is_ours(module, code.co_filename)]
    if owner is None or not theirs:
        return None
    module, code, line = theirs[0]
    return Origin(owner, code.co_filename, line, module)


def _frames(error: BaseException) -> Iterator[tuple[str, CodeType, int]]:
    """Module, code and line of each frame that an error passed, outermost first."""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        yield (module if isinstance(module, str) else ""), trace.tb_frame.f_code, trace.tb_lineno
        trace = trace.tb_next


def _is_ours(module: str, file: str) -> bool:
    """Whether a frame belongs to this package or to Python's imports, and so does not locate the plugin."""
    return file.startswith("<") or module.partition(".")[0] in ("autoqec", "importlib")


def _is_candidates(file: str) -> bool:
    # A candidate's source is compiled under its relative path in the candidate; all other code has an absolute path.
    return not file.startswith("<") and not os.path.isabs(file)


def one_line(error: BaseException) -> str:
    """An exception of foreign code in one line."""
    try:
        text = str(error)
    except Exception:  # making text of it is foreign code too
        text = "an error whose message cannot be read"
    return f"{type(error).__name__}: {text}".splitlines()[0]


def explained(error: BaseException) -> str:
    """An exception in one line, with the plugin that it was raised in and the place there, if it was raised in one."""
    found = origin(error)
    return one_line(error) + (f" ({found.owner}: {found.place})" if found else "")
