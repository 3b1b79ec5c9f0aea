"""Rounds at once by the command: processes, Ctrl-C, and the same rounds again in the same order."""

import json
import signal
import subprocess
import sys
import time

import pytest

from autoqec.cli.main import run as run_here
from autoqec.config import CONFIG_FILE
from autoqec.errors import BudgetSpentError
from autoqec.history import list_claims, open_ledger, read_candidate
from autoqec.history.store.owner import process_is_alive
from autoqec.loop import machine_share, parallel_rounds
from autoqec.loop.parallel_rounds import RoundFailure
from autoqec.testing import make_tiny_lab
from autoqec.testing.tiny import TINY_CONFIG

#: Rounds that are scored and, because they gain nothing, not verified.
QUICK = TINY_CONFIG.replace("train_shots = 1024", "train_shots = 64\nmemory_gib = 1.5")
QUICK = QUICK.replace("20000", "4096").replace("100000", "4096")


@pytest.fixture
def lab(tmp_path):
    folder = tmp_path / "lab"
    make_tiny_lab(folder)
    (folder / CONFIG_FILE).write_text(QUICK)
    return folder


def started(folder, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "autoqec", *args],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, *args, code=0):
    process = started(folder, *args)
    out, err = process.communicate()
    assert process.returncode == code, err
    return out, err


def until(process, met):
    """Wait for what a process brings about."""
    deadline = time.monotonic() + 300
    while not (found := met()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return found


def both_open(folder):
    claims = [claim for claim in list_claims(open_ledger(folder)) if claim.state == "open"]
    return claims if len(claims) == 2 else None


def alive(claim):
    return process_is_alive(claim.host, claim.pid, claim.boot_id, claim.process_start)


def test_rounds_at_once_are_stopped_resumed_and_repeated_in_their_order(lab):
    process = started(lab, "round", "--run", "one", "--seed", "3", "--rounds", "2", "--parallel", "2", "-q")
    claims = until(process, lambda: both_open(lab))
    assert len({claim.pid for claim in claims} | {process.pid}) == 3, "a process for each"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "2 rounds are open, and nothing of them is lost: one/1, one/2. Continue with: autoqec resume one" in err
    assert not any(alive(claim) for claim in claims)
    out, _ = run(lab, "resume", "--parallel", "2", "--json", "-q")
    first = sorted((json.loads(line) for line in out.splitlines()), key=lambda row: row["round"])
    assert [row["round"] for row in first] == [1, 2]
    out, _ = run(lab, "round", "--like", "one", "--run", "two", "--json", "-q")
    again = [json.loads(line) for line in out.splitlines()]
    for before, after in zip(first, again, strict=True):
        for name in ("shots", "ler_candidate", "ler_baseline"):
            assert before["metrics"][name] == after["metrics"][name]
    ledger = open_ledger(lab)
    seen = {run: [claim.details["seen"] for claim in list_claims(ledger, run)] for run in ("one", "two")}
    assert seen["one"] == seen["two"]
    assert (seen["two"][1]["open"], seen["two"][1]["closed"]) == ("1", ""), (
        "it saw the first one open, though that is closed"
    )
    files = [read_candidate(ledger, row["commit"]) for row in (*first, *again)]
    assert files[:2] == files[2:]
    assert files[0] != files[1]


def test_processes_of_rounds_end_with_a_coordinator_that_is_killed(lab):
    process = started(lab, "round", "--run", "one", "--rounds", "2", "--parallel", "2", "-q")
    claims = until(process, lambda: both_open(lab))
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 300
    while any(alive(claim) for claim in claims):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [claim.state for claim in list_claims(open_ledger(lab))] == ["open", "open"]


def test_what_ends_several_rounds_is_said_once_and_decides_the_exit_code(lab, monkeypatch, capsys):
    monkeypatch.chdir(lab)

    class Rounds:
        def __init__(self, session, wanted, at_once, told, order, processes):
            self.told, self.records, self.failures, self.in_vain = told, [], [], False

        def run(self):
            for number in (1, 2):
                self.failures.append(RoundFailure(f"one/{number}", BudgetSpentError("it is spent", hint="more")))
                self.told.failed(self.failures[-1])

    monkeypatch.setattr(parallel_rounds, "ParallelRounds", Rounds)
    assert run_here(["round", "--parallel", "2", "-q"]) == 4
    assert capsys.readouterr().err.count("it is spent") == 1


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--parallel", "2", "--record", "tape"], "--parallel and --like do not go with --record or --replay"),
        (["--like", "one", "--replay", "tape"], "--parallel and --like do not go with --record or --replay"),
        (["--like", "one", "--seed", "4"], "--like one takes environment and seed of that run"),
        (["--like", "none"], "there is no run 'none'"),
        (
            ["--parallel", "4"],
            "each round has 1.0 of the 4.0 GiB of memory here, and a training needs 1.5",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(lab, monkeypatch, capsys, args, problem):
    monkeypatch.chdir(lab)
    monkeypatch.setattr(machine_share, "memory_here", lambda: 4 * 2**30)
    assert run_here(["round", *args]) in (2, 3)
    assert problem in " ".join(capsys.readouterr().err.split())
    assert list_claims(open_ledger(lab)) == []
