"""Plugin: belief propagation with ordered-statistics or localised-statistics decoding, also for hypergraph error models."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_decoders(register: Register) -> None:
    """Register `osd` and `bp_lsd`; neither needs matching edges."""
    made = "autoqec_plugins.osd.osd_decoder:Osd"
    register("osd", made, takes_beliefs=True, confidence="converged", solutions=True, explains=True)
    register("bp_lsd", "autoqec_plugins.osd.lsd:BpLsd", takes_beliefs=True, confidence="converged", solutions=True)
