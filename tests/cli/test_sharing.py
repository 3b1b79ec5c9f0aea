"""Pushes, pulls and bundles as their users type them, and what a stranger can do with a bundle and no network."""

import json
import shutil
import subprocess
import sys

import pytest

from autoqec.cli.main import run
from autoqec.history import (
    append_note,
    claim_round,
    claim_shared_round,
    close_claim,
    find_record,
    list_claims,
    open_ledger,
)


def git(folder, *args):
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def made(lab, tmp_path_factory):
    """The lab with a remote, and a bundle of it; what the commands said, and the rounds."""
    top = tmp_path_factory.mktemp("made")
    shutil.copytree(lab[0], top / "lab")
    git(top, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(top / "lab", "remote", "add", "origin", "../remote.git")
    git(top / "lab", "push", "-q", "origin", "main")

    def call(*args):
        command = [sys.executable, "-m", "autoqec", *args]
        done = subprocess.run(command, cwd=top / "lab", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = {"doctor": json.loads(call("doctor", "--json")), "push": call("push"), "again": call("push", "--json")}
    said["bundle"] = json.loads(call("bundle", lab[1][0]["run"], "-o", "../run.bundle", "--json"))
    return top, said, lab[1]


def printed(capsys, *args):
    code = run(list(args))
    out, err = capsys.readouterr()
    return code, out, err


def test_what_the_commands_say(made):
    _, said, rounds = made
    assert said["doctor"]["remote origin"] == "2 rounds, 6 notes not pushed: autoqec push origin"
    assert said["push"] == "sent to origin: 1 run, 2 rounds, notes on 1 run\n"
    nothing = {
        "received": [],
        "sent": [],
        "archived": [],
        "left": {},
        "renumbered": {},
        "dropped": [],
        "dropped_here": [],
    }
    assert json.loads(said["again"]) == {"schema": "autoqec.sync/1", "remote": "origin", **nothing}
    assert (said["bundle"]["schema"], said["bundle"]["run"]) == ("autoqec.bundle/1", rounds[0]["run"])
    assert said["bundle"]["weights"] == [item["round"] for item in rounds if item["verdict"] == "VERIFIED"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to take the network away")
def test_a_stranger_logs_and_verifies_from_a_bundle_without_a_network(made, tmp_path):
    top, _, rounds = made
    shutil.copy(top / "run.bundle", tmp_path)
    branch = rounds[0]["branch"]
    blocked = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*blocked, "true"], capture_output=True, check=False).returncode != 0:
        blocked = []  # a container may forbid it; what is left of the test is still the letter of the promise
    autoqec = f"{sys.executable} -m autoqec"
    script = f"git clone -q run.bundle lab && cd lab && {autoqec} log --json && {autoqec} verify -q --json {branch}"
    script += " --max-shots 50000"
    done = subprocess.run([*blocked, "bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *logged, verdict = (json.loads(line) for line in done.stdout.splitlines())
    assert logged == rounds
    assert (verdict["verdict"], verdict["attempt"]) == ("VERIFIED", 3)
    assert "fetched from the bundle" in done.stderr
    assert git(tmp_path / "lab", "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert git(tmp_path / "lab", "status", "--porcelain") == ""


def test_a_fresh_clone_is_told_to_pull_and_then_shows_the_same(made, tmp_path, monkeypatch, capsys):
    top, _, rounds = made
    git(tmp_path, "clone", "-q", str(top / "remote.git"), "lab")
    monkeypatch.chdir(tmp_path / "lab")
    code, out, err = printed(capsys, "log", "--json")
    assert (code, out) == (0, "")
    assert f"origin has rounds of {rounds[0]['run']}: autoqec pull origin" in err
    code, out, _ = printed(capsys, "pull")
    assert (code, out) == (0, "received from origin: 1 run, 2 rounds, notes on 1 run\n")
    assert [json.loads(line) for line in printed(capsys, "log", "--json")[1].splitlines()] == rounds
    code, _, err = printed(capsys, "verify", rounds[0]["branch"])
    assert code == 3
    assert "autoqec pull --artifacts" in err
    assert printed(capsys, "pull", "upstream")[0] == 3
    assert [claim.state for claim in list_claims(open_ledger("."))] == ["closed", "closed"]


def test_reading_a_bundle_clone_starts_with_any_command_and_writes_where_asked(made, tmp_path, monkeypatch, capsys):
    top, _, rounds = made
    git(tmp_path, "clone", "-q", str(top / "run.bundle"), "lab")
    monkeypatch.chdir(tmp_path / "lab")
    assert json.loads(printed(capsys, "show", "--json", rounds[0]["branch"])[1])["commit"] == rounds[0]["commit"]
    assert "VERIFIED" in printed(capsys, "pareto", "--json")[1]
    assert printed(capsys, "bundle", rounds[0]["run"], "-o", "again.bundle")[1].startswith("again.bundle: 2 rounds of")
    assert git(".", "bundle", "list-heads", "again.bundle") == git(".", "bundle", "list-heads", str(top / "run.bundle"))
    assert printed(capsys, "bundle", "none-abcd", "-o", "x.bundle")[0] == 3


def test_an_archive_travels_and_says_so(made, tmp_path, monkeypatch, capsys):
    top, _, rounds = made
    git(tmp_path, "clone", "-q", "--mirror", str(top / "remote.git"), "remote.git")
    labs = [tmp_path / name for name in ("one", "two")]
    for lab in labs:
        git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), str(lab))
        monkeypatch.chdir(lab)
        assert printed(capsys, "pull")[0] == 0
    branch = rounds[0]["branch"]
    git(labs[0], "checkout", "-q", branch)
    monkeypatch.chdir(labs[1])
    assert printed(capsys, "archive", rounds[0]["run"])[0] == 0
    code, out, err = printed(capsys, "push")
    assert (code, err) == (0, "")
    assert out == "sent to origin: 2 rounds\narchived here and on origin: 2 branches of rounds removed\n"
    monkeypatch.chdir(labs[0])
    code, out, err = printed(capsys, "pull")
    assert (code, err) == (0, f"{branch} stays, though its round is archived: it is checked out in a worktree\n")
    assert out.endswith("archived here and on origin: 1 branch of rounds removed\n")
    assert [json.loads(line) for line in printed(capsys, "log", "--json")[1].splitlines()] == rounds


def test_a_collision_of_numbers_is_fixed_by_the_command_that_its_error_names(made, tmp_path, monkeypatch, capsys):
    top, _, rounds = made
    name = rounds[0]["run"]
    git(tmp_path, "clone", "-q", "--mirror", str(top / "remote.git"), "remote.git")
    for lab in ("one", "two"):
        git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), lab)
        monkeypatch.chdir(tmp_path / lab)
        assert printed(capsys, "pull")[0] == 0
        ledger = open_ledger(".")
        close_claim(ledger, claim_round(ledger, name), status="abandoned")
    assert printed(capsys, "push")[0] == 0
    monkeypatch.chdir(tmp_path / "one")
    code, _, err = printed(capsys, "push")
    assert code == 1
    command = err.partition("autoqec pull --renumber")[1] + " origin"
    assert command in err
    code, out, _ = printed(capsys, *command.split()[1:])
    assert (code, out.splitlines()[0]) == (0, f"renumbered: {name}/3 is {name}/4 now")
    shown = json.loads(printed(capsys, "show", "--json", f"{name}/4")[1])
    assert (shown["renumbered_from"], shown["problems"]) == (3, [])
    assert "it was made as round 3" in printed(capsys, "show", f"{name}/4")[1]
    assert printed(capsys, "push")[0] == 0


def test_a_shared_round_is_on_the_remote_when_it_ends_and_one_that_cannot_be_is_no_failure(
    made, tmp_path, monkeypatch, capsys
):
    top, _, rounds = made
    name = rounds[0]["run"]
    git(tmp_path, "clone", "-q", "--mirror", str(top / "remote.git"), "remote.git")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), "lab")
    monkeypatch.chdir(tmp_path / "lab")
    assert printed(capsys, "pull")[0] == 0

    def quick(session, hypothesis=None):
        claim = claim_shared_round(session.ledger, name, session.settings["claim_remote"])
        close_claim(session.ledger, claim, status="ok", commit=rounds[0]["commit"])
        return find_record(session.ledger, name, claim.number)

    monkeypatch.setattr("autoqec.loop.many_rounds.run_round", quick)  # which has the name already

    def there(number):
        oid = git(tmp_path / "remote.git", "rev-parse", f"refs/autoqec/claims/{name}/{number}").strip()
        return json.loads(git(tmp_path / "remote.git", "cat-file", "blob", oid))["state"]

    code, _, err = printed(capsys, "round", "-q", "--run", name, "--remote", "origin", "--rounds", "2")
    assert (code, there(3), there(4)) == (0, "closed", "closed")
    assert "warning" not in err
    hook = tmp_path / "remote.git" / "hooks" / "update"  # takes new claims, and nothing else
    hook.write_text("#!/bin/sh\ncase $2 in *[1-9a-f]*) echo no >&2; exit 1;; esac\n")
    hook.chmod(0o755)
    code, _, err = printed(capsys, "round", "-q", "--run", name, "--remote", "origin")
    assert (code, there(5)) == (0, "open")
    assert "warning: the results are not on origin yet:" in err
    assert "autoqec push origin" in err
    hook.unlink()
    assert printed(capsys, "push")[0] == 0
    assert there(5) == "closed"


def test_the_log_says_what_is_not_pushed_to_a_remote_that_was_looked_at(made, tmp_path, monkeypatch, capsys):
    top, _, rounds = made
    shutil.copytree(top / "lab", tmp_path / "lab")
    monkeypatch.chdir(tmp_path / "lab")
    assert printed(capsys, "log")[2] == ""
    append_note(open_ledger("."), rounds[0]["run"], "metrics", rounds[0]["commit"], {"id": "new", "event": "seen"})
    _, out, err = printed(capsys, "log")
    assert err == "origin: 1 note not pushed: autoqec push origin\n"
    assert err not in out
    assert printed(capsys, "log", "--json")[2] == ""
    git(tmp_path / "lab", "remote", "rename", "origin", "upstream")  # and that one was never looked at
    assert printed(capsys, "log")[2] == ""
