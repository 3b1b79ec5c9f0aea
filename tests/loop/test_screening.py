"""Screened rounds: what is clearly worse after a tenth of its training ends there, and what passes is as if nobody had looked."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from autoqec.agents.diagnosis.all_rules import diagnose_round
from autoqec.agents.diagnosis.cases import Case
from autoqec.agents.past_rounds import past_rounds
from autoqec.cli.main import run as autoqec
from autoqec.history import claim_round, read_attachment
from autoqec.loop import round_steps
from autoqec.loop.agent_contexts import run_front
from autoqec.loop.judging import Asked, judge
from autoqec.loop.one_round import interrupted_rounds, resume_round, run_round
from autoqec.loop.round_state import read_state
from autoqec.loop.screening import RUNG_FILE, Screening, keep_rung, screening_of
from autoqec.results.metrics import parse_metrics
from autoqec.results.rungs import Rung
from autoqec.results.verdict import parse_verdict
from autoqec.scoring.score_stream import ScoreStream
from autoqec.testing import ScriptedAgent

VERIFY = {"summary": "seen", "decision": "candidate"}
IGNORE = {"summary": "seen", "decision": "ignore"}
TRAINING = "shots: 10240\nbatch_size: 512\npatience: 0\n"


def files(stage, training=TRAINING, **more):
    return {"files": {"stages/s/stage.yaml": stage, "training.yaml": training, **more}, "message": "a change"}


GOOD = files("kind: neural_bp\niterations: 2\n", "shots: 512\nbatch_size: 128\n")
#: It flips what it believes in with one part in a hundred, which is nearly always wrong.
BAD = files("kind: mlp\nhidden: 256\n", **{"output.yaml": "mode: hard_flip\nthreshold: 0.01\n"})
FAIR = files("kind: neural_bp\niterations: 4\nsharing: per_check\n")


def playing(session, coder, analyst, screen_shots=4096):
    """A session in which every round that trains is screened, on one chunk."""
    ideas = [{"text": f"idea {number}"} for number, _ in enumerate(coder)]
    made = session(ScriptedAgent({"ideator": ideas, "coder": coder, "analyst": analyst}))
    profile = made.settings.profile.model_copy(update={"train_shots": 10240, "screen_shots": screen_shots})
    made.settings = replace(made.settings, profiles={"tiny": profile})
    return made


@pytest.fixture
def streams(monkeypatch):
    """The streams that are scored, as they are."""
    seen, score = [], ScoreStream.score

    def noting(stream, *args, **more):
        seen.append(stream)
        return score(stream, *args, **more)

    monkeypatch.setattr(ScoreStream, "score", noting)
    return seen


def test_a_clearly_worse_round_ends_at_its_screen_and_is_a_whole_round(session, streams, monkeypatch, capsys):
    made = playing(session, [GOOD, BAD], [IGNORE, VERIFY])
    good = run_round(made)
    del streams[:]
    bad = run_round(made)
    assert (good.status, bad.status) == ("ok", "screened_out")
    metrics = parse_metrics(bad.metrics).record
    rung = metrics.rung
    assert (rung.number, rung.shots, rung.planned, rung.rival) == (0, 4096, 10240, f"{made.run.name}/1")
    assert rung.rival_commit == good.commit
    assert rung.counts.candidate_only > 10 * rung.counts.baseline_only
    assert (metrics.figures.shots, metrics.training.shots) == (4096, 4096)
    assert metrics.measured.counts.candidate_failures == rung.counts.candidate_failures
    assert parse_metrics(good.metrics).record.rung is None, "it has nothing to save, so nobody screened it"
    # The Analyst asked for a verdict, and there is none.
    assert bad.analysis["decision"] == "candidate"
    assert bad.verdict is None
    # The candidate, then its rival: development shots that are no others'.
    assert [stream.domain for stream in streams] == ["dev", "dev"]
    assert len({stream.key for stream in streams}) == 1
    assert "screened out after 4,096 of 10,240 training shots" in bad.claim.reason
    past = past_rounds(made.records(), lambda commit: {})[-1]
    assert [each.cause for each in diagnose_round(Case(past))] == ["screened_out"]
    monkeypatch.chdir(made.ledger.workdir)
    assert autoqec(["log", "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (row["status"], row["metrics"]["rung"], row["verdict"]) == ("screened_out", 0, None)
    assert autoqec(["show", f"{made.run.name}/2"]) == 0
    assert "rung 0: screened out after" in capsys.readouterr().out
    assert autoqec(["fsck"]) == 0


def test_a_round_that_passes_is_the_same_as_without_a_screen(session):
    weights, figures = [], []
    for shots in (4096, 0):
        made = playing(session, [GOOD, FAIR], [IGNORE, IGNORE], shots)
        run_round(made)
        record = run_round(made)
        state = read_state(made.ledger, made.run.name, 2)
        metrics = parse_metrics(record.metrics).record
        assert record.status == "ok"
        assert (metrics.rung is None) == (shots == 0)
        assert shots == 0 or (metrics.rung.number, metrics.rung.rival) == (1, f"{made.run.name}/1")
        weights.append(state.weights)
        figures.append(metrics.figures)
    assert weights[0] == weights[1]
    assert figures[0] == figures[1]


class Killed(BaseException):
    """As by a signal: nothing of the process runs after it."""


@pytest.mark.parametrize(("coder", "status"), [(FAIR, "ok"), (BAD, "screened_out")])
def test_a_round_that_is_killed_at_its_screen_ends_as_it_would_have(session, monkeypatch, coder, status):
    outcomes = []
    for killed in (False, True):
        made = playing(session, [GOOD, coder], [IGNORE, IGNORE])
        run_round(made)
        if not killed:
            outcomes.append((run_round(made), read_state(made.ledger, made.run.name, 2)))
            continue
        with monkeypatch.context() as patch:
            # Of one that passes, the process dies once that is noted; of the other, once its weights are.
            name = "write_record" if status == "ok" else "measure_screened"
            patch.setattr(round_steps, name, _die)
            with pytest.raises(Killed):
                run_round(made)
            patch.setattr("autoqec.loop.one_round.owner_alive", lambda claim: False)
            kept = read_attachment(made.ledger, "artifacts", made.run.name, 2)
            assert (RUNG_FILE in kept, "weights.safetensors" in kept) == (status == "ok", status != "ok")
            patch.undo()
        (claim,) = interrupted_rounds(made.ledger, made.run.name) or [made.records()[-1].claim]
        with monkeypatch.context() as patch:
            if status == "ok":
                patch.setattr(Screening, "_look", _die)
            record = resume_round(made, claim)
        outcomes.append((record, read_state(made.ledger, made.run.name, 2)))
    (one, first), (other, second) = outcomes
    assert one.status == other.status == status
    assert first.weights == second.weights
    assert first.metrics.figures == second.metrics.figures
    assert first.metrics.rung.counts == second.metrics.rung.counts


def _die(*args, **more):
    raise Killed


def test_a_screened_out_round_is_on_the_front_only_by_a_verdict(session, monkeypatch):
    made = playing(session, [GOOD, FAIR], [IGNORE, VERIFY])
    run_round(made)
    monkeypatch.setattr("autoqec.results.rungs.is_worse", lambda counts: True)
    assert run_round(made).status == "screened_out"
    assert run_front(made, made.records()).names == ()
    state = read_state(made.ledger, made.run.name, 2)
    assert judge(made, state, Asked(max_shots=100_000)).verified, "a person may ask for what the loop does not"
    (member,) = run_front(made, made.records()).members
    assert member.point.name == f"{made.run.name}/2"
    assert member.point.delta_ler == parse_verdict(made.records()[-1].verdict).record.figures.delta_ler


def test_no_round_is_screened_that_a_person_asked_for_or_that_saves_too_little(session):
    made = playing(session, [], [])
    profile = made.settings.profile
    state = SimpleNamespace(
        files={"training.yaml": TRAINING.encode()}, claim=claim_round(made.ledger, made.run.name, {"agents": {}})
    )
    assert screening_of(made, state, profile) is not None
    state.files = {"training.yaml": b"shots: 9000"}  # nine tenths of them are less than two chunks
    assert screening_of(made, state, profile) is None
    state.files = {"training.yaml": TRAINING.encode()}
    assert screening_of(made, state, profile.model_copy(update={"screen_shots": 0})) is None
    keep_rung(made.ledger, state.claim, Rung(1, 4096, 10240))
    assert screening_of(made, state, profile) is None
    state.claim = claim_round(made.ledger, made.run.name, {"agents": {"ideator": "person"}})
    assert screening_of(made, state, profile) is None
