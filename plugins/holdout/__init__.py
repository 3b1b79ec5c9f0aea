"""The default verifier: a paired sequential test on a holdout stream that did not exist before the commit."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_verifiers(register: Register) -> None:
    """`holdout`."""
    register("holdout", "autoqec_plugins.holdout.holdout_verifier:HoldoutVerifier")
