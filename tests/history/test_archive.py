"""Archived rounds leave the branches and nothing else; pruned weights leave their hash."""

from __future__ import annotations

import hashlib

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.sync import archived_branches as archived
from autoqec.history.sync import archiving as archive
from autoqec.testing.whole_notes import whole_metrics

ARCHIVE = "refs/autoqec/rounds/depol-abcd/"


def records(lab):
    return history.read_history(history.open_ledger(lab.workdir))


def test_an_archived_run_is_the_same_history_without_branches(lab, run, play, git, look):
    oids = [play()[1] for _ in range(3)]
    git("pack-refs", "--all")
    oids.append(play()[1])
    before, files = records(lab), look(lab.workdir)
    assert history.archive_run(lab, run.name) == history.Archived(run.name, (1, 2, 3, 4), {})
    assert records(lab) == before
    assert git("for-each-ref", "refs/heads", "--format=%(refname)").split() == ["refs/heads/main"]
    assert [git("rev-parse", f"{ARCHIVE}{number}").strip() for number in (1, 2, 3, 4)] == oids
    assert [history.find_round(lab, run.name, number) for number in (1, 2, 3, 4)] == oids
    assert look(lab.workdir) == files
    assert history.check(lab) == []
    assert history.archive_run(lab, run.name).rounds == ()
    git("gc", "-q", "--prune=now")
    assert records(lab) == before
    assert play()[0].number == 5


def test_a_run_at_work_is_not_archived(lab, run, play, git):
    play()
    claim = history.claim_round(lab, run.name)
    for act in (lambda: history.archive_run(lab, run.name), lambda: history.prune_weights(lab, run.name, set())):
        with pytest.raises(AutoQECError, match="depol-abcd/2 is not closed yet"):
            act()
    git("rev-parse", "refs/heads/exp/depol-abcd/1")
    history.close_claim(lab, claim, status="abandoned")
    assert history.archive_run(lab, run.name).rounds == (1,)


def test_no_such_run(lab):
    with pytest.raises(NotFoundError):
        history.archive_run(lab, "nobody")
    with pytest.raises(NotFoundError):
        history.prune_weights(lab, "nobody", set())


def test_branches_that_people_use_stay(lab, run, play, git, tmp_path):
    oids = [play()[1] for _ in range(4)]
    git("worktree", "add", "-q", str(tmp_path / "review"), "exp/depol-abcd/2")
    git("checkout", "-q", "exp/depol-abcd/3")
    git(
        "update-ref",
        "refs/heads/exp/depol-abcd/4",
        git("commit-tree", "-p", oids[3], "-m", "x", f"{run.base}^{{tree}}").strip(),
    )
    done = history.archive_run(lab, run.name)
    assert done.rounds == (1,)
    assert {branch: reason.split()[-1] for branch, reason in done.left.items()} == {
        "exp/depol-abcd/2": "worktree",
        "exp/depol-abcd/3": "worktree",
        "exp/depol-abcd/4": "commit",
    }
    heads = git("for-each-ref", "refs/heads/exp", "--format=%(refname:lstrip=2)").split()
    assert heads == ["exp/depol-abcd/2", "exp/depol-abcd/3", "exp/depol-abcd/4"]
    git("checkout", "-q", "main")
    git("worktree", "remove", str(tmp_path / "review"))
    assert history.archive_run(lab, run.name).rounds == (2, 3)


@pytest.mark.parametrize("death", [0, 2, 4, 6])  # while archive refs are made; while branches are deleted
def test_archiving_that_dies_is_finished_by_doing_it_again(death, lab, run, play, git, monkeypatch):
    for _ in range(4):
        play()
    before = records(lab)
    swap, calls = archive.compare_and_swap, []

    def dying(*args):
        calls.append(args)
        if len(calls) > death:
            raise KeyboardInterrupt
        return swap(*args)

    with monkeypatch.context() as patch:
        patch.setattr(archive, "compare_and_swap", dying)
        patch.setattr(archived, "compare_and_swap", dying)
        with pytest.raises(KeyboardInterrupt):
            history.archive_run(lab, run.name)
    assert records(lab) == before
    assert {finding.code for finding in history.check(lab)} <= {"half-archived"}
    assert history.archive_run(lab, run.name).left == {}
    assert records(lab) == before
    assert git("for-each-ref", ARCHIVE, "--format=%(refname)").count("\n") == 4
    assert git("for-each-ref", "refs/heads/exp") == ""
    assert history.check(lab) == []


def test_an_archive_that_holds_something_else_is_kept(lab, run, play, git):
    play()
    git("update-ref", f"{ARCHIVE}1", run.base)
    with pytest.raises(AutoQECError, match="hold different commits"):
        history.archive_run(lab, run.name)
    git("rev-parse", "refs/heads/exp/depol-abcd/1")


def test_pruned_weights_leave_their_hash(lab, run, commit, git):
    weights = {number: b"w%d" % number for number in (1, 2, 3)}
    for number, data in weights.items():
        claim = history.claim_round(lab, run.name)
        oid = commit(number, {}, attempt=claim.attempt)
        history.attach(lab, "artifacts", run.name, number, {"weights.safetensors": data})
        if number != 3:
            record = whole_metrics(id=claim.attempt, weights_sha256=hashlib.sha256(data).hexdigest())
            history.append_note(lab, run.name, "metrics", oid, record)
        history.close_claim(lab, claim, status="ok", commit=oid)
    assert history.prune_weights(lab, run.name, {2}) == [1]  # of the third no metrics remember the hash
    assert history.prune_weights(lab, run.name, {2}) == []
    assert [history.has_attachment(lab, "artifacts", run.name, number) for number in weights] == [False, True, True]
    assert records(lab)[0].metrics["weights_sha256"] == hashlib.sha256(b"w1").hexdigest()
    assert [(finding.code, finding.severity) for finding in history.check(lab)] == [("weights-absent", "info")]
