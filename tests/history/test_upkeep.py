"""Git tidies up after a round: in the background, if it is due and wanted, and without touching the user's work."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from autoqec import history


@pytest.fixture
def loose(lab, git):
    """A lab in which `git gc --auto` finds something to do: objects whose oids begin with 17 are what it counts."""
    git("config", "gc.auto", "1")
    tree = lab.repo.TreeBuilder()
    for number in range(1500):
        tree.insert(str(number), lab.repo.create_blob(b"%d" % number), 0o100644)
    lab.repo.references.create("refs/tags/many", tree.write())
    assert len(list((lab.git_dir / "objects" / "17").iterdir())) > 1
    return lab


def packs(lab):
    return list((lab.git_dir / "objects" / "pack").glob("*.pack"))


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_what_is_due_is_done_and_the_users_work_is_not_touched(loose, play, git, look, repository):
    play()
    (repository / "README").write_text("being edited\n")
    (repository / "new").write_text("staged\n")
    git("add", "new")
    before = look(repository)
    history.tidy(loose)
    assert wait_for(lambda: packs(loose) and not (loose.git_dir / "gc.pid").exists())
    assert look(repository) == before
    assert [record.status for record in history.read_history(history.open_ledger(repository))] == ["ok"]
    assert [finding.code for finding in history.check(history.open_ledger(repository))] == []


def test_the_users_hook_may_object(loose, tmp_path):
    hook = loose.git_dir / "hooks" / "pre-auto-gc"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\nexit 1\n")
    hook.chmod(0o755)
    history.tidy(loose)
    assert wait_for((tmp_path / "asked").exists)
    assert packs(loose) == []


@pytest.mark.parametrize(("name", "value"), [("gc.auto", "0"), ("maintenance.auto", "false")])
def test_what_the_user_does_not_want_is_not_done(name, value, loose, git, tmp_path):
    git("config", name, value)
    hook = loose.git_dir / "hooks" / "pre-auto-gc"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    hook.chmod(0o755)
    history.tidy(history.open_ledger(loose.workdir))
    time.sleep(0.2)
    assert not (tmp_path / "asked").exists()
    assert packs(loose) == []


def test_a_log_of_gc_that_is_left_blocks_it_and_fsck_says_so(loose):
    (loose.git_dir / "gc.log").write_text("fatal: the disk is full\n")
    history.tidy(loose)
    time.sleep(0.2)
    assert packs(loose) == []
    (finding,) = history.check(loose)
    assert (finding.code, finding.hint) == ("gc-log", "git gc")


@pytest.mark.parametrize("git_says", [None, "exit 128", "sleep 600"])
def test_no_git_and_a_git_that_fails_or_hangs_are_none_of_the_rounds(git_says, lab, monkeypatch, tmp_path):
    if git_says is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\necho $$ $@ >> {tmp_path}/calls\necho no >&2\nexec {git_says}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin" if git_says else str(tmp_path))
    began = time.monotonic()
    history.tidy(lab)
    assert time.monotonic() - began < 120
    calls = (tmp_path / "calls").read_text().splitlines() if git_says else []
    assert [call.split()[1:] for call in calls] == [["maintenance", "run", "--auto", "--quiet"]] * bool(git_says)
    if git_says == "sleep 600":
        os.kill(int(calls[0].split()[0]), signal.SIGKILL)


def test_nothing_to_do_costs_nothing_to_speak_of(lab):
    history.tidy(lab)
    times, of_git = [], []
    for _ in range(5):  # in turns, and the least of each: a machine that is busy is busy for both
        began = time.monotonic()
        history.tidy(lab)
        times.append(time.monotonic() - began)
        began = time.monotonic()
        subprocess.run(["git", "version"], cwd=lab.workdir, check=True, capture_output=True)
        of_git.append(time.monotonic() - began)
    assert min(times) < 0.05 + 10 * min(of_git)
    print(f"tidy: {min(times) * 1e3:.1f} ms")
