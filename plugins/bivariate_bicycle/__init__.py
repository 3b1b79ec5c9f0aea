"""Bivariate bicycle codes (Bravyi et al., Nature 627, 778) with their syndrome cycle of depth eight."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_codes(register: Register) -> None:
    """`bivariate_bicycle`."""
    register("bivariate_bicycle", "autoqec_plugins.bivariate_bicycle.bb_code:BivariateBicycle")
