"""Plugin: codes from matrices: `parity_check` (a CSS code from its checks) and `tanner` (a bare Tanner graph)."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_codes(register: Register) -> None:
    """Register `parity_check` and `tanner`."""
    # A matrix is known by the end of its name: `hx.npy`, `steane_hx.txt`.
    of_a_code = tuple(f"paths.{name}=*{name}.*" for name in ("hx", "hz", "lx", "lz"))
    of_a_graph = tuple(f"paths.{name}=*{name}.*" for name in ("checks", "observables", "priors"))
    register("parity_check", "autoqec_plugins.matrix_codes.parity_check:ParityCheck", files=of_a_code)
    register("tanner", "autoqec_plugins.matrix_codes.tanner:Tanner", files=of_a_graph)
