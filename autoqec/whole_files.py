"""Files and folders that a command writes for its user: each appears whole, under its name, or not at all.

What is written lies beside its place until it is whole. If that fails, what was begun is removed, and the error is about that
place and never about the lab's store.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from autoqec.errors import AutoQECError, UsageError

#: The descriptor of standard output, which a command may have moved.
_standard_output = 1

#: Names of standard output.
_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")

_HINTS = {
    errno.ENOSPC: "free some disk space, or choose another place",
    errno.EDQUOT: "free some disk space, or choose another place",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another place",
    errno.ENOENT: "make the folder first, or choose another place",
    errno.ENOTDIR: "a part of the path is a file: choose another place",
    errno.EISDIR: "there is a folder of that name: choose another name",
}

#: What is wrong with what the user wrote, and not with the machine.
_WRONG_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM)


def standard_output_is(descriptor: int) -> None:
    """Say which descriptor a file stands for whose name is that of standard output."""
    global _standard_output
    _standard_output = descriptor


def not_written(place: Path | str, error: OSError) -> AutoQECError:
    """Describe an error of writing what the user asked for."""
    hint = _HINTS.get(error.errno or 0, "choose a place that you may write to")
    kind = UsageError if error.errno in _WRONG_PLACE else AutoQECError
    return kind(f"{place} cannot be written: {error.strerror or error}", hint=hint, code="not_written")


@contextmanager
def explained(place: Path | str) -> Iterator[None]:
    """Turn errors of writing into errors about a place.

    Raises:
        AutoQECError: An OSError was raised.
    """
    try:
        yield
    except OSError as error:
        raise not_written(place, error) from error


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield the place to write a file to; it is moved to `path` if nothing is raised, and removed otherwise.

    The place has the suffix of the path. A pipe or device is written to directly.

    Raises:
        UsageError, AutoQECError: It cannot be written (`not_written`).
    """
    if str(path) in _STANDARD_OUTPUT:
        path = Path(f"/dev/fd/{_standard_output}")
    with explained(path):
        if path.exists() and not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            yield path
            return
        whole = Path(os.path.realpath(path))
        if whole.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        part = whole.with_name(f".{whole.stem[:100]}.{os.getpid()}{whole.suffix}")
        try:
            yield part
            os.replace(part, whole)
        finally:
            part.unlink(missing_ok=True)


def require_place(path: Path) -> None:
    """Refuse a file that cannot be written, before the work whose result it is for.

    Raises:
        UsageError: There is no such folder, it is not writable, or the path is a folder (`not_written`).
    """
    with explained(path):
        above = Path(os.path.realpath(path)).parent
        for number, wrong in (
            (errno.EISDIR, path.is_dir()),
            (errno.ENOENT, not above.exists()),
            (errno.ENOTDIR, not above.is_dir()),
            (errno.EACCES, not os.access(path if path.exists() else above, os.W_OK)),
        ):
            if wrong:
                raise OSError(number, os.strerror(number))


def write_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; what is there is replaced.

    Raises:
        UsageError, AutoQECError: It cannot be written (`not_written`).
    """
    with written_aside(path) as part:
        part.write_bytes(data)


def write_absent(top: Path, files: Mapping[str, bytes], *, again: str) -> list[str]:
    """Write files into a working tree; a file that is there must have the same contents.

    Args:
        top: The working tree.
        files: Contents by path from its top; folders are made.
        again: The command that writes them, for hints.

    Returns:
        The paths of those that were not there.

    Raises:
        UsageError: A file there has other contents, or a link leads outside the tree; nothing was written then.
        AutoQECError: The files are not writable.
    """
    places = {top / name: data for name, data in files.items()}
    for place, data in places.items():
        with explained(place):
            if not place.resolve().is_relative_to(top.resolve()):
                raise UsageError(f"{place} leads outside of {top}", hint=f"remove the link, then run {again}")
            if place.exists() and (not place.is_file() or place.read_bytes() != data):
                raise UsageError(f"{place} already has other contents", hint=f"move it away, then run {again}")
    absent = [name for name in files if not (top / name).exists()]
    for name in absent:
        with explained(top / name):
            (top / name).parent.mkdir(parents=True, exist_ok=True)
        write_file(top / name, files[name])
    return absent


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder, whole or not at all.

    Args:
        folder: A folder that is absent or empty; folders above it are made.
        files: Contents by path within it.

    Raises:
        UsageError, AutoQECError: It cannot be written (`not_written`).
    """
    with explained(folder):
        there = folder.is_dir()  # it may be a disk of its own, or somebody's current directory, so it stays
        above = [] if there else _made(folder.absolute().parent)
        part = (
            folder / f".autoqec-{os.getpid()}"
            if there
            else folder.absolute().with_name(f".{folder.name}.{os.getpid()}")
        )
        moved: list[Path] = []
        try:
            for name, data in files.items():
                target = part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            if not there:
                part.rename(folder)
                return
            for each in sorted(part.iterdir()):
                moved.append(each.rename(folder / each.name))
            part.rmdir()
        except BaseException:
            for each in (*moved, part):
                shutil.rmtree(each, ignore_errors=True)
                with suppress(OSError):
                    each.unlink()
            for each in above:
                with suppress(OSError):
                    each.rmdir()
            raise


def _made(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns those that were absent, the innermost first."""
    absent = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(absent):
        each.mkdir()
    return absent
