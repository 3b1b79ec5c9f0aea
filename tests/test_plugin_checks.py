"""`autoqec plugins check` and `new`, and the checks that each kind must pass: ours pass, others are told why they do not."""

import json
import sys
import types
from concurrent.futures import Future
from contextlib import suppress
from importlib.metadata import EntryPoint

import click
import httpx2
import pytest
import stim
from pydantic import BaseModel, ConfigDict

from autoqec import hookimpl
from autoqec.cli.main import COMMANDS, run
from autoqec.errors import AutoQECError
from autoqec.hosting import Asked, HostClient
from autoqec.plugins import load_plugins
from autoqec.sandbox.channel import Message
from autoqec.scoring import Verdict, run_task
from autoqec.scoring.executor_contract import WorkerNews
from autoqec.testing import (
    check_agent,
    check_code,
    check_command,
    check_executor,
    check_host,
    check_verifier,
    tiny_context,
)
from autoqec.testing.plugin_checks import check_plugins

REGISTRY = load_plugins()


def test_the_context_is_what_an_ideator_is_told():
    context = tiny_context(REGISTRY, round=7)
    assert (context.round, context.environment["name"]) == (7, "tiny")
    assert set(context.stages) == set(REGISTRY.names("stage"))
    assert check_agent(REGISTRY.get("agent", "random").create()).keys() == {"ideator", "coder", "analyst"}


# -- codes


class Fields(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rounds: int = 2


class Chain:
    """A repetition code of three qubits as an error model."""

    Config = Fields

    def build(self, config, noise, p, files):
        return stim.DetectorErrorModel(f"error({p}) D0 L0\nerror({p}) D0 D1\nerror({p}) D1")


class Forgiving(Chain):
    class Config(BaseModel):
        rounds: int = 2


class Deaf(Chain):
    def build(self, config, noise, p, files):
        return super().build(config, noise, 0.01, files)


class Fickle(Chain):
    calls = 0

    def build(self, config, noise, p, files):
        self.calls += 1
        return super().build(config, noise, 0.01 + self.calls / 1000, files)


class Empty(Chain):
    def build(self, config, noise, p, files):
        return stim.Circuit("M 0")


class Untyped(Chain):
    Config = dict


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (Forgiving, "must refuse a field that it does not know"),
        (Deaf, "p = 0.0075 makes no more errors than p = 0.005"),
        (Fickle, "built twice from the same fields must be the same"),
        (Empty, "cannot be built: .*no detectors"),
        (Untyped, "Config must be a pydantic model"),
    ],
)
def test_a_code_that_falls_short_is_told_why(code, why):
    assert check_code(Chain()).num_detectors == 2
    with pytest.raises(AssertionError, match=why):
        check_code(code())


# -- verifiers


class Verdicts:
    """A verifier that says what it is told to, verdict after verdict."""

    def __init__(self, *said):
        self.said = list(said)

    def verify(self, request, executor, report):
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


NO = Verdict("FAILED", "not_better", {"seed_key": "00"})


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([Verdict("VERIFIED", "better")] * 2, "the baseline itself has no gain, and is VERIFIED"),
        ([NO, Verdict("FAILED", "undecided")], r"FAILED \(not_better\), then FAILED \(undecided\)"),
        ([NO, NO, Verdict("VERIFIED", "better")], "whose weights cannot be read is VERIFIED"),
        ([NO, NO, AutoQECError("it broke")], "a candidate's failure is a verdict, and no error: it broke"),
        ([Verdict("PERHAPS", "x")], "'PERHAPS' is none of"),
        ([Verdict("FAILED", "")], "not empty"),
        ([Verdict("FAILED", "x", {"bad": float("nan")})], "must be JSON"),
        (["FAILED"], "must return a Verdict, not str"),
    ],
)
def test_a_verifier_that_falls_short_is_told_why(said, why):
    check_verifier(Verdicts(NO, NO, NO), executor=object())
    with pytest.raises(AssertionError, match=why):
        check_verifier(Verdicts(*said), executor=object())


# -- executors


class Here:
    """Runs tasks in this process, one at a time."""

    def __init__(self, jobs):
        self.jobs = 1

    def submit(self, task):
        future = Future()
        try:
            future.set_result(self.answer(task))
        except Exception as error:
            future.set_exception(error)
        return future

    def answer(self, task):
        return run_task(task)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


class Boastful(Here):
    def __init__(self, jobs):
        self.jobs = 99


class Lossy(Here):
    def answer(self, task):
        return Message(super().answer(task).fields, {"blob": b""})


class Silent(Here):
    def answer(self, task):
        try:
            return super().answer(task)
        except Exception:
            return Message({})


class Wordless(Here):
    def answer(self, task):
        try:
            return super().answer(task)
        except Exception as error:
            raise AutoQECError("something went wrong") from error


class Codeless(Here):
    def answer(self, task):
        try:
            return super().answer(task)
        except Exception as error:
            raise AutoQECError(getattr(error, "problem", str(error))) from error


class Small(Here):
    def answer(self, task):
        found = super().answer(task)
        return Message(found.fields, {name: data[:65536] for name, data in found.blobs.items()})


class Mixed(Here):
    """Answers a task by what the one before it was asked, once tasks are cancelled."""

    def submit(self, task):
        future = super().submit(task)
        if task.message.fields.get("number", 0) > 7:
            future.set_running_or_notify_cancel, future._result = None, Message({"number": 0})
        return future


class Watched(Here):
    def watch(self, told):
        told(WorkerNews("joined", "a", "", 1))


class Wrong(Here):
    def watch(self, told):
        told(WorkerNews("lost", "a", "", 0))


class Direct(Here):
    def submit(self, task):
        return run_task(task)


@pytest.mark.parametrize(
    ("executor", "why"),
    [
        (Boastful, "at most what was asked for, 2, and not 99"),
        (Lossy, "blobs must arrive as they are"),
        (Silent, "a task that fails must be an error"),
        (Wordless, "an error must keep its words, 'the task refuses'"),
        (Codeless, "an error must keep its code, 'usage', and has 'failed'"),
        (Small, "a large blob must arrive as it is"),
        (Mixed, "a task is answered by another one's answer"),
        (Wrong, "what is told first of a worker that has answered is 'joined', not 'lost'"),
        (Direct, "submit must return a concurrent.futures.Future"),
    ],
)
def test_an_executor_that_falls_short_is_told_why(executor, why):
    check_executor(Here)
    check_executor(Watched)
    with pytest.raises(AssertionError, match=why):
        check_executor(executor)


# -- hosts


class Fine:
    """A host that conforms, whose parts the others replace."""

    def __init__(self, server, repository, token, api_url=None):
        self.token = token
        self.client = HostClient(server, self.headers, token)

    def headers(self, word):
        return {"Authorization": word}

    def place(self, commit):
        return f"/statuses/{commit}"

    def set_status(self, commit, status):
        self.client.ask("POST", self.place(commit), vars(status), asked=Asked("do it", "all"))

    def put_comment(self, number, marker, text):
        self.client.ask("POST", f"/comments/{number}", {"body": marker + text}, asked=Asked("do it", "all"))


class InTheAddress(Fine):
    def place(self, commit):
        return f"/statuses/{commit}?token={self.token.get_secret_value()}"


class WithoutToken(Fine):
    def headers(self, word):
        return {}


class Forgetful(Fine):
    def set_status(self, commit, status):
        self.client.ask("POST", "/statuses", vars(status), asked=Asked("do it", "all"))


class Quiet(Fine):
    def set_status(self, commit, status):
        with suppress(AutoQECError):
            super().set_status(commit, status)


class Talkative(Fine):
    def set_status(self, commit, status):
        try:
            super().set_status(commit, status)
        except AutoQECError as error:
            raise AutoQECError(f"{self.token.get_secret_value()} was refused") from error


class Trusting(Fine):
    def set_status(self, commit, status):
        try:
            super().set_status(commit, status)
        except AutoQECError:
            place = httpx2.get(self.client.api_url).headers.get("location")
            if place:
                httpx2.get(place, headers={"Authorization": self.token.get_secret_value()})
            raise


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (InTheAddress, "set_status must not put the token into a URL"),
        (WithoutToken, "must send the token in a header"),
        (Forgetful, "set_status must send '0123456789"),
        (Quiet, "set_status must raise an AutoQECError where a server refuses"),
        (Talkative, "no message may hold the token"),
        (Trusting, "a redirect to another server must not get the token"),
    ],
)
def test_a_host_that_falls_short_is_told_why(host, why):
    with pytest.raises(AssertionError, match=why):
        check_host(host)


def test_a_host_that_conforms_passes():
    check_host(Fine)


# -- commands


@click.command()
def good():
    """Do good."""


@click.command()
def mute():
    pass


class Raises(click.Command):
    def get_help(self, ctx):
        raise ZeroDivisionError("no help")


@pytest.mark.parametrize(
    ("command", "name", "why"),
    [
        (mute, "mute", "needs a help text"),
        (good, "log", "autoqec log is a built-in command"),
        (print, "print", "is a click.Command, not builtin_function_or_method"),
        (Raises("raises", help="x"), "raises", "--help ends with exit code 1: no help"),
    ],
)
def test_a_command_that_falls_short_is_told_why(command, name, why):
    check_command(good, "good", COMMANDS)
    with pytest.raises(AssertionError, match=why):
        check_command(command, name, COMMANDS)


# -- the command


def printed(capsys, *args):
    code = run(list(args))
    out, err = capsys.readouterr()
    return code, out, err


#: Ours of each kind that are quick to check.
QUICK = (
    "anthropic",
    "cli_agent",
    "local",
    "manual",
    "matrix_codes",
    "mwpm",
    "neural_bp",
    "random",
    "sinter",
    "stim_codes",
)


def test_ours_pass_and_what_could_not_be_checked_is_said():
    found = {name: list(check_plugins(REGISTRY, name, COMMANDS)) for name in QUICK}
    rows = {(row.kind, row.name): row for each in found.values() for row in each}
    assert {row.result for row in rows.values()} == {"passed", "partial"}
    partial = {name for (_, name), row in rows.items() if row.result == "partial"}
    assert partial == {"anthropic:", "cli:", "manual"}
    assert "needs ANTHROPIC_API_KEY" in rows["agent", "anthropic:"].reason
    assert [(row.kind, row.name) for row in found["random"]] == [("plugin", "search"), ("agent", "random")]


@pytest.mark.slow
def test_all_of_ours_pass(capsys):
    code, out, _ = printed(capsys, "plugins", "check", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {(row["kind"], row["name"]) for row in rows} >= set(REGISTRY.entries)
    assert {row["result"] for row in rows} <= {"passed", "partial", "skipped"}


def test_a_family_is_checked_by_a_member(capsys):
    rows = list(check_plugins(REGISTRY, "cli:codex"))
    assert [(row.name, row.result) for row in rows] == [("cli_agent", "passed"), ("cli:codex", "partial")]
    code, _, err = printed(capsys, "plugins", "check", "nope")
    assert code == 3
    assert "no plugin and nothing registered named 'nope'" in err
    assert "mwpm" in err


class Wrong:
    takes_beliefs = True

    def compile(self, problem):
        raise LookupError("no table")


class Boasts(Wrong):
    def compile(self, problem):
        return self


def offer(register):
    register("wrong", Wrong, takes_beliefs=True)
    register("boasts", Boasts)
    register("gone", "no_such_module:Gone")
    register("picky:", Wrong)


@pytest.fixture
def theirs(monkeypatch):
    """A registry with a plugin whose decoders all fall short, and one that cannot be imported."""
    module = types.ModuleType("their_plugin")
    module.autoqec_register_decoders = hookimpl(offer)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entries = [EntryPoint("theirs", module.__name__, "autoqec"), EntryPoint("absent", "no_such_module", "autoqec")]
    return load_plugins(entries)


def test_what_fails_is_said_with_its_owner_and_place(theirs, monkeypatch, capsys):
    monkeypatch.setattr("autoqec.plugins.load_plugins", lambda: theirs)
    code, out, _ = printed(capsys, "plugins", "check", "--json")
    rows = {(row["kind"], row["name"]): row for row in map(json.loads, out.splitlines())}
    assert code == 1
    assert {row["schema"] for row in rows.values()} == {"autoqec.plugin_check/1"}
    assert {name: row["result"] for (_, name), row in rows.items()} == {
        "absent": "failed", "theirs": "passed", "wrong": "failed", "boasts": "failed", "gone": "failed", "picky:": "skipped",
    }  # fmt: skip
    assert rows["decoder", "wrong"]["reason"] == "LookupError: no table"
    assert (rows["decoder", "wrong"]["file"], rows["decoder", "wrong"]["plugin"]) == (__file__, "theirs")
    assert "takes_beliefs=False" in rows["decoder", "boasts"]["reason"]
    assert "of plugin theirs (unknown distribution) cannot be loaded" in rows["decoder", "gone"]["reason"]
    assert "register it with `example`" in rows["decoder", "picky:"]["reason"]
    code, out, _ = printed(capsys, "plugins", "check", "theirs")
    assert code == 1
    assert "failed   decoder wrong (unknown distribution, plugin theirs): LookupError: no table" in out
    assert "1 passed, 3 failed, 1 skipped" in out


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["My Dec!", "--kind", "decoder"], "a plugin cannot be called 'My Dec!'"),
        (["class", "--kind", "decoder"], "a plugin cannot be called 'class'"),
        (["x" * 41, "--kind", "decoder"], "a plugin cannot be called"),
        (["mwpm", "--kind", "decoder"], "there is a decoder 'mwpm' already, of plugin mwpm (autoqec "),
        (["log", "--kind", "command"], "autoqec log is a built-in command"),
        (["taken", "--kind", "code"], "autoqec-taken exists"),
        (["plugins", "--kind", "code"], "a package autoqec_plugins is installed already"),
        (["fine", "--kind", "window"], "executor, host, command, not 'window'"),
    ],
)
def test_new_refuses_what_could_not_be_used_and_writes_nothing(tmp_path, capsys, args, why):
    (tmp_path / "autoqec-taken").mkdir()
    code, _, err = printed(capsys, "plugins", "new", *args, "--to", str(tmp_path))
    assert code == 2
    assert why in err
    assert [path.name for path in tmp_path.rglob("*")] == ["autoqec-taken"]


def test_new_says_what_it_wrote(tmp_path, capsys):
    code, out, _ = printed(
        capsys, "plugins", "new", "autoqec-two-words", "--kind", "code", "--to", str(tmp_path), "--json"
    )
    item = json.loads(out)
    assert (code, item["schema"], item["kind"]) == (0, "autoqec.new_plugin/1", "code")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert [str(tmp_path / name) for name in files] == sorted(item["files"])
    assert "autoqec-two-words/autoqec_two_words/own_code.py" in files
    text = "".join((tmp_path / name).read_text() for name in files)
    assert "{{" not in text
    assert 'register("two-words", "autoqec_two_words.own_code:TwoWordsCode")' in text
