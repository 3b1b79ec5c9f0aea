"""Trees: a folder as a dict and back, and nothing but plain files under harmless names in either direction."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoqec import history
from autoqec.errors import AutoQECError, UsageError
from autoqec.history.store import objects

CANDIDATE = history.CANDIDATE_DIR

ATTACKS = [
    ".git/config",
    ".g\u200cit/config",
    ".GIT/config",
    "git~1/config",
    ".gitattributes",
    ".gitmodules",
    ".github/workflows/x.yml",
    "stages/.hidden",
    "../escape",
    "stages/../../escape",
    "./here",
    "/etc/passwd",
    "a//b",
    "a/",
    "/",
    "",
    "a\\b",
    "new\nline",
    "nul\0",
    "space bar",
    "Upper.yaml",
    "ünï.yaml",
    "-option",
    "a:b",
    "x" * 65,
    "/".join("a" * 11),
    "a\u202e",
]


@pytest.mark.parametrize("path", ATTACKS)
def test_hostile_paths_are_refused(path, lab, base, commit, git):
    before = git("count-objects", "-v"), git("for-each-ref")
    with pytest.raises(UsageError, match="not an allowed path"):
        history.graft(lab, base, CANDIDATE, {"output.yaml": b"", path: b"x"})
    assert (git("count-objects", "-v"), git("for-each-ref")) == before
    with pytest.raises(UsageError):
        commit(1, {path: b"x"})
    assert "exp/" not in git("for-each-ref")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a": b"", "a/b": b""}, "cannot be both a file and the folder"),
        ({"x.yaml": b"1", "y": b"2" * (4 * 2**20)}, "bytes"),
    ],
)
def test_impossible_folders_are_refused(files, problem, lab, base):
    with pytest.raises(UsageError, match=problem):
        history.graft(lab, base, CANDIDATE, files)


def test_names_that_differ_in_case_only_are_refused():
    with pytest.raises(UsageError, match="the same file on some file systems"):
        history.check_files({"My.stim": b"", "my.stim": b""}, any_case=True)
    with pytest.raises(UsageError, match="cannot be both a file and the folder"):
        history.check_files({"a": b"", "A/b": b""}, any_case=True)
    history.check_files({"My.stim": b""}, any_case=True)


segment = st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,6}", fullmatch=True)
paths = st.lists(segment, min_size=1, max_size=4).map("/".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(files=st.dictionaries(paths, st.binary(max_size=30), max_size=6))
def test_a_grafted_folder_reads_back_and_the_rest_stays(files, lab, base, git):
    try:
        history.check_files(files)
    except UsageError:
        return  # a file and a folder of one name
    tree = history.graft(lab, base, CANDIDATE, files)
    assert history.read_files(lab, tree, CANDIDATE) == files
    assert objects.list_files(lab, tree).keys() - {f"{CANDIDATE}/{path}" for path in files} == {
        "README",
        "src/thesis.tex",
        ".autoqec/config.toml",
    }
    again = history.graft(lab, tree, CANDIDATE, {"other": b"x"})
    assert history.read_files(lab, again, CANDIDATE) == {"other": b"x"}
    assert history.graft(lab, again, CANDIDATE, {}) == git("rev-parse", f"{base}^{{tree}}").strip()


def test_git_agrees_on_the_tree(lab, base, git):
    tree = history.graft(
        lab, base, CANDIDATE, {"stages/a/stage.yaml": b"1\n", "stages/a-b": b"2\n", "stages.x": b"3\n"}
    )
    git("fsck", "--strict")
    listed = git("ls-tree", "-r", tree, f"{CANDIDATE}/").splitlines()
    assert [line.split()[0] for line in listed] == ["100644"] * 3
    assert git("cat-file", "blob", f"{tree}:{CANDIDATE}/stages/a/stage.yaml") == "1\n"
    assert (
        git("mktree", stdin=git("ls-tree", f"{tree}:{CANDIDATE}")).strip()
        == git("rev-parse", f"{tree}:{CANDIDATE}").strip()
    )


def test_absent_folders_are_empty(lab, base):
    assert history.read_files(lab, base, CANDIDATE) == {}
    assert history.read_files(lab, base, "README") == {}
    assert history.graft(lab, base, CANDIDATE, {}) == history.graft(lab, base, "no/such/folder", {})


@pytest.fixture
def plant(repository, git):
    """Put something odd into the candidate's folder with git itself, as a hostile clone could hold it."""

    def make(prepare):
        folder = repository / CANDIDATE
        folder.mkdir(parents=True)
        (folder / "output.yaml").write_text("a: 1\n")
        prepare(folder)
        git("add", "-A", "-f")
        git("commit", "-q", "-m", "odd")
        return git("rev-parse", "HEAD").strip()

    return make


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "a symbolic link"),
        (lambda folder: ((folder / "run").write_text(""), (folder / "run").chmod(0o755)), "an executable"),
        (lambda folder: (folder / "Bad Name").write_text(""), "not an allowed path"),
        (lambda folder: (folder / "big").write_bytes(b"0" * (5 * 2**20)), "more than the 4,194,304 bytes"),
        (
            lambda folder: (
                os.makedirs(folder / "/".join("abcdefghijkl"))
                or (folder / "/".join("abcdefghijkl") / "x").write_text("")
            ),
            "deep",
        ),
    ],
)
def test_odd_things_are_refused_on_reading(prepare, problem, plant, lab):
    commit = plant(prepare)
    with pytest.raises(AutoQECError, match=problem):
        history.read_candidate(lab, commit)


def test_a_submodule_is_refused_on_reading(plant, lab, git, repository):
    commit = plant(lambda folder: None)
    git("update-index", "--add", "--cacheinfo", f"160000,{commit},{CANDIDATE}/sub")
    git("commit", "-q", "-m", "submodule")
    with pytest.raises(AutoQECError, match="a submodule"):
        history.read_candidate(lab, git("rev-parse", "HEAD").strip())


def test_a_missing_object_is_named(lab, base, commit, git):
    oid = commit(1, {"output.yaml": b"a: 1\n"})
    blob = git("rev-parse", f"{oid}:{CANDIDATE}/output.yaml").strip()
    (lab.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    ledger = history.open_ledger(lab.workdir)
    with pytest.raises(AutoQECError, match=r"output.yaml is missing"):
        history.read_candidate(ledger, oid)
    with pytest.raises(AutoQECError, match="missing"):
        history.read_candidate(ledger, "f" * 40)


def test_a_damaged_object_is_named(lab, base, commit, git):
    oid = commit(1, {"output.yaml": b"a: 1\n"})
    blob = git("rev-parse", f"{oid}:{CANDIDATE}/output.yaml").strip()
    path = lab.git_dir / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(b"not what zlib wrote")
    with pytest.raises(AutoQECError, match="output.yaml"):
        objects.get_blob(history.open_ledger(lab.workdir), blob, name="output.yaml")
