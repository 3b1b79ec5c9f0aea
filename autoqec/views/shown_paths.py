"""Spells paths for people: relative to where they are in the lab, so that a line is short and can be copied."""

from __future__ import annotations

import os
from pathlib import Path


def shown_path(path: str | Path, lab: Path | None = None) -> str:
    """A path as it can be typed here: relative to this folder, if it is inside this folder or the lab; else whole.

    Args:
        path: The path; a relative one is left as it is.
        lab: The lab's working tree, if there is one.
    """
    whole = Path(path)
    if not whole.is_absolute():
        return str(path)
    here = Path.cwd()
    inside = [folder for folder in (here, lab) if folder is not None and whole.is_relative_to(folder)]
    return os.path.relpath(whole, here) if inside else str(path)
