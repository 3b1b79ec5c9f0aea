"""Reading: everything the repository says of a round in one record, and a word on what is wrong instead of a crash."""

from __future__ import annotations

import shutil

import pytest

from autoqec import history
from autoqec.errors import NotFoundError, UsageError


def test_a_record_holds_it_all(lab, run, play):
    claim, oid = play({"output.yaml": b"a: 1\n"})
    (record,) = history.read_history(lab)
    assert (record.run, record.number, record.branch, record.commit) == (run.name, 1, "exp/depol-abcd/1", oid)
    assert record.parents == (run.base,)
    assert record.identity.attempt == claim.attempt
    assert (record.subject, record.body) == ("round 1", "why\nso")
    assert record.claim == claim
    assert record.status == "ok"
    assert (record.metrics["value"], record.analysis["value"], record.verdict["value"]) == (1, 1, 1)
    assert record.conflict is None
    assert record.problems == ()
    assert record.time == lab.repo[oid].commit_time
    assert history.find_record(lab, run.name, 1) == record


def test_rounds_come_by_the_age_of_their_run_and_then_by_number(lab, run, play, base, identify):
    for _ in range(11):
        play()
    history.start_run(lab, "aaaa-late", base=base, env_name="e", env_id="0" * 64, env_files={}, settings={})
    history.claim_round(lab, "aaaa-late")
    names = [(record.run, record.number) for record in history.read_history(lab)]
    assert names == [(run.name, number) for number in range(1, 12)] + [("aaaa-late", 1)]
    assert [record.run for record in history.read_history(lab, "aaaa-late")] == ["aaaa-late"]
    assert history.read_history(lab, run.name) == history.read_history(lab)[:11]


def test_the_record_that_counts_is_shown(lab, run, play):
    _, oid = play()
    old = history.read_notes(lab, run.name, "verdict")[oid][0]
    history.append_note(
        lab, run.name, "verdict", oid, old | {"id": "new", "supersedes": old["id"], "ts": "1999", "value": "better"}
    )
    assert history.find_record(lab, run.name, 1).verdict["value"] == "better"


@pytest.mark.parametrize("seconds", [2**63 - 1, 67768036191676799, 253402300800, -99999999999])
def test_a_commit_of_no_date_hides_no_round(lab, run, play, git, seconds):
    """A branch that anybody can push, with a commit that git can store and no calendar can name."""
    _, oid = play()
    header, _, message = git("cat-file", "commit", oid).partition("\n\n")
    who = [f"{line.rsplit(' ', 2)[0]} {seconds} +0000" if "> " in line else line for line in header.splitlines()]
    text = "\n".join(who) + "\n\n" + message
    odd = git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text).strip()
    git("update-ref", "refs/heads/exp/other-abcd/1", odd)
    assert {(record.run, record.number) for record in history.read_history(lab)} == {(run.name, 1), ("other-abcd", 1)}


END = """
import sys
from autoqec import history
history.claim_round(history.open_ledger(sys.argv[1]), sys.argv[2])
"""


def test_a_status_for_every_state(lab, run, play, python, git):
    play(status="killed_by_safety")
    history.claim_round(lab, run.name)
    python(END, str(lab.workdir), run.name).communicate()
    play()
    git("update-ref", "-d", "refs/autoqec/claims/depol-abcd/4")
    assert [r.status for r in history.read_history(lab)] == ["killed_by_safety", "open", "interrupted", "unknown"]
    assert [r.commit is None for r in history.read_history(lab)] == [False, True, True, False]


@pytest.mark.parametrize("path", ["conflict/report.json", "report.json"])
def test_a_failed_composition(path, lab, run):
    claim = history.claim_round(lab, run.name)
    history.attach(lab, "attempts", run.name, 1, {path: b'{"conflicts":[]}'})
    history.close_claim(lab, claim, status="compose_conflict")
    record = history.find_record(lab, run.name, 1)
    assert (record.status, record.commit, record.conflict) == ("compose_conflict", None, {"conflicts": []})
    assert record.time > 1e9


def test_archived_rounds_are_read(lab, run, play, git):
    before = [play() and history.find_record(lab, run.name, 1)]
    git("update-ref", "refs/autoqec/rounds/depol-abcd/1", before[0].commit)
    git("branch", "-D", "exp/depol-abcd/1")
    assert history.read_history(lab) == before
    git("update-ref", "-d", "refs/autoqec/claims/depol-abcd/1")
    assert history.find_record(lab, run.name, 1).commit == before[0].commit


def test_all_of_it_is_in_git(lab, run, play, git, repository):
    for _ in range(3):
        play()
    before = history.read_history(lab)
    for path in repository.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(lab.git_dir / "autoqec")
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    assert history.read_history(history.open_ledger(repository)) == before


def test_reading_writes_nothing(lab, run, play):
    play()
    shutil.rmtree(lab.git_dir / "autoqec")
    files = {path: path.stat().st_mtime_ns for path in lab.git_dir.rglob("*")}
    history.read_history(lab)
    history.list_claims(lab)
    history.find_round(lab, run.name, 1)
    assert {path: path.stat().st_mtime_ns for path in lab.git_dir.rglob("*")} == files


def only_problem(lab, number=1):
    (problem,) = history.find_record(lab, "depol-abcd", number).problems
    return problem


def test_a_branch_that_moved_is_reported_and_the_round_shown(lab, run, play, git):
    _, oid = play()
    tip = git("commit-tree", "-p", oid, "-m", "on top", f"{oid}^{{tree}}").strip()
    git("update-ref", "refs/heads/exp/depol-abcd/1", tip)
    assert "has moved" in only_problem(lab)
    assert history.find_record(lab, run.name, 1).commit == oid
    assert history.find_record(lab, run.name, 1).metrics is not None


def test_a_commit_that_is_no_rounds_is_reported(lab, run, play, git):
    play()
    git("branch", "exp/depol-abcd/2", "main")
    assert "not that of a round" in only_problem(lab, 2)
    assert history.find_record(lab, run.name, 2).identity is None
    assert history.find_record(lab, run.name, 1).problems == ()


def test_trailers_that_contradict_the_ref_are_reported(lab, run, play, commit, git):
    _, oid = play()
    git("update-ref", "refs/heads/exp/depol-abcd/5", oid)
    assert "trailers say that it is depol-abcd/1" in only_problem(lab, 5)
    history.claim_round(lab, run.name)
    commit(6, {}, attempt="a" * 32)
    assert "different attempts" in only_problem(lab, 6)


def test_a_damaged_claim_is_reported(lab, run, play, git):
    play()
    git("update-ref", "refs/autoqec/claims/depol-abcd/1", git("hash-object", "-w", "--stdin", stdin="{").strip())
    assert "refs/autoqec/claims/depol-abcd/1" in only_problem(lab)
    assert history.find_record(lab, run.name, 1).status == "unknown"


def test_a_damaged_note_is_reported_on_its_own_round(lab, run, play, git):
    (_, first), _ = play(), play()
    git("notes", "--ref=autoqec/depol-abcd/metrics", "append", "-m", "LGTM", first)
    assert "not a JSON record" in only_problem(lab, 1)
    assert history.find_record(lab, run.name, 1).metrics["value"] == 1
    assert history.find_record(lab, run.name, 2).problems == ()


def test_missing_notes_are_reported(lab, run, play, git):
    (_, first), _ = play(), play()
    ref = "refs/notes/autoqec/depol-abcd/metrics"
    blob = git("rev-parse", f"{ref}:{first[:2]}/{first[2:]}").strip()
    (lab.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    one, two = history.read_history(history.open_ledger(lab.workdir))
    assert (one.metrics, len(one.problems)) == (None, 1)
    assert (two.metrics["value"], two.problems) == (2, ())
    tip = git("rev-parse", ref).strip()
    (lab.git_dir / "objects" / tip[:2] / tip[2:]).unlink()
    for record in history.read_history(history.open_ledger(lab.workdir)):
        assert record.metrics is None
        assert any(tip in problem for problem in record.problems)


def test_a_missing_commit_is_reported(lab, run, play):
    _, oid = play()
    (lab.git_dir / "objects" / oid[:2] / oid[2:]).unlink()
    record = history.find_record(history.open_ledger(lab.workdir), run.name, 1)
    assert (record.commit, record.identity) == (oid, None)
    assert any("not a commit in this repository" in problem for problem in record.problems)


def test_a_clone_shows_what_it_has(lab, run, play, git, tmp_path):
    _, oid = play()
    git("clone", "-q", str(lab.workdir), str(tmp_path / "clone"))
    git("fetch", "-q", "origin", "refs/heads/exp/*:refs/heads/exp/*", cwd=tmp_path / "clone")
    (record,) = history.read_history(history.open_ledger(tmp_path / "clone"))
    assert (record.commit, record.status, record.claim, record.metrics) == (oid, "unknown", None, None)
    assert record.problems == ()


def test_what_is_not_there_is_said(lab, run, play):
    assert history.read_history(lab, run.name) == []
    with pytest.raises(NotFoundError, match="has no rounds yet"):
        history.find_record(lab, run.name, 1)
    play(), play()
    with pytest.raises(NotFoundError, match="it has rounds 1 to 2"):
        history.find_record(lab, run.name, 3)
    with pytest.raises(NotFoundError, match="did you mean depol-abcd"):
        history.read_history(lab, "depol-abcx")
    with pytest.raises(UsageError):
        history.find_record(lab, "No Such", 1)


def test_weights_alone_are_not_a_round(lab, run):
    history.attach(lab, "artifacts", run.name, 3, {"weights.safetensors": b""})
    assert history.read_history(lab) == []
