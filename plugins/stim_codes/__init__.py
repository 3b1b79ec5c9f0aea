"""Plugin: stim's generated memory experiments; circuit or error-model files beside the environment; recorded shots."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_codes(register: Register) -> None:
    """Register `stim_generated`, `circuit`, `dem` and `recorded`."""
    register("stim_generated", "autoqec_plugins.stim_codes.codes:StimGenerated")
    register("circuit", "autoqec_plugins.stim_codes.codes:CircuitFile", files=("path=*.stim",))
    register("dem", "autoqec_plugins.stim_codes.codes:ErrorModelFile", files=("path=*.dem",))
    register("recorded", "autoqec_plugins.stim_codes.recorded_code:RecordedShots")
