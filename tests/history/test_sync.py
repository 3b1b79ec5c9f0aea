"""Sharing a lab between clones through a plain git repository: nothing lost, nothing twice, the same in any order."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.history.store import git_program as network
from autoqec.history.sync import outgoing
from autoqec.history.sync import push_pull as sync
from autoqec.testing.whole_notes import whole_metrics

ENV_ID = "e" * 64
OURS = ("refs/heads/exp/", "refs/autoqec/", "refs/notes/autoqec/")


def sh(cwd: Path, *args: str, check: bool = True) -> str:
    done = subprocess.run(["git", *args], cwd=cwd, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + ("" if check else done.stderr)


def clone(source: Path, top: Path) -> history.Ledger:
    sh(source.parent, "clone", "-q", str(source), str(top))
    sh(top, "config", "user.name", top.name)
    sh(top, "config", "user.email", f"{top.name}@example.org")
    return history.open_ledger(top)


@pytest.fixture
def remote(lab, run, tmp_path):
    """A bare repository that has the lab's main branch and its run."""
    top = tmp_path / "remote.git"
    sh(tmp_path, "clone", "-q", "--bare", str(lab.workdir), str(top))
    sh(lab.workdir, "remote", "add", "origin", str(top))
    history.push(lab)
    return top


@pytest.fixture
def pair(remote, tmp_path):
    """Two clones that have the run."""
    clones = [clone(remote, tmp_path / name) for name in ("one", "two")]
    for ledger in clones:
        history.pull(ledger)
    return clones


def play(
    ledger: history.Ledger,
    run: str = "depol-abcd",
    claim: history.Claim | None = None,
    parents: tuple[str, ...] = (),
    close: bool = True,
) -> tuple[int, str]:
    """One whole round in a clone."""
    claim = claim or history.claim_round(ledger, run)
    identity = history.RoundIdentity(
        run, claim.number, claim.attempt, f"surface_d3@sha256:{ENV_ID}", parents, "none", "search", "an idea"
    )
    files = {"output.yaml": f"n: {claim.number}\n".encode()}
    base = history.load_run(ledger, run).base
    oid = history.commit_round(ledger, identity, base=base, parents=parents, files=files, subject="s", body="b")
    history.attach(ledger, "traces", run, claim.number, {"ideator.json": claim.attempt.encode()})
    history.attach(ledger, "artifacts", run, claim.number, {"weights.safetensors": b"w" * 10})
    history.append_note(ledger, run, "metrics", oid, whole_metrics(id=claim.attempt, shots=65_536))
    if close:
        history.close_claim(ledger, claim, status="ok", commit=oid)
    return claim.number, oid


def codes(ledger: history.Ledger) -> list[str]:
    return [finding.code for finding in history.check(history.open_ledger(ledger.workdir))]


def begin(ledger: history.Ledger, name: str) -> str:
    base = history.resolve_commit(ledger, "main")
    history.start_run(
        ledger, name, base=base, env_name="surface_d3", env_id=ENV_ID, env_files={"a.yaml": b"a\n"}, settings={}
    )
    return name


def ours(top: Path | history.Ledger, *, artifacts: bool = False) -> dict[str, str]:
    """What is shared of a repository, from a fresh look at it by git itself."""
    top = top.workdir if isinstance(top, history.Ledger) else top
    rows = (line.split() for line in sh(top, "for-each-ref", "--format=%(refname) %(objectname)").splitlines())
    skip = () if artifacts else ("refs/autoqec/artifacts/",)
    return {ref: oid for ref, oid in rows if ref.startswith(OURS) and not ref.startswith(skip or "-")}


def all_notes(ledger: history.Ledger) -> dict[str, list[str]]:
    found = {}
    for run in history.list_runs(ledger):
        for kind in history.NOTE_KINDS:
            for commit, records in history.read_notes(ledger, run.name, kind).items():
                found[f"{kind} {commit}"] = [record["id"] for record in records]
    return found


def test_what_one_clone_pushes_the_other_has_after_a_pull(pair):
    one, two = pair
    number, oid = play(one)
    sent = history.push(one).sent
    assert f"refs/heads/exp/depol-abcd/{number}" in sent
    assert not any("artifacts" in ref for ref in sent)
    report = history.pull(two)
    assert set(sent) == set(report.received)
    assert history.read_history(two) == history.read_history(one)
    assert not history.has_attachment(two, "artifacts", "depol-abcd", number)
    assert history.push(two) == history.SyncReport("origin")
    assert history.pull(two) == history.SyncReport("origin")
    assert history.find_round(two, "depol-abcd", number) == oid


def test_weights_travel_when_asked_for(pair):
    one, two = pair
    number, _ = play(one)
    history.push(one, artifacts=True)
    history.pull(two)
    assert not history.has_attachment(two, "artifacts", "depol-abcd", number)
    history.pull(two, artifacts=True)
    assert history.read_attachment(two, "artifacts", "depol-abcd", number) == {"weights.safetensors": b"w" * 10}


def test_one_run_travels_alone_and_not_with_one_that_begins_like_it(pair):
    one, two = pair
    for name in ("mine-aaaa", "mine-aaaab"):
        play(one, begin(one, name))
    history.push(one, run="mine-aaaa")
    history.pull(two)
    assert [run.name for run in history.list_runs(two)] == ["depol-abcd", "mine-aaaa"]
    history.push(one)
    three = clone(Path(sh(one.workdir, "remote", "get-url", "origin").strip()), one.workdir.parent / "three")
    history.pull(three, run="mine-aaaa")
    assert [run.name for run in history.list_runs(three)] == ["mine-aaaa"]
    with pytest.raises(NotFoundError, match="no run 'other-aaaa'"):
        history.pull(three, run="other-aaaa")
    with pytest.raises(NotFoundError, match="no run 'other-aaaa' to push"):
        history.push(three, run="other-aaaa")


@pytest.mark.parametrize("seed", range(3))
def test_clones_that_add_at_random_come_to_the_same_in_any_order(pair, remote, seed):
    chance = random.Random(seed)
    for step in range(4):
        for ledger in pair:
            top = ledger.workdir.name
            runs = [run.name for run in history.list_runs(ledger)]
            own = [name for name in runs if name.startswith(top)] or [begin(ledger, f"{top}-{step}aaa")]
            for _ in range(chance.randrange(3)):
                play(ledger, chance.choice(own))
            for record in chance.sample(known := history.read_history(ledger), min(2, len(known))):
                kind = chance.choice(history.NOTE_KINDS)
                history.append_note(ledger, record.run, kind, record.commit, {"by": top, "step": step})
                name = f"{top}-{step}.json"
                history.attach(ledger, "traces", record.run, record.number, {name: b"{}"})
        for ledger in chance.sample(pair, 2):
            chance.choice([history.push, history.pull])(ledger)
    noted = {key: set(ids) for ledger in pair for key, ids in all_notes(ledger).items()}
    for ledger in pair:
        for key, ids in all_notes(ledger).items():
            noted[key] = noted[key] | set(ids)
    first, second = chance.sample(pair, 2)
    history.push(first)
    history.push(second)
    history.pull(first)
    assert ours(first) == ours(second) == ours(remote)
    assert all_notes(first) == all_notes(second)
    assert {key: set(ids) for key, ids in all_notes(first).items()} == noted
    for top in (first.workdir, remote):
        sh(top, "fsck", "--strict")


def test_clones_that_pull_from_each_other_at_once_hold_the_same_commits(pair):
    one, two = pair
    _, oid = play(one)
    history.push(one)
    history.pull(two)
    for ledger in (*pair, *pair):
        history.append_note(ledger, "depol-abcd", "verdict", oid, {"by": ledger.workdir.name})
    for ledger in pair:
        history.attach(ledger, "traces", "depol-abcd", 1, {f"{ledger.workdir.name}.json": b"{}"})
    copies = []
    for ledger in pair:
        copy = ledger.workdir.with_suffix(".git")
        sh(ledger.workdir, "clone", "-q", "--mirror", str(ledger.workdir), str(copy))
        copies.append(str(copy))
    history.pull(one, copies[1])
    history.pull(two, copies[0])
    assert ours(one) == ours(two)
    (records,) = history.read_notes(one, "depol-abcd", "verdict").values()
    assert [record["by"] for record in records] == ["one", "two", "one", "two"], "oldest first"


def test_a_plain_clone_becomes_a_whole_lab_by_a_pull(pair, remote, tmp_path):
    play(pair[0])
    history.push(pair[0])
    fresh = clone(remote, tmp_path / "fresh")
    assert history.read_history(fresh) == []
    assert history.runs_elsewhere(fresh) == {"origin": ["depol-abcd"]}
    history.pull(fresh)
    assert ours(fresh) == ours(remote)
    assert history.runs_elsewhere(fresh) == {}
    history.drop(fresh, "depol-abcd")
    assert history.runs_elsewhere(fresh) == {}, "a pull would not bring it back"


def test_a_partial_clone_reads_the_records_and_is_told_how_to_get_the_rest(pair, remote, tmp_path):
    number, _ = play(pair[0])
    history.push(pair[0])
    sh(remote, "config", "uploadpack.allowFilter", "true")
    sh(tmp_path, "clone", "-q", "--filter=blob:none", remote.as_uri(), str(tmp_path / "partial"))
    partial = history.open_ledger(tmp_path / "partial")
    sh(partial.workdir, "fetch", "-q", "origin", "refs/autoqec/runs/*:refs/autoqec/runs/*")
    assert [record.metrics for record in history.read_history(partial)] == []  # its run.json has no contents
    specs = ("refs/autoqec/*:refs/autoqec/*", "refs/heads/exp/*:refs/heads/exp/*")
    sh(partial.workdir, "fetch", "-q", "origin", *specs)  # git alone brings refs and not what they lead to
    found = {finding.code: finding for finding in history.check(history.open_ledger(partial.workdir))}
    assert found.keys() >= {"partial-clone", "bad-candidate", "run-missing"}
    for code in ("partial-clone", "bad-candidate", "run-missing"):
        assert found[code].hint.startswith("git fetch --refetch --no-filter")
    history.pull(partial)
    (record,) = history.read_history(partial)
    assert (record.number, record.status, bool(record.metrics), record.problems) == (number, "ok", True, ())
    assert codes(partial) == ["partial-clone"]
    play(partial)
    assert set(codes(partial)) == {"partial-clone", "not-pushed"}


def test_what_users_do_with_plain_git_destroys_nothing(pair, remote):
    one, two = pair
    for ledger in pair:
        play(ledger, begin(ledger, f"{ledger.workdir.name}-aaaa"))
    history.push(two)
    before, there = ours(one), ours(remote)
    for args in (["fetch", "--prune", "--prune-tags", "--all"], ["push", "--all"], ["fetch", "--all"], ["gc", "-q"]):
        sh(one.workdir, *args)
        assert ours(one) == before
        assert there.items() <= ours(remote).items()
    history.push(one)
    assert ours(one) == ours(remote)


def test_not_even_a_dangerous_configuration_makes_a_pull_overwrite(pair):
    one, two = pair
    _, oid = play(one)
    history.push(one)
    history.pull(two)
    history.append_note(one, "depol-abcd", "verdict", oid, {"id": "pushed"})
    history.push(one)
    history.append_note(two, "depol-abcd", "verdict", oid, {"id": "only here"})
    for spec in ("+refs/notes/*:refs/notes/*", "+refs/autoqec/*:refs/autoqec/*"):
        sh(two.workdir, "config", "--add", "remote.origin.fetch", spec)
    for name in ("fetch.prune", "fetch.pruneTags", "push.followTags"):
        sh(two.workdir, "config", name, "true")
    number, _ = play(two)
    sh(two.workdir, "tag", "mine")
    history.pull(two)
    assert {record["id"] for record in history.read_notes(two, "depol-abcd", "verdict")[oid]} == {"pushed", "only here"}
    assert history.find_round(two, "depol-abcd", number)
    assert sh(two.workdir, "tag") == "mine\n"


def test_the_same_number_for_two_rounds_is_an_error_and_everything_else_arrives(pair):
    one, two = pair
    play(one)
    play(one, begin(one, "one-aaaa"))
    history.push(one)
    play(two)
    mine = ours(two)
    with pytest.raises(AutoQECError, match="different rounds") as caught:
        history.pull(two)
    there = ours(one)
    claim = "refs/autoqec/claims/depol-abcd/1"
    assert mine[claim] in caught.value.problem
    assert there[claim] in caught.value.problem
    assert "autoqec round --remote origin" in caught.value.hint
    assert "autoqec pull --renumber origin" in caught.value.hint
    now = ours(two)
    assert {ref: oid for ref, oid in now.items() if ref in mine and "notes" not in ref} == {
        ref: oid for ref, oid in mine.items() if "notes" not in ref
    }
    assert "refs/heads/exp/one-aaaa/1" in now
    with pytest.raises(AutoQECError, match="different rounds"):
        history.push(two)
    assert {ref: oid for ref, oid in ours(one).items() if "exp" in ref} == {
        ref: oid for ref, oid in there.items() if "exp" in ref
    }


@pytest.mark.parametrize("pushed", [False, True])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("how", [["--amend", "-m", "mine"], ["-m", "mine"]])
def test_a_branch_that_somebody_moved_is_named_and_not_pushed(pair, remote, pushed, closed, how):
    one, _ = pair
    claim = history.claim_round(one, "depol-abcd")
    _, oid = play(one, claim=claim, close=closed)
    if pushed:
        history.push(one)
    there = ours(remote)
    sh(one.workdir, "checkout", "-q", "exp/depol-abcd/1")
    sh(one.workdir, "commit", "-q", "--allow-empty", *how)
    mine = sh(one.workdir, "rev-parse", "HEAD").strip()
    with pytest.raises(AutoQECError, match=f"exp/depol-abcd/1 (has moved to|is) {mine[:10]}") as caught:
        history.push(one)
    assert ours(remote) == there
    sh(one.workdir, "checkout", "-q", "main")
    if closed or "--amend" not in how:  # else nothing says any more which commit the round was
        history.pull(one)
        for command in caught.value.hint.split("; "):
            sh(one.workdir, *command.split()[1:])
        history.push(one)
        assert ours(remote)["refs/heads/exp/depol-abcd/1"] == oid
        assert sh(one.workdir, "rev-parse", "depol-abcd-1-mine").strip() == mine


def test_many_branches_of_which_one_was_moved_are_not_pushed_as_a_folder(pair, remote, monkeypatch):
    monkeypatch.setattr(outgoing, "_FOLDER", 1)
    one, _ = pair
    oids = [play(one)[1] for _ in range(3)]
    sh(one.workdir, "branch", "-f", "exp/depol-abcd/2", "main")
    with pytest.raises(AutoQECError, match=f"exp/depol-abcd/2 has moved .*{oids[1][:10]}"):
        history.push(one)
    assert not any("exp" in ref for ref in ours(remote))


def test_closed_wins_over_open_on_either_side(pair):
    one, two = pair
    claim = history.claim_round(one, "depol-abcd", {"agent": "search"})
    history.push(one)
    history.pull(two)
    assert history.read_claim(two, "depol-abcd", 1) == claim
    changed = history.update_claim(one, claim, details={"agent": "other"})
    history.push(one)
    history.push(two)  # has only seen the older one
    assert history.read_claim(two, "depol-abcd", 1) == changed
    closed = history.close_claim(one, changed, status="abandoned")
    history.pull(one)
    assert history.read_claim(one, "depol-abcd", 1) == closed
    history.push(one)
    history.pull(two)
    assert history.read_claim(two, "depol-abcd", 1) == closed


@pytest.fixture
def collided(pair):
    """Two clones that took the numbers 2 and 3 each: the oids of the rounds of both, after round 1, which they share."""
    one, two = pair
    _, shared = play(one)
    history.push(one)
    history.pull(two)
    theirs = [play(one, parents=(shared,))[1] for _ in range(2)]
    history.push(one)
    _, parent = play(two, parents=(shared,))
    claim = history.claim_round(two, "depol-abcd", {"seen": {"closed": "1", "open": "2", "ideas": ""}})
    report = {"status": "compose_conflict", "fork_from": ["depol-abcd/1", "depol-abcd/2"], "compose": "pure"}
    history.attach(two, "attempts", "depol-abcd", claim.number, {"report.json": json.dumps(report).encode()})
    history.close_claim(two, claim, status="compose_conflict")
    _, child = play(two, parents=(parent,))
    return shared, theirs, [parent, child]


def test_rounds_whose_numbers_others_took_get_new_ones_and_stay_what_they_are(pair, remote, collided):
    one, two = pair
    shared, theirs, (parent, child) = collided
    weights = history.read_attachment(two, "artifacts", "depol-abcd", 4)
    before = history.read_notes(two, "depol-abcd", "metrics")
    with pytest.raises(AutoQECError, match="different rounds"):
        history.pull(two)
    assert history.find_round(two, "depol-abcd", 2) == parent
    got = history.pull(two, renumber_mine=True)
    assert got.renumbered == {f"depol-abcd/{old}": f"depol-abcd/{old + 3}" for old in (2, 3, 4)}
    history.push(two)
    history.pull(one)
    assert ours(one) == ours(two) == ours(remote)
    for ledger in pair:
        commits = [record.commit for record in history.read_history(ledger)]
        assert commits == [shared, *theirs, parent, None, child]
        assert [finding.code for finding in history.check(ledger) if finding.severity != "info"] == []
        assert [finding.code for finding in history.check(ledger)].count("renumbered") == 3
    records = history.read_history(two)
    assert [record.number for record in records] == [1, 2, 3, 5, 6, 7]
    assert all(record.problems == () for record in records)
    assert [record.claim.first_number for record in records] == [1, 2, 3, 2, 3, 4]
    assert records[-1].parents == (parent,)
    assert records[4].conflict["fork_from"] == ["depol-abcd/1", "depol-abcd/5"]
    assert records[4].claim.details["seen"] == {"closed": "1", "open": "5", "ideas": ""}
    assert history.read_attachment(two, "artifacts", "depol-abcd", 7) == weights
    assert before.items() <= history.read_notes(two, "depol-abcd", "metrics").items()
    assert history.read_attachment(two, "traces", "depol-abcd", 5)["ideator.json"] == records[3].claim.attempt.encode()
    assert history.pull(two, renumber_mine=True) == history.SyncReport("origin")
    assert play(two)[0] == 8


def test_a_clone_that_has_a_round_under_its_old_number_takes_the_new_one(pair, remote, collided, tmp_path):
    _, two = pair
    third = clone(remote, tmp_path / "third")
    sh(third.workdir, "remote", "add", "two", str(two.workdir))
    history.pull(third, "two")
    sh(third.workdir, "remote", "remove", "two")
    for ref in sh(third.workdir, "for-each-ref", "--format=%(refname)", "refs/autoqec-remote/two").split():
        sh(third.workdir, "update-ref", "-d", ref)
    history.pull(two, renumber_mine=True)
    history.push(two)
    assert history.pull(third, renumber_mine=True).renumbered == {
        f"depol-abcd/{old}": f"depol-abcd/{old + 3}" for old in (2, 3, 4)
    }
    assert ours(third) == ours(two) == ours(remote)


def test_what_may_not_be_renumbered_is_said_and_nothing_is_changed(pair, collided, tmp_path):
    _, two = pair
    before = ours(two)
    sh(two.workdir, "checkout", "-q", "exp/depol-abcd/2")
    with pytest.raises(AutoQECError, match="exp/depol-abcd/2 is checked out"):
        history.pull(two, renumber_mine=True)
    sh(two.workdir, "checkout", "-q", "main")
    sh(tmp_path, "init", "-q", "--bare", "other.git")
    sh(two.workdir, "remote", "add", "other", str(tmp_path / "other.git"))
    history.push(two, "other")
    with pytest.raises(AutoQECError, match="other already has round depol-abcd/2 under that number"):
        history.pull(two, renumber_mine=True)
    assert ours(two) == before
    claim = history.claim_round(two, "depol-abcd")
    with pytest.raises(AutoQECError, match=f"depol-abcd/{claim.number} is not closed yet"):
        history.pull(two, renumber_mine=True)
    assert before.items() <= ours(two).items()


@pytest.mark.parametrize("moment", ["move_at_once", "store_claim"])
def test_renumbering_that_dies_has_changed_nothing(pair, collided, moment, monkeypatch):
    from autoqec.history.sync import renumbering

    _, two = pair
    before = ours(two)

    def dying(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(renumbering, moment, dying)
        with pytest.raises(KeyboardInterrupt):
            history.pull(two, renumber_mine=True)
    assert ours(two) == before
    assert len(history.pull(two, renumber_mine=True).renumbered) == 3


def test_a_round_closed_in_two_ways_is_an_error(pair):
    one, two = pair
    claim = history.claim_round(one, "depol-abcd")
    history.push(one)
    history.pull(two)
    history.close_claim(one, claim, status="abandoned")
    history.push(one)
    closed = history.close_claim(two, claim, status="train_error")
    with pytest.raises(AutoQECError, match=r"closed differently: .*train_error.*abandoned"):
        history.pull(two)
    assert history.read_claim(two, "depol-abcd", 1) == closed


def test_a_file_with_two_contents_is_an_error(pair):
    one, two = pair
    play(one)
    history.push(one)
    history.pull(two)
    for ledger in pair:
        history.attach(ledger, "traces", "depol-abcd", 1, {"a.json": ledger.workdir.name.encode()})
    history.push(one)
    with pytest.raises(AutoQECError, match=r"traces/depol-abcd/1 .* different contents of a\.json"):
        history.pull(two)


BRANCHES, ROUNDS = "refs/heads/exp/depol-abcd/", "refs/autoqec/rounds/depol-abcd/"


@pytest.fixture
def shared(pair):
    """The two clones, both with the same three rounds; the oids of these."""
    oids = [play(pair[0])[1] for _ in range(3)]
    history.push(pair[0])
    history.pull(pair[1])
    return oids


def archived(oids):
    return {f"{ROUNDS}{number}": oid for number, oid in enumerate(oids, 1)}


def places(top):
    return {ref: oid for ref, oid in ours(top).items() if ref.startswith((BRANCHES, ROUNDS))}


def test_an_archive_travels(pair, remote, shared):
    one, two = pair
    history.archive_run(one, "depol-abcd")
    sent = history.push(one)
    assert set(sent.archived) == {f"{BRANCHES}{number}" for number in (1, 2, 3)}
    assert set(sent.sent) == set(archived(shared))
    assert places(remote) == archived(shared)
    got = history.pull(two)
    assert (set(got.archived), set(got.received)) == (set(sent.archived), set(sent.sent))
    assert ours(one) == ours(two) == ours(remote)
    assert history.read_history(two) == history.read_history(one)
    for ledger in pair:
        assert history.pull(ledger) == history.push(ledger) == history.SyncReport("origin")
        assert {finding.code for finding in history.check(ledger)} <= {"weights-absent"}
    assert play(two)[0] == 4


def test_what_was_archived_does_not_come_back_as_a_branch(pair, remote, shared, tmp_path):
    one, two = pair
    history.archive_run(one, "depol-abcd")
    assert history.pull(one).received == ()
    assert places(one) == archived(shared)
    history.push(one)
    sh(two.workdir, "push", "-q", "--all")  # a plain push by somebody who has not pulled
    assert BRANCHES + "1" in places(remote)
    fresh = clone(remote, tmp_path / "fresh")
    history.pull(fresh)
    assert places(fresh) == archived(shared)
    history.pull(one)
    assert places(one) == archived(shared)
    history.push(fresh)
    assert places(remote) == archived(shared)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_clones_that_both_archive_and_go_on_converge_in_any_order(pair, remote, shared, order):
    for ledger in pair:
        history.archive_run(ledger, "depol-abcd")
    for name in order:
        play(pair[name], begin(pair[name], f"own-{name}aaa"))
        history.push(pair[name])
    history.pull(pair[order[0]])
    assert ours(pair[0]) == ours(pair[1]) == ours(remote)
    assert places(remote) == archived(shared)


def test_a_branch_that_somebody_stands_on_or_has_moved_stays_until_it_is_free(pair, remote, shared, tmp_path):
    one, two = pair
    sh(two.workdir, "worktree", "add", "-q", str(tmp_path / "review"), "exp/depol-abcd/2")
    sh(two.workdir, "checkout", "-q", "exp/depol-abcd/3")
    sh(two.workdir, "commit", "-q", "--allow-empty", "-m", "mine")
    mine = sh(two.workdir, "rev-parse", "HEAD").strip()
    history.archive_run(one, "depol-abcd")
    history.push(one)
    got = history.pull(two)
    assert got.archived == (f"{BRANCHES}1",)
    assert got.left == {"exp/depol-abcd/2": "it is checked out in a worktree"}
    assert places(two) == {f"{BRANCHES}2": shared[1], f"{BRANCHES}3": mine, **archived(shared)}
    history.push(two)
    assert places(remote) == archived(shared), "what stays here is not sent again"
    sh(two.workdir, "worktree", "remove", str(tmp_path / "review"))
    history.pull(two)
    assert places(two) == {f"{BRANCHES}3": mine, **archived(shared)}


def test_a_host_that_keeps_branches_is_said_to_and_has_the_archive(pair, remote, shared):
    sh(remote, "config", "receive.denyDeletes", "true")
    one, two = pair
    history.archive_run(one, "depol-abcd")
    sent = history.push(one)
    assert sent.archived == ()
    assert set(sent.left) == {f"exp/depol-abcd/{number} on origin" for number in (1, 2, 3)}
    assert archived(shared).items() <= places(remote).items()
    history.pull(two)
    assert places(two) == archived(shared)


def test_a_branch_on_the_remote_that_was_moved_is_not_deleted(pair, remote, shared):
    one, _ = pair
    history.archive_run(one, "depol-abcd")
    there = network.find_remote(one, "origin")
    sh(remote, "update-ref", f"{BRANCHES}1", "main")
    left = network.delete_refs(one, there, {f"{BRANCHES}{n}": oid for n, oid in enumerate(shared, 1)})
    assert left == {f"{BRANCHES}1": "stale info"}
    assert list(places(remote)) == [f"{BRANCHES}1"]


@pytest.mark.parametrize("death", ["push_refs", "delete_refs", "drop_archived"])
def test_a_push_or_pull_that_dies_loses_nothing_and_is_finished_by_the_next(pair, remote, shared, death, monkeypatch):
    from autoqec.history.sync import push_pull as sync

    one, two = pair
    history.archive_run(one, "depol-abcd")

    def dying(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sync, death, dying)
        for act in (lambda: history.push(one), lambda: history.pull(two)):
            try:
                act()
            except KeyboardInterrupt:
                assert {oid for ledger in (remote, one, two) for oid in places(ledger).values()} == set(shared)
    for ledger in (remote, one, two):
        assert set(places(ledger).values()) == set(shared)
    history.push(one)
    history.pull(two)
    assert ours(one) == ours(two) == ours(remote)
    assert places(two) == archived(shared)


def test_refs_that_are_not_ours_are_left_alone(pair, remote):
    head = sh(remote, "rev-parse", "main").strip()
    for ref in (
        "refs/autoqec/runs/UPPER",
        "refs/heads/exp/x",
        "refs/notes/autoqec/depol-abcd/other",
        "refs/autoqec/x/y",
    ):
        sh(remote, "update-ref", ref, head)
    assert history.pull(pair[0]).received == ()


def test_a_damaged_claim_is_named_and_not_taken_up(pair, remote):
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=remote, input=b"{}", capture_output=True, check=True
    ).stdout.decode()
    sh(remote, "update-ref", "refs/autoqec/claims/depol-abcd/1", blob.strip())
    with pytest.raises(AutoQECError, match="refs/autoqec/claims/depol-abcd/1 is damaged"):
        history.pull(pair[0])
    assert history.list_claims(pair[0]) == []


def test_many_refs_go_as_folders_and_what_is_not_ours_stays(pair, remote, monkeypatch):
    monkeypatch.setattr(outgoing, "_FOLDER", 1)
    one, _ = pair
    for name in ("one-aaaa", "one-bbbb"):
        begin(one, name)
        for _ in range(2):
            play(one, name)
    sh(one.workdir, "branch", "exp/one-bbbb/mine")
    specs = outgoing.refspecs(one, outgoing.outgoing(one, network.find_remote(one, "origin"), None, artifacts=False))
    assert "refs/heads/exp/one-aaaa/*:refs/heads/exp/one-aaaa/*" in specs
    assert not any("exp/one-bbbb/*" in spec for spec in specs)
    history.push(one)
    here = ours(one)
    assert here.pop("refs/heads/exp/one-bbbb/mine")
    assert ours(remote) == here


HOOK = """#!/bin/sh
case $1 in refs/heads/*|refs/tags/*) ;; *) echo "branches and tags only" >&2; exit 1;; esac
"""


def test_a_host_that_refuses_our_refs_is_named_with_its_reason(pair, remote):
    play(pair[0])
    hook = remote / "hooks" / "update"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    before = ours(remote)
    with pytest.raises(
        AutoQECError, match=r"refuses refs/autoqec/.*branches and tags only.*perhaps the host accepts"
    ) as caught:
        history.push(pair[0])
    assert "autoqec bundle" in caught.value.hint
    assert ours(remote) == before


def test_a_shallow_remote_is_named_as_such(pair, remote, tmp_path):
    sh(pair[0].workdir, "commit", "-q", "--allow-empty", "-m", "more")
    play(pair[0], begin(pair[0], "late-aaaa"))
    sh(pair[0].workdir, "push", "-q", "origin", "main")
    history.push(pair[0])
    shallow = tmp_path / "shallow"
    sh(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", remote.as_uri(), str(shallow))
    sh(shallow, "update-ref", "refs/heads/exp/late-aaaa/1", "refs/remotes/origin/exp/late-aaaa/1")
    with pytest.raises(AutoQECError, match="shallow clone") as caught:
        history.pull(clone(pair[1].workdir, tmp_path / "three"), str(shallow))
    assert "--unshallow" in caught.value.hint


def test_remotes_that_are_none(pair, lab):
    with pytest.raises(
        NotFoundError, match="'upstream' is neither a remote nor a path; configured remotes: origin"
    ) as caught:
        history.pull(pair[0], "upstream")
    assert caught.value.hint == "git remote add upstream <url>"
    with pytest.raises(NotFoundError) as caught:
        history.pull(pair[0], "origni")
    assert caught.value.hint == "did you mean origin?"
    sh(lab.workdir, "remote", "remove", "origin")
    with pytest.raises(NotFoundError, match="this lab has no remotes"):
        history.push(lab)
    with pytest.raises(UsageError):
        history.pull(pair[0], "--upload-pack=touch x")
    with pytest.raises(AutoQECError, match="could not fetch from ") as caught:
        history.pull(pair[0], str(pair[0].workdir.parent))
    assert caught.value.hint.startswith("git ls-remote ")


def test_how_many_rounds_and_notes_are_not_pushed(pair):
    one, _ = pair
    assert history.unpushed(one) == {"origin": history.Unpushed(0, 0)}
    play(one)
    play(one)
    assert history.unpushed(one) == {"origin": history.Unpushed(2, 2)}
    history.push(one)
    assert history.unpushed(one) == {"origin": history.Unpushed(0, 0)}


def test_fsck_says_what_is_not_pushed_and_what_is_not_here(pair):
    one, two = pair
    assert codes(one) == []
    play(one)
    play(one)
    (finding,) = history.check(one)
    assert (finding.code, finding.severity, finding.hint) == ("not-pushed", "info", "autoqec push origin")
    assert "2 rounds, 2 notes" in finding.problem
    history.push(one)
    assert codes(one) == []
    history.pull(two)
    assert codes(two) == []
    for ref, oid in history.list_refs(two, "refs/heads/exp/", "refs/autoqec/claims/").items():
        if ref.endswith("/2"):
            history.compare_and_swap(two, ref, oid, None, "drop")
    notes = "refs/notes/autoqec/depol-abcd/metrics"
    sh(two.workdir, "update-ref", notes, f"{notes}^")
    found = {finding.code: finding for finding in history.check(two)}
    assert "1 round, 1 note" in found["not-pulled"].problem
    assert found["not-pulled"].severity == "info"
    history.pull(two)
    assert "not-pulled" not in codes(two)


def test_a_remote_that_was_never_looked_at_is_no_finding(lab, run, tmp_path):
    play(lab)
    sh(lab.workdir, "remote", "add", "origin", str(tmp_path / "nowhere"))
    assert codes(lab) == []
    assert history.unpushed(lab) == {"origin": history.Unpushed(1, 1)}
    assert history.unpushed(lab, looked_at=True) == {}


def test_fsck_tells_what_a_pull_unites_from_what_contradicts(pair):
    one, two = pair
    _, oid = play(one)
    history.push(one)
    history.pull(two)
    history.append_note(one, "depol-abcd", "verdict", oid, {"id": "one", "event": "begun", "attempt": 1})
    history.append_note(two, "depol-abcd", "verdict", oid, {"id": "two", "event": "begun", "attempt": 2})
    history.push(one)
    sync.fetch_kinds(two, network.find_remote(two, "origin"), None, ["notes"])
    (finding,) = history.check(two)
    assert (finding.code, finding.severity) == ("diverged", "info")
    assert "notes/autoqec/depol-abcd/verdict" in finding.problem
    history.pull(two)
    assert codes(two) == ["not-pushed"]
    history.push(two)
    play(one)
    play(two)
    history.push(one)
    with pytest.raises(AutoQECError):
        history.push(two)
    found = history.check(two)
    contradicted = [finding for finding in found if finding.code == "contradicted"]
    assert {finding.ref for finding in contradicted} == {
        "refs/autoqec/claims/depol-abcd/2", "refs/heads/exp/depol-abcd/2"
    }  # fmt: skip
    assert {finding.severity for finding in contradicted} == {"warning"}


PUSHES = """
import sys
from autoqec import history
from autoqec.testing.whole_notes import whole_metrics
top, oid, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
ledger = history.open_ledger(top)
for number in range(count):
    history.append_note(ledger, "depol-abcd", "verdict", oid, {"id": f"{ledger.workdir.name} {number}"})
    history.push(ledger)
"""


def test_clones_that_push_at_the_same_time_lose_nothing(pair, remote, python):
    one, two = pair
    _, oid = play(one)
    history.push(one)
    history.pull(two)
    processes = [python(PUSHES, str(ledger.workdir), oid, "4") for ledger in pair]
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    for ledger in pair:
        history.pull(ledger)
    assert ours(one) == ours(two) == ours(remote)
    records = history.read_notes(history.open_ledger(one.workdir), "depol-abcd", "verdict")[oid]
    assert {record["id"] for record in records} == {
        f"{name} {number}" for name in ("one", "two") for number in range(4)
    }


CLAIMS = """
import sys
from autoqec import history
from autoqec.testing.whole_notes import whole_metrics
ledger = history.open_ledger(sys.argv[1])
for _ in range(int(sys.argv[2])):
    claim = history.claim_shared_round(ledger, "depol-abcd", "origin")
    print(claim.number, claim.attempt, flush=True)
"""


@pytest.mark.parametrize("count", [3, pytest.param(15, marks=pytest.mark.slow)])
def test_of_clones_that_race_for_a_number_one_has_it(pair, remote, tmp_path, python, count):
    tops = [ledger.workdir for ledger in pair] + [clone(remote, tmp_path / "three").workdir]
    history.pull(history.open_ledger(tops[2]))
    processes = [python(CLAIMS, str(top), str(count)) for top in tops]
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, results
    rows = [line.split() for out, _ in results for line in out.splitlines()]
    assert sorted(int(number) for number, _ in rows) == list(range(1, 3 * count + 1))
    for top in tops:
        history.push(history.open_ledger(top))
    fresh = clone(remote, tmp_path / "fresh")
    history.pull(fresh)
    assert {(str(claim.number), claim.attempt) for claim in history.list_claims(fresh)} == {
        (number, attempt) for number, attempt in rows
    }


def test_a_shared_claim_puts_the_run_on_the_remote(pair):
    one, two = pair
    claim = history.claim_shared_round(one, begin(one, "new-aaaa"), "origin", {"agent": "search"})
    assert history.list_claims(one) == [claim]
    history.pull(two)
    assert history.claim_shared_round(two, "new-aaaa", "origin").number == 2
    play(one, "new-aaaa", claim)
    history.push(one)
    history.pull(two)
    assert [record.status for record in history.read_history(two, "new-aaaa")][:1] == ["ok"]


def test_two_runs_of_one_name_are_told_apart(pair):
    for ledger in pair:
        begin(ledger, "twin-aaaa")
    history.claim_shared_round(pair[0], "twin-aaaa", "origin")
    with pytest.raises(AutoQECError, match="another run named twin-aaaa"):
        history.claim_shared_round(pair[1], "twin-aaaa", "origin")
