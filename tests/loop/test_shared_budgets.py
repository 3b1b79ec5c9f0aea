"""Clones that work on one run spend its error budget, and that of a recording, as one clone does: no number is taken twice."""

import shutil
import subprocess
from dataclasses import replace

import pytest

from autoqec.config import load_settings
from autoqec.errors import AutoQECError, BudgetSpentError
from autoqec.history import check, open_ledger, push, read_chain
from autoqec.loop.judging import begin_attempt
from autoqec.loop.round_state import read_state
from tests.loop.test_looks import recorded as recorded


@pytest.fixture
def clones(recorded, tmp_path):
    """Sessions of one run in three clones that claim on a remote and have not heard of each other since the run began."""
    here, remote = recorded.ledger.workdir, tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    subprocess.run(["git", "-C", here, "remote", "add", "origin", remote], check=True)
    push(recorded.ledger, "origin", artifacts=True)
    made = []
    for name in ("one", "two", "three"):
        shutil.copytree(here, tmp_path / name)
        ledger = open_ledger(tmp_path / name)
        made.append(
            replace(recorded, ledger=ledger, settings=load_settings(ledger.workdir, {"claim_remote": "origin"}))
        )
    return made


def begin(session):
    return begin_attempt(session, read_state(session.ledger, session.run.name, 1))[0]


def test_clones_that_do_not_know_of_each_other_take_different_numbers(clones):
    begun = [begin(each) for each in (*clones, clones[0])]
    assert [each.attempt for each in begun] == [1, 2, 3, 4]
    assert [each.look for each in begun] == [1, 2, 3, 4]
    assert [each.share for each in begun] == [1 / 2, 1 / 4, 1 / 8, 1 / 16]
    assert [len(read_chain(each.ledger, each.run.name).intents) for each in clones] == [2, 1, 1]
    for each in clones:
        assert [found for found in check(each.ledger) if found.severity != "info"] == []


def test_a_clone_that_loses_the_race_takes_the_next_number(clones, monkeypatch):
    from autoqec.history.sync import shared_budgets

    one, two, _ = clones
    send, seen = shared_budgets.push_refs, []

    def late(*args, **options):
        monkeypatch.setattr(shared_budgets, "push_refs", send)
        seen.append(begin(one).attempt)
        send(*args, **options)

    monkeypatch.setattr(shared_budgets, "push_refs", late)
    assert (begin(two).attempt, seen) == (2, [1])


def test_a_number_that_was_taken_and_never_used_is_spent(clones, monkeypatch):
    one, two, _ = clones
    monkeypatch.setattr("autoqec.loop.judging.note_own", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        begin(one)
    monkeypatch.undo()
    assert begin(two).attempt == 2


def test_the_budget_ends_for_all_clones_together(clones, monkeypatch):
    one, two, _ = clones
    monkeypatch.setattr(
        "autoqec.loop.judging.next_attempt", lambda begun: None if {1, 2} <= {*begun} else len(begun) + 1
    )
    assert [begin(one).attempt, begin(two).attempt] == [1, 2]
    with pytest.raises(BudgetSpentError, match="the error budget of run .* is spent"):
        begin(clones[2])
    assert read_chain(clones[2].ledger, one.run.name).intents == {}


def test_an_attempt_does_not_begin_where_the_remote_is_not_there(clones):
    one = clones[0]
    shutil.rmtree(one.ledger.workdir.parent / "remote.git")
    with pytest.raises(AutoQECError, match="origin"):
        begin(one)
    assert read_chain(one.ledger, one.run.name).intents == {}


def test_without_a_remote_of_claims_nothing_is_sent(clones):
    one, two, _ = (replace(each, settings=load_settings(each.ledger.workdir, {})) for each in clones)
    assert [begin(each).attempt for each in (one, two)] == [1, 1]
