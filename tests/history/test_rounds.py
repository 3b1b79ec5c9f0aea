"""Rounds: one commit on one branch, the candidate and nothing else, and the user's own work untouched."""

from __future__ import annotations

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError, UsageError

FILES = {"output.yaml": b"mode: soft_priors\n", "stages/gnn/stage.yaml": b"kind: gnn\n"}


@pytest.mark.parametrize("name", ["exp/depol-abcd/7", "depol-abcd/7", "refs/heads/exp/depol-abcd/7"])
def test_names_of_rounds(name):
    assert history.parse_round_name(name) == ("depol-abcd", 7)
    assert history.branch_name("depol-abcd", 7) == "exp/depol-abcd/7"


@pytest.mark.parametrize(
    "name", ["", "7", "exp/7", "a/b/7", "depol-abcd/07", "depol-abcd/0", "depol-abcd/7\n", "A/1", "-/1"]
)
def test_other_names_are_refused(name):
    with pytest.raises(UsageError, match="does not name a round"):
        history.parse_round_name(name)


def test_a_round_is_the_candidate_on_the_base_and_nothing_else(lab, run, commit, git):
    oid = commit(1, FILES)
    assert history.find_round(lab, run.name, 1) == oid
    assert git("rev-parse", "exp/depol-abcd/1").strip() == oid
    assert history.read_candidate(lab, oid) == FILES
    changed = git("diff", "--name-only", run.base, oid).split()
    assert changed == [f"{history.CANDIDATE_DIR}/{path}" for path in sorted(FILES)]
    assert git("rev-parse", f"{oid}^@").split() == [run.base]
    assert git("log", "-1", "--format=%(trailers:key=AutoQEC-Round,valueonly)", oid).strip() == "1"
    git("fsck", "--strict")


def test_the_tree_does_not_depend_on_the_parents(lab, run, commit, git):
    one, two = commit(1, FILES), commit(2, {"output.yaml": b"mode: hard_flip\n"})
    three = commit(3, FILES, parents=(two, one), compose="with_edit")
    assert git("rev-parse", f"{three}^@").split() == [two, one]
    assert git("rev-parse", f"{three}^{{tree}}") == git("rev-parse", f"{one}^{{tree}}")


def test_what_a_person_changed_on_a_parent_does_not_come_along(lab, run, commit, git):
    one = commit(1, FILES)
    blob = git("hash-object", "-w", "--stdin", stdin="changed\n").strip()
    listing = git("ls-tree", one).replace(git("rev-parse", f"{one}:README").strip(), blob)
    edited = git("commit-tree", "-p", one, "-m", "edits README", git("mktree", stdin=listing).strip()).strip()
    two = commit(2, FILES, parents=(edited,))
    assert git("rev-parse", f"{two}^{{tree}}") == git("rev-parse", f"{one}^{{tree}}")


def test_committing_again_changes_nothing(lab, commit, git):
    oid = commit(1, FILES)
    assert commit(1, FILES) == oid
    assert commit(1, {}) == oid  # the attempt is the identity
    with pytest.raises(AutoQECError, match="holds another attempt"):
        commit(1, FILES, attempt="f" * 32)
    git("update-ref", "refs/autoqec/rounds/depol-abcd/1", oid)
    git("update-ref", "-d", "refs/heads/exp/depol-abcd/1")
    assert commit(1, FILES) == oid
    assert "exp/" not in git("for-each-ref")


def test_a_branch_of_the_users_is_not_taken(lab, commit, git):
    git("branch", "exp/depol-abcd/1")
    with pytest.raises(AutoQECError, match="holds another attempt"):
        commit(1, FILES)


def test_trailers_and_parents_must_agree(lab, run, commit, identify):
    one, two = commit(1, FILES), commit(2, {})
    for fork_from, parents in (((one,), (two,)), ((one,), ()), ((), (one,)), ((one, two), (one,))):
        with pytest.raises(UsageError, match="parents"):
            history.commit_round(
                lab, identify(3, fork_from=fork_from), base=run.base, parents=parents, files={}, subject="", body=""
            )
    with pytest.raises(NotFoundError):
        commit(3, FILES, parents=("f" * 40,))


def test_the_users_work_is_untouched_to_the_byte(lab, run, git, repository, look, play):
    git("checkout", "-q", "-b", "topic")
    (repository / "src" / "thesis.tex").write_text("being edited\n")
    (repository / "README").write_text("staged\n")
    git("add", "README")
    (repository / "README").write_text("staged, then edited\n")
    (repository / "untracked").write_text("x\n")
    candidate = repository / history.CANDIDATE_DIR
    candidate.mkdir()
    (candidate / "output.yaml").write_text("the user's own\n")
    status = git("status", "--porcelain")  # which refreshes the index, so it comes first
    before = look(repository)
    for _ in range(2):
        play({"output.yaml": b"a: 1\n"})
    merge = history.merge_candidates(lab, run.base, [history.find_round(lab, run.name, n) for n in (1, 2)])
    assert merge.conflicts == ()
    history.read_history(lab)
    assert look(repository) == before
    assert git("status", "--porcelain") == status
    assert git("rev-parse", "--abbrev-ref", "HEAD") == "topic\n"


def test_rounds_from_a_linked_worktree_and_a_detached_head(lab, run, git, tmp_path, identify):
    git("worktree", "add", "-q", "--detach", str(tmp_path / "side"))
    side = history.open_ledger(tmp_path / "side")
    claim = history.claim_round(side, run.name)
    identity = identify(claim.number, attempt=claim.attempt)
    oid = history.commit_round(side, identity, base=run.base, parents=[], files=FILES, subject="", body="")
    assert history.find_round(lab, run.name, 1) == oid
    assert history.read_claim(lab, run.name, 1) == claim
    assert not (tmp_path / "side" / ".autoqec" / "candidate").exists()
    assert not (lab.git_dir / "worktrees" / "side" / "autoqec").exists()


def test_rounds_on_a_detached_head(lab, play, git, repository, look):
    git("checkout", "-q", "--detach")
    before = look(repository)
    play()
    assert look(repository) == before
    assert [finding.code for finding in history.check(lab)] == []


def test_a_submodule_of_the_users_stays_what_it_is(repository, git, tmp_path, identify):
    git("clone", "-q", str(repository), str(tmp_path / "other"))
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "other"), "sub")
    git("commit", "-q", "-m", "a submodule")
    (repository / "sub" / "README").write_text("being edited\n")
    lab, status = history.open_ledger(repository), git("status", "--porcelain")
    base = history.resolve_commit(lab, "HEAD")
    env = {"env_name": "surface_d3", "env_id": "e" * 64, "env_files": {}, "settings": {}}
    history.start_run(lab, "sub-abcd", base=base, **env)
    claim = history.claim_round(lab, "sub-abcd")
    identity = identify(1, run="sub-abcd", attempt=claim.attempt)
    oid = history.commit_round(lab, identity, base=base, parents=[], files=FILES, subject="", body="")
    history.close_claim(lab, claim, status="ok", commit=oid)
    assert git("ls-tree", oid, "sub") == git("ls-tree", "HEAD", "sub")
    assert "160000 commit" in git("ls-tree", oid, "sub")
    assert git("status", "--porcelain") == status
    assert history.check(lab) == []


def test_a_round_writes_as_much_in_a_large_repository_as_in_a_small_one(repository, git, identify):
    def written(run):
        lab = history.open_ledger(repository)
        base = history.resolve_commit(lab, "HEAD")
        history.start_run(lab, run, base=base, env_name="e", env_id="e" * 64, env_files={}, settings={})
        before = set((lab.git_dir / "objects").rglob("*"))
        identity = identify(1, run=run, hypothesis=run)
        history.commit_round(
            lab, identity, base=base, parents=[], files={"a.yaml": f"a: {run}\n".encode()}, subject="", body=""
        )
        return len({path for path in (lab.git_dir / "objects").rglob("*") if path.is_file()} - before)

    small = written("small-abcd")
    for number in range(5000):
        path = repository / "data" / f"{number % 50}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    git("add", "-A")
    git("commit", "-q", "-m", "five thousand files")
    assert written("large-abcd") == small


def test_the_claim_says_which_commit_is_the_round(lab, run, play, git):
    _, oid = play()
    tip = git("commit-tree", "-p", oid, "-m", "a person's commit on top", f"{oid}^{{tree}}").strip()
    git("update-ref", "refs/heads/exp/depol-abcd/1", tip)
    assert history.find_round(lab, run.name, 1) == oid


def test_archived_rounds_are_found(lab, run, commit, git):
    oid = commit(1, FILES)
    git("update-ref", "refs/autoqec/rounds/depol-abcd/1", oid)
    git("branch", "-D", "exp/depol-abcd/1")
    assert history.find_round(lab, run.name, 1) == oid


def test_what_is_not_there_is_said(lab, run, commit, git):
    with pytest.raises(NotFoundError, match="the runs are depol-abcd|there are no rounds yet"):
        history.find_round(lab, run.name, 1)
    commit(1, FILES)
    commit(3, FILES)
    with pytest.raises(NotFoundError, match="has rounds 1 to 3"):
        history.find_round(lab, run.name, 9)
    with pytest.raises(NotFoundError, match="the runs are depol-abcd"):
        history.find_round(lab, "zzz", 9)
    claim = history.claim_round(lab, run.name)
    with pytest.raises(NotFoundError, match="depol-abcd/4 is open and has no commit"):
        history.find_round(lab, run.name, 4)
    history.close_claim(lab, claim, status="agent_error")
    with pytest.raises(NotFoundError, match="was closed as agent_error and has no commit"):
        history.find_round(lab, run.name, 4)
    git("update-ref", "refs/remotes/origin/exp/away-abcd/1", "HEAD")
    with pytest.raises(NotFoundError, match="autoqec pull"):
        history.find_round(lab, "away-abcd", 1)
