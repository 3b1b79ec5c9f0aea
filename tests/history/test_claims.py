"""Claims: one owner per number, no number twice, closed once, and the dead told from the living."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from dataclasses import replace

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError


def test_a_claim_reads_back(lab, run, git):
    claim = history.claim_round(lab, run.name, {"seed": 3})
    assert (claim.number, claim.state, claim.pid, claim.details["seed"]) == (1, "open", os.getpid(), 3)
    assert history.read_claim(lab, run.name, 1) == claim
    assert json.loads(git("cat-file", "blob", "refs/autoqec/claims/depol-abcd/1"))["attempt"] == claim.attempt


def test_numbers_are_never_used_twice(lab, run, commit, git):
    assert history.claim_round(lab, run.name).number == 1
    commit(4, {})
    assert history.claim_round(lab, run.name).number == 5
    history.attach(lab, "attempts", run.name, 8, {"report.json": b"{}"})
    assert history.claim_round(lab, run.name).number == 9
    git("update-ref", "refs/autoqec/rounds/depol-abcd/11", "HEAD")
    assert history.claim_round(lab, run.name).number == 12
    git("update-ref", "refs/remotes/origin/exp/depol-abcd/20", "HEAD")
    assert history.claim_round(lab, run.name).number == 21
    git("update-ref", "refs/autoqec-remote/origin/claims/depol-abcd/30", "HEAD")
    git("update-ref", "refs/heads/exp/other-depol-abcd/99", "HEAD")
    git("update-ref", "refs/heads/depol-abcd/98", "HEAD")
    git("pack-refs", "--all")
    assert history.claim_round(lab, run.name).number == 31


def test_runs_count_for_themselves(lab, run, base):
    history.start_run(lab, "b-abcd", base=base, env_name="e", env_id="0" * 64, env_files={}, settings={})
    assert [history.claim_round(lab, name).number for name in (run.name, "b-abcd", run.name)] == [1, 1, 2]
    assert [(c.run, c.number) for c in history.list_claims(lab)] == [("b-abcd", 1), (run.name, 1), (run.name, 2)]
    assert [c.number for c in history.list_claims(lab, run.name)] == [1, 2]


def test_ten_comes_after_nine(lab, run):
    for _ in range(11):
        history.claim_round(lab, run.name)
    assert [claim.number for claim in history.list_claims(lab)] == list(range(1, 12))


def test_a_claim_needs_a_run(lab, run):
    with pytest.raises(NotFoundError, match="did you mean depol-abcd"):
        history.claim_round(lab, "depol-abcx")
    with pytest.raises(NotFoundError, match="no claim on depol-abcd/9"):
        history.read_claim(lab, run.name, 9)


def test_updates_need_the_latest_version(lab, run, base):
    first = history.claim_round(lab, run.name)
    second = history.update_claim(lab, first, commit=base, details={"step": "train"})
    assert history.read_claim(lab, run.name, 1) == second
    assert history.update_claim(lab, second, commit=base) is second
    with pytest.raises(AutoQECError, match="has changed"):
        history.update_claim(lab, first, details={"step": "score"})
    assert history.read_claim(lab, run.name, 1) == second
    for forbidden in ({"state": "closed"}, {"number": 2}, {"attempt": "0" * 32}, {"typo": 1}):
        with pytest.raises(TypeError):
            history.update_claim(lab, second, **forbidden)


def test_closing_is_once_and_repeatable(lab, run, base):
    claim = history.claim_round(lab, run.name)
    history.update_claim(lab, claim, details={"step": "late"})
    closed = history.close_claim(lab, claim, status="train_error", reason="NaN\nin loss", commit=base)
    assert (closed.state, closed.status, closed.reason, closed.commit) == (
        "closed",
        "train_error",
        "NaN\nin loss",
        base,
    )
    assert closed.details == {"step": "late"}
    assert closed.closed >= closed.started
    assert history.close_claim(lab, claim, status="train_error", reason="NaN\nin loss", commit=base) == closed
    assert history.close_claim(lab, closed, status="train_error", reason="NaN\nin loss") == closed
    for other in ({"status": "ok", "reason": "NaN\nin loss"}, {"status": "train_error"}):
        with pytest.raises(AutoQECError, match="was closed as train_error"):
            history.close_claim(lab, claim, commit=base, **other)
    with pytest.raises(AutoQECError, match="is closed"):
        history.update_claim(lab, closed, details={})
    assert history.read_claim(lab, run.name, 1) == closed
    with pytest.raises(ValueError, match="not a status"):
        history.close_claim(lab, claim, status="Not A Status")


def test_the_code_of_the_error_that_ended_a_round_is_kept_and_old_claims_have_none(lab, run):
    claim = history.update_claim(lab, history.claim_round(lab, run.name), details={"step": "late"})
    about = {"file": "training.yaml", "least": 1}
    closed = history.close_claim(lab, claim, status="compile_error", reason="no", code="bad_value", about=about)
    assert history.read_claim(lab, run.name, 1) == closed
    assert (closed.code, closed.about, closed.details["step"]) == ("bad_value", about, "late")
    old = history.close_claim(lab, history.claim_round(lab, run.name), status="compile_error", reason="no")
    assert (old.code, old.about) == ("", {})
    for damaged in ("words", {"code": 3, "about": []}, None):
        assert (replace(closed, details={"error": damaged}).code, old.about) == ("", {})


def test_any_text_can_be_a_reason(lab, run):
    claim = history.claim_round(lab, run.name)
    reason = "lone \ud83d, \x00, \u2028, \u202e"
    history.close_claim(lab, claim, status="agent_error", reason=reason)
    assert history.read_claim(lab, run.name, 1).reason == reason


CLAIM_AND_END = """
import sys
from autoqec import history
claim = history.claim_round(history.open_ledger(sys.argv[1]), sys.argv[2])
print(claim.pid, flush=True)
if len(sys.argv) > 3: sys.stdin.read(); import time; time.sleep(60)
"""


def test_the_dead_are_told_from_the_living(lab, run, python):
    mine = history.claim_round(lab, run.name)
    assert history.owner_alive(mine)
    living = python(CLAIM_AND_END, str(lab.workdir), run.name, "stay")
    assert living.stdout.readline()
    theirs = history.read_claim(lab, run.name, 2)
    assert theirs.pid == living.pid
    assert history.owner_alive(theirs)
    living.kill()
    os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped: a zombie
    assert not history.owner_alive(theirs)
    living.communicate()
    assert not history.owner_alive(theirs)
    replaced = dataclasses.replace
    assert not history.owner_alive(replaced(mine, boot_id="another boot"))
    assert not history.owner_alive(replaced(mine, process_start="1"))  # the pid was used again
    assert history.owner_alive(replaced(mine, process_start=""))
    assert history.owner_alive(replaced(theirs, host="elsewhere"))
    assert not history.owner_alive(replaced(mine, pid=0))
    assert not history.owner_alive(replaced(mine, pid=2**70))


def test_only_orphans_are_adopted(lab, run, python):
    python(CLAIM_AND_END, str(lab.workdir), run.name).communicate()
    orphan = history.read_claim(lab, run.name, 1)
    assert orphan.pid != os.getpid()
    adopted = history.take_over_claim(lab, orphan)
    assert (adopted.pid, adopted.attempt) == (os.getpid(), orphan.attempt)
    assert history.take_over_claim(lab, adopted) == adopted
    with pytest.raises(AutoQECError, match="has changed"):
        history.take_over_claim(lab, orphan)  # the second of two that resume
    with pytest.raises(AutoQECError, match="has changed"):
        history.close_claim(lab, orphan, status="ok")  # and its former owner, back from the dead
    living = python(CLAIM_AND_END, str(lab.workdir), run.name, "stay")
    assert living.stdout.readline()
    theirs = history.read_claim(lab, run.name, 2)
    with pytest.raises(AutoQECError, match=f"process {living.pid} on {socket.gethostname()}"):
        history.take_over_claim(lab, theirs)
    assert history.take_over_claim(lab, theirs, force=True).pid == os.getpid()
    living.kill()
    living.communicate()
    closed = history.close_claim(lab, adopted, status="abandoned")
    with pytest.raises(AutoQECError, match="is closed"):
        history.take_over_claim(lab, closed)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"v":2}', '{"v":1}', "\x00", '{"v":1,"run":"depol-abcd","number":NaN}'],
)
def test_damaged_claims_are_named(text, lab, run, git):
    git("update-ref", "refs/autoqec/claims/depol-abcd/1", git("hash-object", "-w", "--stdin", stdin=text).strip())
    with pytest.raises(AutoQECError, match="refs/autoqec/claims/depol-abcd/1"):
        history.read_claim(lab, run.name, 1)


@pytest.mark.parametrize("change", [{"number": 2}, {"number": "1"}, {"pid": "x"}, {"details": []}, {"new": 1}])
def test_claims_that_do_not_fit_are_refused(change, lab, run, git):
    history.claim_round(lab, run.name)
    record = json.loads(git("cat-file", "blob", "refs/autoqec/claims/depol-abcd/1"))
    text = json.dumps({**record, **change})
    git("update-ref", "refs/autoqec/claims/depol-abcd/1", git("hash-object", "-w", "--stdin", stdin=text).strip())
    with pytest.raises(AutoQECError, match="refs/autoqec/claims/depol-abcd/1"):
        history.list_claims(lab)


@pytest.mark.parametrize(
    ("closed", "seconds"),
    [("2026-01-01T00:01:30.500000Z", 90.5), (None, None), ("2025-12-31T00:00:00Z", None), ("soon", None), (7, None)],
)
def test_a_claim_says_how_long_the_round_took_if_its_times_can_be(closed, seconds):
    claim = history.Claim("r", 1, "0" * 32, "closed", "h", 1, "b", "2026-01-01T00:00:00Z", closed=closed)
    assert claim.seconds == seconds
