"""What is dropped is gone from every list and from nothing else: it comes back whole, and what it spent stays spent."""

from __future__ import annotations

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.reading import open_rounds
from autoqec.history.store import refs as ref_store
from autoqec.history.sync import dropping
from autoqec.loop.tracing import run_calls
from autoqec.testing.whole_notes import whole_metrics

RUN = "depol-abcd"
NOTES = "refs/notes/autoqec/"
CALL = b'{"round": 3, "role": "ideator", "attempt": 1, "agent": "a", "estimate": {"tokens": 70, "cost": 0.5}}'


class KilledError(Exception):
    """Stands for kill -9."""


def fresh(lab):
    return history.open_ledger(lab.workdir)


def rounds(lab):
    return history.read_history(fresh(lab))


def refs(git, *patterns):
    rows = (line.split() for line in git("for-each-ref", "--format=%(refname) %(objectname)", *patterns).splitlines())
    return dict(rows)


@pytest.fixture
def lab_of_three(lab, run, play, git):
    """Three rounds, of which git has packed two; the third is a child of the second."""
    play()
    _, parent = play()
    git("pack-refs", "--all")
    claim = history.claim_round(lab, run.name)
    identity = history.RoundIdentity(
        run.name, 3, claim.attempt, f"surface_d3@sha256:{run.env_id}", (parent,), "none", "s", "h"
    )
    files = {"output.yaml": b"mode: soft_priors\n"}
    oid = history.commit_round(lab, identity, base=run.base, parents=(parent,), files=files, subject="s", body="b")
    history.attach(lab, "traces", run.name, 3, {"calls/ideator-1.begun.json": CALL})
    history.close_claim(lab, claim, status="ok", commit=oid)
    return lab


@pytest.mark.parametrize("number", [2, None])
def test_it_leaves_the_lists_and_comes_back_as_it_was(lab_of_three, git, look, number):
    lab = lab_of_three
    before, held, files = rounds(lab), refs(git), look(lab.workdir)
    dropped = history.drop(lab, RUN, number, "a slip")
    gone = {1, 2, 3} if number is None else {number}
    assert (dropped.name, dropped.message, set(dropped.rounds)) == (
        RUN if number is None else f"{RUN}/2", "a slip", gone
    )  # fmt: skip
    assert [record.number for record in rounds(lab)] == sorted({1, 2, 3} - gone)
    assert history.list_dropped(fresh(lab)) == [dropped]
    moved = refs(git)
    names = {f"exp/{RUN}/{n}" for n in gone}
    assert not names & {ref.removeprefix("refs/heads/") for ref in moved}
    assert {ref: oid for ref, oid in moved.items() if ref.startswith(NOTES)} == {
        ref: oid for ref, oid in held.items() if ref.startswith(NOTES)
    }, "notes stay untouched"
    assert sorted(moved.values()) == sorted([*held.values(), git("rev-parse", dropping.mark_of(RUN, number)).strip()])
    assert history.check(fresh(lab)) == []
    git("gc", "-q", "--prune=now")
    assert history.restore(fresh(lab), RUN, number).rounds == dropped.rounds
    assert (rounds(lab), refs(git), look(lab.workdir)) == (before, held, files)
    assert history.check(fresh(lab)) == history.list_dropped(fresh(lab)) == []


RECORDING = "7" * 64


def begin(lab, number, environment="e" * 64):
    """Note the start of a verification of a round, a look at a recording, as a verifier does."""
    chain = history.read_chain(lab, RUN)
    about = {"run": RUN, "round": number, "environment": environment, "recording": RECORDING, "look": number}
    begun = {"event": "begun", "attempt": chain.next_attempt, "chain": list(chain.next_chain), **about}
    history.append_line(lab, RUN, "verdict", history.find_round(lab, RUN, number), begun)
    history.remember_heads(lab, RUN)


def test_what_it_spent_stays_spent_and_its_number_stays_taken(lab_of_three, play):
    """Shares of the error budget, looks at a recording, what its agents took, and numbers; of a whole run too."""
    lab = lab_of_three
    for number in (2, 3):
        begin(lab, number)
    begin(lab, 2, environment="f" * 64)  # counts for nothing, as long as the run says which environment it has

    def spent():
        ledger = fresh(lab)
        return history.read_chain(ledger, RUN), history.looks_at(ledger, RECORDING), run_calls(ledger, RUN)

    before = spent()
    assert (len(before[0].intents), before[0].next_attempt, len(before[1])) == (2, 3, 2)
    assert [(call.round, call.tokens) for call in before[2]] == [(3, 70)]
    for number in (3, 2):
        history.drop(lab, RUN, number)
    assert spent() == before
    assert play()[0].number == 4
    history.drop(lab, RUN)
    assert spent() == before


def test_whoever_names_it_is_told_how_to_bring_it_back(lab_of_three, base):
    lab = lab_of_three
    history.drop(lab, RUN, 2)
    for read in (history.find_round, history.find_record, history.drop):
        with pytest.raises(NotFoundError, match=f"round {RUN}/2 is dropped") as caught:
            read(fresh(lab), RUN, 2)
        assert f"autoqec drop --restore {RUN}/2" in caught.value.hint
    history.drop(lab, RUN)
    record = {"base": base, "env_name": "e", "env_id": "e" * 64, "env_files": {"a": b"a"}, "settings": {}}
    acts = [
        lambda: history.load_run(fresh(lab), RUN),
        lambda: history.claim_round(fresh(lab), RUN),
        lambda: history.read_history(fresh(lab), RUN),
        lambda: history.find_record(fresh(lab), RUN, 1),
        lambda: history.archive_run(fresh(lab), RUN),
        lambda: history.write_bundle(fresh(lab), RUN, "nowhere", ()),
        lambda: history.start_run(fresh(lab), RUN, **record),
        lambda: history.drop(fresh(lab), RUN),
    ]
    for act in acts:
        with pytest.raises(NotFoundError, match=f"run {RUN} is dropped") as caught:
            act()
        assert f"autoqec drop --restore {RUN}" in caught.value.hint
    assert history.list_runs(fresh(lab)) == []
    with pytest.raises(NotFoundError, match="was dropped with its run"):
        history.restore(lab, RUN, 1)
    history.restore(lab, RUN)
    assert [record.number for record in rounds(lab)] == [1, 3], "2 was dropped by itself, and stays so"
    history.restore(lab, RUN, 2)
    assert history.check(fresh(lab)) == []


def test_what_is_at_work_or_in_use_is_refused_and_nothing_is_dropped(lab_of_three, git, tmp_path, monkeypatch):
    lab = lab_of_three
    held = refs(git)
    claim = history.claim_round(lab, RUN)
    for number in (None, 4):
        with pytest.raises(AutoQECError, match=f"round {RUN}/4 is not closed yet, so nothing was dropped") as caught:
            history.drop(lab, RUN, number)
        assert "autoqec status" in caught.value.hint  # resume and --abandon refuse a round that runs
    with monkeypatch.context() as patch:
        patch.setattr(open_rounds, "owner_alive", lambda claim: False)
        with pytest.raises(AutoQECError, match="not closed") as caught:
            history.drop(lab, RUN)
    assert f"autoqec resume {RUN} finishes it; autoqec resume --abandon {RUN}/4" in caught.value.hint
    history.close_claim(lab, claim, status="abandoned")
    git("worktree", "add", "-q", str(tmp_path / "review"), f"exp/{RUN}/2")
    for number in (None, 2):
        with pytest.raises(AutoQECError, match=f"exp/{RUN}/2 is checked out"):
            history.drop(lab, RUN, number)
    assert {ref: oid for ref, oid in refs(git).items() if "/4" not in ref} == held
    for name in ((RUN, 9), ("nobody-abcd", None), ("nobody-abcd", 1)):
        with pytest.raises(NotFoundError, match="there is no"):
            history.drop(lab, *name)
        with pytest.raises(NotFoundError, match="is not dropped"):
            history.restore(lab, *name)


def test_a_damaged_round_can_be_dropped(lab_of_three, git):
    git("update-ref", f"refs/autoqec/claims/{RUN}/1", git("hash-object", "-w", "--stdin", stdin="junk").strip())
    history.drop(lab_of_three, RUN, 1)
    assert [finding.severity for finding in history.check(fresh(lab_of_three))] == []


def moved_one_by_one(until):
    """Git that dies after some moves of a transaction, in an order of its own."""

    def move(ledger, moves, why):
        for ref, (old, new) in sorted(moves.items(), key=lambda item: (item[1][1] is None, item[0]))[:until]:
            assert ref_store.compare_and_swap(ledger, ref, old, new, why)
        raise KilledError

    return move


@pytest.mark.parametrize(("number", "until"), [(2, 0), (2, 1), (2, 4), (2, 5), (None, 0), (None, 5), (None, 13)])
def test_killed_anywhere_it_is_one_or_the_other_and_can_be_finished(lab_of_three, monkeypatch, git, number, until):
    lab = lab_of_three
    listed = rounds(lab)
    left = [record for record in listed if number is not None and record.number != number]

    def dies(act):
        with monkeypatch.context() as patch:
            patch.setattr(dropping, "move_at_once", moved_one_by_one(until))
            with pytest.raises(KilledError):
                act(lab, RUN, number)

    dies(history.drop)
    assert rounds(lab) == left
    assert history.list_dropped(fresh(lab))[0].rounds == (
        tuple(record.number for record in listed) if number is None else (2,)
    )
    (finding,) = history.check(fresh(lab))
    assert (finding.code, finding.repairable) == ("half-dropped", True)
    history.drop(fresh(lab), RUN, number)
    assert (rounds(lab), history.check(fresh(lab))) == (left, [])
    dies(history.restore)
    assert rounds(lab) == left, "dropped until the last ref is back"
    found = history.check(fresh(lab))
    assert {finding.code for finding in found} <= {"half-dropped"}
    if until > 1:
        assert history.repair(fresh(lab), found)
        assert (rounds(lab), history.check(fresh(lab))) == (left, [])
        dies(history.restore)
    history.restore(fresh(lab), RUN, number)
    assert (rounds(lab), history.check(fresh(lab))) == (listed, [])


def test_before_its_mark_is_written_nothing_is_dropped_and_after_all_came_back_it_is_again(lab_of_three, monkeypatch):
    lab = lab_of_three
    listed = rounds(lab)

    def killed(*arguments):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(dropping, "compare_and_swap", killed)
        with pytest.raises(KilledError):
            history.drop(lab, RUN)
    assert (rounds(lab), history.check(fresh(lab))) == (listed, [])
    history.drop(lab, RUN)
    with monkeypatch.context() as patch:
        patch.setattr(dropping, "compare_and_swap", killed)
        with pytest.raises(KilledError):
            history.restore(lab, RUN)
    assert rounds(lab) == []
    history.restore(lab, RUN)
    assert rounds(lab) == listed


def test_refs_without_a_mark_are_named_with_the_commands_that_bring_them_back(lab_of_three, git):
    lab = lab_of_three
    listed = rounds(lab)
    history.drop(lab, RUN, 2)
    git("update-ref", "-d", dropping.mark_of(RUN, 2))
    found = [finding for finding in history.check(fresh(lab)) if finding.code == "unmarked"]
    assert len(found) == 3, "branch, claim, weights"
    for finding in found:
        for command in finding.hint.split("; "):
            git(*command.removeprefix("git ").split())
    assert rounds(lab) == listed


def test_rounds_that_stay_and_start_from_it_are_named(lab_of_three):
    lab = lab_of_three
    dropped = history.drop(lab, RUN, 2)
    assert history.children_of(fresh(lab), dropped) == {f"{RUN}/3": [f"{RUN}/2"]}
    history.drop(lab, RUN, 3)
    assert history.children_of(fresh(lab), dropped) == {}


def test_its_verdict_is_of_a_round_that_is_known(lab_of_three):
    """No reader asks to fetch it from elsewhere, as for verdicts on commits that nobody here knows."""
    lab = lab_of_three
    history.drop(lab, RUN, 1)
    found = history.read_run(fresh(lab), history.take_snapshot(fresh(lab)), RUN)
    assert (found.strays, [record.number for record in found.records]) == ({}, [2, 3])
    there = history.read_run(fresh(lab), history.dropped_snapshot(fresh(lab)), RUN)
    assert [(record.number, record.verdict is not None) for record in there.records] == [(1, True)]


@pytest.fixture
def pair(lab_of_three, git, tmp_path):
    """A lab and a clone of it that both have its rounds, and the remote between them."""
    git("clone", "-q", "--bare", str(lab_of_three.workdir), str(tmp_path / "remote.git"))
    git("remote", "add", "origin", str(tmp_path / "remote.git"))
    history.push(lab_of_three)
    git("clone", "-q", str(tmp_path / "remote.git"), str(tmp_path / "other"))
    for name, value in (("name", "Bob"), ("email", "bob@example.org")):
        git("-C", str(tmp_path / "other"), "config", f"user.{name}", value)
    other = history.open_ledger(tmp_path / "other")
    history.pull(other)
    return lab_of_three, other, tmp_path / "remote.git"


def add_round(ledger, number):
    run = history.load_run(ledger, RUN)
    claim = history.claim_round(ledger, RUN)
    assert claim.number == number
    env = f"surface_d3@sha256:{run.env_id}"
    identity = history.RoundIdentity(RUN, number, claim.attempt, env, (), "none", "s", "h")
    files = {"output.yaml": b"mode: soft_priors\n"}
    oid = history.commit_round(ledger, identity, base=run.base, parents=(), files=files, subject="s", body="b")
    history.append_note(ledger, RUN, "metrics", oid, whole_metrics(id=claim.attempt, shots=65_536))
    history.close_claim(ledger, claim, status="ok", commit=oid)


@pytest.mark.parametrize("number", [2, None])
def test_a_pull_does_not_bring_it_back_and_a_push_takes_nothing_away(pair, git, number):
    lab, other, remote = pair
    there = refs(lambda *args: git(*args, cwd=remote))
    history.drop(lab, RUN, number)
    add_round(other, 4)
    history.attach(other, "traces", RUN, 2, {"late.json": b"{}\n"})
    history.push(other)
    name = RUN if number is None else f"{RUN}/2"
    report = history.pull(lab)
    assert (report.dropped_here, report.dropped) == ((name,), ())
    assert [record.number for record in rounds(lab)] == ([] if number is None else [1, 3, 4])
    assert (history.push(lab).sent, history.push(lab).dropped_here) == ((), (name,))
    after = refs(lambda *args: git(*args, cwd=remote))
    assert after.keys() >= there.keys()
    assert not any("dropped" in ref for ref in after)
    assert [record.number for record in rounds(other)] == [1, 2, 3, 4], "to drop is each lab's own decision"
    assert history.check(fresh(lab)) == []
    history.restore(lab, RUN, number)
    assert rounds(lab) == rounds(other)
    assert history.read_attachment(fresh(lab), "traces", RUN, 2) == {"late.json": b"{}\n"}
    assert (history.pull(lab).received, history.push(lab).sent) == ((), ())


def test_a_number_that_a_clone_gave_to_another_round_is_said_with_what_helps(pair):
    lab, other, _ = pair
    add_round(lab, 4)
    add_round(other, 4)
    history.push(other)
    history.drop(lab, RUN, 4)
    with pytest.raises(AutoQECError, match="used the same number for different rounds") as caught:
        history.pull(lab)
    assert f"autoqec drop --restore {RUN}/4, then autoqec pull --renumber origin" in caught.value.hint
    history.restore(lab, RUN, 4)
    assert history.pull(lab, renumber_mine=True).renumbered == {f"{RUN}/4": f"{RUN}/5"}
    history.drop(lab, RUN, 5)
    assert (history.pull(lab).received, [record.number for record in rounds(lab)]) == ((), [1, 2, 3, 4])


def test_a_run_that_nobody_else_has_stays_here_with_its_notes(lab_of_three, git, tmp_path):
    lab = lab_of_three
    git("init", "-q", "--bare", str(tmp_path / "new.git"))
    history.drop(lab, RUN)
    assert history.push(lab, str(tmp_path / "new.git")).sent == ()


def test_a_bundle_holds_what_is_in_the_lists(lab_of_three, tmp_path):
    history.drop(lab_of_three, RUN, 2)
    inside = history.write_bundle(fresh(lab_of_three), RUN, tmp_path / "run.bundle", ())
    assert [ref for ref in inside if ref.endswith("/2") or "dropped" in ref] == []
    assert f"refs/heads/exp/{RUN}/3" in inside
    assert f"{NOTES}{RUN}/verdict" in inside
