"""Pushes, pulls and bundles as their users type them, and what a stranger can do with a bundle and no network."""

import json
import shutil
import subprocess
import sys

import pytest

from autoqec.cli.main import run
from autoqec.history import list_claims, open_ledger
from autoqec.testing import make_tiny_lab


def git(folder, *args):
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny lab with one verified round, its remote, and a bundle of it; the commands' own output."""
    top = tmp_path_factory.mktemp("made")
    make_tiny_lab(top / "lab")
    said = {}
    git(top, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(top / "lab", "remote", "add", "origin", "../remote.git")
    git(top / "lab", "push", "-q", "origin", "main")

    def call(*args):
        command = [sys.executable, "-m", "autoqec", *args]
        done = subprocess.run(command, cwd=top / "lab", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said["round"] = json.loads(call("round", "--seed", "3", "--remote", "origin", "--json"))
    said["claim there"] = git(top / "remote.git", "for-each-ref", "refs/autoqec/claims").split()[-1]
    said["doctor"] = json.loads(call("doctor", "--json"))
    said["push"] = call("push")
    said["again"] = call("push", "--json")
    said["bundle"] = json.loads(call("bundle", said["round"]["run"], "-o", "../run.bundle", "--json"))
    return top, said


def printed(capsys, *args):
    code = run(list(args))
    out, err = capsys.readouterr()
    return code, out, err


def test_what_the_commands_say(made):
    _, said = made
    name = said["round"]["run"]
    assert said["claim there"] == f"refs/autoqec/claims/{name}/1", "the remote gave the number"
    assert said["doctor"]["remote origin"] == "1 rounds not pushed: autoqec push origin"
    assert said["push"] == "sent to origin: 1 round, notes on 1 run\n"
    assert json.loads(said["again"]) == {"schema": "autoqec.sync/1", "remote": "origin", "received": [], "sent": []}
    assert (said["bundle"]["schema"], said["bundle"]["weights"]) == ("autoqec.bundle/1", [1])


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to take the network away")
def test_a_stranger_logs_and_verifies_from_a_bundle_without_a_network(made, tmp_path):
    top, said = made
    shutil.copy(top / "run.bundle", tmp_path)
    branch = said["round"]["branch"]
    blocked = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*blocked, "true"], capture_output=True, check=False).returncode != 0:
        blocked = []  # a container may forbid it; what is left of the test is still the letter of the promise
    autoqec = f"{sys.executable} -m autoqec"
    script = f"git clone -q run.bundle lab && cd lab && {autoqec} log --json && {autoqec} verify -q --json {branch}"
    script += " --max-shots 65536"
    done = subprocess.run([*blocked, "bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    logged, verdict = (json.loads(line) for line in done.stdout.splitlines())
    assert logged == said["round"]
    assert (verdict["verdict"], verdict["attempt"]) == ("VERIFIED", 2)
    assert "taken up from the bundle" in done.stderr
    assert git(tmp_path / "lab", "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert git(tmp_path / "lab", "status", "--porcelain") == ""


def test_a_fresh_clone_is_told_to_pull_and_then_shows_the_same(made, tmp_path, monkeypatch, capsys):
    top, said = made
    git(tmp_path, "clone", "-q", str(top / "remote.git"), "lab")
    monkeypatch.chdir(tmp_path / "lab")
    code, out, err = printed(capsys, "log", "--json")
    assert (code, out) == (0, "")
    assert f"origin has rounds of {said['round']['run']}: autoqec pull origin" in err
    code, out, _ = printed(capsys, "pull")
    assert (code, out) == (0, "received from origin: 1 run, 1 round, notes on 1 run\n")
    assert json.loads(printed(capsys, "log", "--json")[1]) == said["round"]
    code, _, err = printed(capsys, "verify", said["round"]["branch"])
    assert code == 3
    assert "autoqec pull --artifacts" in err
    assert printed(capsys, "pull", "upstream")[0] == 3
    assert [claim.state for claim in list_claims(open_ledger("."))] == ["closed"]


def test_reading_a_bundle_clone_starts_with_any_command_and_writes_where_asked(made, tmp_path, monkeypatch, capsys):
    top, said = made
    git(tmp_path, "clone", "-q", str(top / "run.bundle"), "lab")
    monkeypatch.chdir(tmp_path / "lab")
    assert (
        json.loads(printed(capsys, "show", "--json", said["round"]["branch"])[1])["commit"] == said["round"]["commit"]
    )
    assert json.loads(printed(capsys, "pareto", "--json")[1])["round"] == 1
    assert printed(capsys, "bundle", said["round"]["run"], "-o", "again.bundle")[1].startswith(
        "again.bundle: 1 round of"
    )
    assert git(".", "bundle", "list-heads", "again.bundle") == git(".", "bundle", "list-heads", str(top / "run.bundle"))
    assert printed(capsys, "bundle", "none-abcd", "-o", "x.bundle")[0] == 3
