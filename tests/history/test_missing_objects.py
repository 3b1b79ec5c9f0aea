"""Objects that are not there, and variables that say where git looks: each is said in words, with what helps."""

import shutil
import subprocess

import pytest

from autoqec import history
from autoqec.cli.main import run as autoqec
from autoqec.errors import NotFoundError, UsageError
from autoqec.testing import make_tiny_lab, record_round, record_run


@pytest.fixture
def lab(tmp_path):
    """A tiny lab with one round."""
    made = make_tiny_lab(tmp_path / "lab")
    record_round(
        made,
        record_run(made, "r-abcd"),
        {"output.yaml": b"mode: soft_priors\n"},
        metrics={},
        verdict={"verdict": "VERIFIED"},
    )
    return made


@pytest.fixture
def treeless(lab, tmp_path):
    """A treeless partial clone of a lab with a round: of commits other than HEAD it has no contents."""
    subprocess.run(["git", "-C", lab.workdir, "config", "uploadpack.allowFilter", "true"], check=True)
    clone = tmp_path / "treeless"
    subprocess.run(["git", "clone", "-q", "--filter=tree:0", f"file://{lab.workdir}", clone], check=True)
    return clone


READING = ("fsck", "log", "log --json", "show r-abcd/1", "pareto", "diagnose", "verify r-abcd/1 --audit")


def _printed(capsys, *args):
    code = autoqec(list(args))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_pull_brings_into_a_partial_clone_what_rounds_need(treeless, monkeypatch, capsys):
    monkeypatch.chdir(treeless)
    assert _printed(capsys, "pull")[0] == 0
    listed = ["git", "rev-list", "--objects", "--missing=print", "--glob=refs/heads/exp/*", "--glob=refs/autoqec/*"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    assert names
    assert [name for name in names if name.startswith("?")] == []
    for args in READING:
        assert "internal error" not in _printed(capsys, *args.split())[2], args


@pytest.mark.parametrize("args", READING)
def test_what_is_missing_is_named_and_the_hint_helps(treeless, monkeypatch, capsys, args):
    monkeypatch.chdir(treeless)
    # As an earlier version's pull left it: refs without what they lead to.
    specs = ("refs/autoqec/*:refs/autoqec/*", "refs/notes/*:refs/notes/*", "refs/heads/exp/*:refs/heads/exp/*")
    subprocess.run(["git", "fetch", "-q", "origin", *specs], check=True)
    code, out, err = _printed(capsys, *args.split())
    said = out + err
    assert "internal error" not in said
    if "missing" in said and code:
        assert "autoqec pull origin" in said
    assert _printed(capsys, "pull", "origin")[0] == 0
    assert "missing from this repository" not in "".join(map(str, _printed(capsys, *args.split())))


def test_a_repository_that_another_borrows_from_is_gone(lab, tmp_path, monkeypatch, capsys):
    borrowed = tmp_path / "borrowed"
    subprocess.run(["git", "clone", "-q", "--shared", lab.workdir, borrowed], check=True)
    shutil.move(lab.workdir, tmp_path / "moved")
    monkeypatch.chdir(borrowed)
    for args in READING:
        code, _, err = _printed(capsys, *args.split())
        assert "internal error" not in err, args
        assert code == 0 or "bring back" in err or "no run" in err or "no round" in err, (args, err)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_DIR", "elsewhere/.git"),
        ("GIT_WORK_TREE", "elsewhere"),
        ("GIT_OBJECT_DIRECTORY", "elsewhere"),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "elsewhere"),
        ("GIT_NAMESPACE", "mine"),
    ],
)
def test_a_variable_that_leads_elsewhere_is_refused(lab, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name) as caught:
        history.open_ledger(lab.workdir)
    assert f"unset {name}" in caught.value.hint


def test_variables_of_a_hook_of_this_repository_are_no_reason_to_stop(lab, monkeypatch):
    monkeypatch.chdir(lab.workdir)
    for name, value in (("GIT_DIR", ".git"), ("GIT_WORK_TREE", "."), ("GIT_INDEX_FILE", ".git/index")):
        monkeypatch.setenv(name, value)
    assert history.open_ledger(".").workdir == lab.workdir


def test_no_repository_is_looked_for_above_a_ceiling(lab, monkeypatch):
    (lab.workdir / "deep").mkdir()
    assert history.open_ledger(lab.workdir / "deep").workdir == lab.workdir
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(lab.workdir))
    with pytest.raises(NotFoundError, match="not in a git repository"):
        history.open_ledger(lab.workdir / "deep")
