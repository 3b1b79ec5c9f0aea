"""Whole rounds by the agent `anthropic`, as its user runs them, against a server that speaks the Messages API."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from autoqec.cli.main import run
from autoqec.history import list_claims, list_runs, open_ledger, read_attachment
from autoqec.loop.tracing import read_calls
from autoqec.testing import make_tiny_lab, tiny_proposal

# What a service says of a model is for its users, not for the tests.
pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")

KEY = "test-key-of-nobody-0123456789"
MODEL = "claude-sonnet-4-5"
AGENTS = [word for role in ("ideator", "coder", "analyst") for word in (f"--{role}", f"anthropic:{MODEL}")]
SAID = {
    "ideator": {"text": "Four iterations of belief propagation", "rationale": "It sees what matching drops."},
    "coder": tiny_proposal(),
    "analyst": {"summary": "A gain.", "decision": "candidate", "next_seed": "more iterations"},
}


def role_of(request):
    return re.search(r'"you_are": "(\w+)"', request.body["messages"][0]["content"])[1]


def autoqec(folder, server, *args):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC", "AUTOQEC"))}
    environment |= {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": KEY}
    return subprocess.run(
        [sys.executable, "-m", "autoqec", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


@pytest.fixture
def here(monkeypatch, capsys):
    """Does what `autoqec` does, in this process, which has loaded most of it already."""

    def call(folder, server, *args):
        for name in [name for name in os.environ if name.startswith(("ANTHROPIC", "AUTOQEC"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.chdir(folder)
        code = run(list(args))
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(args, code, out, err)

    return call


@pytest.fixture
def folder(tmp_path):
    make_tiny_lab(tmp_path / "lab")
    return tmp_path / "lab"


def test_a_round_is_proposed_written_trained_judged_and_accounted_for(folder, messages_server, here):
    usage = {"input_tokens": 1000, "cache_read_input_tokens": 4000, "cache_creation_input_tokens": 0}

    def answer(request):
        return messages_server.said(SAID[role_of(request)], model=MODEL, usage=usage, output=500)

    with messages_server.MessagesServer(answer) as server:
        planned = here(folder, server, "round", "--dry-run", *AGENTS, "--max-cost", "5", "--json")
        assert server.requests == []
        done = autoqec(folder, server, "round", *AGENTS, "--seed", "3", "--max-cost", "5", "--json")
    assert (planned.returncode, done.returncode) == (0, 0), planned.stderr + done.stderr
    plan, item = json.loads(planned.stdout), json.loads(done.stdout)
    assert 0 < plan["cost"] < 5
    assert plan["measured"]["score_seconds"] > 0
    assert plan["seconds_at_most"] > 600
    assert (item["status"], item["hypothesis"]) == ("ok", SAID["ideator"]["text"])
    assert item["verdict"] in ("VERIFIED", "FAILED", "SUSPICIOUS")
    assert item["metrics"]["shots"] >= 20_000
    assert [role_of(request) for request in server.requests] == ["ideator", "coder", "analyst"]
    ledger = open_ledger(folder)
    calls = read_calls(ledger, item["run"], 1)
    assert [(call.role, call.reply.model, call.reply.usage.cache_read_tokens) for call in calls] == [
        (role, MODEL, 4000) for role in ("ideator", "coder", "analyst")
    ]
    price = (1000 * 3 + 4000 * 0.3 + 500 * 15) / 1e6
    assert [round(call.cost, 9) for call in calls] == [round(price, 9)] * 3
    assert 0 < price < plan["calls"][0]["cost"]
    everything = b"".join(read_attachment(ledger, "traces", item["run"], 1).values()) + done.stdout.encode()
    assert KEY.encode() not in everything
    shown = here(folder, server, "show", "--trace", f"exp/{item['run']}/1")
    assert f"ideator, attempt 1: anthropic:{MODEL}" in shown.stdout
    assert "5,500 tokens (4,000 from cache)" in shown.stdout
    assert '<data name="environment">' in shown.stdout


def test_a_kill_while_a_reply_is_on_its_way_asks_for_that_one_again_and_for_no_other(folder, messages_server, here):
    """The server kills the asker when the Coder is asked; what the Ideator said is in git by then, and paid for once."""
    victims = []

    def answer(request):
        role = role_of(request)
        if role == "coder" and victims:
            os.kill(victims.pop(), signal.SIGKILL)
        return messages_server.said(SAID["ideator"] if role == "ideator" else {"files": {}}, model=MODEL)

    with messages_server.MessagesServer(answer) as server:
        environment = os.environ | {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": KEY}
        asker = subprocess.Popen(
            [sys.executable, "-m", "autoqec", "round", *AGENTS, "--seed", "3"], cwd=folder, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        victims.append(asker.pid)
        assert asker.wait(timeout=120) == -signal.SIGKILL
        ledger = open_ledger(folder)
        name = list_runs(ledger)[0].name
        assert list_claims(ledger, name)[0].state == "open"
        assert [(call.role, call.reply is None) for call in read_calls(ledger, name, 1)] == [
            ("ideator", False), ("coder", True),
        ]  # fmt: skip
        done = here(folder, server, "resume", "--json")
    assert [role_of(request) for request in server.requests] == ["ideator", "coder", "coder", "coder"]
    assert json.loads(done.stdout)["status"] == "agent_error"
    coder = next(call for call in read_calls(ledger, name, 1) if call.role == "coder")
    assert (coder.lost, coder.tokens) == (1, coder.estimate.tokens + coder.reply.usage.total)


def test_a_budget_that_is_spent_ends_with_4_and_says_how_to_go_on(folder, messages_server, here):
    with messages_server.MessagesServer([]) as server:
        done = autoqec(folder, server, "round", *AGENTS, "--max-tokens", "1000")
        again = here(folder, server, "resume", "--max-tokens", "1000")
        unpriced = here(
            folder, server, "round", "--ideator", "anthropic:claude-of-tomorrow", "--new", "--max-cost", "9"
        )
    assert (done.returncode, again.returncode, unpriced.returncode) == (4, 4, 4)
    assert server.requests == []
    assert "has spent 0 of 1,000 tokens" in done.stderr
    assert "--max-tokens" in done.stderr.split("hint:")[1]
    assert "price is unknown" in unpriced.stderr


def test_a_recording_says_it_again_where_there_is_no_server_and_no_key(folder, messages_server, tmp_path, here):
    replies = [SAID["ideator"], {"files": {}}, "no JSON", SAID["ideator"]]
    with messages_server.MessagesServer([messages_server.said(reply) for reply in replies]) as server:
        done = here(folder, server, "round", *AGENTS, "--seed", "3", "--record", str(tmp_path / "tape"), "--json")
    assert len(server.requests) == 3
    make_tiny_lab(tmp_path / "elsewhere")
    # The server is gone.
    again = here(tmp_path / "elsewhere", server, "round", *AGENTS, "--replay", str(tmp_path / "tape"), "--json")
    first, second = json.loads(done.stdout), json.loads(again.stdout)
    assert (first["status"], second["status"]) == ("agent_error", "agent_error")
    assert [item[name] for item in (first, second) for name in ("run", "hypothesis", "reason")] == 2 * [
        first["run"], SAID["ideator"]["text"], first["reason"],
    ]  # fmt: skip
    same = here(folder, server, "round", "--replay", str(tmp_path / "tape"))
    assert same.returncode == 2
    assert "replay in a separate lab" in same.stderr
