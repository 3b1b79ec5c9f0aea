"""A round that really fails, and what its diagnosis makes of the record it leaves."""

import json

from autoqec.cli.main import run
from autoqec.loop.one_round import run_round
from autoqec.testing import ScriptedAgent, custom_module

#: Some beliefs are not finite in training, and only there: as a learning rate that is too high makes of others.
MODULE = custom_module(
    "if self.training and len(beliefs) > 64:\n    return beliefs + self.w / 0\nreturn beliefs + self.w"
)
FILES = {
    "stages/own/stage.yaml": "kind: custom\n",
    "stages/own/module.py": MODULE,
    "training.yaml": "shots: 1024\nbatch_size: 128\nlearning_rate: 0.6\n",
}


def test_a_round_that_diverged_is_diagnosed_from_git(session, capsys):
    coder = {"files": FILES, "tier": 2, "message": "too fast"}
    made = session(ScriptedAgent({"ideator": [{"text": "faster"}], "coder": [coder]}))
    record = run_round(made)
    assert record.status == "killed_by_safety", record.claim.reason
    assert record.claim.code == "diverged"
    assert run(["diagnose", f"{made.run.name}/1", "--json"]) == 0
    (item,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (item["cause"], item["round"]) == ("diverged", 1)
    assert record.claim.reason in item["evidence"][0]
    assert item["patch"].splitlines()[2:] == ["-learning_rate: 0.6", "+learning_rate: 0.2"]
