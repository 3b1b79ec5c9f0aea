"""Runs: a name that no clone mints twice, and all that is needed to go on when the working tree is gone."""

from __future__ import annotations

import json
import shutil

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError, UsageError


@pytest.mark.parametrize("stem", ["surface_d5_depol", "Üb er", "", "---", "x" * 99, "7"])
def test_new_names_are_valid_and_differ(stem):
    names = {history.new_run_name(stem) for _ in range(20)}
    assert len(names) == 20
    for name in names:
        assert history.check_run_name(name) == name
        assert name[-5] == "-"


def test_new_names_begin_like_their_stem():
    assert history.new_run_name("surface_d5_depol").startswith("surface-d5-depol-")


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "a/b", "a.lock", "x" * 41, "a\n", "a..b", "@", "exp"])
def test_other_names_are_refused(name, lab, base):
    with pytest.raises(UsageError):
        history.check_run_name(name)
    with pytest.raises(UsageError):
        history.start_run(lab, name, base=base, env_name="e", env_id="", env_files={}, settings={})


def test_a_run_reads_back(lab, run, base, git):
    assert history.load_run(lab, run.name) == run
    assert history.list_runs(lab) == [run]
    assert run.env_files["My.stim"] == b"M 0\n"
    assert git("show", f"refs/autoqec/runs/{run.name}:env/My.stim") == "M 0\n"
    assert git("rev-parse", f"refs/autoqec/runs/{run.name}^").strip() == base
    git("fsck", "--strict")


def test_a_run_outlives_the_working_tree_and_its_branch(lab, run, base, git, repository):
    git("checkout", "-q", "--orphan", "elsewhere")
    git("commit", "-q", "-m", "new start")
    git("branch", "-D", "main")
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    for path in repository.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    ledger = history.open_ledger(repository)
    assert history.load_run(ledger, run.name) == run
    assert history.resolve_commit(ledger, base) == base


def test_a_name_is_used_once(lab, run, base):
    with pytest.raises(UsageError, match="exists already"):
        history.start_run(lab, run.name, base=base, env_name="e", env_id="0" * 64, env_files={}, settings={})
    assert history.load_run(lab, run.name) == run


def test_runs_are_listed_by_age(lab, base):
    names = ["zeta-aaaa", "alpha-bbbb", "mid-cccc"]
    for name in names:
        history.start_run(lab, name, base=base, env_name="e", env_id="0" * 64, env_files={}, settings={})
    assert [run.name for run in history.list_runs(lab)] == names


def test_unknown_runs_name_their_neighbours(lab, run):
    with pytest.raises(NotFoundError, match="did you mean depol-abcd"):
        history.load_run(lab, "depol-abce")
    with pytest.raises(NotFoundError, match="did you mean depol-abcd"):
        history.load_run(lab, "depol")
    with pytest.raises(NotFoundError, match="the runs are depol-abcd"):
        history.load_run(lab, "zzz")
    with pytest.raises(NotFoundError):
        history.load_run(lab, "../../heads/main")


def test_without_any_run(lab):
    with pytest.raises(NotFoundError, match="this lab has no runs yet"):
        history.load_run(lab, "x")
    assert history.list_runs(lab) == []


def test_what_cannot_be_stored_is_refused(lab, base):
    fields = {"base": base, "env_name": "e", "env_id": "0" * 64}
    with pytest.raises(UsageError, match="not an allowed path"):
        history.start_run(lab, "a-abcd", env_files={"../x": b""}, settings={}, **fields)
    with pytest.raises(AutoQECError, match="JSON"):
        history.start_run(lab, "a-abcd", env_files={}, settings={"rate": float("nan")}, **fields)
    with pytest.raises(NotFoundError, match="not a commit"):
        history.start_run(lab, "a-abcd", env_files={}, settings={}, **{**fields, "base": "f" * 40})
    assert history.list_runs(lab) == []


def test_a_damaged_record_is_named(lab, run, git):
    blob = git("hash-object", "-w", "--stdin", stdin="{}").strip()
    tree = git("mktree", stdin=f"100644 blob {blob}\trun.json\n").strip()
    git("update-ref", "refs/autoqec/runs/bad-abcd", git("commit-tree", "-m", "x", tree).strip())
    with pytest.raises(AutoQECError, match=r"run.json of refs/autoqec/runs/bad-abcd"):
        history.load_run(lab, "bad-abcd")


@pytest.mark.parametrize("field", ["name", "base", "env", "settings", "created", "env.name", "env.id"])
@pytest.mark.parametrize("value", [5, [], {"a": []}, None, [[1]]])
def test_a_record_of_other_types_is_damaged_and_nothing_fails(lab, run, play, git, field, value):
    play()
    record = json.loads(git("cat-file", "blob", f"refs/autoqec/runs/{run.name}:run.json"))
    outer, _, inner = field.partition(".")
    record[outer] = value if not inner else {**record[outer], inner: value}
    blob = git("hash-object", "-w", "--stdin", stdin=json.dumps(record)).strip()
    tree = git("mktree", stdin=f"100644 blob {blob}\trun.json\n").strip()
    git("update-ref", f"refs/autoqec/runs/{run.name}", git("commit-tree", tree, "-m", "x").strip())
    if (field, value) == ("settings", {"a": []}):
        assert history.load_run(lab, run.name).settings == value
        return
    with pytest.raises(AutoQECError, match="is damaged"):
        history.load_run(lab, run.name)
    assert history.check(lab)
    assert isinstance(history.read_history(lab), list)
