"""The executor `command`: each worker is a command that starts AutoQEC elsewhere and carries its standard streams."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence

from autoqec.errors import UsageError
from autoqec.scoring.remote.remote_pool import RemotePool

from .command_source import CommandSource, Place

_HINT = 'executors.command: prefixes = ["ssh node1", "ssh node2"], worker = "/path/there/bin/autoqec worker"'

#: Seconds for a connection and the start of AutoQEC; srun may wait for its allocation much longer.
_GREETING_SECONDS = 300.0


class CommandExecutor(RemotePool):
    """Runs tasks on workers that commands start.

    Args:
        jobs: Processes of this machine; it does not count here, because `prefixes` and `each` say how many workers there are.
        prefixes: What starts a program elsewhere and carries its standard streams, such as `ssh node1`; one text, or a list.
        worker: The command there that starts a worker.
        each: How many workers each prefix starts.
        greeting_seconds: How long a worker may take to start, a wait for an allocation included.
        wait_seconds: How long tasks wait while there is no worker.

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
    ):
        chosen = [prefixes] if isinstance(prefixes, str) else list(prefixes)
        if not chosen:
            raise UsageError("the executor command needs prefixes: what starts a program elsewhere", hint=_HINT)
        if isinstance(each, bool) or not isinstance(each, int) or not 1 <= each <= 1024:
            raise UsageError(f"executors.command: each must be a whole number from 1 to 1024, not {each!r}", hint=_HINT)
        there = _words("worker", worker)
        places = [
            Place(f"{prefix} ({number})" if number > 1 else prefix, (*_words("prefixes", prefix), *there))
            for number, prefix in _numbered(chosen, each)
        ]
        super().__init__(CommandSource(places, greeting_seconds), len(places), wait_seconds=wait_seconds)


def _numbered(prefixes: Sequence[str], each: int) -> list[tuple[int, str]]:
    """Each prefix so many times, with how often it has come before: no two workers have one name."""
    found: list[tuple[int, str]] = []
    for prefix in (prefix for prefix in prefixes for _ in range(each)):
        found.append((1 + sum(prefix == other for _, other in found), prefix))
    return found


def _words(option: str, text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except (ValueError, AttributeError) as error:
        raise UsageError(f"executors.command: {option}: {text!r} is no command: {error}", hint=_HINT) from error
    if not words:
        raise UsageError(f"executors.command: {option} has an empty command", hint=_HINT)
    if option == "prefixes" and shutil.which(words[0]) is None:
        raise UsageError(f"executors.command: {option}: there is no program {words[0]!r} here", hint=_HINT)
    return words
