"""Which paths a candidate's files may have. Any other file in its folder could steer a reader's tools, as `conftest.py` does."""

from __future__ import annotations

import re

#: The file that defines how the decoder receives beliefs, and the one that defines the training.
OUTPUT_FILE, TRAINING_FILE = "output.yaml", "training.yaml"

#: The file that defines which shots the pipeline is sent. A candidate need not have it.
GATE_FILE = "gate.yaml"

#: The file that has the pipeline asked several times about a shot. A candidate need not have it.
ENSEMBLE_FILE = "ensemble.yaml"

#: All files that are no stage's. A further kind of file is added here and in `autoqec.candidate.schema`.
_FILES = (OUTPUT_FILE, TRAINING_FILE, GATE_FILE, ENSEMBLE_FILE)

_STAGE_FILE = re.compile(r"stages/([a-z0-9_][a-z0-9_-]{0,39})/(stage\.yaml|module\.py)")


def stage_file(path: str) -> tuple[str, str] | None:
    """The slug of the stage that a file belongs to, and its name; None if it is no stage's."""
    match = _STAGE_FILE.fullmatch(path)
    return (match[1], match[2]) if match else None


def is_candidate_path(path: str) -> bool:
    """Whether a candidate may have a file there; `path` is relative to its folder."""
    return path in _FILES or stage_file(path) is not None
