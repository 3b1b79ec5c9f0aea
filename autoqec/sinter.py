"""`sinter collect --custom_decoders_module_function autoqec.sinter:decoders`: all rounds of the lab, and all decoders.

For post-selection by confidence: `PostSelected`, `ConfidenceSampler` and `post_selection`.
"""

from __future__ import annotations

from autoqec.errors import AutoQECError

try:
    from autoqec.exchange.post_selection import ConfidenceSampler, Kept, PostSelected, post_selection
    from autoqec.exchange.sinter_rounds import decoders
except ModuleNotFoundError as error:
    if error.name != "sinter":
        raise
    raise AutoQECError("sinter is not installed", hint="pip install 'autoqec[sinter]'") from error

__all__ = ["ConfidenceSampler", "Kept", "PostSelected", "decoders", "post_selection"]
