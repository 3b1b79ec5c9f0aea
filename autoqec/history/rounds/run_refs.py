"""Runs: a run is a named sequence of rounds on one environment from one base commit, at `refs/autoqec/runs/<run>`.

The ref holds a commit whose tree has `run.json` and the environment's files, so you can read, verify and continue a run
even if every file outside `.git` is gone. Its parent is the base commit, which protects the base from `git gc`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.counted_words import some_of
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history.store.json_records import decode_record, encode_record, refuse_newer, utc_now
from autoqec.history.store.objects import (
    STORE_BYTES,
    TooLargeError,
    build_tree,
    check_files,
    get_commit,
    read_files,
    write_blobs,
    write_commit,
)
from autoqec.history.store.refs import compare_and_swap, explain_write, is_dropped, list_refs, target, write_lock
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.json_values import JsonObject
from autoqec.size_limits import RECORD_BYTES, in_words

RUNS = "refs/autoqec/runs/"

_NAME = re.compile("[a-z0-9][a-z0-9-]{0,39}")
_RANDOM_CHARS = 4  # 20 bits, so two clones with the same stem make different run names
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_VERSION = 1

#: The types of the fields of a run's record.
_TYPES: Mapping[str, type] = {
    "name": str, "base": str, "env": dict, "env.name": str, "env.id": str, "settings": dict, "created": str
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run's record.

    Attributes:
        name: Its name, unique across clones.
        base: The commit (40 hex digits) that all its rounds descend from.
        env_name, env_id: The environment's name and content hash (64 hex digits).
        settings: Settings at the start of the run; plain data.
        env_files: The environment's files by path.
        created: Time of the start, UTC, as `2025-06-01T12:00:00.000000Z`.
    """

    name: str
    base: str
    env_name: str
    env_id: str
    settings: dict[str, Any]
    env_files: dict[str, bytes]
    created: str


def new_run_name(stem: str) -> str:
    """Make a new run name from a stem, for instance an environment's name."""
    words = re.sub("[^a-z0-9]+", "-", stem.lower()).strip("-")[: 40 - 1 - _RANDOM_CHARS].rstrip("-") or "run"
    return f"{words}-{''.join(secrets.choice(_BASE32) for _ in range(_RANDOM_CHARS))}"


def check_run_name(name: str) -> str:
    """Check a run's name and return it.

    Raises:
        UsageError: The name is not allowed.
    """
    if _NAME.fullmatch(name) is None or name == "exp":
        raise UsageError(
            f"{name!r} is not a run name: use up to 40 lower-case letters, digits and -, not starting with -, not exp",
            hint="choose a name such as d5-depol; autoqec log lists the runs",
        )
    return name


def describe_run(
    ledger: Ledger,
    name: str,
    *,
    base: str,
    env_name: str,
    env_id: str,
    env_files: Mapping[str, bytes],
    settings: JsonObject,
) -> Run:
    """Return the run that `start_run` would record, without writing it; same arguments and errors."""
    if is_dropped(ledger, check_run_name(name)):
        raise _no_such_run(ledger, name)
    get_commit(ledger, base)
    check_files(env_files, any_case=True, limit=STORE_BYTES)
    return Run(name, base, env_name, env_id, dict(settings), dict(env_files), utc_now())


def start_run(
    ledger: Ledger,
    name: str,
    *,
    base: str,
    env_name: str,
    env_id: str,
    env_files: Mapping[str, bytes],
    settings: JsonObject,
) -> Run:
    """Record a new run.

    Args:
        ledger: The lab.
        name: The run's name, for instance from `new_run_name`.
        base: Oid of the commit that its rounds descend from.
        env_name, env_id: The environment's name and content hash.
        env_files: All files of the environment, by path.
        settings: Plain data to store.

    Raises:
        UsageError: The name or a path is not allowed, or the run exists.
        NotFoundError: There is no such base commit, or a run of that name is dropped.
        AutoQECError: The repository is not writable.
    """
    require_writable(ledger)
    run = describe_run(
        ledger, name, base=base, env_name=env_name, env_id=env_id, env_files=env_files, settings=settings
    )
    record_run(ledger, run)
    return run


def record_run(ledger: Ledger, run: Run) -> None:
    """Record a new run as `describe_run` returned it.

    Raises:
        UsageError: The run exists.
        NotFoundError: A run of that name is dropped.
        AutoQECError: The repository is not writable.
    """
    commit = store_run(ledger, run)
    with write_lock(ledger):
        if is_dropped(ledger, run.name):
            raise _no_such_run(ledger, run.name)
        done = compare_and_swap(ledger, RUNS + run.name, None, commit, f"autoqec: start {run.name}")
    if not done:
        raise run_exists(run.name)


def store_run(ledger: Ledger, run: Run) -> str:
    """Store a run's record without a ref, and return the oid of its commit.

    Raises:
        AutoQECError: The repository is not writable.
    """
    require_writable(ledger)
    record = {
        "v": _VERSION,
        "name": run.name,
        "base": run.base,
        "env": {"name": run.env_name, "id": run.env_id},
        "settings": run.settings,
        "created": run.created,
    }
    files = {f"env/{path}": data for path, data in run.env_files.items()}
    files["run.json"] = encode_record(record, name=f"run {run.name}") + b"\n"
    with explain_write(RUNS + run.name):
        tree = build_tree(ledger, write_blobs(ledger, files))
        return write_commit(ledger, f"Run {run.name} on {run.env_name}\n", tree, [run.base])


def run_exists(name: str) -> UsageError:
    """The error of starting a run whose name is taken."""
    return UsageError(f"run {name} exists already", hint="choose another name, or continue it: autoqec resume")


def load_run(ledger: Ledger, name: str) -> Run:
    """Return the run with a name.

    Raises:
        NotFoundError: There is no such run; the error names similar ones.
        AutoQECError: The run's record is damaged.
    """
    commit = target(ledger, RUNS + name) if _NAME.fullmatch(name) else None
    if commit is None:
        raise _no_such_run(ledger, name)
    return _read(ledger, name, commit)


def list_runs(ledger: Ledger) -> list[Run]:
    """Return all runs, oldest first.

    Raises:
        AutoQECError: A run's record is damaged.
    """
    runs = [_read(ledger, ref.removeprefix(RUNS), oid) for ref, oid in list_refs(ledger, RUNS).items()]
    return sorted(runs, key=lambda run: (run.created, run.name))


def _read(ledger: Ledger, name: str, commit: str) -> Run:
    files = read_files(ledger, commit, any_case=True, limit=2 * STORE_BYTES)
    where = f"run.json of {RUNS}{name}"
    if len(files.get("run.json", b"")) > RECORD_BYTES:
        raise TooLargeError(f"{where} is over the limit of {in_words(RECORD_BYTES)}")
    record = decode_record(files.get("run.json", b""), name=where)
    refuse_newer(record.get("v"), _VERSION, name=where)
    env = record.get("env")
    told = {**record, **{f"env.{key}": env.get(key) for key in ("name", "id")}} if isinstance(env, dict) else record
    for field, kind in _TYPES.items():
        if not isinstance(told.get(field), kind):
            raise AutoQECError(f"{where} is damaged: {field} is not of type {kind.__name__}", hint="autoqec fsck")
    if record["name"] != name:
        raise AutoQECError(f"{where} is damaged: it is that of run {record['name'][:40]!r}", hint="autoqec fsck")
    return Run(
        name=name,
        base=record["base"],
        env_name=told["env.name"],
        env_id=told["env.id"],
        settings=record["settings"],
        env_files={path[4:]: data for path, data in files.items() if path.startswith("env/")},
        created=record["created"],
    )


def _no_such_run(ledger: Ledger, name: str) -> NotFoundError:
    import difflib  # needed for errors only

    if _NAME.fullmatch(name) and is_dropped(ledger, name):
        return NotFoundError(f"run {name} is dropped", hint=f"autoqec drop --restore {name} brings it back")
    names = sorted(ref.removeprefix(RUNS) for ref in list_refs(ledger, RUNS))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or [known for known in names if name in known][:3]
    if near:
        return NotFoundError(f"there is no run {name!r}; did you mean {' or '.join(near)}?", hint="autoqec log")
    if names:
        return NotFoundError(f"there is no run {name!r}; the runs are {some_of(names)}", hint="autoqec log")
    return NotFoundError(f"there is no run {name!r}; this lab has no runs yet", hint="autoqec round starts one")
