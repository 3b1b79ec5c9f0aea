"""What a round at work says of itself: a small file for each attempt in `<git dir>/autoqec/progress/`. It is no record.

Whoever works on a round replaces its file now and then, and deletes it at the end. Anybody may have written one, so a reader
takes nothing but values of the right type and size from a plain file, and only those of the process that owns the round's claim.
Without write permission there is no such file; nothing here raises, locks or waits.
"""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path

from autoqec.history.store.owner import Owner, process_is_alive
from autoqec.history.store.repository import Ledger

_FOLDER = "progress"
_MOST_BYTES, _MOST_CHARACTERS, _MOST = 4096, 200, 1e15

#: Files that are looked at when those of dead processes are deleted.
_MOST_FILES = 1000

_ATTEMPT = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class RoundProgress:
    """What a round does now.

    Attributes:
        owner: The process.
        user: Who runs it, as it says.
        step: The step; empty between two.
        phase: What is done, in words; empty for nothing.
        note: More in words, such as a loss.
        unit: What is counted.
        done, total: How much of it is done, of how much; None if that is not known.
        open_ended: Whether it may stop before all is done.
        rate: What is made in a second; None if that is not known.
        seconds_left: How long it can still take, when this was written; None if that is not known.
        at_most: Whether it may be over sooner.
        began, written: When the phase began and when this was written, in seconds since 1970.
    """

    owner: Owner
    user: str
    step: str
    phase: str
    note: str
    unit: str
    done: int
    total: int | None
    open_ended: bool
    rate: float | None
    seconds_left: float | None
    at_most: bool
    began: float
    written: float

    def seconds_left_at(self, now: float) -> float | None:
        """How long it can still take at a time in seconds since 1970."""
        return None if self.seconds_left is None else max(0.0, self.seconds_left - max(0.0, now - self.written))


def write_progress(ledger: Ledger, attempt: str, progress: RoundProgress) -> None:
    """Replace the file of an attempt, whole or not at all."""
    path = _path(ledger, attempt)
    if path is None:
        return
    data = json.dumps(asdict(progress)).encode()
    part = path.with_name(f".{attempt}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        part.replace(path)
        return
    with suppress(OSError):
        part.unlink()


def remove_progress(ledger: Ledger, attempt: str) -> None:
    """Delete the file of an attempt, if there is one."""
    path = _path(ledger, attempt)
    if path is not None:
        with suppress(OSError):
            path.unlink()


def read_progress(ledger: Ledger, attempt: str) -> RoundProgress | None:
    """What an attempt's file says; None if there is none, or it holds anything else."""
    path = _path(ledger, attempt)
    return None if path is None else _read(path)


def remove_dead(ledger: Ledger) -> None:
    """Delete the files of processes of this machine that have ended."""
    with suppress(OSError), os.scandir(ledger.git_dir / "autoqec" / _FOLDER) as found:
        for entry, _ in zip(found, range(_MOST_FILES), strict=False):
            progress = _read(Path(entry.path)) if _ATTEMPT.fullmatch(entry.name) else None
            if progress is not None and not process_is_alive(**asdict(progress.owner)):
                with suppress(OSError):
                    os.unlink(entry.path)


def _path(ledger: Ledger, attempt: str) -> Path | None:
    return ledger.git_dir / "autoqec" / _FOLDER / attempt if _ATTEMPT.fullmatch(attempt) else None


def _read(path: Path) -> RoundProgress | None:
    try:
        # Neither a link nor a pipe, whose reading would wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = os.read(descriptor, _MOST_BYTES + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return _parsed(data) if len(data) <= _MOST_BYTES else None


def _parsed(data: bytes) -> RoundProgress | None:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.keys() != _KINDS.keys() or not isinstance(told["owner"], dict):
        return None
    owner = told["owner"]
    if owner.keys() != {item.name for item in fields(Owner)} or type(owner["pid"]) is not int:
        return None
    words = [value for name, value in owner.items() if name != "pid"]
    if not all(_is_text(value) for value in words) or not all(_fits(told[name], kind) for name, kind in _KINDS.items()):
        return None
    return RoundProgress(**{**told, "owner": Owner(**owner)})


#: The fields and the types of their values.
_KINDS = {item.name: str(item.type) for item in fields(RoundProgress)}


def _fits(value: object, kind: str) -> bool:
    if kind == "Owner":
        return True
    if kind == "str":
        return _is_text(value)
    if kind == "bool":
        return isinstance(value, bool)
    if value is None:
        return kind.endswith("None")
    if isinstance(value, bool) or not isinstance(value, int if kind.startswith("int") else int | float):
        return False
    return isfinite(value) and 0 <= value <= _MOST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MOST_CHARACTERS
