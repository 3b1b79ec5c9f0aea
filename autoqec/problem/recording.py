"""The shots of an environment whose code is `recorded`: experiments' data, split once into training, development and holdout.

A recording has so many shots and no more. Which part a shot is in follows from what was recorded, and from the environment's
shares, by a hash: nobody can choose a split that suits a candidate, but by recording other shots. The order of the hash is
the same for all shares, so the holdouts of two environments on one recording overlap, and looks at both are counted together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from autoqec.errors import UsageError
from autoqec.field_problems import explain
from autoqec.problem.environment import ENVIRONMENT_FILE, RECORDED, LoadedEnvironment, environment_from_files
from autoqec.problem.locating import at_its_line
from autoqec.problem.recorded_shots import ShotFile, read_shots
from autoqec.problem.sampling import CHUNK_SHOTS, Shots
from autoqec.strict_fields import checked_fields

if TYPE_CHECKING:
    from autoqec.problem.problem import Problem

#: Names the rule by which shots are put into an order. Another rule would have another name.
_ORDER = b"autoqec/recorded/v1"


class Parts(BaseModel):
    """The shares of a recording's shots.

    Attributes:
        training: For losses on observables.
        development: For the metrics of rounds.
        holdout: For verdicts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    training: float = Field(default=0.5, ge=0, lt=1)
    development: float = Field(default=0.2, gt=0, lt=1)
    holdout: float = Field(default=0.3, gt=0, lt=1)

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if self.training + self.development + self.holdout > 1 + 1e-9:
            raise ValueError("training, development and holdout are shares of all shots, and add up to at most 1")
        return self


class RecordedFields(BaseModel):
    """The fields of a code of kind `recorded`.

    Attributes:
        dem: The error model that decodes the shots; None for that of `circuit`.
        circuit: A circuit, for the coordinates of detectors where `dem` has none, or for the error model.
        shots: The file of detection events, in one of stim's formats.
        observables: The file of observable flips; None if `shots` holds them after the detectors.
        parts: How the shots are shared out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    dem: str | None = None
    circuit: str | None = None
    shots: str
    observables: str | None = None
    parts: Parts = Parts()

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if self.dem is None and self.circuit is None:
            raise ValueError("recorded shots need an error model: set dem, or circuit")
        return self


@dataclass(frozen=True)
class Recording:
    """Recorded shots, by part. No shot is in two parts.

    Attributes:
        digest: SHA-256 of what was recorded, 64 hex digits, whatever the files' format.
        shots: How many there are in all.
        training, development, holdout: The parts, in the order of recording.
    """

    digest: str
    shots: int
    training: Shots
    development: Shots
    holdout: Shots


#: The part that each stream of scored shots takes.
_PART_OF_STREAM = {"dev": "development", "holdout": "holdout"}


def is_recorded(loaded: LoadedEnvironment) -> bool:
    """Whether an environment's shots are recorded."""
    return loaded.environment.code.kind == RECORDED


def without_shots(loaded: LoadedEnvironment) -> LoadedEnvironment:
    """The environment without its recorded shots: what decoders need, and all that a process of others may have."""
    if not is_recorded(loaded):
        return loaded
    fields = loaded.environment.code.fields
    shots = {fields.get(name) for name in ("shots", "observables")}
    files = {name: data for name, data in loaded.files.items() if name not in shots}
    return LoadedEnvironment(loaded.environment, files, loaded.origin)


def refuse_to_draw(files: Mapping[str, bytes]) -> None:
    """Refuse to draw shots of an environment whose shots are recorded.

    Args:
        files: The environment's.

    Raises:
        UsageError: They are recorded: what is drawn from their error model is no shot of the experiment.
    """
    if is_recorded(environment_from_files(files, origin="the environment")):
        raise _not_fresh()


def _not_fresh() -> UsageError:
    return UsageError(
        "the environment's shots are recorded, so no fresh ones can be drawn for this",
        hint="autoqec verify ROUND looks at the holdout, and counts the look",
        code="recorded_shots",
    )


#: The recording that was read last, by the identity of its environment: streams of one environment share it.
_read: tuple[str, Recording] | None = None


def read_recording(loaded: LoadedEnvironment, num_detectors: int, num_observables: int) -> Recording:
    """The recorded shots of an environment.

    Args:
        loaded: The environment, with its shots.
        num_detectors, num_observables: Of its problem.

    Raises:
        UsageError: The shots do not fit the error model or each other, or a part has no shot; names the file and field.
    """
    global _read
    if _read is None or _read[0] != loaded.identity:
        fields = recorded_fields(loaded)
        try:
            shots = _shots(loaded, fields, num_detectors, num_observables)
            _read = loaded.identity, split(shots, fields.parts)
        except UsageError as error:
            raise at_its_line(error.at("code.shots"), loaded.origin, loaded.files[ENVIRONMENT_FILE]) from error
    return _read[1]


def recording_of(loaded: LoadedEnvironment, problem: Problem) -> Recording:
    """As `read_recording`, for the problem of the environment."""
    return read_recording(loaded, problem.num_detectors, problem.num_observables)


def require_recording(loaded: LoadedEnvironment, problem: Problem) -> None:
    """Check that an environment's recorded shots can be used, if it has any.

    Raises:
        UsageError: They cannot, or the environment asks for what recorded shots do not have; names file, line and field.
    """
    if not is_recorded(loaded):
        return
    recording_of(loaded, problem)
    if loaded.environment.protocol.by_strata:
        found = UsageError(
            "protocol.sampling: recorded shots are not drawn, by strata or otherwise",
            hint="leave out protocol.sampling",
            code="recorded_shots",
        )
        raise at_its_line(found, loaded.origin, loaded.files[ENVIRONMENT_FILE])


def recorded_fields(loaded: LoadedEnvironment) -> RecordedFields:
    """The fields of an environment's code.

    Raises:
        UsageError: They are not valid.
    """
    try:
        found: RecordedFields = checked_fields(RecordedFields, loaded.environment.code.fields)
    except ValidationError as error:
        raise UsageError(explain(error, RecordedFields, inside="code")) from error
    return found


def _shots(loaded: LoadedEnvironment, fields: RecordedFields, num_detectors: int, num_observables: int) -> Shots:
    events, flips = (
        None if name is None else ShotFile(name, loaded.files[name]) for name in (fields.shots, fields.observables)
    )
    assert events is not None
    return read_shots(events, flips, num_detectors=num_detectors, num_observables=num_observables)


def split(shots: Shots, parts: Parts) -> Recording:
    """Share out recorded shots: the first of an order that a hash decides are the holdout, the last are for training.

    Args:
        shots: All of them.
        parts: The shares.

    Raises:
        UsageError: There are so few that a part has none.
    """
    digest = _digest(shots)
    order, total = shot_order(digest, len(shots)), len(shots)
    holdout, development, training = (
        int(share * total + 1e-6) for share in (parts.holdout, parts.development, parts.training)
    )
    if not holdout or not development:
        raise UsageError(
            f"{total:,} recorded shots leave none for the holdout or for development",
            hint="record more shots, or change code.parts",
            code="bad_shots",
        )
    rows = {
        "holdout": order[:holdout],
        "development": order[holdout : holdout + development],
        "training": order[total - training :],
    }
    return Recording(digest, total, **{name: _rows(shots, np.sort(chosen)) for name, chosen in rows.items()})


def shot_order(digest: str, shots: int) -> np.ndarray:
    """The order in which shots are shared out, int64 `[shots]`: by the 64-bit words that SHAKE-256 draws from the digest."""
    words = hashlib.shake_256(_ORDER + bytes.fromhex(digest)).digest(8 * shots)
    return np.argsort(np.frombuffer(words, dtype="<u8"), kind="stable")


def _digest(shots: Shots) -> str:
    sizes = ",".join(str(each) for each in (*shots.syndromes.shape, shots.observables.shape[1]))
    return hashlib.sha256(sizes.encode() + b";" + shots.syndromes.tobytes() + shots.observables.tobytes()).hexdigest()


def _rows(shots: Shots, rows: np.ndarray | slice) -> Shots:
    return Shots(np.ascontiguousarray(shots.syndromes[rows]), np.ascontiguousarray(shots.observables[rows]))


def part_of_stream(recording: Recording, domain: str) -> Shots:
    """The shots of a stream.

    Args:
        recording: What was recorded.
        domain: The purpose of the stream: `dev` or `holdout`.

    Raises:
        UsageError: A stream of another purpose needs shots that nobody has seen, and there are none.
    """
    part = _PART_OF_STREAM.get(domain)
    if part is None:
        raise _not_fresh()
    found: Shots = getattr(recording, part)
    return found


def chunks_in(part: Shots) -> int:
    """How many chunks a part has; the last one may be smaller."""
    return -(-len(part) // CHUNK_SHOTS)


def chunk_of(part: Shots, number: int) -> Shots:
    """A part's chunk by number."""
    return _rows(part, slice(number * CHUNK_SHOTS, (number + 1) * CHUNK_SHOTS))
