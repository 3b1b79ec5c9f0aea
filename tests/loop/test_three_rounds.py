"""Rounds on surface_d5_depol by every agent: real training, real verdicts, a merge; services and programs are stand-ins."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoqec.config import CONFIG_FILE
from autoqec.history import initialise

MIND = Path(__file__).parent.parent / "three_rounds.py"
CONFIG = b"""\
default_env = "surface_d5_depol"
profile = "short"
[profiles.short]
train_shots = 51200
train_seconds = 600
screen_shots = 0
score_shots = 65536
verify_shots = 400000
"""
CLAUDE = 'print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": said, "total_cost_usd": 0.01}))'
CODEX = """
print(json.dumps({"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": said}}))
print(json.dumps({"type": "turn.completed", "usage": {"input_tokens": 9, "cached_input_tokens": 0, "output_tokens": 9}}))
"""


@pytest.fixture
def folder(tmp_path):
    initialise(tmp_path / "lab", {CONFIG_FILE: CONFIG})
    return tmp_path / "lab"


@pytest.fixture
def mind():
    spec = importlib.util.spec_from_file_location("three_rounds", MIND)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def autoqec(folder, *args, input=None, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "autoqec", *args],
        cwd=folder, input=input, capture_output=True, text=True, env=os.environ | environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def agents(name):
    return [word for role in ("ideator", "coder", "analyst") for word in (f"--{role}", name)]


def programs(tmp_path, name, body):
    """A folder with a program that answers as the real one does."""
    path = tmp_path / "bin" / name
    path.parent.mkdir()
    head = f"#!{sys.executable}\nimport json, runpy, sys\n"
    path.write_text(f"{head}said = json.dumps(runpy.run_path({str(MIND)!r})['answer'](sys.stdin.read()))\n{body}\n")
    path.chmod(0o755)
    return f"{path.parent}{os.pathsep}{os.environ['PATH']}"


def judged(rounds, *, merged):
    assert {item["status"] for item in rounds} == {"ok"}
    assert rounds[0]["verdict"] == "VERIFIED"
    assert all(item["verdict"] in ("VERIFIED", "FAILED", "SUSPICIOUS") for item in rounds)
    assert rounds[0]["metrics"]["ler_ratio_ci"][1] < 0.85
    assert all(item["metrics"]["train_seconds"] > 0 for item in rounds)
    if merged:
        assert len(rounds[-1]["fork_from"]) == 2


@pytest.mark.slow
def test_by_the_embedded_search(folder):
    rounds = autoqec(folder, "round", "--rounds", "4", "--seed", "1", "--json", *agents("search"))
    assert [len(item["fork_from"]) for item in rounds] == [0, 1, 1, 2]
    judged(rounds, merged=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evolution", "random"])
def test_by_a_control_arm(folder, name):
    """What is drawn by lot may train for ever, and is ended; with this seed the first draw does not."""
    config = folder / CONFIG_FILE
    config.write_text(config.read_text().replace("train_seconds = 600", "train_seconds = 120"))
    rounds = autoqec(folder, "round", "--rounds", "3", "--seed", "2", "--json", *agents(name))
    assert [item["round"] for item in rounds] == [1, 2, 3]
    assert {item["status"] for item in rounds} <= {"ok", "killed_by_safety"}
    assert rounds[0]["verdict"] == "VERIFIED"


@pytest.mark.slow
def test_by_claude_over_http(folder, mind, messages_server):
    def reply(request):
        return messages_server.said(mind.answer(request.body["messages"][0]["content"]), model="claude-sonnet-4-5")

    with messages_server.MessagesServer(reply) as server:
        there = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "nobodys-key-0123456789"}
        options = ["--rounds", "3", "--seed", "1", "--json", "--max-cost", "20"]
        judged(autoqec(folder, "round", *options, *agents("anthropic:claude-sonnet-4-5"), **there), merged=True)
    assert len(server.requests) == 8  # a pure merge needs no Coder


@pytest.mark.slow
@pytest.mark.parametrize(("name", "body"), [("claude", CLAUDE), ("codex", CODEX)])
def test_by_a_program(folder, tmp_path, name, body):
    path = programs(tmp_path, name, body)
    rounds = autoqec(folder, "round", "--rounds", "3", "--seed", "1", "--json", *agents(f"cli:{name}"), PATH=path)
    judged(rounds, merged=True)


@pytest.mark.slow
def test_step_by_step_from_outside(folder, mind):
    done = []
    for number in (1, 2, 3):
        autoqec(folder, "round", "--seed", "1", *agents("manual"))
        for _ in range(2 if number == 3 else 3):
            (prompt,) = autoqec(folder, "agents", "prompt", "--json")
            reply = json.dumps(mind.answer(prompt["volatile"]))
            found = autoqec(folder, "agents", "reply", prompt["role"], "--json", input=reply)
        done += [item for item in found if item["status"] == "ok"]
    judged(done, merged=True)
