"""Plugin: any `sinter.Decoder` as a decoder, by the name of its class: `sinter:module:Class`."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_decoders(register: Register) -> None:
    """Offer the family `sinter:`."""
    register("sinter:", "autoqec_plugins.sinter.sinter_decoder:SinterDecoder", takes_beliefs=False)
