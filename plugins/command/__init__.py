"""The executor `command`: workers over the standard streams of commands such as `ssh host`."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_executors(register: Register) -> None:
    """`command`."""
    register("command", "autoqec_plugins.command.command_executor:CommandExecutor")
