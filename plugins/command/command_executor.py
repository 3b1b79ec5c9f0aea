"""The executor `command`: each worker is a command that starts AutoQEC elsewhere and carries its standard streams."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from autoqec.errors import UsageError
from autoqec.scoring.remote.pool_options import require_count, require_seconds, require_text
from autoqec.scoring.remote.remote_pool import RemotePool

from .command_source import CommandSource, Place, Surroundings, own_variables

_HINT = (
    """below [executors.command] in your settings: prefixes = ["ssh node1", "ssh node2"]; or once: """
    """--executor-option 'prefixes=["ssh node1", "ssh node2"]'"""
)

#: Seconds for a connection and the start of AutoQEC; srun may wait for its allocation much longer.
_GREETING_SECONDS = 300.0

#: Workers that one prefix starts, at most.
_MOST_EACH = 1024


class CommandExecutor(RemotePool):
    """Runs tasks on workers that commands start.

    Args:
        jobs: Processes of this machine; it does not count here, because `prefixes` and `each` say how many workers there are.
        prefixes: What starts a program elsewhere and carries its standard streams, such as `ssh node1`; one text, or a list.
        worker: The command there that starts a worker.
        each: How many workers each prefix starts.
        greeting_seconds: How long a worker may take to start, a wait for an allocation included.
        wait_seconds: How long tasks wait while there is no worker.
        check_one_in: One task in so many is asked of two workers.
        variables: The environment variables of the prefixes, without secrets; by default those of this process.
        folder: The folder in which they start; by default that of this process.

    Raises:
        UsageError: There is no prefix, or one names no program of this machine.
    """

    def __init__(
        self,
        jobs: int = 1,
        *,
        prefixes: str | Sequence[str] = (),
        worker: str = "autoqec worker",
        each: int = 1,
        greeting_seconds: float = _GREETING_SECONDS,
        wait_seconds: float = 600.0,
        check_one_in: int = 64,
        variables: Mapping[str, str] | None = None,
        folder: str = ".",
    ):
        if isinstance(prefixes, bool | int | float):
            raise UsageError(f"executors.command: prefixes must be commands, not {prefixes!r}", hint=_HINT)
        chosen = [prefixes] if isinstance(prefixes, str) else list(prefixes)
        if not chosen:
            raise UsageError("the executor command needs prefixes: what starts a program elsewhere", hint=_HINT)
        each = require_count("executors.command: each", each, _MOST_EACH)
        greeting_seconds = require_seconds("executors.command: greeting_seconds", greeting_seconds)
        there = _words("worker", worker)
        here = {prefix: _words("prefixes", prefix) for prefix in chosen}
        if variables is not None and not isinstance(variables, Mapping):
            raise UsageError("executors.command: variables is no table of variables", hint="leave it out")
        folder = require_text("executors.command: folder", folder)
        surroundings = Surroundings(own_variables() if variables is None else variables, folder)
        for words in here.values():
            surroundings.require_program(words[0], _HINT)
        places = [
            Place(f"{prefix} ({number})" if number > 1 else prefix, (*here[prefix], *there))
            for number, prefix in _numbered(chosen, each)
        ]
        source = CommandSource(places, surroundings, greeting_seconds)
        super().__init__(source, len(places), wait_seconds=wait_seconds, check_one_in=check_one_in)

    @staticmethod
    @contextmanager
    def shared(jobs: int, **options: Any) -> Iterator[Mapping[str, Any]]:
        """Options for all executors of one command, in this process and in that of the verifier.

        The verifier's process has neither our variables nor our folder. By these `ssh` finds its agent and `srun` its allocation.
        """
        yield {"variables": own_variables(), "folder": os.getcwd(), **options}


def _numbered(prefixes: Sequence[str], each: int) -> list[tuple[int, str]]:
    """Each prefix so many times, with how often it has come before: no two workers have one name."""
    found: list[tuple[int, str]] = []
    for prefix in (prefix for prefix in prefixes for _ in range(each)):
        found.append((1 + sum(prefix == other for _, other in found), prefix))
    return found


def _words(option: str, text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(require_text(f"executors.command: {option}", text)))
    except ValueError as error:
        raise UsageError(f"executors.command: {option}: {text!r} is no command: {error}", hint=_HINT) from error
    if not words:
        raise UsageError(f"executors.command: {option} has an empty command", hint=_HINT)
    return words
