"""*Train small, use large*: a round starts from one of another environment of the family, and no other."""

import re
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from autoqec.agents.role_messages import Hypothesis
from autoqec.candidate.weights import load_weights, save_weights
from autoqec.canonical import load_yaml
from autoqec.config import load_settings
from autoqec.errors import AutoQECError, UsageError
from autoqec.history import (
    RoundIdentity,
    attach,
    claim_round,
    close_claim,
    commit_round,
    find_record,
    open_ledger,
    pull,
    push,
    read_attachment,
    read_history,
)
from autoqec.history.fsck.fsck_lab import check
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.loop.carried_start import carried_start
from autoqec.loop.one_round import run_round
from autoqec.loop.parents import check_parents, parent_weights
from autoqec.loop.round_steps import _parents
from autoqec.loop.session import Session, open_run
from autoqec.results.round_results import read_results
from autoqec.testing import ScriptedAgent, tiny_proposal
from autoqec.testing.tiny import TINY_ENVIRONMENT
from autoqec.views.round_json import round_row
from autoqec.views.show_text import RoundDetails, print_round

IGNORE = {"summary": "seen", "decision": "ignore"}
LARGER = TINY_ENVIRONMENT.replace("name: tiny", "name: larger").replace("rounds: 3", "rounds: 4")
ORBIT = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 3\nsharing: orbit\n"}


def in_environment(made, text, name):
    """A session of a new run in another environment of the lab."""
    folder = made.ledger.repo.workdir
    with open(f"{folder}/envs/{name}.yaml", "w") as file:
        file.write(text)
    run = open_run(made.ledger, made.registry, env=name, run_name=None, fresh=True, seed=8)
    return Session(made.ledger, made.registry, made.settings, run)


def trained_small(session, **files):
    proposal = tiny_proposal()
    agent = ScriptedAgent(
        {
            "ideator": [{"text": "small"}],
            "coder": [{**proposal, "files": {**proposal["files"], **ORBIT, **files}}],
            "analyst": [IGNORE] * 9,
        }
    )
    made = session(agent)
    record = run_round(made)
    assert record.status == "ok"
    return made, f"{made.run.name}/1"


def commit(made, files):
    """Commit a candidate as a round that is neither trained nor scored."""
    claim = claim_round(made.ledger, made.run.name)
    env = f"{made.run.env_name}@sha256:{made.run.env_id}"
    who = RoundIdentity(made.run.name, claim.number, claim.attempt, env, (), "none", "search", "t")
    data = {path: text.encode() for path, text in files.items()}
    oid = commit_round(made.ledger, who, base=made.run.base, parents=(made.run.base,), files=data, subject="s", body="")
    close_claim(made.ledger, claim, status="ok", commit=oid)
    return f"{made.run.name}/{claim.number}"


def committed(session, files):
    made = session()
    return made, commit(made, files)


def weights(made, number=1):
    return load_weights(read_attachment(made.ledger, "artifacts", made.run.name, number)[WEIGHTS_FILE])


def test_a_round_starts_from_the_weights_of_a_smaller_one(session, capsys):
    made, small = trained_small(session)
    there = in_environment(made, LARGER, "larger")
    record = run_round(there, *carried_start(there, small, untrained=True))
    assert record.status == "ok"
    row = round_row(record, {find_record(made.ledger, made.run.name, 1).commit: small})
    assert row.fork_from == (small,)
    assert row.env == "larger"
    assert record.metrics["training"]["carried_messages"] > 0
    assert record.metrics["training"]["steps"] == 0
    assert "bp.scale" in record.metrics["training"]["inherited"]
    mine, theirs = weights(made), weights(there)
    by_name = dict(zip(mine["bp.message_orbits"][0].tolist(), mine["bp.correction"].T, strict=True))
    found = {
        name: (column == by_name[name]).all()
        for name, column in zip(theirs["bp.message_orbits"][0].tolist(), theirs["bp.correction"].T, strict=True)
        if name in by_name
    }
    assert all(found.values())
    assert len(found) > 0.5 * len(by_name)
    assert np.ptp(mine["bp.correction"]) > 0, "training changed the factors"
    print_round(row, RoundDetails(read_results(record)))
    told = capsys.readouterr().out
    assert f"forked from {small}" in told
    assert re.search(
        r"weights +of another environment: of [0-9,]+ messages, [1-9][0-9,]* have the factor of a coarser", told
    )
    assert [found.kind for found in check(made.ledger) if found.severity == "error"] == []


def test_only_a_round_of_the_family_is_a_start(session):
    """Without a round: the environments alone say it, before anything is claimed."""
    made, name = committed(session, ORBIT)
    for text, why in (
        (LARGER.replace("unrotated_memory_z", "rotated_memory_z"), "code.task is surface_code:unrotated_memory_z there"),
        (LARGER.replace("depolarizing", "phenomenological"), "noise.kind is depolarizing there and phenomenological here"),
        (LARGER.replace('stim_generated, task: "surface_code:unrotated_memory_z", distance: 3, rounds: 4}',
                        'bivariate_bicycle, l: 6, m: 6, a: "x^3 + y + y^2", b: "y^3 + x + x^2", rounds: 1}'),
         "code.kind is stim_generated there"),
    ):  # fmt: skip
        there = in_environment(made, text.replace("mwpm_correlated", "osd").replace("mwpm", "osd"), "larger")
        with pytest.raises(UsageError, match=why) as error:
            carried_start(there, name, untrained=True)
        assert error.value.code == "another_family"
        assert [record.number for record in read_history(made.ledger, there.run.name)] == []


def test_rounds_of_two_environments_are_not_composed(session):
    made, name = committed(session, ORBIT)
    there = in_environment(made, LARGER, "larger")
    other = commit(there, ORBIT)
    composed = Hypothesis(text="both", fork_from=(name, other), compose="pure")
    with pytest.raises(UsageError, match="only rounds of one environment can be composed"):
        check_parents(made.ledger, there.run, composed)


def test_a_start_keeps_the_candidate_and_says_how_it_is_trained(session):
    made, name = committed(session, {**ORBIT, "training.yaml": "shots: 512\nlearning_rate: 0.05\n"})
    there = in_environment(made, LARGER, "larger")
    for untrained, shots in ((True, 0), (False, 512)):
        hypothesis, proposal = carried_start(there, f"exp/{name}" if untrained else name, untrained=untrained)
        assert hypothesis.fork_from == (name,)
        assert "tiny" in hypothesis.text
        assert "larger" in hypothesis.text
        told = load_yaml(proposal.files["training.yaml"].encode(), name="training.yaml")
        assert (told["init"], told["shots"], told["learning_rate"]) == ("parents", shots, 0.05)
        assert proposal.edit


def test_a_candidate_without_a_stage_is_no_start(session):
    made, name = committed(session, {"output.yaml": "mode: soft_priors\n"})
    with pytest.raises(UsageError, match="has no stage"):
        carried_start(in_environment(made, LARGER, "larger"), name, untrained=True)


@pytest.mark.parametrize("wanted", [True, False])
def test_weights_that_fit_one_problem_only_are_refused_elsewhere(session, wanted):
    made, name = committed(session, ORBIT)
    there = in_environment(made, LARGER, "larger")
    data = save_weights({"bp.scale": np.ones((3, 1), np.float32)}, fingerprints=["there"])
    attach(made.ledger, "artifacts", made.run.name, 1, {WEIGHTS_FILE: data})
    if not wanted:
        assert parent_weights(made.ledger, there.run, [name], fingerprint="here", wanted=False) == b""
        return
    with pytest.raises(AutoQECError, match=f"the weights of {name} fit its own environment only") as error:
        parent_weights(made.ledger, there.run, [name], fingerprint="here", wanted=True)
    assert error.value.code == "weights_of_another_problem"
    with pytest.raises(AutoQECError, match="were trained for problem"):
        parent_weights(made.ledger, made.run, [name], fingerprint="here", wanted=True)


def test_weights_of_another_clones_round_are_fetched_where_training_starts_from_them(session, tmp_path, monkeypatch):
    made, name = committed(session, ORBIT)
    data = save_weights({"bp.scale": np.ones((3, 1), np.float32)}, fingerprints=["here"])
    attach(made.ledger, "artifacts", made.run.name, 1, {WEIGHTS_FILE: data})
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    for source, place, bare in ((made.ledger.workdir, remote, ["--bare"]), (remote, clone, [])):
        subprocess.run(["git", "clone", "-q", *bare, source, place], check=True)
    push(made.ledger, str(remote), own_weights=True)
    pull(ledger := open_ledger(clone), str(remote))
    asked = {"fingerprint": "here", "remote": str(remote)}
    assert parent_weights(ledger, made.run, [name], wanted=False, **asked) == b""
    assert parent_weights(ledger, made.run, [name], wanted=True, **asked) == data
    told = []
    monkeypatch.setattr("autoqec.loop.round_steps.parent_weights", lambda *args, **given: told.append(given["remote"]))
    sharing = replace(made, settings=load_settings(made.ledger.workdir, {"claim_remote": str(remote)}))
    monkeypatch.setattr(
        "autoqec.loop.round_steps.hypothesis_of", lambda state: SimpleNamespace(compose="pure", fork_from=[])
    )
    _parents(sharing, None, "here")
    assert told == [str(remote)]
