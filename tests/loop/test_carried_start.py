"""*Train small, use large*: a round starts from one of another environment of the family, and no other."""

import numpy as np
import pytest

from autoqec.candidate.weights import load_weights
from autoqec.errors import AutoQECError, UsageError
from autoqec.history import find_record, read_attachment, read_history
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.history.fsck import check_lab
from autoqec.loop.carried_start import carried_start
from autoqec.loop.one_round import run_round
from autoqec.loop.session import Session, open_run
from autoqec.testing import ScriptedAgent, tiny_proposal
from autoqec.testing.tiny import TINY_ENVIRONMENT
from autoqec.views.round_json import round_row

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


def weights(made, number=1):
    return load_weights(read_attachment(made.ledger, "artifacts", made.run.name, number)[WEIGHTS_FILE])


def test_a_round_starts_from_the_weights_of_a_smaller_one(session):
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
    by_name = dict(zip(mine["bp.message_orbits"][0].tolist(), mine["bp.scale"].T, strict=True))
    found = {
        name: (column == by_name[name]).all()
        for name, column in zip(theirs["bp.message_orbits"][0].tolist(), theirs["bp.scale"].T, strict=True)
        if name in by_name
    }
    assert all(found.values())
    assert len(found) > 0.5 * len(by_name)
    assert np.ptp(mine["bp.scale"]) > 0, "training changed the factors"
    assert not [found for found in check_lab(made.ledger) if found.level == "error"]
