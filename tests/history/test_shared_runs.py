"""Clones that start one run at the same time: the remote has one of them, and all work on that."""

from __future__ import annotations

import subprocess

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, UsageError

ENV_ID = "e" * 64


@pytest.fixture
def pair(lab, tmp_path):
    """Two clones of a lab that has no run, and their remote."""
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "clone", "-q", "--bare", lab.workdir, remote], check=True)
    for name in ("one", "two"):
        subprocess.run(["git", "clone", "-q", remote, tmp_path / name], check=True)
    return [history.open_ledger(tmp_path / name) for name in ("one", "two")]


def described(ledger, seed):
    base = history.resolve_commit(ledger, "HEAD")
    files = {"surface_d3.yaml": b"name: surface_d3\n"}
    return history.describe_run(
        ledger, "both", base=base, env_name="surface_d3", env_id=ENV_ID, env_files=files, settings={"seed": seed}
    )


def test_the_second_clone_gets_the_run_of_the_first(pair):
    one, two = pair
    first, second = described(one, 1), described(two, 2)
    assert not history.pull_shared_run(one, "both", "origin")
    history.record_shared_run(one, first, "origin")
    assert history.load_run(one, "both") == first
    claim = history.claim_shared_round(one, "both", "origin")
    with pytest.raises(UsageError, match="exists already"):
        history.record_shared_run(two, second, "origin")
    assert history.load_run(two, "both") == first
    assert history.list_claims(two, "both") == [claim]  # and its rounds
    assert history.claim_shared_round(two, "both", "origin").number == 2


def test_the_remote_decides_where_neither_saw_the_other(pair, monkeypatch):
    one, two = pair
    from autoqec.history.sync import shared_runs

    push = shared_runs.push_refs

    def late(*args, **options):
        monkeypatch.setattr(shared_runs, "push_refs", push)
        history.record_shared_run(one, described(one, 1), "origin")
        push(*args, **options)

    monkeypatch.setattr(shared_runs, "push_refs", late)
    with pytest.raises(UsageError, match="exists already"):
        history.record_shared_run(two, described(two, 2), "origin")
    assert history.load_run(two, "both") == history.load_run(one, "both")


def test_a_run_that_the_remote_does_not_take_is_not_recorded_here(pair):
    one, _ = pair
    hook = one.workdir.parent / "remote.git/hooks/update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(AutoQECError, match="refuses refs/autoqec/runs/both"):
        history.record_shared_run(one, described(one, 1), "origin")
    assert history.list_runs(one) == []
