"""Screened rounds: what is clearly worse after a tenth of its training ends there, and what passes is as if nobody had looked."""

import json
import platform
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from threads_for_processes import one_process

from autoqec.agents.dead_ends import dead_ends
from autoqec.agents.diagnosis.all_rules import diagnose_round
from autoqec.agents.diagnosis.cases import Case
from autoqec.agents.past_rounds import past_rounds
from autoqec.cli.main import run as autoqec
from autoqec.config import load_settings
from autoqec.errors import AutoQECError
from autoqec.history import attach, claim_round, open_ledger, read_attachment
from autoqec.loop import round_steps, screening
from autoqec.loop.agent_contexts import run_front
from autoqec.loop.judging import Asked, judge
from autoqec.loop.one_round import resume_round, run_round
from autoqec.loop.round_state import read_state
from autoqec.loop.screening import RUNG_FILE, Screening, find_rivals, keep_rung, screening_of
from autoqec.loop.session import Session, open_run
from autoqec.plugins import Registration, load_plugins
from autoqec.results.metrics import parse_metrics
from autoqec.results.rungs import Rung, is_worse
from autoqec.results.verdict import parse_verdict
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.score_stream import ScoreStream
from autoqec.testing import ScriptedAgent, make_tiny_lab

VERIFY = {"summary": "seen", "decision": "candidate"}
IGNORE = {"summary": "seen", "decision": "ignore"}
TRAINING = "shots: 10240\nbatch_size: 512\npatience: 0\n"


def files(stage, training=TRAINING, **more):
    return {"files": {"stages/s/stage.yaml": stage, "training.yaml": training, **more}, "message": "a change"}


GOOD = files("kind: neural_bp\niterations: 2\n", "shots: 512\nbatch_size: 128\n")
#: It flips what it believes in with one part in a hundred, which is nearly always wrong.
BAD = files("kind: mlp\nhidden: 256\n", **{"output.yaml": "mode: hard_flip\nthreshold: 0.01\n"})
FAIR = files("kind: neural_bp\niterations: 4\nsharing: per_check\n")


def with_agent(made, coder, analyst, screen_shots=4096, train_on="here", **idea):
    """The session with an agent that proposes these, in a profile that screens on one chunk every round that trains."""
    ideas = [{"text": f"idea {number}", **idea} for number, _ in enumerate(coder)]
    agent = ScriptedAgent({"ideator": ideas, "coder": coder, "analyst": analyst})
    registry = load_plugins()
    registry.entries["agent", "scripted"] = Registration("agent", "scripted", lambda: agent, {}, "test", "test 0")
    flags = {**dict.fromkeys(("ideator", "coder", "analyst"), "scripted"), "train_on": train_on}
    settings = load_settings(made.ledger.workdir, flags)
    wanted = {"train_shots": 10240, "screen_shots": screen_shots, "score_shots": 4096}
    profile = settings.profile.model_copy(update=wanted)
    return replace(made, registry=registry, settings=replace(settings, profiles={"tiny": profile}))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A lab with one round, which trains so little that it is not screened."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("first") / "lab")
    registry = load_plugins()
    run = open_run(ledger, registry, env="tiny", run_name=None, fresh=True, seed=7)
    made = Session(ledger, registry, load_settings(ledger.workdir, {}), run)
    with one_process():
        assert run_round(with_agent(made, [GOOD], [IGNORE])).status == "ok"
    return made


@pytest.fixture
def second(first, tmp_path, one_process):
    """Makes sessions of copies of that lab, each with an agent for a second round."""

    def make(coder, analyst=IGNORE, **more):
        folder = tmp_path / f"lab{len(list(tmp_path.iterdir()))}"
        shutil.copytree(first.ledger.workdir, folder)
        return with_agent(replace(first, ledger=open_ledger(folder)), [coder], [analyst], **more)

    return make


@pytest.fixture
def streams(monkeypatch):
    """The streams that are scored, as they are."""
    seen, score = [], ScoreStream.score

    def noting(stream, *args, **more):
        seen.append(stream)
        return score(stream, *args, **more)

    monkeypatch.setattr(ScoreStream, "score", noting)
    return seen


def test_a_clearly_worse_round_ends_at_its_screen_and_is_a_whole_round(second, streams, monkeypatch, capsys):
    made = second(BAD, VERIFY)
    bad = run_round(made)
    assert bad.status == "screened_out"
    good = made.records()[0]
    assert parse_metrics(good.metrics).record.rung is None
    metrics = parse_metrics(bad.metrics).record
    rung, counts = metrics.rung, metrics.measured.counts
    assert (rung.number, rung.shots, rung.planned) == (0, 4096, 10240)
    assert (rung.rival, rung.rival_commit) == (f"{made.run.name}/1", good.commit)
    assert rung.counts.candidate_only > 10 * rung.counts.baseline_only
    assert (metrics.figures.shots, metrics.training.shots) == (4096, 4096)
    assert counts.candidate_failures == rung.counts.candidate_failures
    # The Analyst asked for a verdict, and there is none.
    assert bad.analysis["decision"] == "candidate"
    assert bad.verdict is None
    # The candidate, then its rival: development shots that are no others'.
    assert [stream.domain for stream in streams] == ["dev", "dev"]
    assert len({stream.key for stream in streams}) == 1
    assert "screened out after 4,096 of 10,240 training shots" in bad.claim.reason
    past = past_rounds(made.records(), lambda commit: {})[-1]
    assert [each.cause for each in diagnose_round(Case(past))] == ["screened_out"]
    (dead,) = dead_ends([past])
    assert (dead["ended"], dead["reason"]) == ("screened_out", bad.claim.reason)
    monkeypatch.chdir(made.ledger.workdir)
    assert autoqec(["log", "--json", "--status", "screened_out"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["round"], row["metrics"]["rung"], row["verdict"]) == (2, 0, None)
    assert autoqec(["show", f"{made.run.name}/2"]) == 0
    assert "screened out after 4,096 of 10,240 training shots" in capsys.readouterr().out
    assert autoqec(["fsck"]) == 0


def test_a_hypothesis_may_ask_for_the_screen_alone(second):
    made = second(FAIR, screen="only")
    record = run_round(made)
    rung = parse_metrics(record.metrics).record.rung
    assert (record.status, rung.number, rung.alone, is_worse(rung.counts)) == ("screened_out", 0, True, False)
    assert record.claim.reason.endswith("; its hypothesis asked for the screen alone")
    past = past_rounds(made.records(), lambda commit: {})[-1]
    assert [each.cause for each in diagnose_round(Case(past))] == ["screen_only"]
    assert dead_ends([past]) == [], "it is to be compared with others"


class Killed(BaseException):
    """As by a signal: nothing of the process runs after it."""


def _die(*args, **more):
    raise Killed


def outcome(made, record):
    state = read_state(made.ledger, made.run.name, 2)
    return record.status, state.weights, state.metrics.figures, state.metrics.rung


def test_a_round_that_passes_or_is_killed_at_its_screen_or_trains_on_an_executor_is_the_same(second, monkeypatch):
    events = []
    looked = replace(second(FAIR, train_on="executor"), report=events.append)
    *same, rung = outcome(looked, run_round(looked))
    assert (same[0], rung.number, rung.rival) == ("ok", 1, f"{looked.run.name}/1")
    trained = [event for event in events if event["event"] == "train"]
    assert (trained[-1]["step"], trained[-1]["steps"], trained[-1]["shots"]) == (20, 20, 10240)
    assert read_state(looked.ledger, looked.run.name, 2).metrics.training.host == platform.node()
    unseen = second(FAIR, screen_shots=0)
    assert outcome(unseen, run_round(unseen)) == (*same, None)
    cut_off = second(FAIR)
    with monkeypatch.context() as patch:
        patch.setattr(round_steps, "write_record", _die)  # the screen is noted, and the weights are not
        with pytest.raises(Killed):
            run_round(cut_off)
    kept = read_attachment(cut_off.ledger, "artifacts", cut_off.run.name, 2)
    assert list(kept) == [RUNG_FILE]
    with monkeypatch.context() as patch:
        patch.setattr(Screening, "_look", _die)
        assert outcome(cut_off, resume_round(cut_off, cut_off.records()[-1].claim)) == (*same, rung)


def test_a_round_that_is_killed_after_its_screen_ended_it_has_the_same_metrics(second, monkeypatch):
    made = second(BAD)
    with monkeypatch.context() as patch:
        patch.setattr(round_steps, "measure_screened", _die)  # weights are kept, and metrics are not
        with pytest.raises(Killed):
            run_round(made)
    ended, weights, figures, rung = outcome(made, resume_round(made, made.records()[-1].claim))
    whole = second(BAD)
    assert (ended, weights, figures, rung) == outcome(whole, run_round(whole))
    assert ended == "screened_out"


def test_a_screened_out_round_is_on_the_front_only_by_a_verdict(second, monkeypatch):
    made = second(FAIR, VERIFY)
    monkeypatch.setattr("autoqec.results.rungs.is_worse", lambda counts: True)
    assert run_round(made).status == "screened_out"
    assert run_front(made, made.records()).names == ()
    state = read_state(made.ledger, made.run.name, 2)
    assert judge(made, state, Asked(max_shots=100_000)).verified, "a person may ask for what the loop does not"
    (member,) = run_front(made, made.records()).members
    assert member.point.name == f"{made.run.name}/2"
    assert member.point.delta_ler == parse_verdict(made.records()[-1].verdict).record.figures.delta_ler


def test_rivals_cost_no_more_and_are_whole(second):
    made = second(FAIR)
    (record,) = made.records()
    costs = parse_metrics(record.metrics).record.costs
    at_most = {"flops": costs.flops_per_shot, "params": costs.params}
    assert [each.commit for each in find_rivals(made, 2, **at_most)] == [record.commit]
    assert not [*find_rivals(made, 2, **at_most | {"flops": costs.flops_per_shot - 1})]
    assert not [*find_rivals(made, 2, **at_most | {"params": costs.params - 1})]
    assert not [*find_rivals(made, 1, **at_most)], "a resumed round sees no later ones"
    attach(made.ledger, "artifacts", made.run.name, 1, {"weights.safetensors": b"others"}, replace=True)
    assert not [*find_rivals(made, 2, **at_most)]


def test_weights_of_rivals_that_other_clones_trained_are_fetched(second, monkeypatch):
    made, asked = second(FAIR), []

    def fetch(ledger, remote, run, number):
        asked.append((remote, run, number))
        raise AutoQECError("the remote is away")

    monkeypatch.setattr(screening, "fetch_weights", fetch)
    settings = load_settings(made.ledger.workdir, {"claim_remote": "away"})
    looking = Screening(replace(made, settings=settings), SimpleNamespace(claim=SimpleNamespace(number=2)), None)
    scored = SimpleNamespace(mean_flops=lambda flops: flops)
    monkeypatch.setattr(screening, "replace", lambda stream, sealed: stream)
    monkeypatch.setattr(screening, "_score", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # the rival's weights are here, whatever the remote says
        looking._beside_rival(None, SimpleNamespace(cost={"flops_per_shot": 10**12, "params": 10**12}), scored)
    assert asked == [("away", made.run.name, 1)]


def test_a_rival_that_breaks_its_contract_does_not_end_another_round(first, monkeypatch):
    tried = []

    def broken(session, stream, profile):
        tried.append(stream.sealed)
        raise CandidateFault("crash", "it crashed")

    monkeypatch.setattr(screening, "_score", broken)
    looked = Screening(first, SimpleNamespace(claim=SimpleNamespace(number=2)), first.settings.profile)
    result = SimpleNamespace(cost={"flops_per_shot": 10**12, "params": 10**6})
    stream = ScoreStream(None, first.environment, None, bytes(32), "dev")
    assert looked._beside_rival(stream, result, SimpleNamespace(mean_flops=int)) == (None, None)
    assert tried == [read_state(first.ledger, first.run.name, 1).sealed]


def test_no_round_is_screened_that_a_person_asked_for_or_that_saves_too_little(second):
    made = second(FAIR)
    profile, trained = made.settings.profile, {"training.yaml": TRAINING.encode()}
    claim = claim_round(made.ledger, made.run.name, {"agents": {}})
    state = SimpleNamespace(files=trained, claim=claim, hypothesis={"text": "x"})
    assert screening_of(made, state, profile) is not None
    state.files = {"training.yaml": b"shots: 1100"}  # nine tenths of them are less than a quarter of a chunk
    assert screening_of(made, state, profile) is None
    state.files = {"training.yaml": b"shots: 10240\nsampling: gated\nsampled_share: 0.1\n"}  # it computes as few
    assert screening_of(made, state, profile) is None
    state.files = trained
    assert screening_of(made, state, profile.model_copy(update={"screen_shots": 0})) is None
    keep_rung(made.ledger, state.claim, Rung(0, 4096, 10240, alone=True))
    assert screening_of(made, state, profile) is not None, "this rung was not passed, whoever wrote it"
    keep_rung(made.ledger, state.claim, Rung(1, 4096, 10240))
    assert screening_of(made, state, profile) is None
    state.claim = claim_round(made.ledger, made.run.name, {"agents": {"ideator": "person"}})
    assert screening_of(made, state, profile) is None
    state.hypothesis = {"text": "x", "screen": "only"}
    assert screening_of(made, state, profile).alone
