"""Notes: append only, once per id, readable by git and in every spelling git may leave them in."""

from __future__ import annotations

import hashlib
import json

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError, UsageError


@pytest.fixture
def oid(commit):
    return commit(1, {})


def test_a_record_reads_back_and_git_shows_it(lab, run, oid, git):
    stored = history.append_note(lab, run.name, "metrics", oid, {"id": "m1", "ler": 1e-3, "words": "naïve\u2028\x00"})
    assert stored == {
        "v": 1,
        "id": "m1",
        "kind": "metrics",
        "ts": stored["ts"],
        "writer": "Ada <ada@example.org>",
        "ler": 0.001,
        "words": "naïve\u2028\x00",
    }
    assert history.read_notes(lab, run.name, "metrics") == {oid: [stored]}
    shown = git("notes", "--ref=autoqec/depol-abcd/metrics", "show", oid)
    assert json.loads(shown) == stored
    assert "metrics" in git("log", "-1", "--notes=refs/notes/autoqec/*", oid)
    tree = git("ls-tree", "-r", "--name-only", "refs/notes/autoqec/depol-abcd/metrics").split()
    assert tree == [f"{oid[:2]}/{oid[2:]}"]
    git("fsck", "--strict")


def test_appending_again_changes_nothing(lab, run, oid, git):
    stored = history.append_note(lab, run.name, "verdict", oid, {"id": "a", "verdict": "VERIFIED"})
    tip = git("rev-parse", "refs/notes/autoqec/depol-abcd/verdict")
    assert history.append_note(lab, run.name, "verdict", oid, {"id": "a", "verdict": "VERIFIED"}) == stored
    assert history.append_note(lab, run.name, "verdict", oid, stored) == stored
    assert git("rev-parse", "refs/notes/autoqec/depol-abcd/verdict") == tip


@pytest.mark.parametrize("changes", [{"verdict": "FAILED"}, {"more": 1}, {"ts": "2025"}, {"writer": "somebody"}])
def test_a_record_in_the_place_of_ours_is_a_conflict_and_never_returned_as_ours(lab, run, oid, git, changes):
    history.append_note(lab, run.name, "verdict", oid, {"id": "a", "verdict": "VERIFIED"})
    tip = git("rev-parse", "refs/notes/autoqec/depol-abcd/verdict")
    with pytest.raises(history.RecordConflictError, match="another record under the id a, by Ada") as found:
        history.append_note(lab, run.name, "verdict", oid, {"id": "a", "verdict": "VERIFIED", **changes})
    assert (found.value.code, found.value.about) == ("record_conflict", {"id": "a"})
    assert git("rev-parse", "refs/notes/autoqec/depol-abcd/verdict") == tip


def test_a_line_is_named_by_the_hash_of_its_stored_bytes(lab, run, oid, git):
    line = history.append_line(lab, run.name, "verdict", oid, {"id": "a", "words": "naïve"})
    stored = git("notes", "--ref=autoqec/depol-abcd/verdict", "show", oid).rstrip("\n")
    assert line.digest == hashlib.sha256(stored.encode()).hexdigest()
    assert history.read_lines(lab, run.name, "verdict") == {oid: [line]}


def test_a_completed_record_is_stored_as_it_is(lab, run, oid):
    full = history.complete_note(lab, "verdict", {"n": 1})
    assert history.append_note(lab, run.name, "verdict", oid, full) == full


def test_records_keep_their_order_and_the_callers_fields(lab, run, oid):
    for number in range(5):
        history.append_note(lab, run.name, "analysis", oid, {"n": number, "writer": "verifier", "kind": "x", "v": 9})
    records = history.read_notes(lab, run.name, "analysis")[oid]
    assert [record["n"] for record in records] == [0, 1, 2, 3, 4]
    assert len({record["id"] for record in records}) == 5
    assert {(record["writer"], record["kind"], record["v"]) for record in records} == {("verifier", "analysis", 1)}


def test_many_commits_fan_out(lab, run, commit, git):
    oids = [commit(number, {}) for number in range(1, 31)]
    for oid in oids:
        history.append_note(lab, run.name, "metrics", oid, {"about": oid})
    notes = history.read_notes(lab, run.name, "metrics")
    assert {oid: [record["about"] for record in records] for oid, records in notes.items()} == {o: [o] for o in oids}
    listed = git("notes", "--ref=autoqec/depol-abcd/metrics", "list").split()[1::2]
    assert sorted(listed) == sorted(oids)


def put(git, ref, tree_lines):
    """Write a notes tree by hand, one `path content` pair per entry."""
    git("read-tree", "--empty")
    for path, content in tree_lines:
        blob = git("hash-object", "-w", "--stdin", stdin=content).strip()
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = git("write-tree").strip()
    git("update-ref", ref, git("commit-tree", "-m", "by hand", tree).strip())


def line(ident, **fields):
    return json.dumps({"v": 1, "id": ident, "kind": "metrics", "ts": "2025", "writer": "x", **fields}) + "\n"


def spellings(oid):
    return [
        oid,
        f"{oid[:2]}/{oid[2:]}",
        f"{oid[:2]}/{oid[2:4]}/{oid[4:]}",
        f"{oid[:2]}/{oid[2:4]}/{oid[4:6]}/{oid[6:]}",
    ]


@pytest.mark.parametrize("which", range(4))
def test_every_fan_out_is_read_and_rewritten_as_one(which, lab, run, oid, base, git, tmp_path):
    ref = "refs/notes/autoqec/depol-abcd/metrics"
    put(
        git,
        ref,
        [(spellings(oid)[which], line("old")), (spellings(base)[which], line("other")), ("README", "not a note")],
    )
    assert [r["id"] for r in history.read_notes(lab, run.name, "metrics")[oid]] == ["old"]
    history.append_note(lab, run.name, "metrics", oid, {"id": "new"})
    notes = history.read_notes(lab, run.name, "metrics")
    assert {key: [r["id"] for r in records] for key, records in notes.items()} == {oid: ["old", "new"], base: ["other"]}
    names = git("ls-tree", "-r", "--name-only", ref).split()
    assert [name for name in names if name.replace("/", "") == oid] == [spellings(oid)[1]]
    assert "README" in names
    assert len(git("notes", "--ref", ref, "show", oid).splitlines()) == 2
    assert len(git("notes", "--ref", ref, "show", base).splitlines()) == 1


def test_two_spellings_of_one_commit_are_both_read(lab, run, oid, git):
    put(
        git,
        "refs/notes/autoqec/depol-abcd/metrics",
        [(spelling, line("both") + line(str(n))) for n, spelling in enumerate(spellings(oid))],
    )
    expected = {"both", "0", "1", "2", "3"}
    assert {r["id"] for r in history.read_notes(lab, run.name, "metrics")[oid]} == expected
    history.append_note(lab, run.name, "metrics", oid, {"id": "new"})
    ids = [r["id"] for r in history.read_notes(lab, run.name, "metrics")[oid]]
    assert sorted(ids) == sorted([*expected, "new"])
    assert len(git("ls-tree", "-r", "--name-only", "refs/notes/autoqec/depol-abcd/metrics").split()) == 1


def test_git_notes_append_is_understood(lab, run, oid, git):
    history.append_note(lab, run.name, "metrics", oid, {"id": "a"})
    git("notes", "--ref=autoqec/depol-abcd/metrics", "append", "-m", line("by-git"), oid)
    assert [r["id"] for r in history.read_notes(lab, run.name, "metrics")[oid]] == ["a", "by-git"]


@pytest.mark.parametrize(
    "bad",
    ["words", "[]", "{}", '{"id": 7}', '{"id": "x", "a": NaN}', '{"id": "x", "a": [-1e400]}', '{"id": "x"', "\x00"],
)
def test_malformed_lines_are_named_or_skipped_and_never_lost(bad, lab, run, oid, git):
    history.append_note(lab, run.name, "metrics", oid, {"id": "a"})
    old = git("notes", "--ref=autoqec/depol-abcd/metrics", "show", oid)
    put(git, "refs/notes/autoqec/depol-abcd/metrics", [(spellings(oid)[1], f"{old}{bad}\n\n")])
    with pytest.raises(AutoQECError, match=f"line 2 of refs/notes/autoqec/depol-abcd/metrics on {oid[:10]}"):
        history.read_notes(lab, run.name, "metrics")
    problems: list[str] = []
    records = history.read_notes(lab, run.name, "metrics", strict=False, problems=problems)[oid]
    assert [record["id"] for record in records] == ["a"]
    assert len(problems) == 1
    history.append_note(lab, run.name, "metrics", oid, {"id": "b"})
    assert bad in git("notes", "--ref=autoqec/depol-abcd/metrics", "show", oid)


def test_what_is_not_allowed(lab, run, oid):
    with pytest.raises(UsageError, match="metrics, verdict, analysis"):
        history.append_note(lab, run.name, "gossip", oid, {})
    with pytest.raises(UsageError):
        history.read_notes(lab, run.name, "gossip")
    with pytest.raises(NotFoundError):
        history.append_note(lab, run.name, "metrics", "f" * 40, {})
    with pytest.raises(NotFoundError):
        history.append_note(lab, run.name, "metrics", "HEAD", {})
    for record in ({"x": float("inf")}, {"x": object()}, {"x": {1: 2, "1": 3}}, {"id": 7}, {"ts": None}):
        with pytest.raises(AutoQECError):
            history.append_note(lab, run.name, "metrics", oid, record)
    assert history.read_notes(lab, run.name, "metrics") == {}
