"""Decoding: the interface of decoders, checks of their inputs, and edge weights from beliefs.

Names are imported on first use, so that listing plugins compiles nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autoqec.decoding.array_checks import check_beliefs, check_syndromes
    from autoqec.decoding.decoder_contract import CompiledDecoder, Decoded, Decoder
    from autoqec.decoding.edges import EdgeUses, edge_log_odds, edge_uses

__all__ = [
    "CompiledDecoder",
    "Decoded",
    "Decoder",
    "EdgeUses",
    "check_beliefs",
    "check_syndromes",
    "edge_log_odds",
    "edge_uses",
]

_HOME = {
    "CompiledDecoder": "decoder_contract",
    "Decoded": "decoder_contract",
    "Decoder": "decoder_contract",
    "EdgeUses": "edges",
    "check_beliefs": "array_checks",
    "check_syndromes": "array_checks",
    "edge_log_odds": "edges",
    "edge_uses": "edges",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
