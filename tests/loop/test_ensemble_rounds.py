"""Whole rounds of candidates with an ensemble: refused before they train, and told of everywhere once they are judged."""

import json
from dataclasses import replace

import pytest

from autoqec.errors import UsageError
from autoqec.history import RoundIdentity, claim_round, close_claim, commit_round, read_candidate
from autoqec.loop.auditing import replay_differences
from autoqec.loop.candidate_files import require_ensemble_fits
from autoqec.loop.one_round import run_round
from autoqec.results.audit import audit
from autoqec.scoring.verifier_contract import Verdict
from autoqec.testing import TINY_ENVIRONMENT, ScriptedAgent
from autoqec.testing import tiny_proposal as candidate
from autoqec.views.round_json import RoundRow, round_row

IGNORE = {"summary": "seen", "decision": "ignore"}
VERIFY = {"summary": "seen", "decision": "candidate"}
ENSEMBLE = "members: 4\npasses: 2\nagree: 2\n"
GATE = "kind: gap\nthreshold: 4.0\n"


def ensembled(number=4, **more):
    reply = candidate(number)
    return {**reply, "files": {**reply["files"], "ensemble.yaml": ENSEMBLE, **more}}


def with_solutions(made, offered):
    """A session whose decoder is registered as one that offers solutions or none, or that does not say."""
    entry = made.registry.entries["decoder", "mwpm"]
    told = {name: value for name, value in entry.capabilities.items() if name != "solutions"}
    told |= {} if offered is None else {"solutions": offered}
    made.registry.entries["decoder", "mwpm"] = replace(entry, capabilities=told)
    return made


def test_an_ensemble_that_the_decoder_cannot_serve_is_refused_before_it_trains(session):
    agent = ScriptedAgent({"ideator": [{"text": "t"}], "coder": [ensembled(), candidate()], "analyst": [IGNORE]})
    made = with_solutions(session(agent), False)
    record = run_round(made)
    assert record.status == "ok"
    (repair,) = [context.repair for role, context in agent.seen if role == "coder" and context.repair]
    assert "ensemble.yaml: decoder 'mwpm' offers no solutions to choose among" in repair
    assert "ensemble.yaml" not in read_candidate(made.ledger, record.commit)


def test_a_decoder_that_does_not_say_whether_it_offers_solutions_is_asked(session):
    files = {"ensemble.yaml": b"members: 2\n"}
    require_ensemble_fits(with_solutions(session(), None), files)
    with pytest.raises(UsageError) as caught:
        require_ensemble_fits(with_solutions(session(), False), files)
    assert (caught.value.code, caught.value.about["file"]) == ("ensemble_not_offered", "ensemble.yaml")
    require_ensemble_fits(with_solutions(session(), False), {})


def commit_two(made, first, second):
    ledger, run = made.ledger, made.run
    for number, files in enumerate((first, second), 1):
        claim = claim_round(ledger, run.name)
        env = f"{run.env_name}@sha256:{run.env_id}"
        who = RoundIdentity(run.name, number, claim.attempt, env, (), "none", "search", "t")
        commit = commit_round(ledger, who, base=run.base, parents=(run.base,), files=files, subject="s", body="")
        close_claim(ledger, claim, status="ok", commit=commit)
    return {"text": "both", "fork_from": [f"{run.name}/{n}" for n in (1, 2)], "compose": "pure"}


def test_a_merged_ensemble_that_the_decoder_cannot_serve_is_a_compile_error(session):
    agent = ScriptedAgent({})
    made = with_solutions(session(agent), False)
    stage = {f"stages/{slug}/stage.yaml": b"kind: neural_bp\n" for slug in ("bp",)}
    compose = commit_two(
        made, stage | {"ensemble.yaml": b"members: 2\n"}, {"stages/b/stage.yaml": b"kind: neural_bp\n"}
    )
    agent._replies = {"ideator": iter([compose])}
    record = run_round(made)
    assert (record.status, record.claim.code) == ("compile_error", "ensemble_not_offered")
    assert "offers no solutions to choose among" in record.claim.reason


def test_a_merged_ensemble_without_a_pipeline_is_a_compile_error(session):
    agent = ScriptedAgent({})
    made = session(agent)
    compose = commit_two(made, {"ensemble.yaml": b"members: 2\n"}, {"gate.yaml": b"kind: gap\n"})
    agent._replies = {"ideator": iter([compose])}
    record = run_round(made)
    assert record.status == "compile_error"
    assert "ensemble.yaml needs a pipeline, and the candidate has no stage" in record.claim.reason


@pytest.mark.parametrize("gate", [{"gate.yaml": GATE}, {}], ids=["behind a gate", "about every shot"])
def test_a_round_with_an_ensemble_is_verified_at_what_its_passes_cost(session, gate, autoqec_lab):
    if not gate:  # cells at another p are judged behind the gate
        (autoqec_lab.workdir / "envs/tiny.yaml").write_text(TINY_ENVIRONMENT.replace("32768", "32768, harm_cells: []"))
    coder = ensembled(8, **gate)
    made = session(ScriptedAgent({"ideator": [{"text": "t"}], "coder": [coder], "analyst": [VERIFY]}))
    record = run_round(made)
    metrics, verdict = record.metrics, record.verdict
    assert record.status == "ok", record.claim.reason
    assert verdict["verdict"] == "VERIFIED", verdict
    assert metrics["sent"] < metrics["shots"] if gate else metrics["sent"] == metrics["shots"]
    assert metrics["sent"] < metrics["passes"] <= 2 * metrics["sent"]
    assert metrics["flops_per_shot"] == -(-metrics["flops_per_sent_shot"] * metrics["passes"] // metrics["shots"])
    assert verdict["sent"] < verdict["passes"] <= 2 * verdict["sent"]
    shots = verdict["shots_in_all"]
    assert verdict["flops_per_shot"] == -(-verdict["flops_per_sent_shot"] * verdict["passes"] // shots)
    found = Verdict.from_dict(verdict)
    assert audit(found) == []
    assert replay_differences(found, found.noted(passes=verdict["passes"] - 1)) == ["passes"]
    unsaid = Verdict.from_dict({name: value for name, value in verdict.items() if name != "passes"})
    assert replay_differences(unsaid, found) == ["passes"]
    names = [row["name"] for row in verdict["ablation"]["variants"]]
    least = ["without the ensemble", "one member", "half the members", "least weight"]
    assert names == ["shuffled", *(["without the gate"] if gate else []), *least, "without bp"]
    row = round_row(record)
    assert RoundRow.from_json(json.loads(json.dumps(row.to_json()))) == row
    told = row.to_json()
    assert told["metrics"]["passes_per_sent_shot"] == metrics["passes"] / metrics["sent"]
    assert told["holdout"]["passes_per_sent_shot"] == verdict["passes"] / verdict["sent"]
