"""Plugin: codes from matrices: `parity_check` (a CSS code from its checks) and `tanner` (a bare Tanner graph)."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_codes(register: Register) -> None:
    """Register `parity_check` and `tanner`."""
    register("parity_check", "autoqec_plugins.matrix_codes.parity_check:ParityCheck")
    register("tanner", "autoqec_plugins.matrix_codes.tanner:Tanner")
