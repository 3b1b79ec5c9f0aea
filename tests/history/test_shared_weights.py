"""Weights of a run that clones share: each clone sends its own, and fetches those of others one round at a time."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.sync import push_pull

RUN = "depol-abcd"


@pytest.fixture
def pair(lab, play, tmp_path):
    """A lab whose round has weights on its remote, and a clone that has pulled without weights."""
    play()
    subprocess.run(["git", "clone", "-q", "--bare", lab.workdir, tmp_path / "remote.git"], check=True)
    subprocess.run(["git", "remote", "add", "origin", tmp_path / "remote.git"], cwd=lab.workdir, check=True)
    subprocess.run(["git", "clone", "-q", tmp_path / "remote.git", tmp_path / "other"], check=True)
    history.push(lab, own_weights=True)
    other = history.open_ledger(tmp_path / "other")
    history.pull(other)
    return lab, other


def weights(ledger, number=1):
    return history.read_attachment(ledger, "artifacts", RUN, number)


def test_a_clone_fetches_the_weights_of_one_round(pair):
    lab, other = pair
    assert weights(other) == {}
    assert history.fetch_weights(other, "origin", RUN, 1)
    assert weights(other) == weights(lab) != {}
    assert not history.fetch_weights(other, "origin", RUN, 2)


def test_weights_that_are_here_need_no_remote_and_others_need_one_that_answers(pair, tmp_path):
    lab, other = pair
    shutil.rmtree(tmp_path / "remote.git")
    assert history.fetch_weights(lab, "origin", RUN, 1)
    with pytest.raises(AutoQECError, match="could not fetch from origin"):
        history.fetch_weights(other, "origin", RUN, 1)


def test_a_push_of_own_weights_fetches_none(pair, tmp_path):
    lab, other = pair
    history.attach(other, "artifacts", RUN, 2, {"weights.safetensors": b"mine"})
    assert "refs/autoqec/artifacts/depol-abcd/2" in history.push(other, own_weights=True).sent
    assert weights(other) == {}
    assert history.push(other, own_weights=True).sent == ()
    assert history.fetch_weights(lab, "origin", RUN, 2)


def test_weights_of_one_round_that_two_clones_have_are_united(pair, monkeypatch):
    lab, other = pair
    monkeypatch.setattr(push_pull, "pause", lambda attempt: None)
    history.attach(other, "artifacts", RUN, 1, {"training.json": b"{}"})
    history.push(other, own_weights=True)
    assert weights(other) == {**weights(lab), "training.json": b"{}"}
