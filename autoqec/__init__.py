"""AutoQEC: discover, verify and share neural predecoders for quantum error correction, with git as the only record."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "hookimpl"]


def __getattr__(name: str) -> Any:
    # pluggy is imported by those who write plugins, not by every command.
    if name == "hookimpl":
        from autoqec.hookspecs import hookimpl

        return hookimpl
    raise AttributeError(f"module 'autoqec' has no attribute {name!r}")
