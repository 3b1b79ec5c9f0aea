"""`autoqec agents`: a round driven step by step by commands, and everything that can go wrong between the steps."""

import io
import json
import subprocess
import sys

import pytest

from autoqec.cli.main import run
from autoqec.errors import AutoQECError
from autoqec.history import find_record, list_claims, open_ledger
from autoqec.loop.manual_answers import find_waiting, take_reply
from autoqec.loop.round_state import read_state
from autoqec.loop.session import Session
from autoqec.testing import tiny_proposal

MANUAL = ("--ideator", "manual", "--coder", "manual", "--analyst", "manual")
IDEA = json.dumps({"text": "an idea"})


@pytest.fixture
def call(monkeypatch, capsys):
    """A function that runs a command with something on its standard input: exit code, data, messages."""

    def made(*words, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode("utf-8", "surrogateescape"))))
        capsys.readouterr()
        code = run(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return made


@pytest.fixture
def waiting(autoqec_lab, call):
    """A lab whose only round waits for the ideator; its name."""
    code, out, err = call("round", *MANUAL, "--seed", "3", "-q")
    assert (code, out) == (0, "")
    (claim,) = list_claims(autoqec_lab)
    assert f"round {claim.run}/1 waits for the ideator: autoqec agents prompt" in err
    return f"{claim.run}/1"


def refs(folder="."):
    return subprocess.run(["git", "for-each-ref"], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_list_says_who_plays_what_and_what_it_needs(call):
    code, out, _ = call("agents", "list", "--json")
    items = {item["name"]: item for item in map(json.loads, out.splitlines())}
    assert code == 0
    assert {item["schema"] for item in items.values()} == {"autoqec.agent/1"}
    assert items["search"]["needs"] == ""
    assert items["cli:"]["needs"] == "claude or codex on PATH"
    assert items["manual"]["roles"] == ["ideator", "coder", "analyst"]
    _, out, _ = call("agents", "list")
    assert "claude or codex on PATH" in out


def test_where_nothing_waits(autoqec_lab, call):
    for words in (("prompt",), ("prompt", "coder"), ("reply",), ("reply", "coder", "-")):
        code, out, err = call("agents", *words, stdin=IDEA)
        assert (code, out) == (3, "")
        assert "autoqec round --ideator manual" in err
    assert call("agents", "prompt", "--run", "no-such-run")[0] == 3


def test_the_prompt_is_data_and_asking_for_it_writes_nothing(waiting, call):
    before = refs()
    code, text, err = call("agents", "prompt")
    assert (code, err) == (0, "")
    assert "You are the ideator" in text
    assert '"fork_from"' in text
    code, out, _ = call("agents", "prompt", "ideator", "--run", waiting, "--json")
    item = json.loads(out)
    assert (item["schema"], f"{item['run']}/{item['round']}", item["role"]) == ("autoqec.prompt/1", waiting, "ideator")
    assert "\n\n".join((item["system"], item["stable"], item["volatile"])) + "\n" == text
    assert "text" in item["reply_schema"]["properties"]
    code, out, err = call("agents", "prompt", "analyst")
    assert (code, out) == (2, "")
    assert "waits for the ideator, not for the analyst" in err
    assert call("agents", "prompt", "--run", waiting.replace("/1", "/2"))[0] == 3
    assert refs() == before


@pytest.mark.parametrize(
    ("words", "stdin", "why"),
    [
        ((), "", "not JSON"),
        ((), "Sure! " + IDEA, "not JSON"),
        ((), '{"text": NaN}', "NaN is not"),
        ((), "[" * 100_000, "not JSON"),
        ((), "\udcff", "not JSON"),
        ((), "[1]", "not a JSON object but list"),
        ((), "{}", "text: missing"),
        ((), '{"text": "t", "verdict": "VERIFIED"}', "verdict: unknown field"),
        ((), '{"text": "t", "fork_from": ["tiny-abcd/77"]}', "tiny-abcd/77"),
        ((), '{"text": "' + "x" * 1_000_000 + '"}', "longer than"),
        (("coder",), IDEA, "waits for the ideator, not for the coder"),
        (("verifier", "-"), IDEA, "is not a role"),
    ],
)
def test_a_reply_that_cannot_be_used_changes_nothing(waiting, call, words, stdin, why):
    before = refs()
    code, out, err = call("agents", "reply", *words, stdin=stdin)
    assert (code, out) == (2, ""), err
    assert why in err
    assert refs() == before


def test_a_reply_with_a_wrong_field_says_where_the_schema_is(waiting, call):
    assert "autoqec agents prompt ideator --run " in call("agents", "reply", stdin="{}")[2]


def test_a_file_that_is_not_there(waiting, call):
    assert call("agents", "reply", "reply.json")[0] == 3


def test_log_and_fsck_explain_a_round_that_waits_and_repair_leaves_it_alone(waiting, call):
    assert "for the ideator" in call("log")[1]
    code, out, _ = call("fsck", "--repair", "--json")
    (finding,) = [item for item in map(json.loads, out.splitlines()) if item["code"] == "waiting"]
    assert code == 0
    assert "waits for a reply of the ideator, after claim" in finding["problem"]
    assert "autoqec agents prompt" in finding["hint"]
    assert find_waiting(open_ledger(".")).state == "open"
    assert "waits for the ideator" in call("resume")[2]  # which asks again, and leaves it as it was
    assert json.loads(call("log", "--json")[1])["status"] == "waiting"
    assert call("resume", "--abandon", waiting, "--json")[0] == 0
    assert call("agents", "prompt")[0] == 3


def test_of_several_rounds_that_wait_one_must_be_named(waiting, call):
    call("round", *MANUAL, "-q")
    other = waiting.replace("/1", "/2")
    code, _, err = call("agents", "prompt")
    assert code == 2
    assert f"2 rounds wait: {waiting} for the ideator, {other} for the ideator" in err
    assert call("agents", "reply", "--run", other, stdin=IDEA)[0] == 0
    assert call("agents", "reply", "ideator", stdin=IDEA)[0] == 0  # of which there is one left
    assert read_state(open_ledger("."), *split(waiting)).hypothesis["text"] == "an idea"


def split(name):
    run_name, _, number = name.partition("/")
    return run_name, int(number)


def test_roles_are_mixed(autoqec_lab, call):
    code, _, err = call("round", "--coder", "manual", "-q")
    assert code == 0
    assert "waits for the coder" in err
    item = json.loads(call("agents", "prompt", "--json")[1])
    assert item["role"] == "coder"
    assert '<data name="hypothesis">' in item["volatile"]
    code, _, err = call("agents", "reply", "coder", "-q", stdin='{"files": {"training.yaml": "epochs: 1\\n"}}')
    assert code == 2
    assert "at least one stage" in err


def reply_in_a_process_that_dies(where):
    """Reply in a process that is killed as it comes to a function."""
    code = (
        f"import os, signal, {where.rpartition('.')[0]} as module\n"
        f"module.{where.rpartition('.')[2]} = lambda *args, **more: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from autoqec.cli.main import run\nrun(['agents', 'reply', '-q'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=IDEA.encode(), capture_output=True, check=False)
    assert done.returncode == -9, done.stderr


def test_killed_between_keeping_a_reply_and_going_on(waiting, call):
    reply_in_a_process_that_dies("autoqec.loop.one_round._finish")
    assert json.loads(call("log", "--json")[1])["status"] == "interrupted"
    assert call("agents", "reply", stdin=IDEA)[0] == 3  # it has its reply
    code, _, err = call("resume", "-q")
    assert code == 0
    assert "waits for the coder" in err
    assert read_state(open_ledger("."), *split(waiting)).hypothesis["text"] == "an idea"


def test_killed_before_a_reply_is_kept(waiting, call):
    reply_in_a_process_that_dies(
        "autoqec.loop.manual_answers.TracedCalls.end".replace(".TracedCalls.end", ".TracedCalls")
    )
    code, _, err = call("resume", "-q")
    assert code == 0
    assert "waits for the ideator" in err
    assert call("agents", "reply", "-q", stdin=IDEA)[0] == 0


def test_of_two_who_reply_at_once_one_wins(waiting, call):
    command = [sys.executable, "-m", "autoqec", "agents", "reply", "ideator", "-q"]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for number, process in enumerate(running):
        process.stdin.write(json.dumps({"text": f"idea {number}"}))
        process.stdin.close()
    said = [process.stderr.read() for process in running]
    codes = [process.wait() for process in running]
    for process in running:
        process.stdout.close()
        process.stderr.close()
    assert sorted(code == 0 for code in codes) == [False, True], said
    winner = codes.index(0)
    assert read_state(open_ledger("."), *split(waiting)).hypothesis["text"] == f"idea {winner}"
    assert any(
        word in said[1 - winner] for word in ("has changed", "at work", "waits for the coder", "already has a reply")
    ), said


def test_who_looked_before_another_replied_is_told(waiting, call):
    from autoqec.config import load_settings
    from autoqec.history import load_run
    from autoqec.plugins import load_plugins

    ledger = open_ledger(".")
    stale = find_waiting(ledger)
    session = Session(ledger, load_plugins(), load_settings(ledger.workdir), load_run(ledger, stale.run))
    assert call("agents", "reply", stdin=IDEA)[0] == 0
    with pytest.raises(AutoQECError, match="has changed|already has a reply"):
        take_reply(session, stale, {"text": "mine"}, "{}")
    assert read_state(ledger, *split(waiting)).hypothesis["text"] == "an idea"


def test_a_whole_round_step_by_step(waiting, call, tmp_path):
    """Exit codes, data and messages of each step; then what git has, and that a candidate is not taken twice."""
    (tmp_path / "idea.json").write_text(IDEA)
    code, out, err = call("agents", "reply", str(tmp_path / "idea.json"), "-q")
    assert (code, out) == (0, "")
    assert "waits for the coder" in err
    proposal = json.dumps(tiny_proposal())
    code, out, err = call("agents", "reply", "coder", "-", "--json", "-q", stdin=proposal)
    assert (code, out) == (0, ""), err
    assert "waits for the analyst" in err
    assert '"delta_ler"' in call("agents", "prompt", "analyst")[1]
    analysis = json.dumps({"summary": "seen", "decision": "ignore"})
    code, out, err = call("agents", "reply", "--json", "-q", stdin=analysis)
    assert code == 0, err
    item = json.loads(out)
    assert (item["schema"], item["status"], item["hypothesis"]) == ("autoqec.round/1", "ok", "an idea")
    assert json.loads(call("log", "--json")[1]) == item
    calls = [json.loads(line) for line in call("show", waiting, "--trace", "--json")[1].splitlines()]
    assert [(each["role"], each["agent"], each["attempt"]) for each in calls] == [
        (role, "manual", 1) for role in ("ideator", "coder", "analyst")
    ]
    assert all(each["prompt"].startswith(f"You are the {each['role']}") for each in calls)
    assert find_record(open_ledger("."), *split(waiting)).identity.agent == "manual+manual"

    call("round", "--coder", "manual", "--ideator", "manual", "-q")
    call("agents", "reply", "-q", stdin=IDEA)
    before = refs()
    code, _, err = call("agents", "reply", "-q", stdin=proposal)
    assert code == 2
    assert f"the same as {waiting}" in err
    assert refs() == before
