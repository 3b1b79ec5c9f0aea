"""Examining writes nothing; repairing looks again, and changes what it says and nothing else."""

from __future__ import annotations

import os
import time

import pytest

from autoqec import history

METRICS = "refs/notes/autoqec/depol-abcd/metrics"


def files(top):
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@pytest.fixture
def broken(lab, play, git):
    """A lab with a stale lock, lost records, git's own lock, and a branch that moved."""
    play()
    old = git("rev-parse", METRICS).strip()
    play()
    git("update-ref", METRICS, old)
    git("update-ref", "refs/heads/exp/depol-abcd/1", old)
    for name in ("refs/heads/exp/depol-abcd/2.lock", "packed-refs.lock", "refs/heads/main.lock"):
        (lab.git_dir / name).write_text("")
        os.utime(lab.git_dir / name, (time.time() - 100,) * 2)
    return lab


def test_examining_writes_nothing(broken):
    before = files(broken.workdir)
    found = history.check(history.open_ledger(broken.workdir))
    assert [finding.code for finding in found] == ["lost-records", "stale-lock", "packed-refs-lock", "moved"]
    assert files(broken.workdir) == before


def test_repairing_changes_what_it_says_and_nothing_else(broken):
    refs, before = history.list_refs(broken, "refs/"), files(broken.workdir)
    found = history.check(broken)
    done = history.repair(broken, found)
    assert [(item.code, item.ref) for item in done] == [
        ("lost-records", METRICS),
        ("stale-lock", "refs/heads/exp/depol-abcd/2"),
    ]
    after = history.list_refs(broken, "refs/")
    assert {ref for ref in refs | after if refs.get(ref) != after.get(ref)} == {METRICS}
    now = files(broken.workdir)
    changed = {name for name in before | now if before.get(name) != now.get(name) and "/objects/" not in name}
    assert changed == {f".git/{METRICS}", f".git/logs/{METRICS}", ".git/refs/heads/exp/depol-abcd/2.lock"}
    assert before.keys() - now.keys() == {".git/refs/heads/exp/depol-abcd/2.lock"}
    assert [finding.code for finding in history.check(broken)] == ["packed-refs-lock", "moved"]


def test_repairing_what_is_mended_already_does_nothing(broken):
    found = history.check(broken)
    history.repair(broken, found)
    before = files(broken.workdir)
    assert history.repair(broken, found) == []
    assert files(broken.workdir) == before
