"""The files with which a host's CI judges the rounds of pull requests, for `autoqec init --ci`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from pathlib import Path

from autoqec.installed_package import __version__
from autoqec.whole_files import write_absent

#: The hosts that there are files for.
CI_HOSTS = ("github", "gitlab", "gitea")

REQUIREMENTS = ".autoqec/ci-requirements.txt"
_GITLAB = ".gitlab/autoqec.yml"

#: What differs between hosts whose CI reads workflows of GitHub's kind.
_ACTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "github": (
        ".github/workflows/autoqec.yml",
        {
            "rights": "      contents: read\n      statuses: write\n      pull-requests: write",
            "token": "${{ github.token }}",
            "run_number": "$GITHUB_RUN_ID",
        },
    ),
    # Gitea has no right for statuses alone: it asks for the right to write code.
    "gitea": (
        ".gitea/workflows/autoqec.yml",
        {
            "rights": "      contents: write\n      issues: write\n      pull-requests: write",
            "token": "${{ secrets.AUTOQEC_HOST_TOKEN || github.token }}",
            "run_number": "$GITHUB_RUN_NUMBER",
        },
    ),
}


def ci_files(host: str) -> dict[str, bytes]:
    """The files for a host of `CI_HOSTS`, by path from the top of the lab."""
    found = {REQUIREMENTS: _requirements()}
    if host == "gitlab":
        return {**found, _GITLAB: _template("gitlab.yml")}
    place, words = _ACTIONS[host]
    text = _template("actions.yml").decode()
    setup = _template("actions-setup.yml").decode().rstrip("\n")
    for name, word in {"setup": setup, "host": host, **words}.items():
        text = text.replace("{{" + name + "}}", word)
    return {**found, place: text.encode()}


def write_ci(top: Path, host: str) -> list[str]:
    """Write the files for a host into a working tree, without overwriting other contents.

    Args:
        top: The working tree.
        host: One of `CI_HOSTS`.

    Returns:
        Their paths.

    Raises:
        UsageError: A file there has other contents, or a link leads outside the tree; nothing was written then.
        AutoQECError: The files are not writable.
    """
    return write_absent(top, ci_files(host), again=f"autoqec init {top} --ci {host}")


def next_steps(top: Path, host: str) -> list[str]:
    """What the user must do for the files to work, in sentences."""
    steps = ["commit these files on the default branch"]
    if host == "gitlab":
        if not (top / ".gitlab-ci.yml").exists() or _GITLAB not in (top / ".gitlab-ci.yml").read_text(errors="replace"):
            steps.append(f"include them in .gitlab-ci.yml: include: [{{local: {_GITLAB}}}]")
        steps.append("add the webhook, the trigger and the variable that docs/how-to/on-a-host.md describes")
    return steps


def _template(name: str) -> bytes:
    return (files("autoqec.hosting") / "workflows" / f"{name}.template").read_bytes()


def _requirements() -> bytes:
    lines = [
        "# What the host's CI installs to judge rounds. A replay needs the versions that a verdict was reached with, so these",
        "# are those of the machine on which `autoqec init --ci` ran. Raise them together with those of your lab.",
        *sorted(_installed()),
    ]
    return ("\n".join(lines) + "\n").encode()


def _installed() -> Iterator[str]:
    """AutoQEC and what it depends on, with the installed versions."""
    yield f"autoqec=={__version__}"
    for requirement in requires("autoqec") or ():
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is None or "extra ==" in requirement:
            continue
        try:
            # What follows a plus, as in 2.6.0+cpu, is a build that other indexes do not have.
            yield f"{name[0]}=={version(name[0]).partition('+')[0]}"
        except PackageNotFoundError:
            continue
