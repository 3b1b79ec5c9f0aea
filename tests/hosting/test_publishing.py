"""`autoqec publish`: pages on a branch of their own, lines in git's notes, and commit statuses."""

import json
import re
import shutil
import subprocess

import pytest

from autoqec.cli.main import run
from autoqec.history import open_ledger, publish_pages, write_commit_words
from autoqec.history.sync import pages_branch
from autoqec.hosting import published_pages
from autoqec.testing import figures, record_round, record_run


def git(folder, *args):
    return subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def _short_report(request, monkeypatch):
    """The report takes a second of charts, and tests of its own; one test here publishes the real one."""
    if request.node.get_closest_marker("usefixtures") is None:
        monkeypatch.setattr(published_pages, "report_page", lambda lab, diagnoses: f"report of {len(lab.rounds)}")


@pytest.fixture
def real_report():
    """Named by a test, it keeps the report as it is."""


@pytest.fixture
def lab(hosted, tmp_path, monkeypatch):
    """A copy of the lab, the current folder, with a bare repository beside it as `origin`."""
    folder, bare = tmp_path / "lab", tmp_path / "bare.git"
    shutil.copytree(hosted.folder, folder)
    shutil.copytree(hosted.bare, bare)
    git(folder, "remote", "add", "origin", str(bare))
    monkeypatch.chdir(folder)
    return folder


def files_of(folder, revision="autoqec-log"):
    return set(git(folder, "ls-tree", "-r", "--name-only", revision).splitlines())


def show(folder, path, revision="autoqec-log"):
    return git(folder, "show", f"{revision}:{path}")


def published(capsys, *args):
    capsys.readouterr()
    code = run(["publish", *args, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_pages_are_rebuilt_with_a_commit_only_if_something_changed(hosted, lab, worktree, capsys):
    before = worktree(lab)
    code, first, _ = published(capsys)
    assert (code, first["new"], first["sent"], first["rounds"]) == (0, True, False, 2)
    assert files_of(lab) == {
        ".autoqec-log",
        "README.md",
        "index.html",
        f"rounds/{hosted.run}/README.md",
        f"rounds/{hosted.run}/1.md",
        f"rounds/{hosted.run}/2.md",
    }
    assert worktree(lab) == before
    code, again, _ = published(capsys)
    assert (again["new"], again["commit"]) == (False, first["commit"])
    (lab / "note.txt").write_text("x")
    git(lab, "notes", f"--ref=refs/notes/autoqec/{hosted.run}/verdict", "remove", hosted.rounds[2]["commit"])
    code, changed, _ = published(capsys)
    assert changed["new"]
    assert git(lab, "rev-parse", "autoqec-log^") == first["commit"]


@pytest.mark.usefixtures("real_report")
def test_every_clone_writes_the_same_pages(lab, tmp_path, capsys, monkeypatch):
    published(capsys)
    assert show(lab, "index.html").startswith("<!DOCTYPE html>")
    shutil.copytree(lab, tmp_path / "of another name")
    git(tmp_path / "of another name", "branch", "-D", "autoqec-log")
    monkeypatch.chdir(tmp_path / "of another name")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    published(capsys)
    trees = {git(place, "rev-parse", "autoqec-log^{tree}") for place in (lab, tmp_path / "of another name")}
    assert len(trees) == 1


def test_it_says_what_it_did(hosted, lab, capsys):
    assert run(["publish", "origin", "--notes"]) == 0
    commit = git(lab, "rev-parse", "autoqec-log")[:10]
    assert capsys.readouterr().out.splitlines() == [
        f"autoqec-log: 2 rounds, now at {commit}",
        "origin: sent",
        "refs/notes/commits: 2 notes changed; to send them: git push REMOTE refs/notes/commits",
    ]
    assert run(["publish", "origin", "--notes"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"autoqec-log: 2 rounds, still at {commit}",
        "origin: has it already",
        "refs/notes/commits: 0 notes changed",
    ]


def test_every_link_leads_to_a_page(hosted, lab, capsys):
    published(capsys)
    there = files_of(lab)
    for page in there - {".autoqec-log", "index.html"}:
        for link in re.findall(r"\]\(([^)#]+)\)", show(lab, page)):
            parts = [*page.split("/")[:-1], *link.split("/")]
            while ".." in parts:
                place = parts.index("..")
                del parts[place - 1 : place + 1]
            assert "/".join(parts) in there, f"{page}: {link}"
    assert f"](rounds/{hosted.run}/1.md)" in show(
        lab, "README.md"
    )  # a name that looks like a ticket is broken up in the text


def test_it_is_pushed_and_goes_on_from_what_the_remote_has(hosted, lab, tmp_path, capsys):
    bare = tmp_path / "bare.git"
    _, first, _ = published(capsys, "origin")
    assert first["sent"]
    assert git(bare, "rev-parse", "autoqec-log") == first["commit"]
    assert not published(capsys, "origin")[1]["sent"]
    # Another clone published something else meanwhile, and somebody added a file.
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", "--branch", "autoqec-log", str(bare), str(other))
    (other / "CNAME").write_text("lab.example.org")
    (other / "README.md").write_text("older")
    git(other, "add", ".")
    git(other, "commit", "--quiet", "-m", "x")
    git(other, "push", "--quiet")
    _, third, _ = published(capsys, "origin")
    assert (third["new"], third["sent"]) == (True, True)
    assert git(bare, "rev-parse", "autoqec-log^") == git(other, "rev-parse", "HEAD")
    assert show(bare, "CNAME") == "lab.example.org"
    assert "older" not in show(bare, "README.md")


def test_a_remote_that_moves_at_the_last_moment_is_built_on(lab, tmp_path, capsys, monkeypatch):
    """Two publications at once: the second is refused by its lease, and stands on the first one then."""
    bare, push = tmp_path / "bare.git", pages_branch.push_refs
    published(capsys, "origin")
    races = []

    def late(ledger, remote, specs, leases=()):
        if not races:
            tree = git(bare, "rev-parse", "autoqec-log^{tree}")
            races.append(git(bare, "commit-tree", tree, "-p", "autoqec-log", "-m", "theirs"))
            git(bare, "update-ref", "refs/heads/autoqec-log", races[0])
        push(ledger, remote, specs, leases)

    monkeypatch.setattr(pages_branch, "push_refs", late)
    monkeypatch.setattr(pages_branch, "pause", lambda attempt: None)
    found = publish_pages(open_ledger("."), {"README.md": b"new"}, "origin")
    assert (found.new, found.sent) == (True, True)
    assert git(bare, "rev-parse", "autoqec-log^") == races[0]


def test_a_push_that_did_not_come_about_is_made_up_for(lab, tmp_path, capsys, monkeypatch):
    """Killed between the commit and the push: the commit stays, and the next publication sends it."""

    def killed(*args, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pages_branch, "push_refs", killed)
        assert run(["publish", "origin"]) == 130
    _, found, _ = published(capsys, "origin")
    assert (found["new"], found["sent"]) == (False, True)
    assert git(tmp_path / "bare.git", "rev-parse", "autoqec-log") == found["commit"]


def test_another_branch_of_that_name_is_refused(lab, tmp_path, capsys):
    git(lab, "branch", "autoqec-log")
    code, _, err = published(capsys)
    assert (code, "was not written by autoqec publish" in err, "git branch -m autoqec-log" in err) == (1, True, True)
    git(lab, "push", "--quiet", "origin", "autoqec-log")
    git(lab, "branch", "-D", "autoqec-log")
    code, _, err = published(capsys, "origin")
    assert (code, "the branch autoqec-log of origin was not written" in err, "git branch -m" in err) == (1, True, False)
    assert git(tmp_path / "bare.git", "rev-parse", "autoqec-log") == git(lab, "rev-parse", "HEAD")


def test_a_branch_below_that_name_is_named(lab, capsys):
    git(lab, "branch", "autoqec-log/x")
    assert "the branch autoqec-log/x leaves no room" in published(capsys)[2]
    git(lab, "push", "--quiet", "origin", "autoqec-log/x")
    git(lab, "branch", "-D", "autoqec-log/x")
    code, _, err = published(capsys, "origin")
    assert (code, "rename autoqec-log/x of origin" in err) == (1, True)


def test_a_branch_that_is_checked_out_is_not_moved(lab, capsys):
    published(capsys)
    git(lab, "worktree", "add", "--quiet", "../pages", "autoqec-log")
    ledger = open_ledger(".")
    with pytest.raises(Exception, match="is checked out"):
        publish_pages(ledger, {"README.md": b"other"})
    assert "README.md" in files_of(lab)


def test_a_protected_branch_is_told_as_what_it_is(lab, tmp_path, capsys):
    hook = tmp_path / "bare.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GH006: Protected branch update failed' $(seq 999) >&2\nexit 1\n")
    hook.chmod(0o755)
    code, _, err = published(capsys, "origin")
    assert code == 1
    assert "refuses refs/heads/autoqec-log" in err
    assert "Protected branch update failed" in err
    assert len(err) < 900


def test_an_empty_lab_has_a_page_too(tmp_path, monkeypatch, capsys):
    assert run(["init", str(tmp_path / "empty")]) == 0
    monkeypatch.chdir(tmp_path / "empty")
    assert published(capsys)[1]["rounds"] == 0
    assert "no rounds yet" in show(tmp_path / "empty", "README.md")


def test_a_lab_with_damaged_records_is_published(hosted, lab, capsys):
    git(lab, "update-ref", f"refs/notes/autoqec/{hosted.run}/metrics", hosted.head)
    git(lab, "update-ref", "-d", f"refs/autoqec/claims/{hosted.run}/2")
    code, told, _ = published(capsys)
    assert (code, told["new"]) == (0, True)
    assert f"rounds/{hosted.run}/1.md" in files_of(lab)


HOSTILE = "](#round-many-1) <script>x</script> @everyone ![p](https://evil.example/p) ``` | a | /close #1 <!-- x"


def many_rounds(folder, count):
    """A lab whose rounds were recorded and never run, with text that wants to be markup."""
    assert run(["init", str(folder)]) == 0
    ledger = open_ledger(folder)
    found = record_run(ledger, "many")
    for number in range(count):
        verdict = {"verdict": "VERIFIED", "reason": "better", **figures()} if number % 2 else None
        record_round(ledger, found, {"a.yaml": b"x: 1\n"}, hypothesis=HOSTILE, metrics=figures(), verdict=verdict)
    return ledger


def test_text_of_agents_is_no_markup_on_any_page(tmp_path, monkeypatch, capsys):
    many_rounds(tmp_path / "lab", 3)
    monkeypatch.chdir(tmp_path / "lab")
    assert published(capsys)[0] == 0
    for page in files_of(".") - {".autoqec-log", "index.html"}:
        text = re.sub(r"```.*?```", "", show(".", page), flags=re.DOTALL)
        assert "everyone" in show(".", page) or page.endswith("README.md")
        for word in (r"[^\\]<script", "@everyone", r"[^\\]!\[", r"[^\\]\]\(https?:", r"(?m)^/close", r"#1\b(?!\.md)"):
            assert re.search(word, text) is None, f"{page}: {word}"
        for link in re.findall(r"[^\\]\]\(([^)]*)\)", text):
            assert re.fullmatch(r"[\w./-]+|#[\w-]+", link), f"{page}: {link}"


def test_pages_stay_short_in_a_long_lab(tmp_path, monkeypatch, capsys):
    many_rounds(tmp_path / "lab", 5)
    monkeypatch.chdir(tmp_path / "lab")
    for limit, most in (("_ROUNDS", 2), ("_ROUNDS_OF_RUN", 3), ("_PAGE", 3000)):
        monkeypatch.setattr(f"autoqec.hosting.published_pages.{limit}", most)
    assert published(capsys)[0] == 0
    front, rounds = show(".", "README.md"), show(".", "rounds/many/README.md")
    assert "The newest 2 of 5 rounds." in front
    assert front.count(", without a verdict") == 1
    assert "The newest 3 of 5 rounds; each has a page in this folder." in rounds
    assert len(show(".", "rounds/many/2.md")) <= 3100
    assert len(files_of(".") - {"index.html"}) == 5 + 3
    monkeypatch.setattr("autoqec.hosting.published_pages._LONGEST", 400)
    assert published(capsys)[0] == 0
    for page in ("README.md", "rounds/many/README.md"):
        assert len(show(".", page)) <= 600
        assert show(".", page).endswith("The whole is in `autoqec report`.")


# -- lines in git's own notes


def test_a_line_of_ours_comes_and_goes_and_the_users_words_stay(hosted, lab, capsys):
    first, second = (hosted.rounds[number]["commit"] for number in (1, 2))
    git(lab, "notes", "add", "-m", "mine\n\nautoqec is mentioned here", first)
    assert published(capsys, "--notes")[1]["notes"] == 2
    note = git(lab, "notes", "show", first)
    assert note.startswith("mine\n\nautoqec is mentioned here\nautoqec/verdict: VERIFIED, ratio 0.")
    assert git(lab, "notes", "show", second).startswith("autoqec/verdict: VERIFIED, ratio 0.")
    git(lab, "notes", "append", "-m", "more of mine", first)
    assert published(capsys, "--notes")[1]["notes"] == 0
    assert write_commit_words(open_ledger("."), {first: "FAILED\nby hand"}) == 1
    assert (
        git(lab, "notes", "show", first)
        == "mine\n\nautoqec is mentioned here\nautoqec/verdict: FAILED by hand\n\nmore of mine"
    )
    assert git(lab, "rev-list", "--count", "refs/notes/commits") == "4"


def test_every_byte_of_a_note_stays(lab):
    head, blob = git(lab, "rev-parse", "HEAD"), b"\xff\x00\r\n\n  mine without an end"
    done = subprocess.run(["git", "hash-object", "-w", "--stdin"], input=blob, capture_output=True, check=True)
    git(lab, "notes", "add", "-C", done.stdout.decode().strip(), head)
    ledger = open_ledger(".")
    for word in ("first", "second"):
        assert write_commit_words(ledger, {head: word}) == 1
    found = subprocess.run(
        ["git", "cat-file", "blob", git(lab, "notes", "list", head)], capture_output=True, check=True
    )
    assert found.stdout == blob + b"\nautoqec/verdict: second\n"


def test_notes_that_git_put_deeper_are_found(lab):
    """With many notes git uses folders; a note must not come to lie at two places."""
    ledger, head = open_ledger("."), git(lab, "rev-parse", "HEAD")
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], input=b"deep", capture_output=True, check=True, cwd=lab
    )
    inner = f"100644 blob {blob.stdout.decode().strip()}\t{head[4:]}\n"
    for part in (head[2:4], head[:2]):
        made = subprocess.run(["git", "mktree"], input=inner, capture_output=True, text=True, check=True, cwd=lab)
        inner = f"040000 tree {made.stdout.strip()}\t{part}\n"
    top = subprocess.run(
        ["git", "mktree"], input=inner, capture_output=True, text=True, check=True, cwd=lab
    ).stdout.strip()
    git(lab, "update-ref", "refs/notes/commits", git(lab, "commit-tree", top, "-m", "x"))
    assert write_commit_words(ledger, {head: "x", "ab" * 20: "no such commit"}) == 1
    assert git(lab, "notes", "show", head) == "deep\nautoqec/verdict: x"


# -- commit statuses


@pytest.fixture
def told(served, lab, monkeypatch):
    """The lab, with a remote `host` whose address is the server's."""
    git(lab, "remote", "add", "host", f"{served.url}/owner/lab.git")
    git(served.bare, "config", "http.receivepack", "true")
    monkeypatch.setenv("AUTOQEC_HOST_TOKEN", served.token)
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "http")
    return served


def test_statuses_are_set_once(told, lab, capsys):
    args = ("host", "--statuses", "--host", "gitea")
    assert published(capsys, *args)[1]["statuses"] == {"new": 2, "known": 0, "left": 0}
    assert {(commit, each["state"]) for commit, each in told.server.statuses} == {
        (told.rounds[number]["commit"], "success") for number in (1, 2)
    }
    assert re.fullmatch(
        r"VERIFIED, ratio 0\.\d+ \[0\.\d+, 0\.\d+\], 32,768 shots, unsigned", told.server.statuses[0][1]["description"]
    )
    assert published(capsys, *args)[1]["statuses"] == {"new": 0, "known": 2, "left": 0}
    assert len(told.server.statuses) == 2
    assert git(told.bare, "rev-parse", "autoqec-log") == git(lab, "rev-parse", "autoqec-log")


def test_a_host_that_refuses_in_the_middle_is_gone_on_with(told, lab, capsys):
    limits = [None, (429, {"retry-after": "900"}, {"message": "slow down"})]
    told.server.before = lambda request: limits.pop(0) if limits else None
    code, found, err = published(capsys, "host", "--statuses", "--host", "github")
    assert (code, found["statuses"]) == (1, {"new": 1, "known": 0, "left": 1})
    assert "run it again in 900 seconds" in err
    assert published(capsys, "host", "--statuses", "--host", "github")[1]["statuses"] == {
        "new": 1,
        "known": 1,
        "left": 0,
    }


def test_commits_that_the_host_does_not_have_are_told(told, lab, capsys):
    told.server.commits = set()
    code, _, err = published(capsys, "host", "--statuses", "--host", "github")
    assert code == 1
    assert "No commit found" in err
    assert "autoqec push" in err


def test_what_cannot_be_sent_is_refused_before_anything_is_written(told, lab, capsys, monkeypatch):
    assert published(capsys, "--statuses")[0] == 2
    for args, code, words in (
        (("host", "--statuses"), 3, "no plugin knows which kind of host 127.0.0.1 is"),
        (("origin", "--statuses"), 2, "this remote is no host"),
        (("host", "--statuses", "--host", "nothing"), 3, "there is no host named 'nothing'"),
    ):
        found, _, err = published(capsys, *args)
        assert (found, words in err) == (code, True), err
    monkeypatch.delenv("AUTOQEC_HOST_TOKEN")
    monkeypatch.setenv("GITEA_TOKEN", "not for this one")
    found, _, err = published(capsys, "host", "--statuses", "--host", "gitea")
    assert (found, "there is no token for 127.0.0.1" in err) == (3, True)
    assert told.server.requests == []
    assert "autoqec-log" not in git(lab, "branch", "--list", "autoqec-log")
