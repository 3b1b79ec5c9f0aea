"""Reads recorded shots: detection events and observable flips, as stim's formats hold them.

A recording is what an experiment, or somebody else's simulation, has left: its number of shots is fixed. What is read is
bounded first, by the file's size and by the number of its shots; stim itself reads the format. A file that does not fit
its error model is refused, because shots that are read by a wrong width are still shots, of another experiment.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import stim

from autoqec.counted_words import counted
from autoqec.errors import NotFoundError, UsageError
from autoqec.problem.sampling import Shots
from autoqec.size_limits import PACKED_SHOTS_BYTES, SHOT_FILE_BYTES, in_words

ShotFormat = Literal["b8", "01", "dets", "hits", "r8", "ptb64"]

#: stim's formats, by the suffix of their files.
FORMATS: tuple[ShotFormat, ...] = get_args(ShotFormat)

#: Formats of text, and what each of their shots has once.
_ONE_A_SHOT = {"01": b"\n", "hits": b"\n", "dets": b"shot"}

#: `r8` writes a byte for each run of so many zeros.
_R8_RUN = 255

#: `ptb64` holds groups of so many shots.
_PTB64_SHOTS = 64

#: A file is looked through in pieces of this size.
_PIECE = 2**20


@dataclass(frozen=True)
class ShotFile:
    """A file of shots.

    Attributes:
        name: Its name, for messages, and for its format if `format` says none.
        data: Where it is, or what it holds.
        format: One of `FORMATS`; None for what the suffix of the name says.
    """

    name: str
    data: Path | bytes
    format: str | None = None


@dataclass(frozen=True)
class _Parts:
    """What each shot of a file holds: detectors, then observables."""

    detectors: int
    observables: int

    @property
    def bits(self) -> int:
        return self.detectors + self.observables

    def __str__(self) -> str:
        told = [(self.detectors, "detector"), (self.observables, "observable")]
        return " and ".join(counted(number, word) for number, word in told if number)


def read_shots(
    events: ShotFile, observables: ShotFile | None = None, *, num_detectors: int, num_observables: int
) -> Shots:
    """Read recorded shots.

    Args:
        events: The detection events; with the observables after the detectors, as stim's `append_observables` writes
            them, if `observables` is None.
        observables: The observable flips.
        num_detectors, num_observables: Of the error model that decodes the shots.

    Raises:
        UsageError: A file is not of its format, does not fit the error model or the other file, is empty or too large.
        NotFoundError: There is no such file.
    """
    if observables is None:
        return _both(events, _Parts(num_detectors, num_observables))
    syndromes, _ = _read(events, _Parts(num_detectors, 0))
    _, flips = _read(observables, _Parts(0, num_observables))
    if len(syndromes) != len(flips):
        raise bad_shots(
            events,
            f"{events.name} holds {counted(len(syndromes), 'shot')}, but {observables.name} holds {len(flips):,}",
            hint="export both files of the same shots",
        )
    return Shots(syndromes, flips)


def _both(file: ShotFile, parts: _Parts) -> Shots:
    syndromes, flips = _read(file, parts)
    if not flips.any():
        raise bad_shots(
            file,
            f"no shot of {file.name} flips an observable, so it seems to hold detection events alone",
            hint="name the file of the observables too",
        )
    return Shots(syndromes, flips)


def format_of(file: ShotFile) -> ShotFormat:
    """The format of a file.

    Raises:
        UsageError: There is no such format, or the name has no suffix that says one.
    """
    known, suffixes = ", ".join(FORMATS), ", ".join(f".{each}" for each in FORMATS)
    said = file.format if file.format is not None else Path(file.name).suffix.removeprefix(".")
    for each in FORMATS:
        if each == said:
            return each
    if file.format is not None:
        raise bad_shots(file, f"{file.format!r} is no format of shots", hint=f"choose one of: {known}")
    raise bad_shots(
        file,
        f"the suffix of {file.name} names no format of shots",
        hint=f"rename it so that it ends in one of: {suffixes}",
    )


def bad_shots(file: ShotFile, problem: str, *, hint: str) -> UsageError:
    """The error about a file of shots that cannot be used."""
    return UsageError(problem, hint=hint, code="bad_shots", about={"file": file.name})


def _read(file: ShotFile, parts: _Parts) -> tuple[np.ndarray, np.ndarray]:
    """The detectors and the observables of each shot, bit-packed little-endian, uint8 `[shots, bytes]`."""
    form = format_of(file)
    with _on_disk(file) as path:
        _check_size(file, path, form, parts)
        try:
            syndromes, flips = stim.read_shot_data_file(
                path=path,
                format=form,
                num_detectors=parts.detectors,
                num_observables=parts.observables,
                bit_packed=True,
                separate_observables=True,
            )
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise bad_shots(
                file,
                f"{file.name} is not a file of the format {form} with {parts} a shot: stim says: {reason}",
                hint=_hint(form, parts),
            ) from error
    if not len(syndromes):
        raise bad_shots(file, f"{file.name} holds no shots", hint="export it again")
    return np.ascontiguousarray(syndromes), np.ascontiguousarray(flips)


def _hint(form: ShotFormat, parts: _Parts) -> str:
    others = ", ".join(f".{each}" for each in FORMATS if each != form)
    both = parts.detectors and parts.observables
    apart = "if it holds detection events alone, name the file of the observables too; else " if both else ""
    return f"{apart}use the error model of these shots; a file of another format ends in one of: {others}"


@contextmanager
def _on_disk(file: ShotFile) -> Iterator[Path]:
    """The path of a file that can be read: a plain one, and not too large."""
    if isinstance(file.data, bytes):
        # stim reads files alone.
        with tempfile.NamedTemporaryFile(prefix="autoqec-shots-") as copy:
            copy.write(file.data)
            copy.flush()
            yield Path(copy.name)
        return
    try:
        status = file.data.stat()
        if not stat.S_ISREG(status.st_mode):
            raise bad_shots(file, f"{file.name} is no plain file", hint="name a file of shots")
        if status.st_size > SHOT_FILE_BYTES:
            raise _too_large(file, f"takes {in_words(status.st_size)}", SHOT_FILE_BYTES)
        with file.data.open("rb"):
            pass
    except OSError as error:
        raise NotFoundError(
            f"cannot read {file.name}: {os.strerror(error.errno or 0)}",
            hint="name a file that exists and that you may read",
        ) from error
    yield file.data


def _too_large(file: ShotFile, what: str, limit: int) -> UsageError:
    return bad_shots(
        file, f"{file.name} {what}, over the limit of {in_words(limit)}, and was not read", hint="export fewer shots"
    )


def _check_size(file: ShotFile, path: Path, form: ShotFormat, parts: _Parts) -> None:
    """Refuse what has the wrong size, or would take too much memory, before stim reads it."""
    size = path.stat().st_size
    if size == 0:
        raise bad_shots(file, f"{file.name} is empty: it holds no shots", hint="export it again")
    if form == "b8":
        shots = _whole(file, size, (parts.bits + 7) // 8, parts, "shot")
        _check_padding(file, path, parts)
    elif form == "ptb64":
        shots = _PTB64_SHOTS * _whole(file, size, 8 * parts.bits, parts, f"group of {_PTB64_SHOTS} shots")
    elif form == "r8":
        shots = size // (parts.bits // _R8_RUN + 1)
    else:
        shots = _count(path, _ONE_A_SHOT[form])
    # stim holds two copies while it reads.
    packed = shots * ((parts.bits + 7) // 8 + 1)
    if packed > PACKED_SHOTS_BYTES:
        raise _too_large(file, f"holds {shots:,} shots, which take {in_words(packed)}", PACKED_SHOTS_BYTES)


def _whole(file: ShotFile, size: int, each: int, parts: _Parts, unit: str) -> int:
    """How many shots, or groups of shots, a file of so many bytes holds, of so many bytes each."""
    whole, rest = divmod(size, each)
    if rest:
        raise bad_shots(
            file,
            f"{file.name} takes {size:,} bytes, which is no multiple of {each:,}: so many take {parts} per {unit} in the"
            f" format {format_of(file)}",
            hint=_hint(format_of(file), parts),
        )
    return whole


def _check_padding(file: ShotFile, path: Path, parts: _Parts) -> None:
    """Refuse a file of which a shot sets a bit that no detector or observable has; stim would ignore it."""
    width, unused = (parts.bits + 7) // 8, -parts.bits % 8
    if not unused:
        return
    last = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, width)[:, -1]
    wrong = np.flatnonzero(last >> (8 - unused))
    if len(wrong):
        raise bad_shots(
            file,
            f"shot {wrong[0]:,} of {file.name} sets a bit after the last of its {parts}, so its shots are of another size",
            hint=_hint("b8", parts),
        )


def _count(path: Path, mark: bytes) -> int:
    """How many times a file has a mark that does not overlap itself."""
    found, before = 0, b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            piece = before + piece
            found += piece.count(mark)
            # What is carried on is shorter than the mark, so nothing counts twice.
            before = piece[len(piece) - len(mark) + 1 :] if len(mark) > 1 else b""
    return found
