"""Codes given by their matrices: a CSS code by its checks, or a Tanner graph with nothing behind it."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_codes(register: Register) -> None:
    """`parity_check` and `tanner`."""
    register("parity_check", "autoqec_plugins.matrix_codes.parity_check:ParityCheck")
    register("tanner", "autoqec_plugins.matrix_codes.tanner:Tanner")
