"""Looks at a recording are numbered over all runs of a lab, and its error budget is that of all looks together."""

import json
from dataclasses import replace

import pytest

from autoqec.agents.diagnosis.rules_run import _attempt, _gain
from autoqec.agents.past_rounds import past_round
from autoqec.candidate.weights import save_weights
from autoqec.config import load_settings
from autoqec.errors import BudgetSpentError
from autoqec.history import (
    RoundIdentity,
    attach,
    claim_round,
    close_claim,
    commit_round,
    find_record,
    looks_at,
    read_lines,
)
from autoqec.history.rounds.notes import add_lines
from autoqec.loop.agent_contexts import agents_front
from autoqec.loop.auditing import audit_round
from autoqec.loop.judging import begin_attempt
from autoqec.loop.round_state import read_state
from autoqec.loop.session import Session, open_run
from autoqec.plugins import load_plugins
from autoqec.problem.environment import ENVIRONMENT_FILE
from autoqec.results.verdict import Verdict
from autoqec.testing.whole_notes import whole_metrics
from tests.plugins.test_finite_holdout import BETTER, RECORDED, environment


def committed(ledger, env):
    """A session of a new run on an environment, with one round that was not trained."""
    registry = load_plugins()
    run = open_run(ledger, registry, env=env, run_name=None, fresh=True, seed=7)
    made = Session(ledger, registry, load_settings(ledger.workdir, {}), run, lambda event: None)
    claim = claim_round(ledger, run.name)
    who = RoundIdentity(
        run.name, 1, claim.attempt, f"{run.env_name}@sha256:{run.env_id}", (), "none", "search", "nothing at all"
    )
    commit = commit_round(ledger, who, base=run.base, parents=(run.base,), files={}, subject="s", body="")
    attach(ledger, "artifacts", run.name, 1, {"weights.safetensors": save_weights({}, fingerprints=["none"])})
    close_claim(ledger, claim, status="ok", commit=commit)
    return made


@pytest.fixture
def recorded(autoqec_lab):
    """A session whose environment's shots are recorded; `renamed.yaml` has another environment on the same shots."""
    folder = autoqec_lab.workdir / "envs"
    for name, data in environment().files.items():
        (folder / ("measured.yaml" if name == ENVIRONMENT_FILE else name)).write_bytes(data)
    text = RECORDED.replace("measured", "renamed") + "constraints: {max_params: 5}\n"
    (folder / "renamed.yaml").write_text(text)
    return committed(autoqec_lab, "measured")


def begin(made):
    return begin_attempt(made, read_state(made.ledger, made.run.name, 1))


def add(made, **fields):
    """An intent as another clone would have noted it."""
    state = read_state(made.ledger, made.run.name, 1)
    note = {"event": "begun", "v": 1, "attempt": 1, "run": made.run.name, "recording": made.recording, **fields}
    add_lines(
        made.ledger,
        f"refs/notes/autoqec/{made.run.name}/verdict",
        {state.commit: [json.dumps(note).encode()]},
        "by hand",
    )


def test_each_look_is_noted_before_the_verifier_looks_and_runs_share_the_numbers(recorded):
    (first, digest), (second, _) = begin(recorded), begin(recorded)
    assert [(each.attempt, each.look, each.share) for each in (first, second)] == [(1, 1, 1 / 2), (2, 2, 1 / 4)]
    assert first.recording == recorded.recording == BETTER.evidence.attempt.recording
    (noted,) = [
        line.record
        for lines in read_lines(recorded.ledger, recorded.run.name, "verdict").values()
        for line in lines
        if line.digest == digest
    ]
    assert (noted["look"], noted["recording"]) == (1, recorded.recording)
    other = committed(recorded.ledger, "renamed")
    assert other.environment.identity != recorded.environment.identity
    third, _ = begin(other)
    assert (third.attempt, third.look) == (1, 3), "another run on another environment with the same shots"
    assert begin(recorded)[0].look == 4
    assert sorted(each.look for each in looks_at(recorded.ledger, recorded.recording).values()) == [1, 2, 3, 4]


def test_looks_of_clones_that_did_not_know_of_each_other_spend_the_budget_twice(recorded):
    begin(recorded)
    add(recorded, id="x", look=1)
    with pytest.raises(BudgetSpentError, match="by 2 looks at its holdout"):
        begin(recorded)


def test_drawn_shots_have_no_look(autoqec_lab):
    begun, _ = begin(committed(autoqec_lab, "tiny"))
    assert (begun.look, begun.recording) == (None, None)
    assert {"look", "recording"}.isdisjoint(begun.to_note())


def test_an_audit_compares_the_look_with_its_intent_and_with_the_others(recorded):
    _, intent = begin(recorded)
    state = read_state(recorded.ledger, recorded.run.name, 1)

    def found(**changes):
        verdict = Verdict.from_dict(BETTER.to_note() | {"intent": intent} | changes)
        return [each for each in audit_round(recorded, state, verdict) if each.startswith(("look", "recording"))]

    assert found() == []
    assert "but its intent 1" in found(look=2)[0]
    add(recorded, id="x", look=1, round=1)
    assert f"so does that of round {recorded.run.name}/1" in found()[0]
    assert "but the environment's is" in found(recording="0" * 64)[0]


def test_agents_learn_one_bit_of_each_look(recorded):
    """Otherwise the next candidate could follow from the figures of the shots that it is judged on."""

    def told(verdict):
        record = read_record(recorded, verdict)
        each = past_round(record, {}, lambda commit: {})
        return each.verdict, each.verdict_reason, each.holdout, each.share_of_gap

    assert told(BETTER) == ("VERIFIED", None, None, None)
    for reason in ("not_better", "undecided"):
        assert told(Verdict("FAILED", reason, BETTER.details)) == ("FAILED", None, None, None)
    assert told(Verdict("SUSPICIOUS", "harm", BETTER.details)) == ("FAILED", None, None, None)


def test_the_front_that_agents_see_is_all_that_is_verified(recorded):
    record = read_record(recorded, BETTER)
    failed = replace(read_record(recorded, Verdict("FAILED", "undecided", BETTER.details)), number=2)
    assert agents_front(recorded, [record, failed]) == (f"{recorded.run.name}/1",)


def test_a_run_climbs_by_development_shots_where_agents_are_not_told_the_holdout(recorded):
    record = replace(read_record(recorded, BETTER), metrics=whole_metrics())
    past = past_round(record, {}, lambda commit: {})
    assert past.holdout is None
    assert _gain(past) == past.metrics.figures.delta_ler > 0
    assert _attempt(past).ratio == past.metrics.figures.ler_ratio
    assert _gain(replace(past, verdict="FAILED")) is None


def read_record(made, verdict):
    """The round's record with a verdict in its place."""
    return replace(find_record(made.ledger, made.run.name, 1), verdict=verdict.to_note())
