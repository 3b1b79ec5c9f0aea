"""Plugin: minimum-weight perfect matching, with static weights (PyMatching) or exact weights per shot."""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_decoders(register: Register) -> None:
    """Offer `mwpm` and its two-pass correlated variant."""
    register("mwpm", "autoqec_plugins.mwpm.mwpm_decoder:Mwpm", takes_beliefs=True, confidence="gap", solutions=True)
    register("mwpm_correlated", "autoqec_plugins.mwpm.mwpm_decoder:MwpmCorrelated", takes_beliefs=False)
