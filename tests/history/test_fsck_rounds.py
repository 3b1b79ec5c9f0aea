"""Rounds broken with plain git plumbing are each seen as exactly that; rounds that were interrupted are explained."""

from __future__ import annotations

import dataclasses
import json

import pytest

from autoqec import history
from autoqec.testing.whole_notes import notes_of_round

BRANCH = "refs/heads/exp/depol-abcd/"
CLAIM = "refs/autoqec/claims/depol-abcd/"


def findings(lab):
    return history.check(history.open_ledger(lab.workdir))


def codes(lab):
    return [finding.code for finding in findings(lab)]


@pytest.fixture
def claim_blob(git):
    """Write a claim's blob by hand, changed."""

    def put(claim, **changes):
        data = json.dumps({"v": 1, **dataclasses.asdict(claim), **changes})
        git("update-ref", f"{CLAIM}{claim.number}", git("hash-object", "-w", "--stdin", stdin=data).strip())

    return put


@pytest.fixture
def die(lab, run, python):
    """A claim whose process is gone."""

    def make():
        script = "import sys; from autoqec import history as h; h.claim_round(h.open_ledger(sys.argv[1]), sys.argv[2])"
        process = python(script, str(lab.workdir), run.name)
        assert process.wait() == 0, process.stderr.read()
        return history.list_claims(lab, run.name)[-1]

    return make


@pytest.fixture
def recommit(git):
    """Put a commit like a round's, with another message, tree or parents, on its branch and in its claim."""

    def make(number, *, message=None, tree=None, parents=None):
        old = f"{BRANCH}{number}"
        parents = git("rev-parse", f"{old}^@").split() if parents is None else parents
        options = [word for parent in parents for word in ("-p", parent)]
        text = git("log", "-1", "--format=%B", old) if message is None else message
        oid = git("commit-tree", *options, tree or f"{old}^{{tree}}", stdin=text.rstrip("\n") + "\n").strip()
        git("update-ref", old, oid)
        git("update-ref", "-d", f"{CLAIM}{number}")
        return oid

    return make


@pytest.fixture
def retree(git):
    """The tree of a round with files added by hand."""

    def make(number, mode="100644", **paths):
        git("read-tree", f"{BRANCH}{number}")
        for path, content in paths.items():
            blob = git("hash-object", "-w", "--stdin", stdin=content).strip()
            git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
        tree = git("write-tree").strip()
        git("read-tree", "HEAD")
        return tree

    return make


def without_claims(found):
    """What is found besides that `recommit` took the claim away, and left the notes on the commit that the round had."""
    return [finding for finding in found if finding.code not in ("claim-missing", "verdict-astray")]


def test_each_step_of_an_interrupted_round_is_named(lab, run, commit, die):
    claim = die()

    def step():
        (finding,) = findings(lab)
        assert (finding.code, finding.severity, finding.ref) == ("interrupted", "info", f"{CLAIM}1")
        assert "autoqec resume" in finding.hint
        return finding.problem.split("interrupted after ")[1].split(";")[0], finding.repairable

    assert step() == ("claim", True)
    history.attach(lab, "traces", run.name, 1, {"ideator.json": b"{}"})
    assert step() == ("ideate", False)
    oid = commit(1, {"output.yaml": b"mode: soft_priors\n"}, attempt=claim.attempt)
    assert step() == ("code", False)
    history.attach(lab, "artifacts", run.name, 1, {"weights.safetensors": b"w"})
    assert step() == ("train", False)
    notes = notes_of_round(claim.attempt, oid, run.env_id)
    for kind, name in (("metrics", "score"), ("analysis", "analyse")):
        history.append_note(lab, run.name, kind, oid, notes[kind])
        assert step() == (name, False)
    history.append_note(lab, run.name, "verdict", oid, {"id": "b", "event": "begun", "attempt": 1})
    assert step() == ("analyse", False)
    history.append_note(lab, run.name, "verdict", oid, notes["verdict"])
    assert step() == ("verify", False)
    history.close_claim(lab, history.take_over_claim(lab, claim), status="ok", commit=oid)
    assert findings(lab) == []


def test_a_failure_that_was_not_closed_yet(lab, run, die):
    die()
    history.attach(lab, "attempts", run.name, 1, {"report.json": b"{}"})
    (finding,) = findings(lab)
    assert "after end" in finding.problem
    assert not finding.repairable


def test_repair_closes_what_died_before_it_left_anything_and_touches_nothing_else(lab, play, die):
    die()
    play()
    before = history.list_refs(lab, "refs/")
    (done,) = history.repair(lab, findings(lab))
    assert (done.code, done.ref) == ("interrupted", f"{CLAIM}1")
    after = history.list_refs(lab, "refs/")
    assert {ref for ref in before | after if before.get(ref) != after.get(ref)} == {f"{CLAIM}1"}
    assert history.read_claim(lab, "depol-abcd", 1).status == "abandoned"
    assert findings(lab) == []


@pytest.mark.parametrize("changes", [{"boot_id": "another"}, {"host": "another"}])
def test_repair_closes_nothing_whose_process_may_live(changes, lab, die, claim_blob):
    claim_blob(die(), **changes)
    assert all(not finding.repairable for finding in findings(lab))
    stale = history.Finding("interrupted", "info", f"{CLAIM}1", "", "", repairable=True)
    assert history.repair(lab, [stale]) == []
    assert history.read_claim(lab, "depol-abcd", 1).state == "open"


def test_a_round_at_work_is_no_finding(lab, run):
    history.claim_round(lab, run.name)
    assert findings(lab) == []


def test_a_failed_attempt_is_no_finding(lab, run):
    claim = history.claim_round(lab, run.name)
    history.attach(lab, "attempts", run.name, 1, {"report.json": b"{}"})
    history.close_claim(lab, claim, status="agent_error")
    assert findings(lab) == []


def test_a_closed_claim_whose_commit_is_not_here(lab, play, git, claim_blob):
    claim, _ = play()
    git("update-ref", "-d", f"{BRANCH}1")
    claim_blob(claim, commit="a" * 40)
    assert set(codes(lab)) == {"commit-missing", "ref-missing", "verdict-astray"}


def test_a_closed_claim_whose_ref_is_gone_and_the_mend_mends_it(lab, play, git):
    play()
    git("update-ref", "-d", f"{BRANCH}1")
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("ref-missing", "error")
    git(*finding.hint.split()[1:])
    assert findings(lab) == []


def test_a_closed_claim_that_left_nothing(lab, run):
    history.close_claim(lab, history.claim_round(lab, run.name), status="train_error")
    assert codes(lab) == ["result-missing"]


def test_a_round_with_two_outcomes(lab, run, play):
    play()
    history.attach(lab, "attempts", run.name, 1, {"report.json": b"{}"})
    assert codes(lab) == ["two-outcomes"]


def test_a_branch_that_somebody_committed_on(lab, play, git):
    _, oid = play()
    git("update-ref", f"{BRANCH}1", git("commit-tree", "-p", oid, "-m", "mine", f"{oid}^{{tree}}").strip())
    (finding,) = findings(lab)
    assert (finding.code, finding.severity, finding.ref) == ("moved", "warning", f"{BRANCH}1")


def test_an_archive_that_holds_another_commit(lab, play, run, git):
    play()
    git("update-ref", f"refs/autoqec/rounds/{run.name}/1", run.base)
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("moved", "error")


def test_archiving_that_was_interrupted(lab, play, run, git):
    _, oid = play()
    git("update-ref", f"refs/autoqec/rounds/{run.name}/1", oid)
    assert codes(lab) == ["half-archived"]


def test_a_claim_that_is_damaged_or_gone(lab, play, git):
    play()
    git("update-ref", f"{CLAIM}1", git("hash-object", "-w", "--stdin", stdin="{").strip())
    assert codes(lab) == ["claim-damaged"]
    git("update-ref", "-d", f"{CLAIM}1")
    assert [(finding.code, finding.severity) for finding in findings(lab)] == [("claim-missing", "warning")]


def test_a_claim_that_does_not_say_what_its_round_sees(lab, play, die, claim_blob):
    claim, _ = play()
    claim_blob(claim, details={"seen": {"closed": "a\x1b", "open": "", "ideas": ""}})
    (finding,) = findings(lab)
    assert (finding.code, finding.severity, finding.ref) == ("seen-damaged", "warning", f"{CLAIM}1")
    assert finding.hint.startswith("nothing to do"), "a closed round cannot be abandoned"
    claim_blob(die(), details={"seen": 7})
    assert [each.hint for each in findings(lab) if each.code == "seen-damaged"][1:] == [
        "autoqec resume --abandon depol-abcd/2"
    ]


def test_a_run_that_is_gone(lab, play, git):
    play()
    git("update-ref", "-d", "refs/autoqec/runs/depol-abcd")
    (finding,) = findings(lab)
    assert (finding.code, finding.ref) == ("run-missing", "refs/autoqec/runs/depol-abcd")


def test_a_message_that_is_no_rounds(lab, play, recommit):
    play()
    recommit(1, message="mine\n")
    assert [finding.code for finding in without_claims(findings(lab))] == ["trailers"]


def test_a_message_that_is_no_text(lab, play, git):
    play()
    tree, parent = git("rev-parse", f"{BRANCH}1^{{tree}}", f"{BRANCH}1^").split()
    raw = f"tree {tree}\nparent {parent}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n".encode() + b"\xff\n"
    (lab.git_dir / "raw").write_bytes(raw)
    git("update-ref", f"{BRANCH}1", git("hash-object", "-t", "commit", "-w", str(lab.git_dir / "raw")).strip())
    git("update-ref", "-d", f"{CLAIM}1")
    assert [finding.code for finding in without_claims(findings(lab))] == ["trailers"]


def test_a_branch_that_is_a_copy_of_another(lab, play, git):
    _, oid = play()
    git("update-ref", f"{BRANCH}7", oid)
    assert sorted(finding.code for finding in without_claims(findings(lab))) == ["duplicate-attempt", "name"]


def test_two_claims_of_one_attempt(lab, play, die, claim_blob):
    claim, _ = play()
    claim_blob(die(), attempt=claim.attempt, state="closed", status="abandoned")
    assert codes(lab) == ["duplicate-attempt"]


def test_a_claim_of_another_attempt_than_the_commits(lab, play, claim_blob):
    claim, _ = play()
    claim_blob(claim, attempt="f" * 32)
    assert codes(lab) == ["attempt"]


def test_a_commit_of_another_environment_than_its_run(lab, play, recommit, git):
    play()
    recommit(1, message=git("log", "-1", "--format=%B", f"{BRANCH}1").replace("sha256:e", "sha256:d"))
    assert [finding.code for finding in without_claims(findings(lab))] == ["environments"]


@pytest.mark.parametrize("path", ["README", "src/new.py", ".github/workflows/x.yaml", ".autoqec/config.toml"])
def test_a_change_outside_the_candidate(path, lab, play, recommit, retree):
    play()
    recommit(1, tree=retree(1, **{path: "changed\n"}))
    (finding,) = without_claims(findings(lab))
    assert finding.code == "outside-candidate"
    assert path.split("/")[0] in finding.problem


@pytest.mark.parametrize(
    ("path", "mode", "content"),
    [
        (".autoqec/candidate/output.yaml", "100644", "mode: a\nmode: b\n"),
        (".autoqec/candidate/output.yaml", "100644", "mode: &x a\n"),
        (".autoqec/candidate/.gitattributes", "100644", "* x\n"),
        (".autoqec/candidate/Upper.py", "100644", ""),
        (".autoqec/candidate/link.py", "120000", "/etc/passwd"),
        (".autoqec/candidate/conftest.py", "100644", "print(1)\n"),
        (".autoqec/candidate/stages/bp/conftest.py", "100644", "print(1)\n"),
        (".autoqec/candidate/stages/bp/sub/stage.yaml", "100644", "kind: mlp\n"),
        (".autoqec/candidate/pyproject.toml", "100644", "a = 1\n"),
        (".autoqec/candidate/run.sh", "100755", ""),
    ],
)
def test_a_candidate_that_must_not_be_read(path, mode, content, lab, play, recommit, retree):
    play()
    recommit(1, tree=retree(1, mode=mode, **{path: content}))
    (finding,) = without_claims(findings(lab))
    assert (finding.code, finding.severity) == ("bad-candidate", "error")


def test_a_candidate_that_is_a_link(lab, commit, recommit, retree):
    commit(1, {})
    recommit(1, tree=retree(1, mode="120000", **{".autoqec/candidate": "/etc"}))
    assert [finding.code for finding in without_claims(findings(lab))] == ["bad-candidate"]


def test_parents_that_the_trailers_do_not_name(lab, run, commit, recommit, git):
    one, two = commit(1, {}), commit(2, {"output.yaml": b"mode: hard_flip\n"})
    commit(3, {}, parents=(one,))
    assert without_claims(findings(lab)) == []
    recommit(3, parents=[two])
    assert [(finding.code, finding.ref) for finding in without_claims(findings(lab))] == [("parents", f"{BRANCH}3")]
    recommit(3, parents=[run.base])
    assert [finding.code for finding in without_claims(findings(lab))] == ["parents"]


def test_a_composition_that_says_it_is_none(lab, commit):
    one, two = commit(1, {}), commit(2, {"output.yaml": b"mode: hard_flip\n"})
    commit(3, {}, parents=(one, two), compose="pure")
    assert without_claims(findings(lab)) == []
    commit(4, {}, parents=(one, two), compose="none")
    assert [(finding.code, finding.ref) for finding in without_claims(findings(lab))] == [("parents", f"{BRANCH}4")]


def test_a_composition_across_environments(lab, base, run, commit):
    other = history.start_run(lab, "other-abcd", base=base, env_name="d5", env_id="d" * 64, env_files={}, settings={})
    theirs = {"run": other.name, "env": "d5@sha256:" + "d" * 64, "attempt": "b" * 32}
    one, two = commit(1, {}), commit(1, {"training.yaml": b"a: 1\n"}, **theirs)
    assert without_claims(findings(lab)) == []
    commit(2, {}, parents=(one, two), compose="pure")
    (found,) = without_claims(findings(lab))
    assert found.code == "environments"
    assert "other-abcd/1" in found.problem


def test_trailers_that_git_does_not_show(lab, play, git):
    play()
    play()
    git("config", "trailer.separators", "=")
    found = findings(lab)
    assert [(finding.code, finding.severity, finding.ref) for finding in found] == [
        ("git-trailers", "warning", f"{BRANCH}{number}") for number in (1, 2)
    ]
    assert "trailer.separators =" in git(*found[0].hint.split(",")[0].replace("'", "").split()[1:])
    git("config", "--unset", "trailer.separators")
    assert findings(lab) == []


def test_a_commit_that_git_shows_another_in_place_of(lab, play, git):
    _, oid = play()
    message = git("log", "-1", "--format=%B", oid).replace("AutoQEC-Round: 1", "AutoQEC-Round: 9")
    git("replace", oid, git("commit-tree", "-p", f"{oid}^", f"{oid}^{{tree}}", stdin=message).strip())
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("git-trailers", "warning")
    git(*finding.hint.split()[1:])
    assert findings(lab) == []


def test_without_git_its_opinion_is_not_asked(lab, play, monkeypatch, tmp_path):
    play()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert findings(lab) == []
