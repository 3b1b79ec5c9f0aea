"""The executor `command`: workers over the standard streams of commands such as `ssh host`."""

import shlex
import sys

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_executors(register: Register) -> None:
    """`command`."""
    worker = f"{shlex.quote(sys.executable)} -m autoqec.scoring.remote.serve_worker"
    register(
        "command",
        "autoqec_plugins.command.command_executor:CommandExecutor",
        check_with={"prefixes": "env", "worker": worker, "each": 2},
    )
