"""Locks, torn refs and dangerous settings, made with plain files and git, are each seen as exactly that."""

from __future__ import annotations

import os
import time

import pytest

from autoqec import history
from autoqec.history.fsck import fsck_store


def codes(lab):
    return [finding.code for finding in history.check(history.open_ledger(lab.workdir))]


def leave_lock(lab, ref, seconds=120):
    path = lab.git_dir / f"{ref}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_a_sound_lab_has_nothing_to_say(lab, play, git):
    assert history.check(lab) == []
    play()
    play()
    assert history.check(lab) == []
    git("gc", "-q")
    assert codes(lab) == []


@pytest.mark.parametrize(
    "ref",
    ["refs/heads/exp/r/1", "refs/autoqec/claims/r/1", "refs/notes/autoqec/r/metrics", "refs/autoqec-remote/o/notes/r"],
)
def test_a_stale_lock_is_found_and_removed(ref, lab):
    path = leave_lock(lab, ref)
    (finding,) = history.check(lab)
    assert (finding.code, finding.ref, finding.severity, finding.repairable) == ("stale-lock", ref, "warning", True)
    assert [(item.code, item.ref) for item in history.repair(lab, [finding])] == [("stale-lock", ref)]
    assert not path.exists()
    assert history.check(lab) == []


def test_locks_that_may_be_held_or_are_not_ours_are_let_be(lab):
    leave_lock(lab, "refs/autoqec/claims/r/1", seconds=5)
    leave_lock(lab, "refs/heads/main")
    assert history.check(lab) == []


def test_a_lock_whose_writer_is_known_to_be_dead_is_stale_at_once(lab, python):
    process = python("")
    process.communicate()
    leave_lock(lab, "refs/autoqec/claims/r/1", seconds=2)
    (lab.git_dir / "autoqec").mkdir()
    (lab.git_dir / "autoqec" / "lock").write_text(f"{process.pid} refs/autoqec/claims/r/1\n")
    (finding,) = history.check(lab)
    assert finding.code == "stale-lock"
    assert history.repair(lab, [finding])
    assert history.check(lab) == []


def test_gits_own_lock_is_reported_and_left(lab):
    path = leave_lock(lab, "packed-refs", seconds=300)
    (finding,) = history.check(lab)
    assert (finding.code, finding.repairable) == ("packed-refs-lock", False)
    assert history.repair(lab, [finding]) == []
    assert path.exists()


def test_a_torn_ref_is_found_though_git_does_not_list_it(lab, run, play):
    play()
    history.attach(lab, "traces", run.name, 1, {"x.json": b"{}"})
    (lab.git_dir / f"refs/autoqec/traces/{run.name}/1").write_text("")
    assert codes(lab) == ["torn-ref"]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("remote.up.fetch", "+refs/notes/*:refs/notes/*", "forced-refspec"),
        ("remote.up.fetch", "+refs/autoqec/*:refs/autoqec/*", "forced-refspec"),
        ("remote.up.fetch", "+refs/notes/autoqec/r/metrics:refs/notes/autoqec/r/metrics", "forced-refspec"),
        ("remote.up.fetch", "+refs/*:refs/*", "forced-refspec"),
        ("remote.up.mirror", "true", "mirror"),
        ("notes.rewriteRef", "refs/notes/*", "rewrite-notes"),
        ("notes.rewriteRef", "refs/notes/autoqec/*", "rewrite-notes"),
    ],
)
def test_a_dangerous_setting_is_named_and_its_mend_mends_it(name, value, code, lab, git):
    git("config", "--add", "remote.up.fetch", "+refs/heads/*:refs/remotes/up/*")
    git("config", "--add", name, value)
    (finding,) = history.check(history.open_ledger(lab.workdir))
    assert (finding.code, finding.ref, finding.severity) == (code, name, "warning")
    command = finding.hint.replace("'", "").split()
    git(*command[1:])
    assert codes(lab) == []
    assert git("config", "--get-all", "remote.up.fetch") == "+refs/heads/*:refs/remotes/up/*\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("remote.up.fetch", "+refs/notes/autoqec/*:refs/autoqec-remote/up/notes/*"),
        ("remote.up.fetch", "refs/notes/*:refs/notes/*"),
        ("remote.up.fetch", "+refs/heads/main:refs/heads/main"),
        ("remote.up.mirror", "false"),
        ("notes.rewriteRef", "refs/notes/commits"),
    ],
)
def test_harmless_settings_are_let_be(name, value, lab, git):
    git("config", "--add", name, value)
    assert codes(lab) == []


def test_upkeep_that_is_due(lab, monkeypatch):
    (lab.git_dir / "gc.log").write_text("too many unreachable loose objects\n")
    monkeypatch.setattr(fsck_store, "MANY_LOOSE_OBJECTS", 2)
    findings = history.check(lab)
    assert [(finding.code, finding.severity) for finding in findings] == [("gc-log", "info"), ("loose-objects", "info")]
    assert "unreachable" in findings[0].problem
