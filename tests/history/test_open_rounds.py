"""Open rounds as `autoqec status` reads them: by their claims, with what a process says of itself as a hint and no more."""

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from autoqec import history
from autoqec.history.reading.open_rounds import OpenRounds
from autoqec.history.rounds.claims import store_claim
from autoqec.history.rounds.progress_files import (
    RoundProgress,
    read_progress,
    remove_dead,
    remove_progress,
    write_progress,
)
from autoqec.history.store.owner import this_process

ATTEMPT = "0123456789abcdef" * 2
PROGRESS = RoundProgress(
    owner=this_process(), user="ada", step="train", phase="training", note="loss 7.2", unit="steps", done=10, total=100,
    open_ended=False, rate=12.5, seconds_left=30.0, at_most=False, began=1000.0, written=1010.0,
)  # fmt: skip


def replaced(lab, claim, **changes):
    """A claim as another process or machine would have written it."""
    changed = replace(claim, **changes)
    history.compare_and_swap(
        lab, claim.ref, history.list_refs(lab, claim.ref)[claim.ref], store_claim(lab, changed), "x"
    )
    return changed


def file_of(lab, attempt=ATTEMPT):
    return lab.git_dir / "autoqec" / "progress" / attempt


def test_what_is_written_is_read_and_goes_at_the_end(lab):
    assert read_progress(lab, ATTEMPT) is None
    write_progress(lab, ATTEMPT, PROGRESS)
    write_progress(lab, ATTEMPT, replace(PROGRESS, done=20, total=None, rate=None, seconds_left=None))
    assert read_progress(lab, ATTEMPT).done == 20
    assert os.listdir(file_of(lab).parent) == [ATTEMPT]
    remove_progress(lab, ATTEMPT)
    remove_progress(lab, ATTEMPT)
    assert os.listdir(file_of(lab).parent) == []
    assert (PROGRESS.seconds_left_at(1020.0), PROGRESS.seconds_left_at(0.0), PROGRESS.seconds_left_at(2000.0)) == (
        20,
        30,
        0,
    )


HOSTILE = {
    "no JSON": b"{",
    "deep": b"[" * 4000,
    "a list": b"[]",
    "a field too many": {"more": 1},
    "a field too few": {"user": ...},
    "true for a number": {"done": True},
    "negative": {"done": -1},
    "a huge number": {"total": 10**30},
    "not finite": {"rate": float("inf")},
    "a number that is text": {"began": "1"},
    "null for text": {"phase": None},
    "long text": {"phase": "x" * 201},
    "another owner": {"owner": {"pid": 1}},
    "a pid that is text": {"owner": {**vars(PROGRESS.owner), "pid": "1"}},
    "too long": b" " * 5000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_anybody_else_wrote_is_not_believed(lab, case):
    told = HOSTILE[case]
    if isinstance(told, dict):
        fields = {**vars(PROGRESS), "owner": vars(PROGRESS.owner), **told}
        told = json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()
    write_progress(lab, ATTEMPT, PROGRESS)
    file_of(lab).write_bytes(told)
    assert read_progress(lab, ATTEMPT) is None


def test_links_pipes_folders_and_other_names_are_not_read_and_do_not_hold_up(lab, tmp_path):
    write_progress(lab, ATTEMPT, PROGRESS)
    (tmp_path / "elsewhere").write_bytes(file_of(lab).read_bytes())
    for make in (lambda path: path.symlink_to(tmp_path / "elsewhere"), os.mkfifo, Path.mkdir):
        file_of(lab).unlink()
        make(file_of(lab))
        assert read_progress(lab, ATTEMPT) is None
        if file_of(lab).is_dir():
            write_progress(lab, ATTEMPT, PROGRESS)  # cannot be written, and says nothing
            assert os.listdir(file_of(lab).parent) == [ATTEMPT]
            file_of(lab).rmdir()
            file_of(lab).touch()
    for name in ("../../config", "A" * 32, ""):
        write_progress(lab, name, PROGRESS)
        remove_progress(lab, name)
        assert read_progress(lab, name) is None
    assert (lab.git_dir / "config").is_file()


def test_where_nothing_can_be_written_nothing_fails(lab):
    (lab.git_dir / "autoqec").mkdir(exist_ok=True)
    (lab.git_dir / "autoqec" / "progress").write_text("a file in the way")
    write_progress(lab, ATTEMPT, PROGRESS)
    remove_progress(lab, ATTEMPT)
    remove_dead(lab)
    assert read_progress(lab, ATTEMPT) is None


def test_files_of_processes_that_ended_are_removed_and_no_others(lab):
    dead = replace(PROGRESS, owner=replace(PROGRESS.owner, boot_id="before"))
    there = replace(PROGRESS, owner=replace(PROGRESS.owner, host="elsewhere"))
    for number, progress in enumerate((PROGRESS, dead, there)):
        write_progress(lab, f"{number:032x}", progress)
    remove_dead(lab)
    assert sorted(os.listdir(file_of(lab).parent)) == [f"{0:032x}", f"{2:032x}"]


def test_each_open_round_has_its_state(lab, run, git, monkeypatch):
    claims = [history.claim_round(lab, run.name) for _ in range(6)]
    running, dead, other, waiting, closed, damaged = claims
    write_progress(lab, running.attempt, PROGRESS)
    dead = replaced(lab, dead, boot_id="before")
    replaced(lab, other, host="elsewhere")
    replaced(lab, waiting, boot_id="before", details={"waiting": "coder"})
    history.close_claim(lab, closed, status="ok")
    git("update-ref", damaged.ref, git("hash-object", "-w", "--stdin", stdin="{}").strip())
    strange = replace(running, run="a;reboot")
    git("update-ref", strange.ref, store_claim(lab, strange))
    found = OpenRounds(lab).read()
    assert [(each.claim.number, each.state, each.after) for each in found] == [
        (1, "running", ""), (2, "interrupted", "claim"), (3, "elsewhere", "claim"), (4, "waiting", "claim"),
    ]  # fmt: skip
    assert found[0].progress == PROGRESS
    assert found[0].user
    monkeypatch.setattr("autoqec.history.reading.open_rounds._user_of", lambda pid: "")
    assert OpenRounds(lab).read()[0].user == "ada", "where the kernel does not say"
    assert [each.claim.number for each in OpenRounds(lab, run.name).read()] == [1, 2, 3, 4]
    write_progress(lab, running.attempt, replace(PROGRESS, owner=replace(PROGRESS.owner, pid=1)))
    write_progress(lab, dead.attempt, PROGRESS)
    assert [each.progress for each in OpenRounds(lab).read()] == [None] * 4, "of another process than the claim's"


def test_eight_at_once_from_another_worktree_and_without_a_write(lab, run, git, tmp_path):
    claims = [history.claim_round(lab, run.name) for _ in range(8)]
    for claim in claims:
        write_progress(lab, claim.attempt, replace(PROGRESS, done=claim.number))
    git("worktree", "add", "-q", str(tmp_path / "beside"))
    before = {path: path.stat().st_mtime_ns for path in lab.git_dir.rglob("*")}
    rounds = OpenRounds(history.open_ledger(tmp_path / "beside"))
    assert [each.progress.done for each in rounds.read()] == [*range(1, 9)]
    assert {path: path.stat().st_mtime_ns for path in lab.git_dir.rglob("*")} == before


def test_a_claim_is_parsed_once_and_a_change_is_seen(lab, run, monkeypatch):
    first, second = (history.claim_round(lab, run.name) for _ in range(2))
    rounds, parsed = OpenRounds(lab), []
    original = rounds._parsed
    monkeypatch.setattr(rounds, "_parsed", lambda *item: parsed.append(item) or original(*item))
    assert len(rounds.read()) == len(rounds.read()) == len(parsed) == 2
    history.close_claim(lab, first, status="ok")
    assert [each.claim.number for each in rounds.read()] == [2]
    assert len(parsed) == 3
    assert {claim.number: claim.status for claim in rounds.claims()} == {1: "ok", 2: None}
    assert second.host == socket.gethostname()
