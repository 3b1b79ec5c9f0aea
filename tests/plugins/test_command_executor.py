"""The executor `command`: workers over the standard streams of commands, and every way in which such a command goes wrong."""

from __future__ import annotations

import json
import os
import queue
import re
import shlex
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from autoqec_plugins.command import command_worker
from autoqec_plugins.command.command_executor import CommandExecutor
from autoqec_plugins.command.command_source import CommandSource, Place, Surroundings, own_variables
from autoqec_plugins.local.local_executor import LocalExecutor
from open_files import open_files, opened_since
from pool_stand_ins import GREETING

from autoqec.compiled_once import compiling_told
from autoqec.errors import UsageError
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.sandbox.channel import Message
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.executor_contract import ExecutorChoice, Task
from autoqec.scoring.remote import serve_worker
from autoqec.scoring.remote.answer_identity import identity_of
from autoqec.scoring.remote.remote_pool import NoWorkers, RemotePool
from autoqec.scoring.remote.worker_link import WorkerLost
from autoqec.scoring.score_stream import ScoreStream
from autoqec.scoring.shard import FUNCTION
from autoqec.testing import TINY_ENVIRONMENT
from autoqec.testing.conformance_executor import check_executor

#: A real worker, from this interpreter.
WORKER = f"{sys.executable} -m autoqec.scoring.remote.serve_worker"

HERE = Surroundings(dict(os.environ), ".")

#: The head of a program that is a worker of another kind: it greets, and does as the test says.
HEAD = """
import os, sys, time
from autoqec.sandbox.channel import Channel, Message
from autoqec.scoring.remote.worker_frames import FromWorker, ToWorker
channel = Channel(0, 1)
GREETING = Message.from_bytes({greeting!r})
def greet():
    channel.send(GREETING)
def asked():
    return ToWorker.from_message(channel.receive())
def answer(task, **fields):
    channel.send(FromWorker(op="answer", number=task.number, frame=Message(fields).to_bytes()).to_message())
"""


@pytest.fixture
def program(tmp_path):
    """Makes a program of some lines, and returns the words of its command."""

    def made(lines: str) -> tuple[str, ...]:
        path = tmp_path / f"worker{len(list(tmp_path.iterdir()))}.py"
        path.write_text(HEAD.format(greeting=GREETING.to_message().to_bytes()) + textwrap.dedent(lines))
        return (sys.executable, str(path))

    return made


def pool_of(*commands: tuple[str, ...], seconds: float = 60.0) -> RemotePool:
    places = [Place(f"place {number}", command) for number, command in enumerate(commands, start=1)]
    return RemotePool(CommandSource(places, HERE, seconds, first_wait=0.01), len(places), ours=GREETING)


def ask(pool, number=1, **more):
    return pool.submit(Task("autoqec.testing.example_tasks:echo", Message({"number": number}), **more))


def said_of(pool) -> queue.SimpleQueue:
    told: queue.SimpleQueue = queue.SimpleQueue()
    pool.watch(told.put)
    return told


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_it_conforms_and_leaves_nothing(monkeypatch, tmp_path):
    """Through the installed command line, which has standard streams of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before, threads = open_files(), threading.active_count()
    command = f"{sys.executable} -c 'from autoqec.cli.main import main; main([\"worker\"])'"
    check_executor(lambda jobs: CommandExecutor(jobs, prefixes="env", worker=command, each=jobs))
    assert opened_since(before) == []
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == [], "workers remove their children's folders"


def test_what_a_login_shell_prints_before_the_greeting_is_skipped(program):
    command = program("os.write(1, b'Welcome to node1!\\n' * 9); greet(); each = asked(); answer(each, number=5)")
    with pool_of(command) as pool:
        assert ask(pool).result(60).fields == {"number": 5}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("os.write(1, b'hello\\n')", r"it ended before it greeted with exit status 0: hello$"),
        ("os.write(2, b'a\\nb\\nc\\x1b[2J\\n'); sys.exit(255)", r"with exit status 255: b; c\?\[2J$"),
        ("os.write(1, b'motd'); os.write(2, b'no route'); sys.exit(255)", "with exit status 255: no route$"),
        ("sys.exit(127)", 'exit status 127; set worker to where AutoQEC is there: "/path/there/bin/autoqec worker"$'),
        ("os.kill(os.getpid(), 9)", "it ended before it greeted by signal 9$"),
        ("os.write(1, b'x' * 100_000)", "it ended before it greeted"),
        ("channel.send(Message({'version': '9.9'}))", "AutoQEC 9.9 there and .* do not understand.*; install the same"),
        ("channel.send(Message({'hello': 1}))", "what answers is no worker of AutoQEC"),
        ("channel.send(Message({**GREETING.fields, 'python': '3.9.1'})); asked()", "Python 3.9.1 there, 3.11"),
    ],
)  # fmt: skip
def test_what_is_no_worker_is_named_with_the_reason(program, lines, said):
    with pool_of(program(lines)) as pool, pytest.raises(NoWorkers, match=f"no worker is there: place 1: .*{said}"):
        ask(pool).result(60)


def test_workers_that_fail_for_one_reason_are_named_with_it_once():
    with CommandExecutor(prefixes="env", worker="false", each=2) as pool, pytest.raises(NoWorkers) as caught:
        ask(pool).result(60)
    named, _, why = caught.value.problem.removeprefix("no worker is there: ").partition(": ")
    assert sorted(named.split(", ")) == ["env", "env (2)"]
    assert why == "it ended before it greeted with exit status 1"


def test_a_worker_that_never_greets_is_given_up(program):
    with (
        pool_of(program("os.write(1, b'wait...'); time.sleep(60)"), seconds=0.2) as pool,
        pytest.raises(NoWorkers, match="place 1: no worker greeted within 0.2 seconds"),
    ):
        ask(pool).result(60)


def test_a_program_that_is_not_there_is_said_so():
    with (
        pool_of(("/no/such/program",)) as pool,
        pytest.raises(NoWorkers, match="/no/such/program cannot be started: No such"),
    ):
        ask(pool).result(60)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("os.write(1, b'AQF1' + b'\\x10\\0\\0\\0' + b'{\"op\"'); os.close(1)", "the connection ended"),
        ("os.write(1, b'Connection to node1 closed.\\n')", "something that is not a frame"),
        ("channel.send(Message({'op': 'answer', 'number': 1}))", "field '.*' is missing"),
        ("channel.send(FromWorker(op='progress', number=1, part=9.5).to_message())", "cannot be used: ZeroDivisionError"),
        ("os.kill(os.getpid(), 9)", "the connection ended by signal 9"),
        ("sys.stderr.write('slurmstepd: preempted'); sys.stderr.flush(); sys.exit(143)", "exit status 143: slurmstepd"),
    ],
)  # fmt: skip
def test_a_worker_that_dies_with_a_task_is_lost_and_started_again(program, tmp_path, lines, said):
    """The second start of the same command finds the file that the first one made, and works."""
    mark = tmp_path / "mark"
    command = program(f"""
        greet()
        each = asked()
        if os.path.exists({str(mark)!r}):
            answer(each, number=5)
            asked()
        open({str(mark)!r}, "w").close()
        {lines}
    """)
    with pool_of(command) as pool:
        told = said_of(pool)
        assert ask(pool, progress=lambda part: 1 // (part < 9)).result(60).fields == {"number": 5}
        news = [told.get(timeout=60) for _ in range(3)]
    assert [each.what for each in news] == ["joined", "lost", "joined"]
    assert re.search(said, news[1].reason), news[1].reason


def test_a_place_whose_workers_only_die_is_given_up(program):
    with pool_of(program("greet()")) as pool:
        told = said_of(pool)
        with pytest.raises((NoWorkers, WorkerLost)):
            ask(pool).result(60)
        assert [told.get(timeout=60).what for _ in range(6)] == ["joined", "lost"] * 3


def test_a_worker_that_says_nothing_for_long_is_lost(program, monkeypatch):
    monkeypatch.setattr(command_worker, "SILENT_SECONDS", 0.0)
    with pool_of(program("greet(); time.sleep(60)")) as pool:
        told = said_of(pool)
        assert told.get(timeout=60).what == "joined"
        assert told.get(timeout=60).reason == "it said nothing for 0 seconds"


def test_progress_and_compiling_are_passed_on_and_late_answers_are_not(program):
    command = program("""
        greet()
        each = asked()
        channel.send(FromWorker(op="answer", number=99, frame=b"").to_message())
        channel.send(FromWorker(op="progress", number=98, part=0.1).to_message())
        channel.send(FromWorker(op="progress", number=each.number, part=0.5).to_message())
        channel.send(FromWorker(op="compiling", name="a kernel", seconds=3.0).to_message())
        channel.send(FromWorker(op="alive").to_message())
        answer(each, number=5)
        asked()
    """)
    parts, compiled = [], []
    with compiling_told(lambda *told: compiled.append(told)), pool_of(command) as pool:
        assert ask(pool, progress=parts.append).result(60).fields == {"number": 5}
    assert parts == [0.5]
    assert compiled == [("a kernel", 3.0)]


def descendants(pid: int) -> list[int]:
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        for child in map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_task_that_is_stopped_ends_there_and_all_ends_with_the_connection():
    source = CommandSource([Place("a", (sys.executable, "-m", "autoqec.scoring.remote.serve_worker"))], HERE, 60)
    joined: queue.SimpleQueue = queue.SimpleQueue()
    source.open(joined.put, lambda *why: None)
    worker, running = joined.get(timeout=60), threading.Semaphore(0)
    hang = Task("autoqec.testing.misbehave:begin_and_hang").to_message().to_bytes()
    stopped = worker.ask(hang, lambda part: running.release())
    assert running.acquire(timeout=60)
    assert stopped.cancel()
    echo = Task("autoqec.testing.example_tasks:echo", Message({"number": 7})).to_message().to_bytes()
    assert Message.from_bytes(worker.ask(echo, None).result(60)).fields == {"number": 7}
    lost = worker.ask(hang, lambda part: running.release())
    assert running.acquire(timeout=60)
    started = [worker._process.pid, *descendants(worker._process.pid)]
    assert len(started) > 1
    worker._process.stdin.close()
    assert "the connection ended" in str(lost.exception(60))
    source.close()
    deadline = time.monotonic() + 60
    while any(map(runs, started)):
        assert time.monotonic() < deadline, "what a worker started still runs"
        time.sleep(0.01)


def test_scored_chunks_are_the_same_as_here_whatever_is_lost_on_the_way(program, tmp_path):
    """The first start of the worker dies with its first task; then it is a real one."""
    mark = tmp_path / "mark"
    command = program(f"""
        if os.path.exists({str(mark)!r}):
            os.execv(sys.executable, [sys.executable, "-m", "autoqec.scoring.remote.serve_worker"])
        from autoqec.scoring.remote.greeting_here import greeting_here
        channel.send(greeting_here(3).to_message())
        asked()
        open({str(mark)!r}, "w").close()
    """)
    loaded = environment_from_files({ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}, origin="e.yaml")

    def scored(executor):
        stream = ScoreStream(executor, loaded, SealedCandidate({}, b""), bytes(range(32)), "dev")
        tasks = [stream.task(FUNCTION, [chunk], references=True) for chunk in range(3)]
        return [Message(fields) for fields in stream.gather(tasks, lambda done: None)]

    with RemotePool(CommandSource([Place("a", command)], HERE, 60, first_wait=0.01), 1) as pool:
        told = said_of(pool)
        there = scored(pool)
        assert [told.get(timeout=60).what for _ in range(3)] == ["joined", "lost", "joined"]
    with LocalExecutor(1) as executor:
        here = scored(executor)
    assert [identity_of(each) for each in there] == [identity_of(each) for each in here]
    assert len({each.fields["chunks"][0]["digest"] for each in there}) == 3


def test_no_secret_of_ours_goes_along_and_the_verifiers_process_starts_the_same_commands(
    program, monkeypatch, tmp_path
):
    """That process has neither our variables nor our folder: without them ssh finds no agent, and srun no allocation."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk")
    monkeypatch.setenv("AUTOQEC_HOST_TOKEN", "t")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    monkeypatch.chdir(tmp_path)
    Path("start").write_text('#!/bin/sh\nexec "$@"\n')
    Path("start").chmod(0o755)
    command = program("greet(); answer(asked(), names=sorted(os.environ), folder=os.getcwd()); asked()")
    with CommandExecutor.shared(2, prefixes="./start", worker=shlex.join(command)) as options:
        monkeypatch.delenv("SSH_AUTH_SOCK")
        monkeypatch.chdir("/")
        options = ExecutorChoice("command", 2, json.loads(json.dumps(options))).options  # as it goes to that process
        pool = CommandExecutor(2, **options)
        pool._ours = GREETING
        with pool:
            seen = ask(pool).result(60).fields
    assert seen["folder"] == str(tmp_path)
    assert "SSH_AUTH_SOCK" in seen["names"]
    assert not {"ANTHROPIC_API_KEY", "AUTOQEC_HOST_TOKEN"} & {*seen["names"], *own_variables()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs prefixes"),
        ({"prefixes": ["env", ""]}, "prefixes has an empty command"),
        ({"prefixes": "no-such-program host"}, "there is no program 'no-such-program' here"),
        ({"prefixes": "env 'a"}, "is no command"),
        ({"prefixes": "env", "worker": ""}, "worker has an empty command"),
        ({"prefixes": "env", "each": 0}, "each must be a whole number from 1 to 1024, not 0"),
        ({"prefixes": "env", "each": True}, "each must be a whole number"),
        ({"prefixes": 3}, "prefixes must be commands, not 3"),
        ({"prefixes": ["env", 3]}, "prefixes must be text, not 3"),
        ({"prefixes": "env", "worker": ["a", "b"]}, r"worker must be text, not \['a', 'b'\]"),
        ({"prefixes": "env", "folder": 3}, "folder must be text, not 3"),
        ({"prefixes": "env", "variables": 3}, "variables is no table"),
        ({"prefixes": "env", "greeting_seconds": "9"}, "greeting_seconds must be a number of seconds from 0, not '9'"),
    ],
)
def test_options_that_cannot_be_used_name_the_option(options, said):
    with pytest.raises(UsageError, match=said) as caught:
        CommandExecutor(**options)
    assert caught.value.hint


def test_a_place_that_fails_in_a_way_of_its_own_is_given_up_with_a_reason(monkeypatch):
    """Otherwise tasks would wait for a worker that nobody starts."""
    monkeypatch.setattr(command_worker.CommandWorker, "greet", lambda self, seconds: 1 / 0)
    with pool_of(("cat",)) as pool, pytest.raises(NoWorkers, match="it cannot be used: ZeroDivisionError"):
        ask(pool).result(timeout=60)


def test_each_worker_has_a_name_of_its_own():
    pool = CommandExecutor(prefixes=["env", "nice", "env"], each=2)
    assert [place.name for place in pool._source._places] == [
        "env",
        "env (2)",
        "nice",
        "nice (2)",
        "env (3)",
        "env (4)",
    ]
    assert pool.jobs == 6


def test_what_ignores_sigterm_is_ended_all_the_same(program, monkeypatch):
    """It gives signs of life, so nothing else ends it."""
    monkeypatch.setattr(command_worker, "_END_SECONDS", 0.05)
    command = program("""
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        greet()
        while True:
            channel.send(FromWorker(op="alive").to_message())
            time.sleep(0.01)
    """)
    with pool_of(command) as pool:
        assert said_of(pool).get(timeout=60).what == "joined"


def test_sigterm_ends_a_worker_that_is_the_first_process_of_a_container(monkeypatch):
    ignored = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: ignored.append((number, handler)))
    with pytest.raises(SystemExit) as caught:
        serve_worker._end(signal.SIGTERM, None)
    assert caught.value.code == 128 + signal.SIGTERM
    assert ignored == [(signal.SIGTERM, signal.SIG_IGN)], "what ends the children is not ended itself"
