"""Programs as agents: real processes that behave like the real programs, found on PATH, and what is left of them."""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from autoqec_plugins.cli_agent.program_agent import CliAgent
from autoqec_plugins.cli_agent.reply_reading import find_object
from autoqec_plugins.cli_agent.strict_schema import strict_schema

from autoqec.agents.agent_contract import AgentUnavailable, Context, Estimate, Usage
from autoqec.agents.prompt import render, schema_of
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.sandbox.foreign_program import run_program

CONTEXT = Context(environment={"name": "tiny"}, run="r-abcd", round=1, seed=1, stages={}, limits={})
IDEA = {"text": "an idea"}
PRICES = {"big-1": {"input": 2.0, "output": 10.0, "cache_read": 0.2, "cache_write": 2.5}}

#: What every stand-in does first: note how it was called, and read its input.
_HEAD = """#!{python}
import json, os, subprocess, sys, time
schemas = [open(sys.argv[i + 1]).read() for i, word in enumerate(sys.argv) if word == "--output-schema"]
seen = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "files": os.listdir(), "schemas": schemas}}
seen["stdin"] = sys.stdin.read()
json.dump(seen, open({seen!r}, "w"))
"""

_RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "",
    "num_turns": 2,
    "total_cost_usd": 0.0123,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 4000,
        "output_tokens": 56,
        "server_tool_use": {"web_search_requests": 0},
    },
    "modelUsage": {"small-1": {"outputTokens": 3}, "large-1": {"outputTokens": 53, "costUSD": 0.012}},
    "permission_denials": [],
}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that puts a program on PATH and returns where it notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}.{os.pathsep}/usr/bin:/bin")

    def put(name, body):
        seen = tmp_path / f"{name}.json"
        path = folder / name
        path.write_text(_HEAD.format(python=sys.executable, seen=str(seen)) + body)
        path.chmod(0o755)
        return SimpleNamespace(seen=lambda: json.loads(seen.read_text()), path=path, folder=folder)

    return put


def says(**fields):
    """The body of a program that prints claude's result object."""
    return f"print({json.dumps({**_RESULT, **fields})!r})\n"


def events(*items):
    """The body of a program that prints codex's events."""
    return "".join(f"print({json.dumps(item)!r})\n" for item in items)


def message(text):
    return {"type": "item.completed", "item": {"id": "item_0", "type": "agent_message", "text": text}}


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_until_gone(pids):
    deadline = time.monotonic() + 60
    while not all(map(gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return all(map(gone, pids))


def test_claude_answers_with_structured_output(program, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-abcdefghijklmnop1234")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other-abcdefghijklmnop1234")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("AUTOQEC_MAX_COST", "3")
    there = program("claude", says(result="Done.", structured_output=IDEA))
    reply = CliAgent("claude:large-1", max_cost=0.5, max_tokens=1000).reply("ideator", CONTEXT)
    assert reply.message == IDEA
    assert not reply.problem
    assert (reply.model, reply.text, reply.cost) == ("large-1", "Done.", 0.0123)
    assert reply.usage == Usage(input_tokens=12, output_tokens=56, cache_read_tokens=4000, cache_write_tokens=300)
    prompt = render("ideator", CONTEXT)
    assert reply.prompt == prompt.text

    seen = there.seen()
    assert seen["files"] == []
    assert not Path(seen["cwd"]).exists()  # and it is swept away
    assert Path.cwd() not in [Path(seen["cwd"]), *Path(seen["cwd"]).parents]
    assert seen["stdin"] == f"{prompt.stable}\n\n{prompt.volatile}\n"
    argv = seen["argv"]
    given = dict(pairwise(argv))
    assert argv[0] == "-p"
    assert given["--output-format"] == "json"
    assert json.loads(given["--json-schema"]) == schema_of("ideator")
    assert given["--tools"] == ""
    assert {"Bash", "Read", "Write", "WebFetch"} <= set(given["--disallowedTools"].split(","))
    assert given["--setting-sources"] == ""
    assert given["--system-prompt"] == prompt.system
    assert (given["--model"], given["--max-budget-usd"], given["--max-turns"]) == ("large-1", "0.5", "8")
    assert {"--strict-mcp-config", "--disable-slash-commands", "--no-session-persistence"} <= set(argv)
    assert "--dangerously-skip-permissions" not in argv

    env = seen["env"]
    assert env["ANTHROPIC_API_KEY"] == os.environ["ANTHROPIC_API_KEY"]
    assert env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "1000"
    ours = {"ANTHROPIC_API_KEY", "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"}
    common = {"PATH", "HOME", "LANG", "TERM", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "DISABLE_AUTOUPDATER"}
    assert {name for name in env if not name.lower().endswith("_proxy")} - {"LC_CTYPE"} <= ours | common
    assert "." not in env["PATH"].split(os.pathsep)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(IDEA),
        f"Here it is:\n\n```json\n{json.dumps(IDEA, indent=1)}\n```\nGood luck!",
        f"I think {{so}}: {json.dumps(IDEA)} and {{}}.",
    ],
    ids=["bare", "fence", "prose"],
)
def test_an_object_among_words_is_found(text):
    assert find_object(text) == IDEA


def test_what_is_no_object_is_not():
    for text in ("", "no", "[1]", '"{"', "{" * 5000, '{"a": ' * 2000):
        assert find_object(text) is None


def test_claude_without_structured_output_and_with_a_warning_before_it(program):
    program("claude", 'print("warning: something is old")\n' + says(result=f"```json\n{json.dumps(IDEA)}\n```"))
    told = []
    assert CliAgent("claude", seconds=77).reply("ideator", CONTEXT, told.append).message == IDEA
    assert told == [{"seconds_at_most": 77}], "a display says how long it can take"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (says(is_error=True, result="You've hit your session limit · resets 3pm") + "sys.exit(1)\n", "session limit"),
        (says(is_error=True, result="Not logged in · Please run /login") + "sys.exit(1)\n", "Not logged in"),
        (says(is_error=True, subtype="error_max_budget_usd", result="", errors=["too dear"]), "too dear"),
        (says(is_error=True, subtype="error_during_execution", result=""), "error_during_execution"),
        ("print('Invalid API key\\nmore', flush=True)\nsys.exit(1)\n", "Invalid API key"),
        (
            "print('\\x1b[31mnode: bad option sk-ant-abcdefghijklmnop1234', file=sys.stderr)\nsys.exit(9)\n",
            r"\[secret\]",
        ),
        ("sys.exit(7)\n", "exit status 7"),
        ("os.kill(os.getpid(), 11)\n", "exit status -11"),
    ],
    ids=["limit", "login", "budget", "execution", "text", "stderr", "silent", "signal"],
)
def test_claude_that_cannot_be_asked_leaves_the_round_open(program, body, why):
    program("claude", body)
    with pytest.raises(AgentUnavailable, match=why) as caught:
        CliAgent("claude").reply("ideator", CONTEXT)
    assert "\n" not in caught.value.problem
    assert "\x1b" not in caught.value.problem
    assert "autoqec resume" in caught.value.hint


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (says(result="I would rather not."), "no JSON object"),
        (says(subtype="error_max_turns", is_error=True, result=""), "error_max_turns"),
        ("sys.stdout.write('x' * 20_000_000)\n", "wrote more than"),
        ('print(\'{"type": "result", \')\n', "nothing readable"),
    ],
    ids=["prose", "turns", "flood", "cut"],
)
def test_claude_that_says_nothing_of_use_is_told_so(program, body, why):
    program("claude", body)
    reply = CliAgent("claude").reply("ideator", CONTEXT)
    assert reply.message is None
    assert why in reply.problem


def test_a_program_that_hangs_leaves_nothing(program, tmp_path):
    body = f"""
import signal
children = [subprocess.Popen([sys.executable, "-c", "import signal, time\\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\ntime.sleep(600)"]) for _ in range(2)]
open({str(tmp_path / "pids")!r}, "w").write(" ".join(str(p) for p in [os.getpid(), *(c.pid for c in children)]))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
    program("claude", body)
    began = time.monotonic()
    with pytest.raises(AgentUnavailable, match="within 5 seconds"):
        CliAgent("claude", seconds=5).reply("ideator", CONTEXT)
    assert time.monotonic() - began < 120
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 3
    assert wait_until_gone(pids)


def test_a_program_that_ends_takes_its_children_along_and_is_not_waited_for_through_them(program, tmp_path):
    body = f"""
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # it holds our pipes open
open({str(tmp_path / "pids")!r}, "w").write(str(child.pid))
"""
    program("claude", body + says(structured_output=IDEA))
    began = time.monotonic()
    assert CliAgent("claude").reply("ideator", CONTEXT).message == IDEA
    assert time.monotonic() - began < 120
    assert wait_until_gone([(tmp_path / "pids").read_text()])


def test_a_program_does_not_outlive_its_caller(tmp_path):
    code = f"""
import sys
from pathlib import Path
from autoqec.sandbox.foreign_program import run_program
body = "import os, time; open({str(tmp_path / "pid")!r}, 'w').write(str(os.getpid())); time.sleep(600)"
run_program([sys.executable, "-c", body], stdin=b"", env={{}}, folder=Path("/"), seconds=600, most_bytes=1)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as caller:
        deadline = time.monotonic() + 120
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        caller.kill()
    time.sleep(0.1)
    assert wait_until_gone([(tmp_path / "pid").read_text()])


def test_a_program_that_reads_nothing_and_one_that_cannot_be_run(tmp_path):
    done = run_program(["/bin/echo", "hello"], stdin=b"x" * 10**6, env={}, folder=tmp_path, seconds=20, most_bytes=100)
    assert (done.status, done.out, done.ended) == (0, b"hello\n", "exit")
    done = run_program([str(tmp_path)], stdin=b"", env={}, folder=tmp_path, seconds=20, most_bytes=1000)
    assert done.status == 1
    assert b"cannot be run" in done.err


def test_codex_answers(program, monkeypatch):
    monkeypatch.setenv("CODEX_API_KEY", "sk-abcdefghijklmnop1234")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-abcdefghijklmnop1234")
    usage = {"input_tokens": 1000, "cached_input_tokens": 600, "output_tokens": 50}
    there = program(
        "codex",
        events(
            {"type": "thread.started", "thread_id": "x"},
            {"type": "turn.started"},
            {"type": "error", "message": "Reconnecting... 1/5"},
            {"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}},
            message("a first thought"),
            message(json.dumps(IDEA)),
            {"type": "turn.completed", "usage": usage},
        ),
    )
    reply = CliAgent("codex:big-1", prices=PRICES).reply("ideator", CONTEXT)
    assert reply.message == IDEA
    assert reply.model == "big-1"
    assert reply.usage == Usage(input_tokens=400, output_tokens=50, cache_read_tokens=600)
    assert reply.cost == pytest.approx((400 * 2 + 600 * 0.2 + 50 * 10) / 1e6)
    seen = there.seen()
    assert seen["argv"][:2] == ["exec", "--json"]
    assert seen["argv"][-1] == "-"
    given = dict(pairwise(seen["argv"]))
    assert (given["--sandbox"], given["--model"]) == ("read-only", "big-1")
    assert {"--skip-git-repo-check", "features.shell_tool=false", 'web_search="disabled"'} <= set(seen["argv"])
    assert seen["stdin"] == render("ideator", CONTEXT).text
    assert [json.loads(text) for text in seen["schemas"]] == [strict_schema(schema_of("ideator"))]
    assert seen["files"] == []
    assert "CODEX_API_KEY" in seen["env"]
    assert "ANTHROPIC_API_KEY" not in seen["env"]

    assert CliAgent("codex:other", prices=PRICES).reply("coder", CONTEXT).cost is None
    assert there.seen()["schemas"] == []  # files by path cannot be said in its dialect; the prompt says them


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            events({"type": "error", "message": "x"}, {"type": "turn.failed", "error": {"message": "usage limit\n2"}}),
            "usage limit",
        ),
        (events({"type": "error", "message": json.dumps({"error": {"message": "no such model"}})}), "no such model"),
        ("print('Not logged in', file=sys.stderr)\nsys.exit(1)\n", "Not logged in"),
        (events({"type": "turn.started"}) + "sys.exit(3)\n", "exit status 3"),
    ],
    ids=["failed", "error", "login", "cut"],
)
def test_codex_that_cannot_be_asked_leaves_the_round_open(program, body, why):
    program("codex", body)
    with pytest.raises(AgentUnavailable, match=why):
        CliAgent("codex").reply("ideator", CONTEXT)


def test_codex_without_an_object_is_told_so(program):
    program("codex", "print('hello')\n")
    assert "nothing readable" in CliAgent("codex").reply("ideator", CONTEXT).problem
    program("codex", events(message("no"), {"type": "turn.completed", "usage": {"input_tokens": "many"}}))
    reply = CliAgent("codex").reply("ideator", CONTEXT)
    assert (reply.message, reply.usage) == (None, Usage())
    assert "no JSON object" in reply.problem


def test_a_program_that_is_not_there_and_one_of_the_lab(program, tmp_path, monkeypatch):
    there = program("claude", says(structured_output=IDEA))
    monkeypatch.chdir(there.folder)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}bin{os.pathsep}{tmp_path}")
    with pytest.raises(AgentUnavailable, match="the program claude is not on PATH") as caught:
        CliAgent("claude").reply("ideator", CONTEXT)
    assert caught.value.hint.startswith("npm install")


@pytest.mark.parametrize(
    ("member", "options"),
    [
        ("bash", {}),
        ("/bin/sh", {}),
        ("claude:--dangerously-skip-permissions", {}),
        ("claude:a b", {}),
        ("claude", {"seconds": 0}),
        ("claude", {"seconds": "600"}),
        ("claude", {"max_tokens": True}),
        ("codex", {"max_cost": 1.0}),
        ("claude", {"command": "/bin/sh"}),
    ],
)
def test_settings_cannot_name_what_is_run(member, options):
    with pytest.raises(UsageError):
        load_plugins().get("agent", f"cli:{member}").create(**options)


def test_what_a_call_takes_is_known_as_far_as_it_is():
    tokens = render("ideator", CONTEXT).tokens
    told = {"max_tokens": 1000}
    assert CliAgent("claude", **told).estimate("ideator", CONTEXT) == Estimate(tokens, tokens + 1000, None)
    assert CliAgent("claude", max_cost=0.25).estimate("ideator", CONTEXT).cost == 0.25
    priced = CliAgent("codex:big-1", prices=PRICES, **told).estimate("ideator", CONTEXT)
    assert priced.cost == pytest.approx((tokens * 2.5 + 1000 * 10) / 1e6)
