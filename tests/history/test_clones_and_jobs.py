"""A round is carried on in the clone that began it, and only once its process has ended; of a job, the batch system knows."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict
from datetime import datetime

import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.reading.open_rounds import OpenRounds
from autoqec.history.rounds import claims
from autoqec.history.store import clone_id
from autoqec.history.store.batch_jobs import BatchJob, job_from, job_is_over, this_job
from autoqec.views.status_text import print_status

SLURM = {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_CLUSTER_NAME": "c"}

GONE = """
import sys
from autoqec import history
history.claim_round(history.open_ledger(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture
def in_job(monkeypatch):
    """Makes this process part of a job; no variables, of none."""

    def change(**variables):
        for name in [*SLURM, "SLURM_RESTART_COUNT"]:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    change()
    return change


@pytest.fixture
def slurm(tmp_path, monkeypatch, in_job):
    """A stand-in for `squeue` and `scontrol`, and what it answers."""

    def answer(states="", error="", code=0, cluster="c"):
        for name, text in (
            ("squeue", f"echo '{states}'; echo '{error}' >&2; exit {code}"),
            ("scontrol", f"echo 'ClusterName             = {cluster}'"),
        ):
            (tmp_path / "bin").mkdir(exist_ok=True)
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho \"$@\" >> '{tmp_path}/asked'\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return answer


def on_another_host(lab, claim):
    return history.update_claim(lab, claim, host="another")


def test_a_clone_is_known_by_a_name_of_its_own(lab, run, tmp_path):
    assert clone_id.known_clone_id(lab) == ""
    claim = history.claim_round(lab, run.name)
    assert claim.details["clone"] == clone_id.clone_id(lab) == clone_id.known_clone_id(lab)
    subprocess.run(["git", "clone", "-q", lab.workdir, tmp_path / "other"], check=True)
    assert clone_id.clone_id(history.open_ledger(tmp_path / "other")) != clone_id.clone_id(lab)
    assert sorted(file.name for file in (lab.git_dir / "autoqec").glob("clone*")) == ["clone"]


def test_a_dead_process_of_another_clone_on_this_host_leaves_its_round_to_that_clone(
    lab, run, python, tmp_path, monkeypatch, capsys
):
    python(GONE, str(lab.workdir), run.name).communicate()
    subprocess.run(["git", "clone", "-q", "--mirror", lab.workdir, tmp_path / "remote.git"], check=True)
    subprocess.run(["git", "clone", "-q", tmp_path / "remote.git", tmp_path / "other"], check=True)
    other = history.open_ledger(tmp_path / "other")
    history.pull(other)
    (claim,) = history.list_claims(lab)
    monkeypatch.setattr("time.time", lambda: datetime.fromisoformat(claim.started).timestamp())
    assert history.list_claims(other) == [claim]
    assert history.left_behind(lab, claim)
    assert not history.left_behind(other, claim)
    with pytest.raises(AutoQECError, match="was begun in another clone") as caught:
        history.take_over_claim(other, claim)
    assert "autoqec resume depol-abcd --force" in caught.value.hint
    for ledger, told in ((lab, ("interrupted", False)), (other, ("elsewhere", True))):
        (row,) = OpenRounds(ledger).read()
        assert (row.state, row.ended) == told
    print_status([row])
    assert capsys.readouterr().out.splitlines() == [
        "depol-abcd/1  interrupted in another clone before its hypothesis",
        f"  begun 0 s ago, process {claim.pid} on {claim.host}, which has ended",
        "  if that clone is gone: autoqec resume depol-abcd --force",
    ]
    (found,) = [each for each in history.check(other) if each.code == "interrupted"]
    assert not found.repairable
    assert "in the clone that began it" in found.hint
    taken = history.take_over_claim(other, claim, force=True)
    assert history.begun_here(other, taken)
    assert not history.begun_here(lab, taken)


def test_a_round_of_a_job_on_another_host_is_resumed_once_the_job_is_over(lab, run, slurm, in_job):
    in_job(**SLURM)
    slurm(states="RUNNING")
    claim = on_another_host(lab, history.claim_round(lab, run.name))
    assert claim.details["job"] == {"system": "slurm", "cluster": "c", "job": "7_2", "restarts": 0}
    in_job(**{**SLURM, "SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "12"})
    assert not history.left_behind(lab, claim)
    with pytest.raises(AutoQECError, match="is working on round"):
        history.take_over_claim(lab, claim)
    slurm()
    assert history.left_behind(lab, claim)
    taken = history.take_over_claim(lab, claim)
    assert (taken.details["job"]["job"], taken.pid) == ("12_2", os.getpid())
    in_job()
    assert "job" not in history.take_over_claim(lab, on_another_host(lab, taken)).details


def test_a_round_of_a_job_in_another_clone_is_not_asked_about(lab, run, slurm, in_job, tmp_path):
    in_job(**SLURM)
    slurm()
    claim = on_another_host(lab, history.claim_round(lab, run.name))
    (lab.git_dir / "autoqec/clone").unlink()
    assert not history.left_behind(lab, claim)
    assert not (tmp_path / "asked").exists()


def test_a_job_that_was_requeued_has_left_what_it_began_before(slurm, in_job):
    in_job(**SLURM)
    slurm(states="RUNNING")
    first = this_job()
    assert not job_is_over(first)  # this very process may be the one
    in_job(**SLURM, SLURM_RESTART_COUNT="1")
    assert job_is_over(first)
    assert not job_is_over(this_job())


@pytest.mark.parametrize(
    ("answer", "over"),
    [
        ({"states": ""}, True),
        ({"states": "PENDING"}, False),  # it was requeued, and resumes its rounds itself
        ({"states": "COMPLETING"}, False),
        ({"error": "slurm_load_jobs error: Invalid job id specified", "code": 1}, True),
        ({"error": "slurm_load_jobs error: Unable to contact slurm controller", "code": 1}, False),
        ({"cluster": "d"}, False),
    ],
)
def test_only_a_batch_system_that_knows_the_job_says_that_it_is_over(answer, over, slurm, in_job):
    slurm(**answer)
    assert job_is_over(BatchJob("slurm", "c", "7_2")) is over


def test_without_a_batch_system_no_job_is_over(in_job, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not job_is_over(BatchJob("slurm", "c", "7_2"))
    in_job(**SLURM)
    assert not job_is_over(BatchJob("slurm", "c", "8_2"))


@pytest.mark.parametrize(
    "change", [{"job": "7;x"}, {"job": 7}, {"job": "-1"}, {"system": "pbs"}, {"restarts": "1"}, {"new": 1}]
)
def test_a_job_in_a_claim_is_read_as_text_of_a_stranger(change):
    record = asdict(BatchJob("slurm", "c", "7_2", 1))
    assert job_from(record) == BatchJob("slurm", "c", "7_2", 1)
    assert job_from({**record, **change}) is None
    assert job_from(None) is None


def test_a_clone_whose_folder_cannot_be_written_has_no_name(lab, monkeypatch):
    monkeypatch.setattr(clone_id, "_file", lambda ledger: ledger.git_dir / "HEAD" / "clone")
    assert clone_id.clone_id(lab) == ""
    assert "clone" not in claims.next_claim(lab, "r").details
