"""Custom code in whole rounds: whatever it does, the round says so and the lab is whole."""

import subprocess
import time
from pathlib import Path

import pytest

from autoqec.history import list_claims
from autoqec.history.fsck.fsck_lab import check
from autoqec.loop.one_round import run_round
from autoqec.testing import TINY_ENVIRONMENT, ScriptedAgent, custom_module, tiny_problem

IGNORE = {"summary": "seen", "decision": "ignore"}
VERIFY = {"summary": "seen", "decision": "candidate"}

#: More shots than the trial has, in training mode: where code that only looks harmless shows what it does.
LATER = "if len(beliefs) > 64: "


def reply(line, **extra):
    files = {
        "stages/own/stage.yaml": "kind: custom\n",
        "stages/own/module.py": custom_module(f"{line}\nreturn beliefs + self.w"),
        "training.yaml": "shots: 512\nbatch_size: 128\n",
    }
    return {"files": files | extra, "tier": 2, "message": "code of its own"}


def round_of(session, coder, decision=IGNORE, **profile):
    made = session(ScriptedAgent({"ideator": [{"text": "t"}], "coder": [coder], "analyst": [decision]}))
    fields = dict(vars(made.settings.profile)) | profile
    made.settings.profiles["tiny"] = type(made.settings.profile)(**fields)
    return made, run_round(made)


def whole(made):
    """The lab is: git says so, fsck says so, and the round is closed."""
    subprocess.run(["git", "fsck", "--strict"], cwd=made.ledger.workdir, check=True, capture_output=True)
    assert not [finding for finding in check(made.ledger) if finding.severity == "error"]
    assert [claim.state for claim in list_claims(made.ledger, made.run.name)] == ["closed"]


def test_code_that_raises_in_training_ends_its_round(session):
    made, record = round_of(session, reply(LATER + "raise KeyError('surprise')"))
    assert record.status == "train_error"
    assert "KeyError: 'surprise'" in record.claim.reason
    assert record.commit is not None
    whole(made)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "status", "reason", "profile"),
    [
        (LATER + "\n    while True: pass", "killed_by_safety", "longer than 12 s", {"train_seconds": 12.0}),
        (LATER + "torch.zeros(10**12)", "killed_by_safety", "allocate memory", {}),
        (LATER + "return beliefs[:, 1:] + self.w", "train_error", "stage 'own' answered beliefs of shape", {}),
        (LATER + "return beliefs + self.w / 0", "killed_by_safety", "not finite", {}),
        ("return beliefs[:, 1:] + self.w", "compile_error", "stages/own/module.py: forward must return", {}),
        ("while True: pass", "killed_by_safety", "longer than 12 s", {"train_seconds": 12.0}),
    ],
)
def test_what_goes_wrong_has_a_status_and_a_reason(session, line, status, reason, profile):
    made, record = round_of(session, reply(line), **profile)
    assert (record.status, reason in record.claim.reason) == (status, True), record.claim.reason
    whole(made)


#: Blocks of inference, with something in them: neither the trial, nor training, nor the count of operations.
SCORED = "if not self.training and len(beliefs) == 64 and syndromes.any(): "


@pytest.mark.slow
def test_code_that_raises_on_scored_shots_ends_its_round(session):
    made, record = round_of(session, reply(SCORED + "raise KeyError('surprise')"))
    assert record.status == "train_error"
    assert "surprise" in record.claim.reason
    assert record.metrics is None
    whole(made)


@pytest.mark.slow
def test_code_that_says_nan_of_scored_shots_fails_them(session):
    made, record = round_of(session, reply(SCORED + "return beliefs * float('nan')"))
    assert record.status == "ok"
    assert record.metrics["invalid"] > 0.99 * record.metrics["shots"]
    assert record.metrics["ler_candidate"] > 0.99
    assert record.verdict is None
    whole(made)


def test_better_code_of_its_own_is_verified_behind_its_lock(session, autoqec_lab):
    # A circuit from a file has no neighbours, at each of which a process would be locked anew; that harm is seen there is
    # shown elsewhere.
    lines = [line for line in TINY_ENVIRONMENT.splitlines() if not line.startswith(("code:", "noise:"))]
    lines.append("code: {kind: circuit, path: tiny.stim}")
    (autoqec_lab.workdir / "envs/tiny.yaml").write_text("\n".join(lines))
    (autoqec_lab.workdir / "envs/tiny.stim").write_text(str(tiny_problem().circuit))
    bp = {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\nposition: 1\n"}
    _, record = round_of(session, reply("pass", **bp), VERIFY)
    verdict = record.verdict
    assert (record.status, verdict["verdict"], verdict["reason"]) == ("ok", "VERIFIED", "better")
    assert not verdict["trusted_code"]
    assert verdict["sandbox_level"] >= 1
    assert verdict["sandbox"]["seccomp"]
    assert verdict["cpu_us_per_shot"] > 0


@pytest.mark.fresh_processes
def test_children_of_a_child_are_killed_with_it(tmp_path):
    from autoqec.sandbox.channel import ChannelTimeout
    from autoqec.sandbox.child import Child

    with Child("autoqec.scoring.executor_contract:serve_tasks") as child:
        child.send({"function": "autoqec.testing.misbehave:fork_and_hang"})
        group = child.pid
        _wait_until(lambda: len(_members(group)) >= 3)  # it and two children
        with pytest.raises(ChannelTimeout):
            child.receive(0.2)
    _wait_until(lambda: not _members(group))


def _wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _members(group):
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rsplit(")", 1)[1].split()[:3]
        except (OSError, ValueError):
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found
