"""Objects of any size in a lab: what is over a limit is named and skipped, at no cost, and hides nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode

from autoqec import history, size_limits
from autoqec.canonical import load_yaml
from autoqec.errors import UsageError
from autoqec.history.rounds import note_trees, notes
from autoqec.history.store.objects import TooLargeError

RUN = "depol-abcd"
HUGE = 256 * 2**20
#: Address space of a command: enough for an honest lab, and less than the huge objects need as Python objects.
ROOM = 700 * 2**20

COMMAND = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
from autoqec.cli.main import run
code = run(sys.argv[2:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


#: Each huge object's oid and file, by its kind and start: git takes seconds to make one, and any lab can have a copy.
_MADE: dict[tuple[str, bytes], tuple[str, bytes]] = {}


def huge_object(top: Path, kind: str, start: bytes) -> str:
    """Store an object of a size that takes little space, without holding it in memory; its oid."""
    if (kind, start) not in _MADE:
        oid = hash_object(top, kind, start)
        _MADE[kind, start] = oid, loose(top, oid).read_bytes()
    oid, packed = _MADE[kind, start]
    if not loose(top, oid).exists():
        loose(top, oid).parent.mkdir(exist_ok=True)
        loose(top, oid).write_bytes(packed)
    return oid


def loose(top: Path, oid: str) -> Path:
    return top / ".git" / "objects" / oid[:2] / oid[2:]


def hash_object(top: Path, kind: str, start: bytes, size: int = HUGE) -> str:
    args = ["git", "hash-object", "-w", "--literally", "--stdin", "-t", kind]
    with subprocess.Popen(args, cwd=top, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(start)
        for _ in range(size // 2**20):
            process.stdin.write(b" " * 2**20)
        process.stdin.close()
        return process.stdout.read().decode().strip()


def put_note(ledger: history.Ledger, kind: str, commit: str, blob: str | pygit2.Oid) -> None:
    """Put a blob beside the note of a commit, at a path that git reads too."""
    ref = f"refs/notes/autoqec/{RUN}/{kind}"
    tip = ledger.repo.references[ref].peel(pygit2.Commit)
    builder = ledger.repo.TreeBuilder(tip.tree)
    builder.insert(commit, blob, FileMode.BLOB)
    who = pygit2.Signature("mallory", "m@example.org", tip.commit_time + 1, 0)
    commit_oid = ledger.repo.create_commit(None, who, who, "x\n", builder.write(), [tip.id])
    ledger.repo.references.create(ref, commit_oid, force=True)


def commit_of(ledger: history.Ledger, tree: pygit2.Oid | str, parents: list[str] | None = None) -> pygit2.Oid:
    who = pygit2.Signature("mallory", "m@example.org", 1, 0)
    return ledger.repo.create_commit(None, who, who, "x\n", tree, parents or [])


def folders_without_end(ledger: history.Ledger, names: list[str], depth: int) -> pygit2.Oid:
    """A tree of len(names) ** depth folders in as many objects as it is deep."""
    tree = ledger.repo.TreeBuilder().write()
    for _ in range(depth):
        builder = ledger.repo.TreeBuilder()
        for name in names:
            builder.insert(name, tree, FileMode.TREE)
        tree = builder.write()
    return tree


@pytest.fixture
def bombed(lab, play, base):
    """A lab with one honest round and everything that is too large."""
    _, oid = play()
    top, repo = lab.workdir, lab.repo
    line = json.dumps({"id": "h", "v": 1, "x": ""})[:-2].encode()
    for kind in ("verdict", "metrics"):
        put_note(lab, kind, oid, huge_object(top, "blob", line))
    repo.references.create(f"refs/autoqec/claims/{RUN}/7", huge_object(top, "blob", b"{"))
    head = f"tree {repo[base].tree_id}\nparent {base}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n".encode()
    repo.references.create(f"refs/heads/exp/{RUN}/8", huge_object(top, "commit", head))
    for kind in ("attempts", "traces", "artifacts"):
        repo.references.create(
            f"refs/autoqec/{kind}/{RUN}/9", commit_of(lab, folders_without_end(lab, [*"abcdefgh"], 9))
        )
    report = pygit2.Index()
    report.add(pygit2.IndexEntry("report.json", pygit2.Oid(hex=huge_object(top, "blob", b'{"a": "')), FileMode.BLOB))
    repo.references.create(f"refs/autoqec/attempts/{RUN}/10", commit_of(lab, report.write_tree(repo)))
    repo.references.create(
        "refs/notes/autoqec/ends-aaaa/verdict", commit_of(lab, folders_without_end(lab, [*"0123456789abcdef"], 20))
    )
    return lab, oid


def command(lab: history.Ledger, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path(history.__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", COMMAND, str(ROOM), *args],
        cwd=lab.workdir,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_every_command_reads_a_lab_of_huge_objects_in_little_memory(bombed, git):
    lab, oid = bombed
    (lab.workdir / ".autoqec" / "config.toml").unlink()
    for args in (["log"], ["log", "--json"], ["show", f"exp/{RUN}/1"], ["pareto"], ["fsck"], ["diagnose", RUN]):
        done = command(lab, *args)
        assert done.returncode in (0, 1), (args, done.stderr)
        assert "internal error" not in done.stderr, (args, done.stderr)
        assert "MemoryError" not in done.stderr, args
        if args == ["log", "--json"]:
            rows = {row["round"]: row for row in map(json.loads, done.stdout.splitlines())}
            assert rows[1]["commit"] == oid
    found = history.check(history.open_ledger(lab.workdir))
    large = {finding.ref for finding in found if "over the limit" in finding.problem or "more than" in finding.problem}
    assert {f"refs/notes/autoqec/{RUN}/verdict", f"refs/autoqec/claims/{RUN}/7", f"refs/heads/exp/{RUN}/8"} <= large
    assert "refs/notes/autoqec/ends-aaaa/verdict" in large
    (record,) = (record for record in history.read_history(lab, RUN) if record.number == 1)
    assert record.verdict["value"] == 1
    assert any(
        "takes 256.0 MiB, over the limit of 16.0 MiB, and was not read" in problem for problem in record.problems
    )


def test_a_record_is_added_and_united_beside_a_note_that_is_too_large(bombed):
    lab, oid = bombed
    history.append_note(lab, RUN, "verdict", oid, {"id": "mine"})
    read = history.read_notes(lab, RUN, "verdict", strict=False)[oid]
    assert "mine" in {record["id"] for record in read}
    with pytest.raises(TooLargeError, match="over the limit"):
        history.read_notes(lab, RUN, "metrics")
    with pytest.raises(TooLargeError, match="over the limit"):
        history.read_notes(lab, RUN, "metrics", commits=[oid])


def test_a_pull_of_huge_objects_takes_nothing_of_them_and_little_memory(lab, play, tmp_path, git):
    _, oid = play()
    git("clone", "-q", "--bare", str(lab.workdir), str(tmp_path / "remote.git"))
    git("remote", "add", "origin", str(tmp_path / "remote.git"))
    history.push(lab)
    evil = history.Ledger(pygit2.Repository(str(lab.workdir)))
    mine = history.list_refs(lab, "refs/notes/")
    put_note(evil, "verdict", oid, huge_object(lab.workdir, "blob", b"{"))
    git("push", "-q", "-f", "origin", f"refs/notes/autoqec/{RUN}/verdict")
    for ref, tip in mine.items():
        git("update-ref", ref, tip)
    history.append_note(lab, RUN, "verdict", oid, {"id": "mine"})
    (lab.workdir / ".autoqec" / "config.toml").unlink()
    done = command(lab, "pull")
    assert done.returncode == 0, done.stderr
    problems: list[str] = []
    (records,) = history.read_notes(history.open_ledger(lab.workdir), RUN, "verdict", problems=problems).values()
    assert {"mine"} < {record["id"] for record in records}
    assert problems == []
    assert command(lab, "push").returncode == 0


def test_the_smallest_notes_are_read_first(lab, run, commit, monkeypatch):
    """Junk notes can fill what a run's notes may take; they hide no smaller one."""
    first, other = commit(1, {}), commit(2, {})
    history.append_note(lab, RUN, "verdict", first, {"id": "honest"})
    history.append_note(lab, RUN, "verdict", other, {"id": "junk", "x": "y" * 5000})
    monkeypatch.setattr(note_trees, "RUN_NOTES_BYTES", 4000)
    problems: list[str] = []
    read = history.read_notes(lab, RUN, "verdict", strict=False, problems=problems)
    assert {commit: [record["id"] for record in records] for commit, records in read.items()} == {first: ["honest"]}
    assert problems == [
        f"the note refs/notes/autoqec/{RUN}/verdict on {other[:10]} was not read: all together take over 4 KiB"
    ]
    with pytest.raises(TooLargeError):
        history.read_notes(lab, RUN, "verdict")


@pytest.mark.parametrize(
    ("name", "junk", "what"),
    [
        ("RUN_LINES", b"".join(b'{"id":"%d","v":1}\n' % n for n in range(40)), "lines"),
        ("RUN_VALUES", b'{"id":"junk","x":[' + b"[]," * 40 + b"0]}\n", "values"),
    ],
)
def test_the_notes_with_the_fewest_lines_and_values_are_read_first(lab, run, commit, monkeypatch, name, junk, what):
    """A line of brackets takes twenty times its bytes when it is parsed, and each line costs a look at its trust."""
    first, other = commit(1, {}), commit(2, {})
    history.append_note(lab, RUN, "verdict", first, {"id": "honest"})
    put_note(lab, "verdict", other, lab.repo.create_blob(junk))
    monkeypatch.setattr(note_trees, name, 30)
    problems: list[str] = []
    read = history.read_notes(lab, RUN, "verdict", strict=False, problems=problems)
    assert {commit: [record["id"] for record in records] for commit, records in read.items()} == {first: ["honest"]}
    assert problems == [
        f"the note refs/notes/autoqec/{RUN}/verdict on {other[:10]} was not read: all together have over 30 {what}"
    ]
    with pytest.raises(TooLargeError):
        history.read_notes(lab, RUN, "verdict")


@pytest.mark.parametrize(("name", "what"), [("NOTE_LINES", "lines"), ("NOTE_VALUES", "values")])
def test_a_note_of_too_many_lines_or_values_is_named_and_skipped(lab, run, commit, monkeypatch, name, what):
    oid = commit(1, {})
    history.append_note(lab, RUN, "verdict", oid, {"id": "honest"})
    monkeypatch.setattr(note_trees, name, 0)
    for commits in (None, [oid]):
        problems: list[str] = []
        assert not history.read_notes(lab, RUN, "verdict", strict=False, problems=problems, commits=commits)
        assert f"it has over 0 {what}" in problems[0]


def test_a_line_that_is_too_long_is_skipped_and_the_others_are_read(lab, run, commit, monkeypatch):
    oid = commit(1, {})
    for name in ("a", "b"):
        history.append_note(lab, RUN, "verdict", oid, {"id": name, "x": "y" * (9000 if name == "a" else 1)})
    monkeypatch.setattr(notes, "LINE_BYTES", 5000)
    problems: list[str] = []
    read = history.read_notes(lab, RUN, "verdict", strict=False, problems=problems)[oid]
    assert [record["id"] for record in read] == ["b"]
    assert "line 1 of" in problems[0]
    assert "takes 9 KiB, over the limit of 5 KiB" in problems[0]


def test_a_note_of_a_hundred_thousand_lines_is_read(lab, run, commit):
    oid = commit(1, {})
    history.append_note(lab, RUN, "verdict", oid, {"id": "honest"})
    put_note(lab, "verdict", oid, lab.repo.create_blob(b"".join(b'{"id":"%d","v":1}\n' % n for n in range(100_000))))
    ids = {record["id"] for record in history.read_notes(lab, RUN, "verdict", strict=False)[oid]}
    assert len(ids) == 100_001
    assert "honest" in ids


@pytest.mark.parametrize(
    "line",
    [b'{"id":' + b"[" * 200_000, b'{"id":"a","n":' + b"1" * 500_000 + b"}", b'{"id":"a","n":1e' + b"9" * 400 + b"}"],
)
def test_a_record_that_is_deep_or_holds_a_giant_number_is_a_problem_and_no_crash(lab, run, commit, line):
    oid = commit(1, {})
    history.append_note(lab, RUN, "verdict", oid, {"id": "honest"})
    put_note(lab, "verdict", oid, lab.repo.create_blob(line))
    problems: list[str] = []
    read = history.read_notes(lab, RUN, "verdict", strict=False, problems=problems)[oid]
    assert [record["id"] for record in read] == ["honest"]
    assert len(problems) == 1
    assert len(problems[0]) < 500


def test_yaml_over_the_limit_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr("yaml.load", None)
    for text in ("a: " + "[" * 2_000_000, b"a: 1\n" * 500_000):
        with pytest.raises(UsageError, match=r"env\.yaml takes .* MiB, over the limit of 64 KiB for YAML") as caught:
            load_yaml(text, name="env.yaml")
        assert caught.value.code == "over_limit"


def test_a_candidate_of_many_yaml_files_is_not_read(lab, commit):
    files = {f"stages/s{n}/stage.yaml": b"#" * size_limits.YAML_BYTES for n in range(5)}
    oid = commit(1, files)
    with pytest.raises(TooLargeError, match="has 320 KiB of YAML, over the limit of 256 KiB"):
        history.read_candidate(lab, oid)
    assert "bad-candidate" in {finding.code for finding in history.check(lab)}


def test_every_limit_has_its_reason():
    """A comment stands above each limit, and the page about records names it."""
    lines = Path(size_limits.__file__).read_text().splitlines()
    names = [line.partition(":")[0] for line in lines if ": Final" in line and not line.startswith("_")]
    page = (Path(__file__).parents[2] / "docs" / "records.md").read_text()
    for name in names:
        (at,) = (n for n, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert lines[at - 1].startswith("#: "), name
        assert f"`{name}`" in page, name
