"""AutoQEC: discover, verify and share neural predecoders for quantum error correction, with git as the only record.

    import autoqec

    lab = autoqec.open("path/to/lab")
    lab.front("surface_d5_depol")

Names load on first use, so that the import is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.installed_package import __version__
from autoqec.lazy_names import lazy_names

if TYPE_CHECKING:
    from autoqec.api.compared_decoders import DecoderComparison, compare
    from autoqec.api.front_members import Front
    from autoqec.api.lab_rounds import Round, Rounds, RunOfLab, Runs
    from autoqec.api.made_environments import Environment
    from autoqec.api.opened_lab import Lab, init, open
    from autoqec.api.round_decoder import RoundDecoder
    from autoqec.api.swept_points import DecoderSweep, sweep
    from autoqec.errors import AutoQECError
    from autoqec.hookspecs import hookimpl

__all__ = [
    "AutoQECError",
    "DecoderComparison",
    "DecoderSweep",
    "Environment",
    "Front",
    "Lab",
    "Round",
    "RoundDecoder",
    "Rounds",
    "RunOfLab",
    "Runs",
    "__version__",
    "compare",
    "hookimpl",
    "init",
    "open",
    "sweep",
]

__getattr__ = lazy_names(
    __name__,
    {
        "api.compared_decoders": ("DecoderComparison", "compare"),
        "api.front_members": ("Front",),
        "api.lab_rounds": ("Round", "Rounds", "RunOfLab", "Runs"),
        "api.made_environments": ("Environment",),
        "api.opened_lab": ("Lab", "init", "open"),
        "api.round_decoder": ("RoundDecoder",),
        "api.swept_points": ("DecoderSweep", "sweep"),
        "errors": ("AutoQECError",),
        "hookspecs": ("hookimpl",),
    },
)
