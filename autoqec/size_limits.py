"""All limits on the size of what is read from a repository, each with its reason. They are checked before anything is parsed.

Whoever can write a ref can write anything of any size: 3 MB of a pack hold a note of 400 MB. Git knows the size of an object
without decompressing it, so what is over a limit is named and skipped, at no cost. Each limit is at least twenty times what an
honest lab holds. `docs/records.md` says what to do about one.
"""

from __future__ import annotations

from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB

#: A commit object. Rounds write a few KiB; the user's own history may have long messages.
COMMIT_BYTES: Final = _MIB
#: A round's commit message: nine trailers and a body of a few KiB.
MESSAGE_BYTES: Final = 256 * _KIB
#: One folder: about 300,000 names, more than any tool shows.
TREE_BYTES: Final = 16 * _MIB
#: Any file for which no smaller limit is named. Twice what `STORE_BYTES` lets an environment or weights take.
BLOB_BYTES: Final = 100 * _MIB

#: One line of a note. A verdict with all its cells takes about 50 KiB.
LINE_BYTES: Final = _MIB
#: The note on one round: hundreds of verdicts.
NOTE_BYTES: Final = 16 * _MIB
#: All notes of a run and kind together. The largest notes are skipped first, so that junk hides no honest note.
RUN_NOTES_BYTES: Final = 128 * _MIB
#: Lines of one note.
NOTE_LINES: Final = 150_000
#: JSON values in them: memory goes by values, not by bytes. A verdict has a thousand.
NOTE_VALUES: Final = 1_000_000
#: Notes of a run and kind: commits that have one.
RUN_NOTES: Final = 100_000
#: Lines of all these notes together: each costs a look at its trust.
RUN_LINES: Final = 150_000
#: Values of all these notes together.
RUN_VALUES: Final = 8_000_000

#: A claim, a report of a failed attempt, or a run's own record: a few KiB each.
RECORD_BYTES: Final = _MIB
#: Files in an attachment, a candidate or an environment.
FILES: Final = 10_000
#: A YAML file. The strict reader takes about 35 microseconds a byte, so this is two seconds.
YAML_BYTES: Final = 64 * _KIB
#: All YAML files of a candidate.
CANDIDATE_YAML_BYTES: Final = 256 * _KIB
#: The settings file.
CONFIG_BYTES: Final = 256 * _KIB
#: The JSON header of weights: a line for each tensor.
WEIGHTS_HEADER_BYTES: Final = 4 * _MIB

#: Detectors of a problem; a chunk of shots with more would fill a laptop's memory.
DETECTORS: Final = 200_000
#: Observables. Every mechanism has a bit for each, and codes with more logical qubits are far beyond any decoder here.
OBSERVABLES: Final = 4096
#: Instructions of an error model without repeats: a surface code of distance 51 has 3.5 million in 51 rounds.
MODEL_INSTRUCTIONS: Final = 5_000_000
#: Their targets.
MODEL_TARGETS: Final = 30_000_000
#: Bytes of the observables that all mechanisms flip.
FLIPS_BYTES: Final = 512 * _MIB
#: Instructions and targets of a circuit without repeats: seconds of work for stim.
CIRCUIT_OPERATIONS: Final = 50_000_000
#: Qubits, by their largest number: stim holds two bits of each in every shot.
QUBITS: Final = 200_000
#: Measurements: stim holds those of a whole chunk of shots.
MEASUREMENTS: Final = 1_000_000
#: Entries of a dense matrix, and of an array that a file claims to hold. A laptop cannot decode larger codes.
MATRIX_ENTRIES: Final = 64 * 1024 * 1024
#: What an archive of arrays may unpack to: such a matrix of 8-byte numbers.
ARRAY_BYTES: Final = 8 * MATRIX_ENTRIES
#: A file of recorded shots. A million shots of 8,000 detectors, or fewer as text.
SHOT_FILE_BYTES: Final = 1024 * _MIB
#: The same in memory, a bit for each detector and observable.
PACKED_SHOTS_BYTES: Final = 1024 * _MIB

#: Refs that a pull takes from one remote.
REFS: Final = 200_000
#: What a pull receives, compressed.
PULL_BYTES: Final = 4 * 1024 * _MIB


def in_words(size: int) -> str:
    """Return a number of bytes as a person reads it: `64 KiB`, `400.0 MiB`."""
    return f"{size / _MIB:.1f} MiB" if size >= _MIB else f"{size / _KIB:.0f} KiB" if size >= _KIB else f"{size} bytes"
