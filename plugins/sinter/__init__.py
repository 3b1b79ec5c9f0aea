"""Plugin: any `sinter.Decoder` as a decoder, named by its class: `sinter:module:Class`."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_decoders(register: Register) -> None:
    """Register the family `sinter:`."""
    register(
        "sinter:",
        "autoqec_plugins.sinter.sinter_decoder:SinterDecoder",
        takes_beliefs=False,
        example="sinter._decoding._decoding_pymatching:PyMatchingDecoder",
    )
