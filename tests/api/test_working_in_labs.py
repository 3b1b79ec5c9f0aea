"""Running, resuming and verifying from Python: as the commands, told to a function, printing nothing, away from the tree."""

import asyncio
import importlib.util
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import autoqec
from autoqec import history
from autoqec.api import lab_work
from autoqec.cli.main import run
from autoqec.errors import NotFoundError, UsageError
from autoqec.history.store import owner
from autoqec.loop import many_rounds
from autoqec.results.verdict import Verdict
from autoqec.testing import figures, make_tiny_lab, record_round, record_run

RUN = "tiny-abcd"

_SPEC = importlib.util.spec_from_file_location("old_lab", Path(__file__).parents[1] / "old_lab.py")
old_lab = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(old_lab)


@pytest.fixture
def lab(tmp_path):
    return autoqec.open(make_tiny_lab(tmp_path / "lab").workdir)


@pytest.fixture
def played(monkeypatch):
    """Rounds that are recorded in a blink, in the place of those that are run; what each was given."""
    seen = []

    def round_of(session):
        session.event("round", round=len(session.records()) + 1, steps=["claim"])
        seen.append(session)
        told = figures()
        record_round(
            session.ledger, session.run, {}, metrics=told, verdict={"verdict": "VERIFIED", "reason": "better", **told}
        )
        return session.records()[-1]

    monkeypatch.setattr(many_rounds, "run_round", round_of)
    return seen


def test_rounds_run_and_a_function_is_told(lab, played, worktree, capsys, monkeypatch, tmp_path):
    (lab.path / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    before, events = worktree(lab.path), []
    rounds = lab.run("tiny", rounds=2, seed=3, progress=events.append, jobs=1, max_wall=60.0)
    assert [each.number for each in rounds] == [1, 2]
    assert all(each.verified for each in rounds)
    assert repr(rounds) == f"<2 rounds of {lab.path}>"
    assert [event["event"] for event in events] == ["round", "round"]
    assert [event["run"] for event in events] == [rounds[0].run] * 2
    assert (played[0].settings["jobs"], played[0].settings["profile"]) == (1, "tiny")
    assert played[0].deadline is not None
    assert worktree(lab.path) == before
    assert capsys.readouterr() == ("", "")
    (again,) = lab.run("tiny")
    assert (again.run, again.number) == (rounds[0].run, 3)
    (fresh,) = lab.run("tiny", new=True)
    assert fresh.run != again.run
    (named,) = lab.run("tiny", run="by-name")
    assert named.name == "exp/by-name/1"


def test_an_environment_that_is_no_file_can_be_run_on(lab, played):
    checks, observables = [[1, 1, 0], [0, 1, 1]], [[1, 0, 0]]
    mine = autoqec.Environment.from_matrices(checks, observables, [0.1, 0.2, 0.3], name="mine")
    (found,) = lab.run(mine)
    assert found.environment == mine
    assert dict(found.environment.files) == dict(mine.files)
    assert lab.run(mine)[0].run == found.run
    assert list(lab.front(mine)) == list(lab.rounds(env=mine))
    assert not (lab.path / "envs/mine.yaml").exists()


def test_what_cannot_be_is_refused_before_anything_is_written(lab):
    refused = [
        (
            lambda: lab.run("tiny", profiles="dev"),
            UsageError,
            "no setting 'profiles'; did you mean profile",
            "settings.md",
        ),
        (lambda: lab.run("tiny", profile="huge"), UsageError, "no profile 'huge'", "choose one of"),
        (lambda: lab.run("tiny", coder="nobody"), NotFoundError, "nobody", ""),
        (lambda: lab.run("tiny", strong_reference="none_such"), NotFoundError, "none_such", ""),
        (lambda: lab.run("tiny", jobs=-1), UsageError, "jobs must be", ""),
        (lambda: lab.run("nothing"), NotFoundError, "no environment named 'nothing'", "tiny"),
        (lambda: lab.run("tiny", rounds=0), UsageError, "rounds must be at least 1", "lab.run"),
        (lambda: lab.run("tiny", parallel=0), UsageError, "parallel must be at least 1", "lab.run"),
        (
            lambda: lab.run("tiny", parallel=10**6),
            UsageError,
            "each round has 0.0 of the .* GiB of memory",
            "--parallel",
        ),
        (lambda: lab.verify("exp/none/1"), NotFoundError, "no run 'none'", "autoqec"),
    ]
    for act, kind, said, hint in refused:
        with pytest.raises(kind, match=said) as caught:
            act()
        assert hint in (caught.value.hint or "")
    assert list(lab.runs()) == list(lab.rounds()) == []


def test_rounds_at_once_are_told_to_the_same_function_and_a_failure_is_raised_at_the_end(lab, played, monkeypatch):
    failures, events = [], []

    class Rounds:
        def __init__(self, session, wanted, at_once, told):
            self.session, self.asked, self.told = session, (wanted, at_once), told
            self.records, self.failures = [], failures

        def run(self):
            assert self.asked == (3, 2)
            self.told.event(1, {"event": "round", "run": self.session.run.name, "round": 1})
            self.records.append(many_rounds.run_round(self.session))
            self.told.finished(self.records[0])

    monkeypatch.setattr(lab_work, "ParallelRounds", Rounds)
    monkeypatch.setattr(lab_work, "memory_share", lambda *told: None)
    (found,) = lab.run("tiny", rounds=3, parallel=2, progress=events.append)
    assert (found.number, events[0]["round"]) == (1, 1)
    failures.append(SimpleNamespace(error=NotFoundError("it is gone")))
    with pytest.raises(NotFoundError, match="it is gone"):
        lab.run("tiny", rounds=3, parallel=2)


def test_settings_of_a_file_that_is_not_trusted_are_said_not_to_be_used(lab, played, monkeypatch):
    monkeypatch.delenv("AUTOQEC_TRUST_LABS")
    config = lab.path / ".autoqec/config.toml"
    config.write_text('coder = "nobody"\n' + config.read_text())
    with pytest.warns(UserWarning, match="you do not trust the settings file of the lab .*: coder; autoqec trust"):
        lab.run("tiny")
    assert played[0].settings["coder"] == "search"


def test_an_interrupted_round_of_this_process_can_be_resumed_in_it(lab, monkeypatch):
    ledger = history.open_ledger(lab.path)
    record_run(ledger, RUN)
    history.claim_round(ledger, RUN)  # as a round does that a KeyboardInterrupt ended
    other = history.claim_round(ledger, RUN)
    parent = os.getppid()
    history.update_claim(ledger, other, pid=parent, process_start=owner._start_and_state(parent)[0])
    done = []

    def finish(session, claim):
        done.append(claim.number)
        history.close_claim(ledger, claim, status="abandoned")
        return history.find_record(ledger, claim.run, claim.number)

    monkeypatch.setattr(lab_work, "resume_round", finish)
    assert [each.status for each in lab.resume()] == ["abandoned"]
    assert done == [1]  # the other one's process lives
    assert list(lab.resume(RUN)) == []


def test_a_round_is_verified_with_what_was_asked(lab, monkeypatch):
    ledger = history.open_ledger(lab.path)
    record_round(ledger, record_run(ledger, RUN), {}, weights=b"w", metrics=figures())
    asked, events = [], []

    def judged(session, state, options):
        session.event("verify", shots=1, max_shots=2)
        asked.append((state.claim.number, options.max_shots, options.alpha, options.full_certificate))
        return Verdict("FAILED", "not_better", {})

    monkeypatch.setattr(lab_work, "judge", judged)
    found = lab.verify(lab.round(f"{RUN}/1"), max_shots=50_000, alpha=0.01, progress=events.append)
    assert (found.verdict, found.reason) == ("FAILED", "not_better")
    assert asked == [(1, 50_000, 0.01, False)]
    assert [event["event"] for event in events] == ["verify"]


def test_a_round_without_weights_is_not_verified(lab):
    ledger = history.open_ledger(lab.path)
    record_round(ledger, record_run(ledger, RUN), {}, metrics=figures())
    with pytest.raises(NotFoundError, match="has no weights in this lab") as caught:
        lab.verify(f"exp/{RUN}/1")
    assert "lab.resume()" in caught.value.hint


def test_results_go_to_the_remote_that_the_user_shares_rounds_on(lab, played, monkeypatch):
    pushed = []

    def push(ledger, remote, run, own_weights):
        pushed.append((remote, run))
        if len(pushed) > 1:
            raise autoqec.AutoQECError("the remote is gone")

    monkeypatch.setattr(lab_work, "push", push)
    history.open_ledger(lab.path).repo.remotes.create("origin", str(lab.path))
    (first,) = lab.run("tiny", claim_remote="origin")
    with pytest.warns(UserWarning, match="are not on origin yet: the remote is gone"):
        lab.run("tiny", claim_remote="origin")
    assert pushed == [("origin", first.run)] * 2


def test_it_works_where_an_event_loop_runs_and_outside_the_main_thread(lab, played):
    async def cell():
        return lab.run("tiny"), await asyncio.to_thread(lab.run, "tiny")

    one, two = asyncio.run(cell())
    assert [one[0].number, two[0].number] == [1, 2]
    found = []
    thread = threading.Thread(target=lambda: found.append(lab.front("tiny")))
    thread.start()
    thread.join()
    assert len(found[0]) == 2


def test_a_lab_of_version_0_1_can_be_read(tmp_path, monkeypatch, capsys):
    lab = autoqec.open(old_lab.unpack(tmp_path / "old"))
    old_lab.settle(monkeypatch.setenv, monkeypatch.setattr)
    monkeypatch.chdir(lab.path)
    assert run(["log", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = lab.rounds()
    assert [(each.name, each.to_row()["verdict"], each.to_row()["delta_ler"]) for each in found] == [
        (row["branch"], row["verdict"], (row["holdout"] or row["metrics"] or {}).get("delta_ler")) for row in rows
    ]
    assert "<table>" in found._repr_html_()
