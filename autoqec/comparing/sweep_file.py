"""The file of a sweep: rows of sinter's CSV format that several processes append to, and that a later sweep goes on from.

A row is some consecutive shots of one task's stream, so the shots of all rows of a task say where its stream stands. A row is
appended under a lock, and only if the stream still stands where the row begins. If another sweep counted the same shots
meanwhile, the row is not written, and the caller goes on from there: nothing is lost, and nothing counts twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoqec.canonical import content_hash
from autoqec.errors import AutoQECError, UsageError
from autoqec.json_values import JsonObject
from autoqec.results.sinter_rows import COLUMNS, SinterRow, columns_of, header, read_rows
from autoqec.whole_files import explained, require_place

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: The largest file that is read.
_MOST_BYTES = 2**30

#: Bytes of a key.
KEY_BYTES = 16

#: The field of the metadata that says which key drew the shots, and the one that says why there are none.
KEY, LEFT_OUT = "key", "left_out"


@dataclass
class Total:
    """The counts of one task and key."""

    shots: int = 0
    errors: int = 0
    seconds: float = 0.0

    def add(self, row: SinterRow) -> None:
        """Add a row; a discarded shot of another program's rows is not one of ours."""
        self.shots += row.shots - row.discards
        self.errors += row.errors
        self.seconds += row.seconds


def is_key(text: str) -> bool:
    """Whether a text is a key as sweeps write it, in hexadecimal digits."""
    return len(text) == 2 * KEY_BYTES and all(letter in "0123456789abcdef" for letter in text)


def task_of(decoder: str, metadata: JsonObject) -> str:
    """What tells tasks apart, whatever key drew their shots."""
    fields = {name: value for name, value in metadata.items() if name not in (KEY, LEFT_OUT)}
    return content_hash({"decoder": decoder, "metadata": fields})


class SweepFile:
    """A file of counts; without a path, counts in memory.

    Args:
        path: The file. It is made with its first row, and a row that was cut off at its end is removed.

    Attributes:
        repaired: Whether a row that was cut off was removed.

    Raises:
        UsageError: It is no CSV file of sinter's, or a line of it is not a row; the message names the line.
        UsageError, AutoQECError: It cannot be read or written there.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read = 0  # bytes
        self._lines = 0
        self._totals: dict[str, dict[str, Total]] = {}
        self._ids: set[str] = set()
        self._keys: dict[str, int] = {}  # shots by key, of all tasks
        self.repaired = False
        if path is not None and not path.exists():
            require_place(path)  # the file is made with its first row
        elif path is not None:
            with self._locked() as descriptor:
                self._repair(descriptor)
                self._catch_up(descriptor)

    @property
    def name(self) -> str:
        """The file's name for messages; empty in memory."""
        return str(self._path or "")

    def totals(self, task: str) -> dict[str, Total]:
        """The counts of a task by the key of its shots; the key is empty in rows of other programs."""
        return self._totals.setdefault(task, {})

    def position(self, task: str, key: str) -> int:
        """Where the stream of a task and key stands: how many of its shots are counted."""
        total = self.totals(task).get(key)
        return 0 if total is None else total.shots

    def append(self, row: SinterRow, task: str, start: int) -> bool:
        """Append a row.

        Args:
            row: Consecutive shots of a task, whose metadata have the key.
            task: See `task_of`.
            start: The first of these shots.

        Returns:
            Whether it was written; otherwise another sweep counted some of these shots, and `position` says where to go on.
        """
        if self._path is None:
            self._count(row)
            return True
        with self._locked() as descriptor:
            self._repair(descriptor)
            self._catch_up(descriptor)
            if self.position(task, str(row.json_metadata.get(KEY, ""))) != start:
                return False
            self._write(descriptor, row)
            return True

    @property
    def key(self) -> str | None:
        """The key that most shots in the file have, of those that could be one of ours; None if there is none."""
        return max(self._keys, key=lambda each: self._keys[each], default=None)

    def claim_key(self, row: SinterRow) -> str:
        """Agree on a key with all other sweeps that write the file, so that their decoders get the same shots.

        Args:
            row: A row without shots, whose key is used unless the file has one.

        Returns:
            The key to use.
        """
        own = str(row.json_metadata[KEY])
        if self._path is None:
            return own
        with self._locked() as descriptor:
            self._repair(descriptor)
            self._catch_up(descriptor)
            if self.key is None:
                self._write(descriptor, row)
        return self.key or own

    def note(self, row: SinterRow) -> None:
        """Append a row without shots, unless the file has it."""
        if self._path is None:
            return
        with self._locked() as descriptor:
            self._repair(descriptor)
            self._catch_up(descriptor)
            if row.strong_id not in self._ids:
                self._write(descriptor, row)

    def _count(self, row: SinterRow) -> None:
        self._ids.add(row.strong_id)
        told = row.json_metadata.get(KEY)
        key = told if isinstance(told, str) else ""
        if is_key(key):
            self._keys[key] = self._keys.get(key, 0) + row.shots
        if row.shots:
            self.totals(task_of(row.decoder, row.json_metadata)).setdefault(key, Total()).add(row)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The open file, which no other sweep reads or writes meanwhile."""
        assert self._path is not None
        with explained(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                if fcntl is not None:
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield descriptor
            finally:
                os.close(descriptor)

    def _repair(self, descriptor: int) -> None:
        """Make the file end with a whole line: who wrote half a line holds no lock any more."""
        size = os.fstat(descriptor).st_size
        if size > _MOST_BYTES:
            raise UsageError(f"{self._path} is larger than {_MOST_BYTES // 2**20} MiB", hint="choose another file")
        if size == 0:
            _write_all(descriptor, f"{header()}\n".encode(), 0)
        elif os.pread(descriptor, 1, size - 1) != b"\n":
            text = os.pread(descriptor, size, 0)
            self._own_columns(text)  # before anything is changed: it may be another file
            start = text.rfind(b"\n") + 1
            if start == 0 or self._is_whole(text[start:]):
                _write_all(descriptor, b"\n", size)
            else:
                os.ftruncate(descriptor, start)
                self.repaired = True

    def _own_columns(self, text: bytes) -> None:
        """Check that the file's first line names the columns of the rows that are written.

        Raises:
            UsageError: It does not.
        """
        try:
            columns = columns_of(text.partition(b"\n")[0].decode(), name=self.name)
        except UnicodeDecodeError as error:
            raise UsageError(f"{self._path} is not UTF-8 text", hint="choose another file") from error
        if columns != COLUMNS:
            raise UsageError(
                f"{self._path} has other columns than sinter writes now: {', '.join(columns)}",
                hint="sinter combine FILE > NEW_FILE writes them anew; or choose another file",
            )

    def _is_whole(self, line: bytes) -> bool:
        try:
            return bool(read_rows(line.decode(), name=self.name, columns=COLUMNS))
        except (UsageError, UnicodeDecodeError):
            return False

    def _catch_up(self, descriptor: int) -> None:
        """Read what was appended since the last time."""
        size = os.fstat(descriptor).st_size
        if size < self._read:
            raise AutoQECError(
                f"{self._path} became shorter while the sweep ran: another program wrote it", hint="choose another file"
            )
        data = os.pread(descriptor, size - self._read, self._read)
        if self._read == 0:
            self._own_columns(data)
            first, _, data = data.partition(b"\n")
            self._read, self._lines = len(first) + 1, 1
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{self._path} is not UTF-8 text", hint="choose another file") from error
        for row in read_rows(text, name=self.name, first=self._lines + 1, columns=COLUMNS):
            self._count(row)
        self._lines += text.count("\n")
        self._read = size

    def _write(self, descriptor: int, row: SinterRow) -> None:
        data = f"{row.line()}\n".encode()
        _write_all(descriptor, data, self._read)
        self._read += len(data)
        self._lines += 1
        self._count(row)


def _write_all(descriptor: int, data: bytes, at: int) -> None:
    """Write at a place, or nothing: a full disk leaves no half line."""
    done = 0
    try:
        while done < len(data):
            done += os.pwrite(descriptor, data[done:], at + done)
    except OSError:
        os.ftruncate(descriptor, at)
        raise
