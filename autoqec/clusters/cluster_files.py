"""The file of the job that runs rounds on a batch system of a cluster, for `autoqec init --cluster`."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from autoqec.whole_files import write_absent

#: The batch systems that there are files for.
CLUSTERS = ("slurm",)

#: What the file says where the lab has no remote yet.
NO_REMOTE = "ssh://HOST/PATH/OF/THE/LAB.git"

#: Characters of a run's name at most.
_LONGEST = 40
_ENDING = "-cluster"


def cluster_file(cluster: str) -> str:
    """The place of the file in a lab."""
    return f".autoqec/{cluster}.sh"


def write_cluster_file(top: Path, cluster: str, *, remote: str, env: str, branch: str = "") -> list[str]:
    """Write the file of the job into a working tree, without overwriting other contents.

    Args:
        top: The working tree.
        cluster: One of `CLUSTERS`.
        remote: The address of the remote on which the tasks meet; empty if the lab has none.
        env: The environment of the run.
        branch: The branch that the tasks clone; empty for the one that the remote names as its own.

    Returns:
        The file's path; nothing if it is there already.

    Raises:
        UsageError: A file there has other contents, or a link leads outside the tree; nothing was written then.
        AutoQECError: The file is not writable.
    """
    again = f"autoqec init {top} --cluster {cluster}"
    return write_absent(top, {cluster_file(cluster): _job(top, cluster, remote, branch, env)}, again=again)


def next_steps(cluster: str, *, remote: str) -> list[str]:
    """What the user must do for the job to work, in sentences."""
    file = cluster_file(cluster)
    steps = [] if remote else [f"write the address of the remote on which the tasks meet into {file}"]
    steps.append(f"read {file}, and set the number of tasks, their time and the folder of their clones")
    steps.append(f"push the lab to the remote, and submit the job: sbatch {file}")
    return steps


def _job(top: Path, cluster: str, remote: str, branch: str, env: str) -> bytes:
    text = (files("autoqec.clusters") / "job_files" / f"{cluster}.template").read_text("utf-8")
    words = {
        "file": cluster_file(cluster),
        "remote": shlex.quote(_address(top, remote) or NO_REMOTE),
        "branch": shlex.quote(branch),
        "run": _run_name(env),
        "env": shlex.quote(env),
        "autoqec": f"{shlex.quote(sys.executable)} -m autoqec",
    }
    return re.sub("{{([a-z]+)}}", lambda found: words[found[1]], text).encode()


def _address(top: Path, remote: str) -> str:
    """An address that means the same elsewhere, without a password or token that it may hold."""
    if "://" in remote:
        parts = urlsplit(remote)
        user, _, host = parts.netloc.rpartition("@")
        # An ssh server needs the user's name; before a colon is a name, and after it a secret. A token alone is a name too.
        user = user.partition(":")[0] if parts.scheme == "ssh" else ""
        return urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host))
    if not remote or re.match(r"[^/\s]+:", remote):
        return remote
    return str((top / remote).resolve())


def _run_name(env: str) -> str:
    words = re.sub("[^a-z0-9]+", "-", Path(env).stem.lower()).strip("-")
    return (words or "run")[: _LONGEST - len(_ENDING)].rstrip("-") + _ENDING
