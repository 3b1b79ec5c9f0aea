"""A remote that drops, rewrites or deletes records: nothing recorded in a clone disappears, and the remote is named."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pygit2
import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.rounds.claims import Claim, store_claim
from autoqec.history.rounds.note_trees import lines_of, walk_notes

ENV_ID = "e" * 64
RUN = "depol-abcd"
VERDICTS = f"refs/notes/autoqec/{RUN}/verdict"


def sh(cwd: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Remote:
    """A bare repository, and what somebody with write access can do to it."""

    def __init__(self, top: Path):
        self.top = top
        self.repo = pygit2.Repository(str(top))

    def files(self, ref: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}

        def walk(tree: pygit2.Tree, prefix: str) -> None:
            for entry in tree:
                if isinstance(entry, pygit2.Tree):
                    walk(entry, f"{prefix}{entry.name}/")
                elif isinstance(entry, pygit2.Blob):
                    found[f"{prefix}{entry.name}"] = entry.data

        walk(self.repo.references[ref].peel(pygit2.Tree), "")
        return found

    def rewrite(self, ref: str, files: dict[str, bytes], *, on_top: bool) -> None:
        """Set a ref to a commit with these files: a fast-forward of what is there, or a history of its own."""
        index = pygit2.Index()
        for path, data in files.items():
            index.add(pygit2.IndexEntry(path, self.repo.create_blob(data), pygit2.enums.FileMode.BLOB))
        tip = self.repo.references[ref].peel(pygit2.Commit)
        who = pygit2.Signature("mallory", "m@example.org", tip.commit_time + 1, 0)
        parents = [tip.id] if on_top else []
        oid = self.repo.create_commit(None, who, who, "tidy\n", index.write_tree(self.repo), parents)
        self.repo.references.create(ref, oid, force=True)


@pytest.fixture
def remote(lab, run, tmp_path):
    top = tmp_path / "remote.git"
    sh(tmp_path, "clone", "-q", "--bare", str(lab.workdir), str(top))
    sh(lab.workdir, "remote", "add", "origin", str(top))
    history.push(lab)
    return Remote(top)


def clone(remote: Remote, name: str) -> history.Ledger:
    top = remote.top.parent / name
    sh(remote.top.parent, "clone", "-q", str(remote.top), str(top))
    sh(top, "config", "user.name", name)
    sh(top, "config", "user.email", f"{name}@example.org")
    ledger = history.open_ledger(top)
    history.pull(ledger)
    return ledger


@pytest.fixture
def pair(remote):
    return clone(remote, "one"), clone(remote, "two")


def play(ledger: history.Ledger, run: str = RUN) -> tuple[int, str]:
    claim = history.claim_round(ledger, run)
    identity = history.RoundIdentity(
        run, claim.number, claim.attempt, f"surface_d3@sha256:{ENV_ID}", (), "none", "search", "an idea"
    )
    base = history.load_run(ledger, run).base
    oid = history.commit_round(
        ledger, identity, base=base, parents=(), files={"a.yaml": b"a: 1\n"}, subject="s", body=""
    )
    history.attach(ledger, "traces", run, claim.number, {"ideator.json": b"{}", "coder.json": b"{}"})
    history.attach(ledger, "artifacts", run, claim.number, {"weights.safetensors": claim.attempt.encode()})
    for n in range(3):
        history.append_note(ledger, run, "verdict", oid, {"id": f"{claim.attempt}-{n}"})
    history.close_claim(ledger, claim, status="ok", commit=oid)
    return claim.number, oid


def ids(ledger: history.Ledger, oid: str) -> set[str]:
    return {record["id"] for record in history.read_notes(ledger, RUN, "verdict", strict=False)[oid]}


def held(ledger: history.Ledger) -> set[Any]:
    """Every line, file, fixed ref and closed claim that a clone holds, from its refs alone."""
    ledger = history.open_ledger(ledger.workdir)
    found: set[Any] = set()
    for ref, oid in history.list_refs(ledger, "refs/heads/exp/", "refs/autoqec/", "refs/notes/autoqec/").items():
        kind = ref.split("/")[2] if ref.startswith("refs/autoqec/") else ref.split("/")[1]
        if kind == "notes":
            tree = ledger.repo[oid].peel(pygit2.Tree)
            names = {commit for commit, _ in walk_notes(ledger, tree)}
            found |= {(ref, commit, line) for commit in names for line in lines_of(ledger, tree, commit, ref)}
        elif kind in ("traces", "artifacts", "attempts"):
            found |= {(ref, path) for path in history.read_files(ledger, oid, any_case=True)}
        elif kind != "claims" or json.loads(ledger.repo[oid].data)["state"] == "closed":
            found.add((ref, oid))
    return found


def refs(ledger: history.Ledger) -> dict[str, str]:
    return history.list_refs(ledger, "refs/heads/exp/", "refs/autoqec/", "refs/notes/autoqec/")


@pytest.mark.parametrize("on_top", [True, False])
@pytest.mark.parametrize("how", ["drop a line", "drop the note", "rewrite a line", "reorder the fan-out"])
def test_lines_that_a_remote_drops_stay_and_are_named(pair, remote, on_top, how):
    one, two = pair
    number, oid = play(one)
    history.push(one)
    history.pull(two)
    before, known = held(two), ids(two, oid)
    (path, data), *_ = (item for item in remote.files(VERDICTS).items() if item[0].replace("/", "") == oid)
    first, *rest = data.splitlines(keepends=True)
    left = {
        "drop a line": {path: b"".join(rest)},
        "drop the note": {"ff" * 20: b'{"id": "x"}\n'},
        "rewrite a line": {path: first.replace(b"two", b"TWO").replace(b'"kind"', b'"kin"') + b"".join(rest)},
        "reorder the fan-out": {oid: data},
    }[how]
    remote.rewrite(VERDICTS, left, on_top=on_top)
    report = history.pull(two)
    assert before <= held(two)
    assert known <= ids(two, oid)
    if how == "reorder the fan-out":
        assert report.dropped == ()
    else:
        (dropped,) = report.dropped
        assert (dropped.ref, dropped.round, dropped.what) == (VERDICTS, f"{RUN}/{number}", "lines")
        lines = {"drop a line": (1, 0), "drop the note": (3, 0), "rewrite a line": (0, 1)}[how]
        assert (dropped.dropped, dropped.changed) == lines
    history.push(two)
    history.pull(one)
    assert refs(one).items() >= {ref: tip for ref, tip in refs(two).items() if "artifacts" not in ref}.items()
    fresh = clone(remote, "fresh")
    assert known <= ids(fresh, oid)
    assert history.pull(two).dropped == ()


@pytest.mark.parametrize("on_top", [True, False])
@pytest.mark.parametrize(("kind", "path"), [("traces", "coder.json"), ("artifacts", "weights.safetensors")])
@pytest.mark.parametrize("changed", [True, False])
def test_files_that_a_remote_drops_or_changes_stay_and_are_named(pair, remote, kind, path, on_top, changed):
    one, two = pair
    number, _ = play(one)
    history.push(one, artifacts=True)
    history.pull(two, artifacts=True)
    before = history.read_attachment(two, kind, RUN, number)
    ref = f"refs/autoqec/{kind}/{RUN}/{number}"
    files = {"new.json": b"{}", **remote.files(ref), **({path: b"evil"} if changed else {})}
    if not changed:
        del files[path]
    remote.rewrite(ref, files, on_top=on_top)
    if changed and not on_top:  # a history of its own: nothing says which was first
        with pytest.raises(AutoQECError, match=f"different contents of {path}"):
            history.pull(two, artifacts=True)
        assert history.read_attachment(two, kind, RUN, number) == before
        return
    (dropped,) = history.pull(two, artifacts=True).dropped
    assert (dropped.ref, dropped.round, dropped.what) == (ref, f"{RUN}/{number}", "files")
    assert (dropped.dropped, dropped.changed) == ((0, 1) if changed else (1, 0))
    assert history.read_attachment(two, kind, RUN, number) == {**before, "new.json": b"{}"}
    history.push(two, artifacts=True)
    history.pull(one, artifacts=True)
    assert history.read_attachment(one, kind, RUN, number) == {**before, "new.json": b"{}"}


def test_a_clone_that_first_saw_the_changed_file_takes_the_original_too(pair, remote):
    one, two = pair
    number, _ = play(one)
    history.push(one)
    ref = f"refs/autoqec/traces/{RUN}/{number}"
    remote.rewrite(ref, {**remote.files(ref), "coder.json": b"evil"}, on_top=True)
    history.pull(two)
    assert history.read_attachment(two, "traces", RUN, number)["coder.json"] == b"evil"
    history.push(one)
    history.pull(two)
    history.push(two)
    history.pull(one)
    assert refs(two)[ref] == refs(one)[ref]
    assert history.read_attachment(two, "traces", RUN, number)["coder.json"] == b"{}"


def test_refs_that_a_remote_deletes_stay_are_named_and_are_sent_again(pair, remote):
    one, two = pair
    number, oid = play(one)
    history.push(one)
    history.pull(two)
    before = held(two)
    gone = [ref for ref in refs(two) if ref.endswith(f"/{number}") or ref == VERDICTS]
    for ref in gone:
        remote.repo.references.delete(ref)
    report = history.pull(two)
    assert {dropped.ref for dropped in report.dropped} == set(gone)
    assert {(dropped.what, dropped.dropped) for dropped in report.dropped} == {("ref", 1)}
    assert held(two) == before
    assert history.pull(two).dropped == ()
    history.push(two)
    fresh = clone(remote, "fresh")
    assert ids(fresh, oid) == ids(two, oid)
    assert history.find_round(fresh, RUN, number) == oid


def test_a_branch_that_goes_because_its_round_is_archived_is_not_named(pair):
    one, two = pair
    play(one)
    history.push(one)
    history.pull(two)
    history.archive_run(one, RUN)
    assert history.push(one).dropped == ()
    assert history.pull(two).dropped == ()
    assert history.push(two).dropped == ()


def put_claim(remote: Remote, ledger: history.Ledger, claim: Claim) -> None:
    sh(ledger.workdir, "push", "-q", "-f", str(remote.top), f"{store_claim(ledger, claim)}:{claim.ref}")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "open", "closed": None, "status": None, "commit": None},
        {"state": "open", "closed": None, "status": None},
        {"status": "train_error"},
        {"commit": "0" * 40},
    ],
)
def test_a_closed_claim_stays_whatever_the_remote_makes_of_it(pair, remote, change):
    from dataclasses import replace

    one, two = pair
    number, _ = play(one)
    history.push(one)
    history.pull(two)
    claim = history.read_claim(two, RUN, number)
    put_claim(remote, two, replace(claim, **change))
    if change.get("state") == "open":
        (dropped,) = history.pull(two).dropped
        assert (dropped.what, dropped.round) == ("claim", f"{RUN}/{number}")
        history.push(two)
        history.pull(one)
        assert history.read_claim(one, RUN, number) == claim
    else:
        with pytest.raises(AutoQECError, match="closed differently"):
            history.pull(two)
    assert history.read_claim(two, RUN, number) == claim


def test_an_open_claim_never_loses_its_commit(pair, remote):
    from dataclasses import replace

    one, _ = pair
    claim = history.claim_round(one, RUN)
    claim = history.update_claim(one, claim, commit=history.resolve_commit(one, "main"))
    history.push(one)
    put_claim(remote, one, replace(claim, commit=None))
    history.pull(one)
    assert history.read_claim(one, RUN, claim.number) == claim
    put_claim(remote, one, replace(claim, commit="1" * 40))
    with pytest.raises(AutoQECError, match="with different commits"):
        history.pull(one)
    assert history.read_claim(one, RUN, claim.number) == claim


def test_a_bundle_that_lacks_records_takes_nothing_away(pair, remote, tmp_path):
    one, two = pair
    _, oid = play(one)
    history.push(one)
    history.pull(two)
    (path, data), *_ = (item for item in remote.files(VERDICTS).items() if item[0].replace("/", "") == oid)
    remote.rewrite(VERDICTS, {path: data.splitlines(keepends=True)[0]}, on_top=True)
    bundle = tmp_path / "a.bundle"
    sh(remote.top, "bundle", "create", "-q", str(bundle), "--all")
    before = held(two)
    report = history.pull(two, str(bundle))
    assert [(found.what, found.dropped) for found in report.dropped] == [("lines", 2)]
    assert before <= held(two)


def attack(remote: Remote, chance: random.Random) -> None:
    """Drop, rewrite or delete something on the remote, or put an old version back."""
    growing = [ref for ref in remote.repo.references if ref.startswith(("refs/notes/", "refs/autoqec/traces/"))]
    if not growing:
        return
    ref = chance.choice(sorted(growing))
    how = chance.choice(["delete", "lines", "lines", "files", "rewind", "files on top"])
    files = remote.files(ref)
    path = chance.choice(sorted(files))
    if how == "delete":
        remote.repo.references.delete(ref)
    elif how == "rewind":
        tip = remote.repo.references[ref].peel(pygit2.Commit)
        if tip.parent_ids:
            remote.repo.references.create(ref, tip.parent_ids[0], force=True)
    elif how == "lines" and ref.startswith("refs/notes/"):
        lines = files[path].splitlines(keepends=True)
        lines.remove(chance.choice(lines))
        changed = [line.replace(b'"v":1', b'"v":1,"w":1') for line in lines if chance.random() < 0.7]
        remote.rewrite(ref, {**files, path: b"".join(changed)}, on_top=chance.random() < 0.5)
    elif how == "files on top" and ref.startswith("refs/autoqec/"):
        remote.rewrite(ref, {**files, path: b"evil %d" % chance.randrange(100)}, on_top=True)
    else:
        del files[path]
        remote.rewrite(ref, {"new.json": b"{}"} | files, on_top=chance.random() < 0.5)


@pytest.mark.parametrize("seed", range(6))
def test_two_clones_and_a_remote_that_drops_at_random(pair, remote, seed):
    chance = random.Random(seed)
    for ledger in pair:
        base = history.resolve_commit(ledger, "main")
        history.start_run(
            ledger, ledger.workdir.name, base=base, env_name="surface_d3", env_id=ENV_ID, env_files={}, settings={}
        )
    written: dict[str, set[Any]] = {ledger.workdir.name: set() for ledger in pair}
    for _ in range(8):
        ledger = chance.choice(pair)
        before = held(ledger)
        own = ledger.workdir.name
        if chance.random() < 0.4:
            play(ledger, own)
        rounds = history.read_history(ledger)
        for record in chance.sample(rounds, min(2, len(rounds))):
            history.append_note(ledger, record.run, chance.choice(history.NOTE_KINDS), record.commit, {"by": own})
            history.attach(ledger, "traces", record.run, record.number, {f"{own}-{chance.random()}.json": b"{}"})
        written[own] |= held(ledger)
        chance.choice([history.push, history.pull])(ledger)
        assert before <= held(ledger), "a clone has lost something"
        assert written[own] <= held(ledger)
        if chance.random() < 0.7:
            attack(remote, chance)
    one, two = chance.sample(pair, 2)
    for ledger in (one, two, one, two):
        history.push(ledger)
    shared = [{ref: oid for ref, oid in refs(ledger).items() if "artifacts" not in ref} for ledger in pair]
    assert shared[0] == shared[1]
    for ledger in pair:
        for mine in written.values():
            assert {item for item in mine if "artifacts" not in item[0]} <= held(ledger)
