"""Runs the `git` program for fetch and push: it knows the user's keys, credential helpers and proxies; libgit2 does not.

This module neither writes nor relies on git configuration. It passes every refspec on the command line, so a plain
`git fetch --prune` or a configured mirror cannot move autoqec's records.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, TYPE_CHECKING

from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history.store.missing_objects import promisors
from autoqec.history.store.network_step import run_limited
from autoqec.history.store.repository import Ledger
from autoqec.history.store.transports import TransportError, check_address, is_url, transport_variables
from autoqec.size_limits import NOTE_BYTES, PULL_BYTES, in_words

if TYPE_CHECKING:
    from subprocess import CompletedProcess

TRACKING = "refs/autoqec-remote/"

_BUNDLE = (b"# v2 git bundle\n", b"# v3 git bundle\n")

# What git and hosts say when somebody else pushed first. The answer is always: fetch, join, and push again.
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
# What git says when another process of this clone is writing the same refs. It writes for milliseconds.
_BUSY = ("cannot lock ref", "Unable to create", "could not lock")
_BUSY_TRIES = 6
# What systems say of a full disk. Git says it of ours in a fetch, and passes on what the remote says of its own in a push.
_FULL = ("No space left", "quota exceeded", "couldn't write")
_CONSEQUENCE = ("atomic push failed", "atomic push failure", "atomic transaction failed", "transaction aborted")


_REJECTED = re.compile(r"^!\t[^\t]*:([^\t]+)\t\[([^\]]+)\](?: \((.*)\))?$", re.MULTILINE)
_PROGRESS = re.compile(r"^\w[\w ]*: +\d+(?:% \(\d+/\d+\)|, done\.|$)|^Total \d+ ")
_SAID = 500  # characters of a refusal: a remote's hook can print any amount
_AT_ONCE = 200  # refs to delete in one push: git compares each refspec with each ref


@dataclass(frozen=True)
class Remote:
    """Another repository.

    Attributes:
        name: The name that the user typed.
        address: The address for git: a configured name, a URL, or an absolute path.
        tracking: The ref prefix for copies of its refs in this lab, with a slash at the end.
    """

    name: str
    address: str
    tracking: str


class LostRaceError(AutoQECError):
    """The remote changed between our fetch and our push."""

    code = "lost_race"


class RemoteUnreachableError(AutoQECError):
    """A fetch or push ended without an answer from the remote that says why."""

    code = "remote_unreachable"


class DiskFullError(AutoQECError):
    """What git received could not be written."""

    code = "not_written"


class RemoteRefusesError(AutoQECError):
    """The remote takes a push of other refs, or of other clones, but not this one."""

    code = "remote_refuses"


def find_remote(ledger: Ledger, name: str) -> Remote:
    """Resolve a configured remote's name, a URL or a path.

    Raises:
        NotFoundError: The name is none of these.
        UsageError: The name looks like an option, or the address uses a transport that is not allowed.
    """
    if name.startswith("-") or not name:
        raise UsageError(f"{name!r} is not a remote", hint="git remote -v lists them")
    known = [str(known) for known in ledger.repo.remotes.names()]
    if name in known:
        for address in _addresses(ledger, name):
            check_address(address, name)
        return Remote(name, name, f"{TRACKING}{name}/")
    path = Path(name).absolute()
    if not path.exists():
        check_address(name, name)
    if not path.exists() and not is_url(name):
        there = f"configured remotes: {', '.join(known)}" if known else "this lab has no remotes"
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"git remote add {name} <url>"
        raise NotFoundError(f"{name!r} is neither a remote nor a path; {there}", hint=hint)
    address = str(path) if path.exists() else name
    return Remote(name, address, f"{TRACKING}url-{hashlib.sha256(address.encode()).hexdigest()[:12]}/")


def _addresses(ledger: Ledger, name: str) -> list[str]:
    config = ledger.repo.config
    return [str(value) for key in ("url", "pushurl") for value in config.get_multivar(f"remote.{name}.{key}")]


def remote_address(ledger: Ledger, name: str) -> str:
    """The address that a push to a remote goes to.

    Args:
        ledger: The lab.
        name: A configured remote's name, a URL or a path.

    Raises:
        NotFoundError, UsageError: As `find_remote`.
    """
    remote = find_remote(ledger, name)
    if remote.address not in {str(known) for known in ledger.repo.remotes.names()}:
        return remote.address
    # With `url.<base>.insteadOf`, as a push uses it.
    return run_git(ledger, "remote", "get-url", "--push", remote.address).stdout.strip()


def checked_out_branch(ledger: Ledger) -> str:
    """The name of the branch that is checked out in the lab; empty if there is none, as after `git checkout <commit>`."""
    if ledger.repo.head_is_detached:
        return ""
    return str(ledger.repo.lookup_reference("HEAD").target).removeprefix("refs/heads/")


def bundle_remotes(ledger: Ledger) -> list[str]:
    """Return the configured remotes that are git bundles on this machine, such as `git clone run.bundle` creates."""
    return [str(remote.name) for remote in ledger.repo.remotes if remote.url and is_bundle(remote.url)]


def is_bundle(address: str) -> bool:
    """Tell whether a path (or `file://` URL) is a git bundle."""
    path = Path(address.removeprefix("file://"))
    try:
        if not path.is_file():  # opening a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return file.read(len(_BUNDLE[0])) in _BUNDLE
    except (OSError, ValueError):
        return False


def run_git(
    ledger: Ledger, *args: str, stdin: str | None = None, stdout: IO[bytes] | None = None
) -> CompletedProcess[str]:
    """Run git in the lab, with English messages, and return the result whether or not git failed.

    Args:
        ledger: The lab.
        args: Arguments of git.
        stdin: Text for its standard input.
        stdout: A file for its standard output; by default the output is returned.

    Raises:
        AutoQECError: git is not installed or does not start.
    """
    import subprocess  # imported here because `autoqec log` starts faster without it

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
    except OSError as error:
        raise _not_started(error, args[0]) from error


def _received(ledger: Ledger) -> int:
    """Return the size of what git is receiving, or has begun to receive and left: it writes into such files first."""
    sizes = 0
    for part in (ledger.git_dir / "objects" / "pack").glob("tmp_pack_*"):
        with suppress(FileNotFoundError):
            sizes += part.stat().st_size
    return sizes


def _run_network(ledger: Ledger, remote: Remote, *args: str) -> CompletedProcess[str]:
    """Run git in the lab as `run_git` does, for a step that contacts a remote and so can hang.

    Raises:
        NetworkTimeoutError: The remote does not answer.
    """
    seconds = ledger.network_seconds
    # Git's own limit for http comes a little later: a second hand on a transfer that stands still.
    speed = ("-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={int(seconds) + 10}")
    # A pack of its own for each fetch, so that its size can be seen while it grows; and huge files are not held in memory.
    sizes = ("-c", "fetch.unpackLimit=1", "-c", f"core.bigFileThreshold={NOTE_BYTES}")
    before = _received(ledger)

    def too_much() -> str:
        over = _received(ledger) - before > PULL_BYTES
        return f"sends more than the {in_words(PULL_BYTES)} that a pull takes" if over else ""

    command = ["git", *speed, *sizes, "-C", str(ledger.workdir), *args]
    try:
        return run_limited(command, git_environment(), seconds, name=remote.name, too_much=too_much)
    except OSError as error:
        raise _not_started(error, args[0]) from error


def _not_started(error: OSError, command: str) -> AutoQECError:
    if isinstance(error, FileNotFoundError):
        return AutoQECError("git is not installed; sharing a lab needs it", hint="install git")
    # Most likely a command line of more than two megabytes.
    return AutoQECError(f"cannot run git {command}: {error}", hint="share one run at a time: --run")


def git_environment() -> dict[str, str]:
    """Return environment variables for git: English messages, only the allowed transports, and nothing of another repository.

    A hook of another repository sets GIT_DIR and its companions.
    """
    ours = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    kept = {key: value for key, value in os.environ.items() if key not in ours}
    return {**kept, "LC_ALL": "C", **transport_variables()}


def fetch(ledger: Ledger, remote: Remote, sources: Iterable[tuple[str, str]]) -> None:
    """Copy refs of a remote into its tracking namespace. A fetch moves no other refs.

    Args:
        ledger: The lab.
        remote: The remote.
        sources: Patterns of the remote's refs, each with its target below the tracking namespace.

    Raises:
        AutoQECError: The remote is unreachable or a shallow clone.
    """
    specs = [f"+{source}:{remote.tracking}{place}" for source, place in sources]
    args = (
        "--quiet",
        "--progress",
        "--no-tags",
        "--prune",
        "--no-prune-tags",
        "--refmap=",  # otherwise a configured refspec makes git move other refs too
        "--no-write-fetch-head",
        *_unfiltered(ledger, remote),
        "--recurse-submodules=no",
        remote.address,
        *specs,
    )
    for attempt in range(_BUSY_TRIES):
        done = _run_network(ledger, remote, "fetch", *args)
        if done.returncode == 0 or not any(words in done.stderr for words in _BUSY):
            break
        pause(attempt)
    if "shallow" in done.stderr and "not allowed" in done.stderr:
        raise AutoQECError(
            f"{remote.name} is a shallow clone: it lacks the history that its rounds start from",
            hint="in that repository: git fetch --unshallow",
        )
    if done.returncode != 0:
        raise _unreachable(remote, "fetch from", done.stderr)


def _unfiltered(ledger: Ledger, remote: Remote) -> list[str]:
    """Options with which a fetch brings records with their contents, also into a partial clone.

    What a partial clone has of a commit is not all of it, and git leaves out what it thinks is there; so where something is
    missing that rounds need, all is fetched anew.
    """
    if remote.name not in promisors(ledger.repo):
        return ["--no-filter"]
    ours = ("refs/autoqec/*", "refs/notes/autoqec/*", "refs/heads/exp/*", "refs/remotes/*/exp/*")
    globs = (f"--glob={each}" for each in ours)
    listed = run_git(ledger, "rev-list", "--objects", "--missing=print", *globs, "HEAD").stdout
    return ["--no-filter", *(["--refetch"] if listed.startswith("?") or "\n?" in listed else [])]


def push_refs(ledger: Ledger, remote: Remote, specs: Sequence[str], leases: Iterable[tuple[str, str]] = ()) -> None:
    """Push refs to a remote atomically and without force.

    Args:
        ledger: The lab.
        remote: The remote.
        specs: Refspecs.
        leases: For refs that git cannot fast-forward: the oid that the remote must hold, empty if the ref must not exist.

    Raises:
        LostRaceError: The remote has changed since the last fetch; nothing was pushed.
        AutoQECError: The remote is unreachable or refuses such refs.
    """
    if not specs:
        return
    args = [*(f"--force-with-lease={ref}:{oid}" for ref, oid in leases), remote.address, *specs]
    done = _push(ledger, remote, "--atomic", *args)
    if done.returncode != 0 and "does not support --atomic" in done.stderr:
        done = _push(ledger, remote, *args)
    if done.returncode != 0:
        raise _push_error(remote, done.stdout, done.stderr)


def delete_refs(ledger: Ledger, remote: Remote, refs: Mapping[str, str]) -> dict[str, str]:
    """Delete refs of a remote, each only if it still holds the given oid, and each independently of the others.

    Args:
        ledger: The lab.
        remote: The remote.
        refs: The oid that each ref must hold.

    Returns:
        The refs that stay, each with the remote's reason.

    Raises:
        AutoQECError: The remote is unreachable.
    """
    left: dict[str, str] = {}
    names = list(refs)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        args = [f"--force-with-lease={ref}:{refs[ref]}" for ref in some]
        done = _push(ledger, remote, *args, remote.address, *(f":{ref}" for ref in some))
        if done.returncode != 0:
            refused = {ref: why or what for ref, what, why in _REJECTED.findall(done.stdout)}
            if not refused:
                raise _unreachable(remote, "push to", done.stderr)
            left |= refused
    return left


def pause(attempt: int) -> None:
    """Wait before another try: exponential backoff with jitter, so that two processes stop colliding."""
    time.sleep(random.uniform(0.02, 0.1) * 2 ** min(attempt, 4))  # noqa: S311 - jitter


def _push(ledger: Ledger, remote: Remote, *args: str) -> CompletedProcess[str]:
    options = ("--porcelain", "--progress", "--no-follow-tags", "--recurse-submodules=no")
    return _run_network(ledger, remote, "push", *options, *args)


def _push_error(remote: Remote, stdout: str, stderr: str) -> AutoQECError:
    rejected = _REJECTED.findall(stdout)
    causes = [(ref, why or what) for ref, what, why in rejected if not any(word in why for word in _CONSEQUENCE)]
    everything = " ".join([*(why for _, why in causes), stderr])
    if any(word in everything for word in _LOST_RACE):
        return LostRaceError(
            f"{remote.name} has changed since the last fetch ({'; '.join(dict.fromkeys(why for _, why in causes))})"
        )
    if not causes:
        return _unreachable(remote, "push to", stderr)
    ref, why = causes[0]
    words = (line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:"))
    said = " ".join(line for line in words if not _PROGRESS.search(line))
    reason = f"{why}; {said}" if said else why
    reason = reason if len(reason) <= _SAID else f"{reason[: _SAID - 1]}…"
    if any(words in reason for words in _FULL):
        return RemoteRefusesError(
            f"{remote.name} cannot store {ref}, because its disk is full ({reason})",
            hint=f"ask its owner for space, then autoqec push {remote.name}; nothing was lost",
        )
    if not any(name.startswith("refs/heads/") for name, _ in causes):
        return RemoteRefusesError(
            f"{remote.name} refuses {ref} ({reason}): perhaps the host accepts branches and tags only",
            hint="allow refs/autoqec/* and refs/notes/* on the host, or share a run as a file: autoqec bundle",
        )
    return RemoteRefusesError(f"{remote.name} refuses {ref} ({reason})", hint="ask the owner of that repository")


def _unreachable(remote: Remote, doing: str, stderr: str) -> AutoQECError:
    lines = [line.strip() for line in stderr.splitlines() if line.startswith(("fatal:", "error:"))]
    why = (lines or stderr.strip().splitlines()[-1:] or ["git gave no reason"])[0]
    if doing == "fetch from" and any(words in stderr for words in _FULL):
        return DiskFullError(
            f"could not {doing} {remote.name}, because the disk is full here: {why}",
            hint=f"free some disk space, then autoqec pull {remote.name}; nothing was lost",
        )
    if re.search("transport '.*' not allowed", why):
        return TransportError(
            f"could not {doing} {remote.name}: {why}",
            hint="git remote -v; see Transports in docs/how-to/share-a-lab.md",
        )
    return RemoteUnreachableError(f"could not {doing} {remote.name}: {why}", hint=f"git ls-remote {remote.address}")
