"""Recorded shots in a comparison: read from files, fixed in number, and known again by the hashes of the files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from autoqec.comparing.shot_source import ShotSource, part_of
from autoqec.errors import NotFoundError, UsageError
from autoqec.problem.problem import Problem
from autoqec.problem.recorded_shots import ShotFile, read_shots
from autoqec.problem.sampling import Shots
from autoqec.results.decoder_comparison import RECORDED, ComparedShots


class RecordedSource:
    """The shots of an experiment; see `autoqec.comparing.shot_source.ShotSource`.

    Args:
        problem: What decodes them.
        events: The file of detection events.
        observables: The file of observable flips; None if `events` holds them after the detectors.

    Raises:
        UsageError: A file does not fit its format, the problem or the other file.
        NotFoundError: There is no such file.
    """

    def __init__(self, problem: Problem, events: Path, observables: Path | None) -> None:
        files = [ShotFile(str(path), path) for path in (events, observables) if path is not None]
        self._shots = read_shots(*files, num_detectors=problem.num_detectors, num_observables=problem.num_observables)
        self._digests = {file.name: _digest(file.name) for file in files}
        self.total: int | None = len(self._shots)

    @property
    def record(self) -> ComparedShots:
        """See `ShotSource.record`."""
        return ComparedShots(RECORDED, files=self._digests, total=self.total)

    def take(self, first: int, count: int) -> Shots:
        """See `ShotSource.take`."""
        return part_of(self._shots, first, count)

    def apart(self, count: int) -> Shots:
        """The first shots: there are no others to measure times on."""
        return part_of(self._shots, 0, count)


def _digest(name: str) -> str:
    with Path(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_again(
    saved: ComparedShots, problem: Problem, events: Path | None = None, observables: Path | None = None
) -> ShotSource:
    """The recorded shots of a saved comparison.

    Args:
        saved: What it says of them.
        problem: What decodes them.
        events, observables: Where the files are; None for where they were.

    Raises:
        UsageError: A file is not the one that was decoded, or not there.
    """
    names = list(saved.files)
    if events is None and names:
        events, observables = Path(names[0]), Path(names[1]) if len(names) > 1 else None
    given = [path for path in (events, observables) if path is not None]
    if len(given) != len(names) or not given:
        raise UsageError(
            f"the comparison is of {' and '.join(names) or 'no file'}", hint="give as many: --shots and --observables"
        )
    for path, (name, digest) in zip(given, saved.files.items(), strict=True):
        try:
            here = _digest(str(path))
        except OSError as error:
            raise NotFoundError(
                f"cannot read {path}: {error.strerror}", hint="give it: --shots, --observables"
            ) from error
        if here != digest:
            raise UsageError(
                f"{path} is not the file {name} that was decoded: its SHA-256 is {here[:12]}, not {digest[:12]}",
                hint="give the files of the saved comparison: --shots and --observables",
                code="other_comparison",
            )
    assert events is not None
    return RecordedSource(problem, events, observables)
