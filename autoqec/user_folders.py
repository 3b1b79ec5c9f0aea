"""Where the user's own files are: outside all repositories."""

from __future__ import annotations

import os
from pathlib import Path


def user_folder(variable: str, usual: str) -> Path:
    """The user's own folder for AutoQEC.

    Args:
        variable: One of the XDG base directory specification; a relative path in it is ignored, as that demands.
        usual: The folder below the home directory where it is not set.

    Raises:
        RuntimeError: There is no home directory.
    """
    told = Path(os.environ.get(variable, ""))
    return (told if told.is_absolute() else Path.home() / usual) / "autoqec"
