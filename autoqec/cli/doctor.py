"""`autoqec doctor`: show every setting with its source, versions and the machine."""

from __future__ import annotations

import click

from autoqec.cli import shared_options as options


@click.command()
@options.json_option
def command(as_json: bool) -> int:
    """Show every setting with its source, the versions of packages, and the machine's sandbox and processors."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from autoqec.cli.lab import open_lab
    from autoqec.config import load_settings
    from autoqec.errors import NotFoundError
    from autoqec.history import unpushed
    from autoqec.installed_package import LIBRARIES
    from autoqec.plugins import load_plugins, missing_packages
    from autoqec.sandbox.gpus import gpu_model
    from autoqec.views.console import print_json
    from autoqec.views.doctor_text import print_doctor
    from autoqec.views.sync_text import unpushed_text

    facts: dict[str, str] = {}
    lab = None
    try:
        ledger, settings = open_lab()
        lab = ledger.workdir
        facts["lab"] = str(ledger.workdir)
        for remote, lacks in unpushed(ledger).items():
            facts[f"remote {remote}"] = unpushed_text(remote, lacks) or "has all rounds and notes, as last fetched"
    except NotFoundError as error:
        settings = load_settings(None)
        facts["lab"] = f"none: {error.problem}"
    facts |= {name: f"{setting.value}  ({setting.source})" for name, setting in settings.values.items()}
    facts |= {f"not used: {each.name}": f"{each.value}  (autoqec trust)" for each in settings.withheld}
    for name, profile in settings.profiles.items():
        facts[f"profile {name}"] = ", ".join(f"{key} {value:,}" for key, value in profile.model_dump().items())
    facts["python"] = platform.python_version()
    for name in ("autoqec", *LIBRARIES, "pygit2"):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    for name, line in missing_packages(load_plugins()).items():
        facts[f"decoder {name}"] = f"not installed: {line}"
    facts["sandbox"] = _sandbox()
    facts["gpu"] = gpu_model() or "none that torch may use"
    facts["processors"] = str(len(os.sched_getaffinity(0)))
    print_json([{"schema": "autoqec.doctor/1", **facts}]) if as_json else print_doctor(facts, settings, lab)
    return 0


def _sandbox() -> str:
    """The layers that a candidate's own code gets on this machine, found by putting a process behind them."""
    from autoqec.errors import AutoQECError
    from autoqec.sandbox.child import Child
    from autoqec.sandbox.lock import Lock

    try:
        with Child("autoqec.sandbox.lock:serve_trial", apart=True) as child:
            layers = Lock.from_dict(child.receive(30).fields["lock"])
    except AutoQECError as error:
        return f"level 0: {error.problem}"
    names = {
        "seccomp": "system calls filtered",
        "landlock": f"Landlock {layers.landlock}",
        "namespaces": "own users and network",
        "profile": "a profile that denies",
    }
    held = [words for name, words in names.items() if getattr(layers, name)]
    return f"level {layers.level}: {', '.join(held) or 'none'}"
