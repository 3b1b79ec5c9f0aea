"""Decoding: the interface of decoders, checks of their inputs, and edge weights from beliefs.

Names are imported on first use, so that listing plugins compiles nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

if TYPE_CHECKING:
    from autoqec.decoding.array_checks import check_beliefs, check_syndromes
    from autoqec.decoding.decoder_contract import (
        CompiledDecoder,
        ConfidentDecoder,
        Decoded,
        Decoder,
        SharingDecoder,
        SolvingDecoder,
    )
    from autoqec.decoding.edges import EdgeUses, edge_log_odds, edge_uses

__all__ = [
    "CompiledDecoder",
    "ConfidentDecoder",
    "Decoded",
    "Decoder",
    "EdgeUses",
    "SharingDecoder",
    "SolvingDecoder",
    "check_beliefs",
    "check_syndromes",
    "edge_log_odds",
    "edge_uses",
]

__getattr__ = lazy_names(
    __name__,
    {
        "array_checks": ("check_beliefs", "check_syndromes"),
        "decoder_contract": (
            "CompiledDecoder",
            "ConfidentDecoder",
            "Decoded",
            "Decoder",
            "SharingDecoder",
            "SolvingDecoder",
        ),
        "edges": ("EdgeUses", "edge_log_odds", "edge_uses"),
    },
)
