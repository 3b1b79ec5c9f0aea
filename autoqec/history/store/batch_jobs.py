"""Jobs of a batch system: which job this process is part of, and whether another one is over.

A process on another host cannot be seen. If it was part of a job, the batch system knows whether the job has ended, and so the
process with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subprocess import CompletedProcess

#: Seconds that the batch system may take for an answer.
_SECONDS = 60.0

#: How `squeue` says that it no longer knows a job: it forgets those that ended minutes ago.
_UNKNOWN_JOB = "invalid job id"


@dataclass(frozen=True)
class BatchJob:
    """A job of a batch system.

    Attributes:
        system: The batch system: `slurm`.
        cluster: The cluster's name there.
        job: The job's id: `123`, or `123_4` for task 4 of an array.
        restarts: How often it was requeued before. Each time it is another set of processes.
    """

    system: str
    cluster: str
    job: str
    restarts: int = 0


def this_job() -> BatchJob | None:
    """Return the job that this process is part of; None if it is part of none."""
    told = os.environ.get
    job, array, task = told("SLURM_JOB_ID", ""), told("SLURM_ARRAY_JOB_ID", ""), told("SLURM_ARRAY_TASK_ID", "")
    if not job.isdecimal():
        return None
    restarts = told("SLURM_RESTART_COUNT", "0")
    name = f"{array}_{task}" if array.isdecimal() and task.isdecimal() else job
    return BatchJob("slurm", told("SLURM_CLUSTER_NAME", ""), name, int(restarts) if restarts.isdecimal() else 0)


def job_from(record: object) -> BatchJob | None:
    """Return a job as `asdict` of it was recorded; None if the record is none."""
    if not isinstance(record, dict) or record.keys() != {each.name for each in fields(BatchJob)}:
        return None
    job = BatchJob(**record)
    whole = job.job.replace("_", "", 1) if isinstance(job.job, str) else ""
    known = job.system == "slurm" and isinstance(job.cluster, str) and isinstance(job.restarts, int)
    return job if known and whole.isascii() and whole.isdecimal() else None


def job_record(job: BatchJob) -> Mapping[str, Any]:
    """Return a job as plain data for `job_from`."""
    return asdict(job)


def job_is_over(job: BatchJob) -> bool:
    """Tell whether all processes of a job have ended; False too if nobody here can say."""
    mine = this_job()
    if mine is not None and (mine.system, mine.cluster, mine.job) == (job.system, job.cluster, job.job):
        return mine.restarts > job.restarts
    cluster = mine.cluster if mine is not None else _cluster_here()
    if not cluster or cluster != job.cluster:
        return False
    done = _asked("squeue", "--noheader", f"--jobs={job.job}", "--format=%T")
    if done is None:
        return False
    if done.returncode != 0:
        return _UNKNOWN_JOB in done.stderr.lower()
    # One that waits to start again is not taken for over: it resumes its rounds itself.
    return not done.stdout.strip()


def _cluster_here() -> str:
    """The name of the cluster that the commands of this machine ask; empty if there is none."""
    done = _asked("scontrol", "show", "config")
    for line in done.stdout.splitlines() if done is not None else ():
        name, _, value = line.partition("=")
        if name.strip() == "ClusterName":
            return value.strip()
    return ""


def _asked(*command: str) -> CompletedProcess[str] | None:
    """What a command of the batch system answers; None if it is not there or takes too long."""
    import subprocess  # imported here because `autoqec log` starts faster without it

    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    return None
