"""Opening: every repository that will do is opened, every one that will not is refused with its mend."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError


def test_opens_from_anywhere_in_a_working_tree(repository, git, tmp_path):
    (repository / "README").write_text("changed, not committed\n")
    git("worktree", "add", "-q", "-b", "side", str(tmp_path / "worktree"))
    git("checkout", "-q", "--detach")
    for place in (repository, repository / "src", tmp_path / "worktree", tmp_path / "worktree" / "src"):
        ledger = history.open_ledger(place)
        assert ledger.git_dir == (repository / ".git").resolve()
        assert history.resolve_commit(ledger, "main") == git("rev-parse", "main").strip()
    assert history.open_ledger(tmp_path / "worktree").workdir == tmp_path / "worktree"


def test_opens_a_submodule(repository, git, tmp_path):
    other = tmp_path / "other"
    git("clone", "-q", str(repository), str(other))
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "sub", cwd=other)
    ledger = history.open_ledger(other / "sub")
    assert ledger.git_dir == (other / ".git" / "modules" / "sub").resolve()


def _not_a_repository(repository, git, tmp_path):
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


def _absent(repository, git, tmp_path):
    return tmp_path / "absent"


def _sha256(repository, git, tmp_path):
    git("init", "-q", "--object-format=sha256", str(tmp_path / "new"), cwd=tmp_path)
    return tmp_path / "new"


def _reftable(repository, git, tmp_path):
    git("config", "core.repositoryFormatVersion", "1")
    git("config", "extensions.refStorage", "reftable")
    return repository


def _shallow(repository, git, tmp_path):
    git("commit", "-q", "--allow-empty", "-m", "second")
    git("clone", "-q", "--depth", "1", f"file://{repository}", str(tmp_path / "new"))
    return tmp_path / "new"


def _bare(repository, git, tmp_path):
    git("clone", "-q", "--bare", str(repository), str(tmp_path / "new"))
    return tmp_path / "new"


def _empty(repository, git, tmp_path):
    git("init", "-q", str(tmp_path / "new"), cwd=tmp_path)
    return tmp_path / "new"


def _foreign_extension(repository, git, tmp_path):
    git("config", "core.repositoryFormatVersion", "1")
    git("config", "extensions.fromTheFuture", "true")
    return repository


@pytest.mark.parametrize(
    ("make", "problem", "hint"),
    [
        (_not_a_repository, "not in a git repository", "autoqec init"),
        (_absent, "not in a git repository", "autoqec init"),
        (_sha256, "sha256", "autoqec init"),
        (_reftable, "reftable", "git refs migrate --ref-format=files"),
        (_shallow, "shallow", "git fetch --unshallow"),
        (_bare, "bare", "git clone"),
        (_empty, "no commits yet", "autoqec init"),
        (_foreign_extension, "cannot open", "git"),
    ],
)
def test_refuses_with_a_hint(make, problem, hint, repository, git, tmp_path):
    with pytest.raises(AutoQECError) as caught:
        history.open_ledger(make(repository, git, tmp_path))
    assert problem in caught.value.problem
    assert hint in caught.value.hint
    assert isinstance(caught.value, NotFoundError) == ("not in a git" in problem)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_refuses_what_belongs_to_another_user(repository):
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(AutoQECError, match="belongs to another user") as caught:
        history.open_ledger(repository)
    assert "safe.directory" in caught.value.hint
    assert str(repository) in caught.value.hint


WRITE = """
import os, sys
from autoqec import history
from autoqec.errors import AutoQECError
for name in history.__all__:
    getattr(history, name)  # names load on first use, and the user below may not be able to read Python's folders
import autoqec.config, autoqec.results.chain, autoqec.results.verdict_parts
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
ledger = history.open_ledger(sys.argv[1])
assert history.read_history(ledger) == []
try:
    history.require_writable(ledger)
except AutoQECError as error:
    print(error.problem, "|", error.hint)
"""


def test_an_unwritable_git_directory_can_be_read_but_not_written(repository, python, monkeypatch):
    with tempfile.TemporaryDirectory() as public:  # pytest's own folders are closed to other users
        monkeypatch.setenv("HOME", public)
        top = Path(public) / "lab"
        shutil.copytree(repository, top)
        os.chmod(public, 0o755)
        for folder, folders, files in os.walk(top):
            for path in (Path(folder, name) for name in [*folders, *files]):
                if os.geteuid() == 0:
                    os.chown(path, 65534, 65534)
        if os.geteuid() == 0:
            os.chown(top, 65534, 65534)
        (top / ".git" / "refs").chmod(0o555)
        process = python(WRITE, str(top))
        out, err = process.communicate()
        (top / ".git" / "refs").chmod(0o755)
    assert process.returncode == 0, err
    assert "refs is not writable" in out
    assert "chown" in out


def test_a_branch_named_exp_stops_writers_only(lab, run, git):
    git("branch", "exp")
    ledger = history.open_ledger(lab.workdir)
    assert history.read_history(ledger) == []
    for write in (
        lambda: history.require_writable(ledger),
        lambda: history.claim_round(ledger, run.name),
        lambda: history.start_run(
            ledger, "other-abcd", base=run.base, env_name="e", env_id="0" * 64, env_files={}, settings={}
        ),
    ):
        with pytest.raises(AutoQECError, match="branch named exp") as caught:
            write()
        assert caught.value.hint == "git branch -m exp <other>"
    git("branch", "-m", "exp", "other")
    history.claim_round(ledger, run.name)


def test_without_a_user_name_the_fallback_signs(repository, git, base, run, commit):
    git("config", "--unset", "user.name")
    git("config", "--unset", "user.email")
    ledger = history.open_ledger(repository)
    assert ledger.identity_is_fallback
    claim = history.claim_round(ledger, run.name)
    identity = history.RoundIdentity(run.name, 1, claim.attempt, "e@sha256:" + "0" * 64, (), "none", "search", "")
    history.commit_round(ledger, identity, base=base, parents=[], files={}, subject="s", body="")
    assert git("log", "-1", "--format=%an <%ae>", "exp/depol-abcd/1") == "autoqec <autoqec@localhost>\n"
    assert "autoqec <autoqec@localhost>" in git("reflog", "show", "--format=%gn <%ge>", "exp/depol-abcd/1")


def test_a_user_name_signs(lab, commit, git):
    assert not lab.identity_is_fallback
    commit(1, {})
    assert git("log", "-1", "--format=%an <%ae>", "exp/depol-abcd/1") == "Ada <ada@example.org>\n"


def test_resolve_commit(lab, base, git):
    git("tag", "-a", "-m", "a tag", "v1")
    assert history.resolve_commit(lab, "v1") == base
    for nothing in ("nowhere", "HEAD:README", "HEAD~5", "no such thing", ""):
        with pytest.raises(NotFoundError):
            history.resolve_commit(lab, nothing)


def test_initialise_makes_a_new_lab(tmp_path, git):
    files = {".autoqec/config.toml": b"a = 1\n", "README.md": b"lab\n"}
    ledger = history.initialise(tmp_path / "lab", files)
    assert git("symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert git("ls-tree", "-r", "--name-only", "HEAD").split() == sorted(files)
    assert git("status", "--porcelain") == ""
    assert git("config", "notes.displayRef") == "refs/notes/autoqec/*\n"
    head = git("rev-parse", "HEAD")
    config = (tmp_path / "lab/.git/config").read_bytes()
    attributes = (tmp_path / "lab/.git/info/attributes").read_bytes()
    again = history.initialise(tmp_path / "lab", files)
    assert git("rev-parse", "HEAD") == head
    assert (tmp_path / "lab/.git/config").read_bytes() == config
    assert (tmp_path / "lab/.git/info/attributes").read_bytes() == attributes == b"*.safetensors -delta\n"
    assert again.git_dir == ledger.git_dir


def test_initialise_leaves_a_users_repository_alone(repository, git, look):
    (repository / "README").write_text("being edited\n")
    (repository / "src" / "new.py").write_text("staged\n")
    git("add", "src/new.py")
    git("config", "--add", "notes.displayRef", "refs/notes/review")
    git("config", "core.logAllRefUpdates", "false")
    status = git("status", "--porcelain")  # which refreshes the index, so it comes first
    before = look(repository)
    history.initialise(
        repository / "src", {"README": b"theirs\n", ".autoqec/config.toml": b"theirs\n", "envs/e.yaml": b"e\n"}
    )
    after = look(repository)
    added = after.pop("envs/e.yaml")
    before.pop(".git/config"), after.pop(".git/config")
    assert after == before
    assert added[0] == b"e\n"
    assert git("status", "--porcelain", "--untracked-files=all") == status + "?? envs/e.yaml\n"
    assert git("config", "--get-all", "notes.displayRef").split() == ["refs/notes/review", "refs/notes/autoqec/*"]
    assert git("config", "core.logAllRefUpdates") == "true\n"


def test_initialise_commits_only_its_own_files_in_a_repository_without_commits(tmp_path, git):
    top = tmp_path / "lab"
    git("init", "-q", "-b", "trunk", str(top), cwd=tmp_path)
    (top / "mine.txt").write_text("mine\n")
    (top / "README.md").write_text("mine\n")
    git("add", "mine.txt")
    history.initialise(top, {"README.md": b"theirs\n", ".autoqec/config.toml": b"a = 1\n"})
    assert git("log", "--format=%s", "trunk") == "A new lab\n"
    assert git("ls-tree", "-r", "--name-only", "HEAD").split() == [".autoqec/config.toml"]
    assert git("status", "--porcelain").splitlines() == ["A  mine.txt", "?? README.md"]
    assert (top / "README.md").read_text() == "mine\n"


def test_initialise_makes_a_lab_of_a_folder_with_files_in_it(tmp_path, git):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "mine.txt").write_text("mine\n")
    history.initialise(tmp_path / "lab", {".autoqec/config.toml": b"a = 1\n"})
    assert git("status", "--porcelain") == "?? mine.txt\n"
    assert git("ls-tree", "-r", "--name-only", "HEAD") == ".autoqec/config.toml\n"


def test_initialise_refuses_what_cannot_be_a_lab(tmp_path, repository, git):
    git("clone", "-q", "--bare", str(repository), str(tmp_path / "bare"))
    with pytest.raises(AutoQECError, match="bare"):
        history.initialise(tmp_path / "bare")
    (tmp_path / "file").write_text("")
    with pytest.raises(AutoQECError, match="cannot make a lab"):
        history.initialise(tmp_path / "file" / "lab")


def test_notes_show_in_plain_git_log(tmp_path, git, repository, run, play):
    history.initialise(repository)
    play()
    assert '"kind":"metrics"' in git("log", "-1", "exp/depol-abcd/1")


def test_in_a_clone_the_commands_of_the_readme_show_the_notes(tmp_path, git, repository, run, play):
    play()
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    commands = re.search(r"```sh\n(git fetch origin 'refs/notes/.*?)```", readme, re.DOTALL)[1]
    git("clone", "-q", str(repository), str(tmp_path / "clone"))
    shown = ("log", "-1", "origin/exp/depol-abcd/1")
    assert "Notes" not in git(*shown, cwd=tmp_path / "clone")
    for command in commands.splitlines():
        git(*shlex.split(command)[1:], cwd=tmp_path / "clone")
    for kind in history.NOTE_KINDS:
        assert f"Notes (autoqec/depol-abcd/{kind})" in git(*shown, cwd=tmp_path / "clone")
    git("clone", "-q", str(repository), str(tmp_path / "lab-too"))
    history.pull(history.initialise(tmp_path / "lab-too"))
    assert '"kind":"verdict"' in git(*shown, cwd=tmp_path / "lab-too")


def test_importing_the_room_is_cheap(python):
    heavy = "numpy torch stim pydantic scipy pymatching ldpc anthropic hypothesis".split()
    script = f"import sys, autoqec.history; print([name for name in {heavy} if name in sys.modules])"
    out, err = python(script).communicate()
    assert out.strip() == "[]", err
