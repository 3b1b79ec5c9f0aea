"""A decoder plugin: one hook, one name, the implementation imported only when the name is used."""

from autoqec import hookimpl


@hookimpl
def autoqec_register_decoders(register):
    """`lookup`."""
    register("lookup", "autoqec_lookup.decoder:LookupDecoder", takes_beliefs=True, confidence="tabulated")
