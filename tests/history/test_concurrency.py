"""Several writers at once, with git packing refs and collecting garbage under them: nothing lost, nothing twice."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from open_files import open_files, opened_since

from autoqec import history
from autoqec.testing.whole_notes import notes_of_round

WORK = """
import sys
from autoqec import history
top, run, shared, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ledger = history.open_ledger(top)
for _ in range(count):
    claim = history.claim_round(ledger, run)
    history.append_note(ledger, run, "metrics", shared, {"id": claim.attempt, "number": claim.number})
    history.close_claim(ledger, claim, status="abandoned")
    print(claim.number, claim.attempt, flush=True)
"""

GIT_AT_WORK = 'while [ ! -e "$1" ]; do git pack-refs --all --prune; git gc -q --no-prune; done'


def errors(lab):
    return [found for found in history.check(history.open_ledger(lab.workdir)) if found.severity != "info"]


@pytest.fixture
def git_at_work(lab, tmp_path):
    """Git packs and collects garbage all the time; calling the value lets it finish what it does, and waits for that.

    While git writes a pack, `git fsck` reports that pack as an error. A killed git leaves such a file for good.
    """
    end = tmp_path / "git may end"
    process = subprocess.Popen(
        ["sh", "-c", GIT_AT_WORK, "sh", str(end)],
        cwd=lab.workdir,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def finish():
        end.touch()
        process.wait()

    yield finish
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(("writers", "count"), [(4, 25), pytest.param(8, 200, marks=pytest.mark.slow)])
def test_writers_lose_nothing_to_each_other_nor_to_gc(writers, count, lab, run, base, python, git_at_work, git):
    processes = [python(WORK, str(lab.workdir), run.name, base, str(count)) for _ in range(writers)]
    while any(process.poll() is None for process in processes):
        assert errors(lab) == []  # a lab at work is a sound one
        time.sleep(0.5)
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * writers, [err for _, err in results]
    rows = [line.split() for out, _ in results for line in out.splitlines()]
    assert sorted(int(number) for number, _ in rows) == list(range(1, writers * count + 1))
    attempts = {attempt for _, attempt in rows}
    assert len(attempts) == writers * count
    ledger = history.open_ledger(lab.workdir)
    notes = history.read_notes(ledger, run.name, "metrics")[base]
    assert {record["id"] for record in notes} == attempts
    assert len(notes) == writers * count
    claims = history.list_claims(ledger, run.name)
    assert {claim.attempt for claim in claims} == attempts
    assert {claim.state for claim in claims} == {"closed"}
    assert errors(lab) == []
    git_at_work()
    git("fsck", "--strict")


def finish(ledger, run, claim):
    """Carry a claimed round to its end; as when resuming, what is in git already stays as it is."""
    name, number = run.name, claim.number
    history.attach(ledger, "traces", name, number, {"ideator.json": b"{}"})
    env = f"{run.env_name}@sha256:{run.env_id}"
    identity = history.RoundIdentity(name, number, claim.attempt, env, (), "none", "search", f"idea {number}")
    files = {"output.yaml": b"n: %d\n" % number}
    oid = history.commit_round(ledger, identity, base=run.base, parents=[], files=files, subject="s", body="b")
    weights = b"w" * 5000
    history.attach(ledger, "artifacts", name, number, {"weights.safetensors": weights})
    digest = hashlib.sha256(weights).hexdigest()
    for kind, record in notes_of_round(claim.attempt, oid, run.env_id, number, weights_sha256=digest).items():
        history.append_note(ledger, name, kind, oid, record)
    history.close_claim(ledger, claim, status="ok", commit=oid)


ROUNDS = f"""
import hashlib, sys
from autoqec import history
from autoqec.testing.whole_notes import notes_of_round
{inspect.getsource(finish)}
ledger = history.open_ledger(sys.argv[1])
run = history.load_run(ledger, sys.argv[2])
while True:
    claim = history.claim_round(ledger, run.name)
    finish(ledger, run, claim)
    print(claim.number, flush=True)
"""


def interrupted(lab):
    """The claims that fsck calls interrupted, each with its step; it has nothing else to say but of locks left behind."""
    found = history.check(history.open_ledger(lab.workdir))
    assert {finding.code for finding in found} <= {"interrupted", "stale-lock", "loose-objects"}, found
    named = [finding for finding in found if finding.code == "interrupted"]
    return {finding.ref: re.search(r"after (\w+);", finding.problem)[1] for finding in named}


def step_of(ledger, record):
    """The last step whose result the log shows."""
    shown = {"verify": record.verdict, "analyse": record.analysis, "score": record.metrics, "code": record.commit}
    if record.metrics is None and history.has_attachment(ledger, "artifacts", record.run, record.number):
        return "train"
    return next((step for step, result in shown.items() if result is not None), None)


@pytest.mark.parametrize("kills", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_every_kill_is_explained_and_what_it_cut_off_is_finished(kills, lab, run, python, git):
    steps = []
    for number in range(kills):
        process = python(ROUNDS, str(lab.workdir), run.name)
        process.stdout.readline()
        time.sleep(0.003 * (number % 13))
        process.kill()
        process.communicate()
        ledger = history.open_ledger(lab.workdir)
        explained = interrupted(lab)
        cut = [record for record in history.read_history(ledger) if record.status == "interrupted"]
        assert explained.keys() == {record.claim.ref for record in cut}
        assert len(cut) <= 1
        for record in cut:
            step = explained[record.claim.ref]
            assert step_of(ledger, record) == (step if step not in ("claim", "ideate") else None)
            steps.append(step)
        if list(explained.values()) == ["claim"] and number % 2:
            assert history.repair(ledger, history.check(ledger))
        else:
            for record in cut:
                finish(ledger, run, history.take_over_claim(ledger, record.claim))
        assert interrupted(lab) == {}
    records = history.read_history(history.open_ledger(lab.workdir))
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    for record in records:
        assert record.problems == ()
        assert record.status == "abandoned" or record.metrics["id"] == record.claim.attempt
    print(f"{kills} kills, {len(records)} rounds, interrupted after {sorted((steps.count(s), s) for s in set(steps))}")
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
    before = open_files()
    for _ in range(5):
        play()
        history.read_history(lab)
    assert len(opened_since(before)) <= 1
