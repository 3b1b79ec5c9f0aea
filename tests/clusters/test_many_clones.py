"""A whole array of jobs at once, on one bare remote, some of which are killed: no number twice, nothing lost, all converge."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
import quick_rounds

from autoqec import history
from autoqec.clusters.cluster_files import cluster_file, write_cluster_file
from autoqec.testing import make_tiny_lab

#: No job has ever been heard of but those that run; these have an hour left.
SQUEUE = """#!/bin/sh
case $* in *%L*) echo 1:00:00 ;; esac
"""

TASKS = 8


def node_of(task, restarts):
    """Several tasks share a node, and a job that was requeued is on another one."""
    return f"node{(task + restarts) % 3}"


@pytest.fixture
def cluster(tmp_path):
    """A function that runs the array, and returns what each job said; jobs that are killed are requeued on another node."""
    lab = make_tiny_lab(tmp_path / "lab").workdir
    subprocess.run(["git", "clone", "-q", "--bare", lab, tmp_path / "remote.git"], check=True)
    write_cluster_file(lab, "slurm", remote=str(tmp_path / "remote.git"), env="tiny")
    (tmp_path / "bin").mkdir()
    for name, text in (
        ("squeue", SQUEUE),
        ("sbatch", "#!/bin/sh\n"),
        ("autoqec", quick_rounds.CLIENT.format(python=sys.executable)),
    ):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    place = str(tmp_path / "rounds")
    server = subprocess.Popen([sys.executable, quick_rounds.__file__, place])
    while not Path(f"{place}.ready").exists():
        assert server.poll() is None
        time.sleep(0.01)

    def submit(rounds, killed):
        text = (lab / cluster_file("slurm")).read_text()
        for old, new in (
            (r"(?m)^autoqec=.*", f"autoqec=({tmp_path}/bin/autoqec)"),
            (r"(?m)^folder=\S+", f"folder='{tmp_path}/work'"),
            (r"(?m)^retry=\d+", "retry=0"),
            (r"(?m)^rounds=\d+", f"rounds={rounds}"),
        ):
            text, count = re.subn(old, new, text)
            assert count == 1, old
        (tmp_path / "job.sh").write_text(text)
        shared = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "ROUNDS": place, "KILLED": " ".join(map(str, killed))}
        said = {}

        def task(number):
            said[number] = []
            for restarts in range(5):  # a killed job is requeued
                own = {"SLURM_ARRAY_JOB_ID": "1", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_CLUSTER_NAME": "c"}
                own |= {
                    "SLURM_JOB_ID": str(number),
                    "SLURM_RESTART_COUNT": str(restarts),
                    "NODE": node_of(number, restarts),
                }
                done = subprocess.run(
                    ["bash", tmp_path / "job.sh"], env={**os.environ, **shared, **own}, capture_output=True, text=True
                )
                said[number].append((done.returncode, done.stderr))
                if done.returncode >= 0:
                    break

        tasks = [Thread(target=task, args=(number,)) for number in range(1, TASKS + 1)]
        for each in tasks:
            each.start()
        for each in tasks:
            each.join()
        return said

    yield submit
    server.kill()
    server.wait()


def refs_of(folder):
    listed = subprocess.run(
        [
            "git",
            "-C",
            folder,
            "for-each-ref",
            "--format=%(refname) %(objectname)",
            "refs/autoqec",
            "refs/heads/exp",
            "refs/notes",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {line for line in listed.splitlines() if "/artifacts/" not in line}


@pytest.mark.parametrize(("rounds", "killed"), [(5, (2, 5)), pytest.param(96, range(3, 60, 7), marks=pytest.mark.slow)])
def test_no_number_twice_nothing_lost_and_all_converge(cluster, tmp_path, rounds, killed):
    said = cluster(rounds, killed)
    assert [codes[-1][0] for codes in said.values()] == [0] * TASKS, said
    assert sum(len(codes) - 1 for codes in said.values()) == len(killed)  # each kill was of a job of its own
    clones = [tmp_path / "work" / f"tiny-cluster-{number}" for number in range(1, TASKS + 1)]
    for share in (history.push, history.pull):
        for clone in clones:
            share(history.open_ledger(clone))
    assert all(refs_of(clone) == refs_of(tmp_path / "remote.git") for clone in clones)
    records = history.read_history(history.open_ledger(clones[0]), "tiny-cluster")
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    assert rounds <= len(records) < rounds + TASKS
    assert {(record.status, record.problems) for record in records} == {("ok", ())}
    assert len({record.claim.attempt for record in records}) == len(records)
    for number in killed:  # carried on in its clone, on another node
        claim = records[number - 1].claim
        job = claim.details["job"]
        assert (job["restarts"], claim.host) == (1, node_of(int(job["job"].removeprefix("1_")), 1))
    told = [line for clone in clones for line in Path(f"{clone}.rounds").read_text().splitlines()]
    assert len(told) == len(records)
    for clone in [clones[0], clones[-1]]:
        assert [found for found in history.check(history.open_ledger(clone)) if found.severity != "info"] == []
