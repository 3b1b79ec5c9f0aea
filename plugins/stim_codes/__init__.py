"""Plugin: stim's generated memory experiments, and circuit or error-model files beside the environment."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_codes(register: Register) -> None:
    """Register `stim_generated`, `circuit` and `dem`."""
    register("stim_generated", "autoqec_plugins.stim_codes.codes:StimGenerated")
    register("circuit", "autoqec_plugins.stim_codes.codes:CircuitFile", files=("path=*.stim",))
    register("dem", "autoqec_plugins.stim_codes.codes:ErrorModelFile", files=("path=*.dem",))
