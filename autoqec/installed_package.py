"""Which AutoQEC this is: its version, and the folder of its modules; `autoqec` itself lists what programs use, and imports it."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

#: The folder of the package `autoqec`.
PACKAGE_FOLDER = Path(__file__).parent

#: Distributions whose version may decide an answer: what everybody has, or is told to install.
LIBRARIES = (
    *("numpy", "scipy", "numba", "torch", "safetensors"),
    *("stim", "pymatching", "fusion-blossom", "ldpc", "sinter"),
)
