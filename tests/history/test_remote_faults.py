"""Hosts, networks and remotes that fail in the middle of a step: a clear error or a clean continuation, and nothing is lost."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time

import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.store import git_program, network_step, refs
from autoqec.history.sync import shared_claims

RUN = "depol-abcd"

# Git's own program for the far side of a push; where a file says so, the client dies, which is git on this side.
PROGRAM = """#!/bin/sh
export CLIENT=$PPID
while [ "$(cat /proc/$CLIENT/comm)" != git ]; do CLIENT=$(cut -d' ' -f4 /proc/$CLIENT/stat); done
[ -e "{cut}" ] && {{ rm "{cut}"; head -c 700 | git-receive-pack "$@"; kill -9 $CLIENT; exit 1; }}
exec git-receive-pack "$@"
"""
HOOK = """#!/bin/sh
[ -e "{late}" ] && {{ rm "{late}"; kill -9 $CLIENT; }}
[ -e "{refuses}" ] && {{ echo "not now" >&2; exit 1; }}
exit 0
"""


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def faults(lab, run, tmp_path):
    """A lab with a remote that fails as the files `cut`, `late` and `refuses` say; the folder of these files."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(lab.workdir), str(remote)], check=True)
    lab.repo.remotes.create("origin", str(remote))
    history.push(lab)
    names = {name: tmp_path / name for name in ("cut", "late", "refuses")}
    lab.repo.config["remote.origin.receivepack"] = str(executable(tmp_path / "far-side", PROGRAM.format(**names)))
    executable(remote / "hooks" / "pre-receive", HOOK.format(**names))
    return tmp_path


def claims_there(faults):
    names = ["git", "for-each-ref", "--format=%(refname:lstrip=3)", "refs/autoqec/claims"]
    return subprocess.run(names, cwd=faults / "remote.git", capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("fault", ["cut", "late"])
def test_a_claim_whose_push_broke_off_is_taken_up_or_made_again_and_no_number_is_left_open(fault, lab, faults):
    (faults / fault).touch()
    claim = history.claim_shared_round(lab, RUN, "origin")
    assert claim.number == 1
    assert not (faults / fault).exists()
    assert history.read_claim(lab, RUN, 1) == claim
    assert claims_there(faults) == [f"{RUN}/1"]
    assert history.claim_shared_round(lab, RUN, "origin").number == 2


@pytest.mark.parametrize("fault", ["cut", "late"])
def test_a_host_that_vanished_in_the_middle_of_a_push_pushes_the_rest_when_it_is_back(fault, lab, faults, play):
    play()
    (faults / fault).touch()
    with pytest.raises(AutoQECError, match="could not push to origin") as caught:
        history.push(lab, artifacts=True)
    assert caught.value.code == "remote_unreachable"
    again = history.open_ledger(lab.workdir)
    history.push(again, artifacts=True)
    assert history.push(again, artifacts=True).sent == ()
    subprocess.run(["git", "fsck", "--strict"], cwd=faults / "remote.git", check=True, capture_output=True)
    assert [finding for finding in history.check(again) if finding.severity != "info"] == []


def test_a_remote_that_refuses_a_claim_says_why_and_no_number_is_spent(lab, faults):
    (faults / "refuses").touch()
    with pytest.raises(AutoQECError, match="not now") as caught:
        history.claim_shared_round(lab, RUN, "origin")
    assert caught.value.code == "remote_refuses"
    assert history.list_claims(lab, RUN) == []
    (faults / "refuses").unlink()
    assert history.claim_shared_round(lab, RUN, "origin").number == 1


@pytest.mark.parametrize(
    ("step", "said", "words", "code"),
    [
        ("fetch", "fatal: write error: No space left on device", "the disk is full here", "not_written"),
        ("fetch", "error: cannot update ref 'r': couldn't write '/lab/r.lock'", "the disk is full here", "not_written"),
        ("push", "unpacker error; fatal: write: Disk quota exceeded", "origin cannot store .* disk is full", "remote_refuses"),
    ],
)  # fmt: skip
def test_a_full_disk_is_named_as_ours_or_as_the_remotes(step, said, words, code, lab, faults, monkeypatch):
    """As git said it on a full disk in memory, which a test may not mount."""

    def full(ledger, remote, command, *args):
        porcelain = f"!\tr:refs/autoqec/claims/{RUN}/1\t[remote rejected] ({said})\n" if step == "push" else ""
        return subprocess.CompletedProcess([], int(command == step), porcelain, "" if porcelain else said)

    monkeypatch.setattr(git_program, "_run_network", full)
    with pytest.raises(AutoQECError, match=words) as caught:
        history.claim_shared_round(lab, RUN, "origin")
    assert caught.value.code == code
    assert "space" in caught.value.hint


def test_a_remote_that_stays_away_is_asked_twice_and_named(lab, faults, monkeypatch):
    def away(*args, **more):
        raise git_program.RemoteUnreachableError("could not push to origin")

    pauses = []
    monkeypatch.setattr(shared_claims, "push_refs", away)
    monkeypatch.setattr(shared_claims, "pause", pauses.append)
    with pytest.raises(git_program.RemoteUnreachableError):
        history.claim_shared_round(lab, RUN, "origin")
    assert pauses == [0]


def test_a_claim_that_another_process_of_the_clone_has_pulled_meanwhile_is_ours(lab, faults, monkeypatch):
    real = shared_claims.remember

    def remembered(*args):
        real(*args)
        history.pull(lab)

    monkeypatch.setattr(shared_claims, "remember", remembered)
    claim = history.claim_shared_round(lab, RUN, "origin")
    assert history.read_claim(lab, RUN, claim.number) == claim


def test_a_fetch_beside_another_fetch_of_the_clone_waits_for_its_locks(lab, faults, monkeypatch):
    history.push(lab)
    history.claim_shared_round(lab, RUN, "origin")
    lab.repo.references.delete(f"refs/autoqec-remote/origin/claims/{RUN}/1")
    lock = lab.git_dir / f"refs/autoqec-remote/origin/claims/{RUN}/1.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    pauses = []
    monkeypatch.setattr(git_program, "pause", lambda attempt: (pauses.append(attempt), lock.unlink()))
    history.pull(lab)
    assert pauses == [0]
    lab.repo.references.delete(f"refs/autoqec-remote/origin/claims/{RUN}/1")
    lock.touch()
    monkeypatch.setattr(git_program, "pause", pauses.append)
    with pytest.raises(AutoQECError, match="cannot lock ref"):
        history.pull(lab)
    assert len(pauses) == 1 + git_program._BUSY_TRIES


def test_a_lock_is_as_old_as_its_file_system_says_whatever_the_clock_of_this_host(lab, base, monkeypatch):
    ref = "refs/autoqec/attempts/depol-abcd/1"
    lock = lab.git_dir / f"{ref}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    real = time.time
    monkeypatch.setattr(refs.time, "time", lambda: real() + 3600)
    monkeypatch.setattr(refs, "_PATIENCE", 0.05)
    with pytest.raises(AutoQECError, match="lock"):
        history.compare_and_swap(lab, ref, None, base, "beside a writer of another host")
    assert lock.exists()
    assert not any(finding.code == "stale-lock" for finding in history.check(lab))


def test_a_process_with_more_than_a_thousand_open_files_can_wait_for_git():
    read, write = os.pipe()
    high = fcntl.fcntl(read, fcntl.F_DUPFD, 1500)
    try:
        assert network_step.ready([high], 0.0) == set()
        os.close(write)
        assert network_step.ready([high], 5.0) == {high}
    finally:
        os.close(read)
        os.close(high)
