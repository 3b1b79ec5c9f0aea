"""Several writers at once, with git packing refs and collecting garbage under them: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from autoqec import history

WORK = """
import sys
from autoqec import history
top, run, shared, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ledger = history.open_ledger(top)
for _ in range(count):
    claim = history.claim_round(ledger, run)
    history.append_note(ledger, run, "metrics", shared, {"id": claim.attempt, "number": claim.number})
    history.close_claim(ledger, claim, status="ok")
    print(claim.number, claim.attempt, flush=True)
"""

GIT_AT_WORK = "while :; do git pack-refs --all --prune; git gc -q --no-prune; done"


@pytest.fixture
def git_at_work(lab):
    process = subprocess.Popen(
        ["sh", "-c", GIT_AT_WORK],
        cwd=lab.workdir,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("count", [25, pytest.param(250, marks=pytest.mark.slow)])
def test_writers_lose_nothing_to_each_other_nor_to_gc(count, lab, run, base, python, git_at_work, git):
    processes = [python(WORK, str(lab.workdir), run.name, base, str(count)) for _ in range(4)]
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, [err for _, err in results]
    rows = [line.split() for out, _ in results for line in out.splitlines()]
    assert sorted(int(number) for number, _ in rows) == list(range(1, 4 * count + 1))
    attempts = {attempt for _, attempt in rows}
    assert len(attempts) == 4 * count
    ledger = history.open_ledger(lab.workdir)
    notes = history.read_notes(ledger, run.name, "metrics")[base]
    assert {record["id"] for record in notes} == attempts
    assert len(notes) == 4 * count
    claims = history.list_claims(ledger, run.name)
    assert {claim.attempt for claim in claims} == attempts
    assert {claim.state for claim in claims} == {"closed"}


ROUNDS = """
import sys
from autoqec import history
ledger = history.open_ledger(sys.argv[1])
run = history.load_run(ledger, sys.argv[2])
while True:
    claim = history.claim_round(ledger, run.name)
    identity = history.RoundIdentity(
        run.name, claim.number, claim.attempt, "e@sha256:" + "e" * 64, (), "none", "search", "idea %d" % claim.number
    )
    files = {"output.yaml": b"n: %d\\n" % claim.number}
    oid = history.commit_round(ledger, identity, base=run.base, parents=[], files=files, subject="s", body="b")
    history.attach(ledger, "artifacts", run.name, claim.number, {"weights.safetensors": b"w" * 5000})
    for kind in history.NOTE_KINDS:
        history.append_note(ledger, run.name, kind, oid, {"id": claim.attempt})
    history.close_claim(ledger, claim, status="ok", commit=oid)
    print(claim.number, flush=True)
"""


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_rounds_are_legal_states_that_can_be_finished(kills, lab, run, python, git):
    for number in range(kills):
        process = python(ROUNDS, str(lab.workdir), run.name)
        process.stdout.readline()
        time.sleep(0.003 * (number % 13))
        process.kill()
        process.communicate()
    ledger = history.open_ledger(lab.workdir)
    open_rounds = [record for record in history.read_history(ledger) if record.status != "ok"]
    assert len(open_rounds) <= kills
    for record in open_rounds:
        assert record.status == "interrupted"
        assert record.problems == ()
        assert record.commit is not None or record.metrics is None
        claim = history.adopt_claim(ledger, record.claim)
        oid = record.commit
        if oid is not None:
            assert history.read_candidate(ledger, oid) == {"output.yaml": b"n: %d\n" % record.number}
            history.attach(ledger, "artifacts", run.name, record.number, {"weights.safetensors": b"w" * 5000})
            for kind in history.NOTE_KINDS:
                history.append_note(ledger, run.name, kind, oid, {"id": claim.attempt})
        history.close_claim(ledger, claim, status="ok" if oid else "abandoned", commit=oid)
    records = history.read_history(ledger)
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    for record in records:
        assert record.problems == ()
        assert record.commit is None or (record.has_weights and record.metrics["id"] == record.claim.attempt)
    git("fsck", "--strict")


def test_two_writers_of_one_note_from_threads(lab, run, base):
    import threading

    def write(name: str) -> None:
        ledger = history.open_ledger(lab.workdir)
        for number in range(10):
            history.append_note(ledger, run.name, "analysis", base, {"id": f"{name}{number}"})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.read_notes(lab, run.name, "analysis")[base]) == 40


@pytest.mark.skipif(sys.platform != "linux", reason="counts on /proc")
def test_no_file_is_left_open(lab, run, play):
    play()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        play()
        history.read_history(lab)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
