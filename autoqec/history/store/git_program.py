"""Git's own command line, for what leaves this machine: it knows the user's keys, helpers and proxies, and libgit2 does not.

Nothing is configured and nothing configured is relied on: every refspec is given on the command line, so that neither a
plain `git fetch --prune` nor the mirror somebody set up can move a record of ours.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history.store.repository import Ledger

if TYPE_CHECKING:
    from subprocess import CompletedProcess

TRACKING = "refs/autoqec-remote/"

_BUNDLE = (b"# v2 git bundle\n", b"# v3 git bundle\n")

# What git and hosts say when somebody else was faster; all of it means: look again, join, and push again.
_LOST_RACE = (
    "fetch first",
    "non-fast-forward",
    "stale info",
    "already exists",
    "needs force",
    "cannot lock ref",
    "incorrect old value",
    "failed to update ref",
    "reference already exists",
    "failed to lock",
)
_CONSEQUENCE = ("atomic push failed", "atomic push failure", "atomic transaction failed", "transaction aborted")


_REJECTED = re.compile(r"^!\t[^\t]*:([^\t]+)\t\[([^\]]+)\](?: \((.*)\))?$", re.MULTILINE)
_AT_ONCE = 200  # refs to delete in one push: git compares each refspec with each ref


@dataclass(frozen=True)
class Remote:
    """Another repository.

    Attributes:
        name: As the user named it.
        address: What git is told: a configured name, a URL, or an absolute path.
        tracking: Where copies of its refs are kept here, with a slash at the end.
    """

    name: str
    address: str
    tracking: str


class LostRaceError(AutoQECError):
    """A push came second: the other repository has moved since it was looked at."""

    code = "lost_race"


def find_remote(ledger: Ledger, name: str) -> Remote:
    """The repository that a configured remote's name, a URL or a path means.

    Raises:
        NotFoundError: It is none of these.
        UsageError: It looks like an option.
    """
    if name.startswith("-") or not name:
        raise UsageError(f"{name!r} is not a remote", hint="git remote -v lists them")
    known = [str(known) for known in ledger.repo.remotes.names()]
    if name in known:
        return Remote(name, name, f"{TRACKING}{name}/")
    path = Path(name).absolute()
    if not path.exists() and not re.match(r"[a-z+]+://|[^/\s]+:", name):
        there = f"there are {', '.join(known)}" if known else "this lab has none"
        raise NotFoundError(f"{name!r} is neither a remote nor a path; {there}", hint=f"git remote add {name} <url>")
    address = str(path) if path.exists() else name
    return Remote(name, address, f"{TRACKING}url-{hashlib.sha256(address.encode()).hexdigest()[:12]}/")


def bundle_remotes(ledger: Ledger) -> list[str]:
    """The configured remotes that are git bundles on this machine, as `git clone run.bundle` leaves one."""
    return [str(remote.name) for remote in ledger.repo.remotes if remote.url and is_bundle(remote.url)]


def is_bundle(address: str) -> bool:
    """Whether a path (or `file://` URL) is that of a git bundle."""
    try:
        with open(address.removeprefix("file://"), "rb") as file:
            return file.read(len(_BUNDLE[0])) in _BUNDLE
    except OSError:
        return False


def run_git(
    ledger: Ledger, *args: str, stdin: str | None = None, stdout: IO[bytes] | None = None
) -> CompletedProcess[str]:
    """Run git in the lab, in English, and return what it said whether or not it failed.

    Args:
        ledger: The lab.
        args: git's arguments.
        stdin: What it reads.
        stdout: A file for its output, if that is not to be returned.

    Raises:
        AutoQECError: There is no git, or it cannot be run.
    """
    import subprocess  # not before something is to be sent: `autoqec log` starts faster without

    try:
        return subprocess.run(
            ["git", "-C", str(ledger.workdir), *args],
            env=git_environment(),
            input=stdin or "",  # a prompt for a password goes to the terminal, not here
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise AutoQECError("there is no git command, and a lab cannot be shared without", hint="install git") from error
    except OSError as error:  # a command line of more than two megabytes, most likely
        raise AutoQECError(f"git {args[0]} cannot be run: {error}", hint="share one run at a time: --run") from error


def git_environment() -> dict[str, str]:
    """The environment for git: English, and of the repository it is run in even if this process is in a hook of another."""
    ours = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    return {**{key: value for key, value in os.environ.items() if key not in ours}, "LC_ALL": "C"}


def fetch(ledger: Ledger, remote: Remote, sources: Iterable[tuple[str, str]]) -> None:
    """Bring copies of a remote's refs under its tracking namespace, the only refs that a fetch of ours ever moves.

    Args:
        ledger: The lab.
        remote: From where.
        sources: Patterns of the remote's refs, with the place of each below the tracking namespace.

    Raises:
        AutoQECError: It cannot be reached, or is a shallow clone.
    """
    specs = [f"+{source}:{remote.tracking}{place}" for source, place in sources]
    done = run_git(
        ledger,
        "fetch",
        "--quiet",
        "--no-tags",
        "--prune",
        "--no-prune-tags",
        "--refmap=",  # else a configured refspec would have git move further refs along with these
        "--no-write-fetch-head",
        "--no-filter",  # else a partial clone would get records without their contents
        "--recurse-submodules=no",
        remote.address,
        *specs,
    )
    if "shallow" in done.stderr and "not allowed" in done.stderr:
        raise AutoQECError(
            f"{remote.name} is a shallow clone: the history its rounds start from is cut off there",
            hint="git fetch --unshallow, in that repository",
        )
    if done.returncode != 0:
        raise _unreachable(remote, "fetch from", done.stderr)


def push_refs(ledger: Ledger, remote: Remote, specs: Sequence[str], leases: Iterable[tuple[str, str]] = ()) -> None:
    """Set refs of a remote, all or none of them, never by force.

    Args:
        ledger: The lab.
        remote: Whither.
        specs: Refspecs.
        leases: For refs that git would not fast-forward: the oid the remote must hold, empty if it must hold none.

    Raises:
        LostRaceError: The remote has moved meanwhile; nothing was set.
        AutoQECError: It cannot be reached, or refuses such refs.
    """
    if not specs:
        return
    args = [*(f"--force-with-lease={ref}:{oid}" for ref, oid in leases), remote.address, *specs]
    done = _push(ledger, "--atomic", *args)
    if done.returncode != 0 and "does not support --atomic" in done.stderr:
        done = _push(ledger, *args)
    if done.returncode != 0:
        raise _push_error(remote, done.stdout, done.stderr)


def delete_refs(ledger: Ledger, remote: Remote, refs: Mapping[str, str]) -> dict[str, str]:
    """Delete refs of a remote, each only if it holds what it was last seen to hold, and each whether or not others go.

    Args:
        ledger: The lab.
        remote: Where.
        refs: The oid that each must hold.

    Returns:
        Those that stay, each with the remote's reason.

    Raises:
        AutoQECError: It cannot be reached.
    """
    left: dict[str, str] = {}
    names = list(refs)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        args = [f"--force-with-lease={ref}:{refs[ref]}" for ref in some]
        done = _push(ledger, *args, remote.address, *(f":{ref}" for ref in some))
        if done.returncode != 0:
            refused = {ref: why or what for ref, what, why in _REJECTED.findall(done.stdout)}
            if not refused:
                raise _unreachable(remote, "push to", done.stderr)
            left |= refused
    return left


def pause(attempt: int) -> None:
    """Wait a moment, longer and more randomly the more often one has tried, so that two who collide stop colliding."""
    time.sleep(random.uniform(0.02, 0.1) * 2 ** min(attempt, 4))  # noqa: S311 - jitter


def _push(ledger: Ledger, *args: str) -> CompletedProcess[str]:
    options = ("--porcelain", "--no-progress", "--no-follow-tags", "--recurse-submodules=no")
    return run_git(ledger, "push", *options, *args)


def _push_error(remote: Remote, stdout: str, stderr: str) -> AutoQECError:
    rejected = _REJECTED.findall(stdout)
    causes = [(ref, why or what) for ref, what, why in rejected if not any(word in why for word in _CONSEQUENCE)]
    words = " ".join([*(why for _, why in causes), stderr])
    if any(word in words for word in _LOST_RACE):
        return LostRaceError(
            f"{remote.name} has moved meanwhile ({'; '.join(dict.fromkeys(why for _, why in causes))})"
        )
    if not causes:
        return _unreachable(remote, "push to", stderr)
    ref, why = causes[0]
    said = " ".join(line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:"))
    reason = f"{why}; {said}" if said else why
    if not any(name.startswith("refs/heads/") for name, _ in causes):
        return AutoQECError(
            f"{remote.name} refuses {ref} ({reason}): it may take no refs but branches and tags",
            hint="have the host allow refs/autoqec/* and refs/notes/*, or share a run as a file: autoqec bundle",
        )
    return AutoQECError(f"{remote.name} refuses {ref} ({reason})", hint="ask whoever keeps that repository")


def _unreachable(remote: Remote, doing: str, stderr: str) -> AutoQECError:
    lines = [line.strip() for line in stderr.splitlines() if line.startswith(("fatal:", "error:"))]
    why = (lines or stderr.strip().splitlines()[-1:] or ["git gave no reason"])[0]
    return AutoQECError(f"could not {doing} {remote.name}: {why}", hint=f"git ls-remote {remote.address}")
