"""The default executor: worker processes on this machine."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_executors(register: Register) -> None:
    """`local`."""
    register("local", "autoqec_plugins.local.local_executor:LocalExecutor")
