"""Moving refs: nobody's move is lost, nothing is half-written, and what a dead process left does not block the living."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.store import refs

REF = "refs/autoqec/claims/r/1"


@pytest.fixture
def blobs(lab):
    return [str(lab.repo.create_blob(text)) for text in (b"one", b"two", b"three")]


def test_moves_only_from_where_the_caller_saw_it(lab, blobs, git):
    one, two, three = blobs
    swap = history.compare_and_swap
    assert not swap(lab, REF, one, two, "must exist")
    assert swap(lab, REF, None, one, "create")
    assert not swap(lab, REF, None, two, "must not exist")
    assert not swap(lab, REF, two, three, "is elsewhere")
    assert git("rev-parse", REF).strip() == one
    assert swap(lab, REF, one, two, "move")
    assert git("rev-parse", REF).strip() == two
    git("pack-refs", "--all")
    assert not swap(lab, REF, None, one, "must not exist, packed")
    assert not swap(lab, REF, one, None, "delete from elsewhere")
    assert swap(lab, REF, two, None, "delete")
    assert refs.target(lab, REF) is None
    assert REF not in git("for-each-ref")


def test_sees_what_other_tools_did_meanwhile(lab, blobs, git):
    history.compare_and_swap(lab, REF, None, blobs[0], "create")
    git("update-ref", REF, blobs[1])
    assert not history.compare_and_swap(lab, REF, blobs[0], blobs[2], "stale")
    assert git("rev-parse", REF).strip() == blobs[1]


def test_moves_no_refs_but_ours(lab, base):
    for ref in ("refs/heads/main", "HEAD", "refs/tags/v1", "refs/heads/experiment/1", "refs/notes/commits"):
        with pytest.raises(ValueError, match="outside"):
            history.compare_and_swap(lab, ref, base, None, "no")


def test_says_what_stands_in_the_way(lab, base, git):
    git("branch", "exp/r")
    git("pack-refs", "--all")
    with pytest.raises(AutoQECError, match="git cannot have both refs/heads/exp/r and") as caught:
        history.compare_and_swap(lab, "refs/heads/exp/r/1", None, base, "x")
    assert caught.value.hint == "git branch -m exp/r <other>"
    git("branch", "-m", "exp/r", "exp/q/1/deeper")
    with pytest.raises(AutoQECError, match="exp/q/1"):
        history.compare_and_swap(lab, "refs/heads/exp/q/1", None, base, "x")


def test_a_damaged_ref_is_named(lab, blobs):
    history.compare_and_swap(lab, REF, None, blobs[0], "create")
    (lab.git_dir / REF).write_text("")
    with pytest.raises(AutoQECError, match=REF) as caught:
        refs.target(lab, REF)
    assert "update-ref -d" in caught.value.hint
    with pytest.raises(AutoQECError, match=REF):
        history.compare_and_swap(lab, REF, None, blobs[1], "create")


def test_a_lock_that_git_holds_is_waited_for_and_then_named(lab, blobs, monkeypatch):
    lock = lab.git_dir / f"{REF}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    threading.Timer(0.3, lock.unlink).start()
    assert history.compare_and_swap(lab, REF, None, blobs[0], "waits")
    lock.write_text("")
    monkeypatch.setattr(refs, "_PATIENCE", 0.2)
    with pytest.raises(AutoQECError, match=REF) as caught:
        history.compare_and_swap(lab, REF, blobs[0], blobs[1], "gives up")
    assert "remove the .lock file" in caught.value.hint
    assert lock.exists()
    os.utime(lock, (time.time() - 120, time.time() - 120))
    assert history.compare_and_swap(lab, REF, blobs[0], blobs[1], "left behind long ago")


DIE_HOLDING_A_REF_LOCK = """
import os, signal, sys
from autoqec import history
from autoqec.history.store import refs
ledger = history.open_ledger(sys.argv[1])
class Dying:
    def get(self, ref):
        if os.path.exists(ledger.git_dir / (sys.argv[2] + ".lock")):
            os.kill(os.getpid(), signal.SIGKILL)
        return None
type(ledger.repo).references = property(lambda self: Dying())
history.compare_and_swap(ledger, sys.argv[2], None, sys.argv[3], "dies under the lock")
"""


def test_a_writer_killed_under_the_lock_blocks_nobody(lab, blobs, python, monkeypatch):
    process = python(DIE_HOLDING_A_REF_LOCK, str(lab.workdir), REF, blobs[0])
    err = process.communicate(timeout=120)[1]
    assert process.returncode == -signal.SIGKILL, err
    assert (lab.git_dir / f"{REF}.lock").exists()
    slept, sleep = [], time.sleep
    monkeypatch.setattr(refs.time, "sleep", lambda seconds: slept.append(seconds) or sleep(seconds))
    assert history.compare_and_swap(lab, REF, None, blobs[1], "goes on")
    assert sum(slept) < 5
    assert not (lab.git_dir / f"{REF}.lock").exists()


def test_the_write_lock_is_reentrant_and_excludes_threads_and_processes(lab, python):
    script = """
import sys, time
from autoqec import history
ledger = history.open_ledger(sys.argv[1])
print("ready", flush=True)
with history.write_lock(ledger):
    print(time.monotonic(), flush=True)
"""
    inside: list[int] = []

    def thread() -> None:
        with history.write_lock(lab):
            inside.append(1)

    with history.write_lock(lab), history.write_lock(lab):
        process = python(script, str(lab.workdir))
        assert process.stdout.readline() == "ready\n"
        other = threading.Thread(target=thread)
        other.start()
        time.sleep(0.3)
        assert not inside
        let_go = time.monotonic()
    other.join()
    assert float(process.communicate()[0]) > let_go
    assert inside


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that a thread runs is the point here
def test_a_child_forked_while_the_lock_is_held_can_have_it_later(lab, blobs):
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with history.write_lock(lab):
            held.set()
            let_go.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # ends a child that waits for a thread it does not have
        os._exit(0 if history.compare_and_swap(lab, REF, None, blobs[0], "child") else 1)
    time.sleep(0.2)
    assert refs.target(lab, REF) is None
    let_go.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0
    assert refs.target(lab, REF) == blobs[0]


def test_waiting_for_the_write_lock_ends(lab, monkeypatch, python):
    holder = python(
        "import sys, time; from autoqec import history\n"
        "with history.write_lock(history.open_ledger(sys.argv[1])): print('held', flush=True); time.sleep(60)",
        str(lab.workdir),
    )
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(refs, "_LOCK_PATIENCE", 0.2)
    with pytest.raises(AutoQECError, match="another autoqec process"), history.write_lock(lab):
        pass
    holder.kill()  # its lock goes with it
    holder.communicate()
    with history.write_lock(lab):
        pass


MAKE_AND_PACK = """
n=0
while :; do
    n=$((n+1)); i=0
    while [ $i -lt 40 ]; do echo "create refs/autoqec/claims/r/$n-$i HEAD"; i=$((i+1)); done | git update-ref --stdin
    git pack-refs --all --prune
done
"""


def test_listing_misses_nothing_while_git_packs_refs(lab, base):
    """A ref that is new and is packed between a look at packed-refs and one at the loose refs would be in neither."""
    packer = subprocess.Popen(
        ["sh", "-c", MAKE_AND_PACK],
        cwd=lab.workdir,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seen: set[str] = set()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            listed = history.list_refs(lab, "refs/autoqec/claims/r/").keys()
            assert listed >= seen
            seen |= listed
    finally:
        os.killpg(packer.pid, signal.SIGKILL)
        packer.wait()
    assert len(seen) > 100


WRITE_ON_A_FULL_DISK = """
import os, resource, sys
from autoqec import history
from autoqec.errors import AutoQECError
ledger = history.open_ledger(sys.argv[1])
run, commit, limit = sys.argv[2], sys.argv[3], int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
writes = {
    "attach": lambda: history.attach(ledger, "artifacts", run, 1, {"telemetry.bin": os.urandom(300_000)}),
    "note": lambda: history.append_note(ledger, run, "metrics", commit, {"id": "b", "text": os.urandom(2000).hex()}),
    "swap": lambda: history.compare_and_swap(ledger, "refs/heads/exp/%s/9" % run, None, commit, "m" * 100),
    "claim": lambda: history.claim_round(ledger, run),
}
for name, write in writes.items():
    try:
        write()
        print(name, "| written |")
    except AutoQECError as error:
        print(name, "|", error.problem, "|", error.hint)
"""


@pytest.mark.parametrize("limit", [0, 20, 45, 1000])
def test_a_full_disk_is_explained_and_leaves_nothing_half_written(lab, run, play, python, git, limit):
    _, commit = play()
    before = git("for-each-ref")
    notes = git("notes", "--ref", f"autoqec/{run.name}/metrics", "show", commit)
    process = python(WRITE_ON_A_FULL_DISK, str(lab.workdir), run.name, commit, str(limit))
    out, err = process.communicate()
    assert process.returncode == 0, err
    rows = dict(line.split(" | ", 1) for line in out.splitlines() if "| written" not in line)
    assert {"attach", "note"} <= rows.keys() if limit == 1000 else rows.keys() == {"attach", "note", "swap", "claim"}
    for row in rows.values():
        assert "File too large" in row or "the disk is full" in row
        assert "free some disk space" in row
        assert "refs/" in row
    if limit < 1000:
        assert git("for-each-ref") == before
    assert git("notes", "--ref", f"autoqec/{run.name}/metrics", "show", commit) == notes
    git("fsck", "--strict")
    git("reflog", "show", "--all")
    # With room again, everything goes on.
    if limit < 1000:
        assert history.compare_and_swap(lab, f"refs/heads/exp/{run.name}/9", None, commit, "goes on")
    assert git("reflog", "show", "--format=%gs", f"exp/{run.name}/9").split("\n", 1)[0] in ("goes on", "m" * 100)
    assert len((lab.git_dir / f"logs/refs/heads/exp/{run.name}/9").read_text().splitlines()) == 1
    history.append_note(lab, run.name, "metrics", commit, {"id": "c"})
    assert len(git("reflog", "show", f"refs/notes/autoqec/{run.name}/metrics").splitlines()) == 2
    assert [record.problems for record in history.read_history(lab) if record.number == 1] == [()]


MOVE_WITH_LITTLE_ROOM = """
import resource, sys
from autoqec import history
ledger = history.open_ledger(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]), resource.RLIM_INFINITY))
history.compare_and_swap(ledger, sys.argv[2], sys.argv[3], sys.argv[4], "m" * 100)
"""


def test_a_reflog_is_not_left_with_half_a_line(lab, base, git, python):
    git("commit", "-q", "--allow-empty", "-m", "second")
    other, ref = git("rev-parse", "HEAD").strip(), "refs/heads/exp/r/1"
    history.compare_and_swap(lab, ref, None, base, "first")
    log = lab.git_dir / "logs" / ref
    before = log.read_bytes()
    process = python(MOVE_WITH_LITTLE_ROOM, str(lab.workdir), ref, base, other, str(len(before) + 50))
    _, err = process.communicate()
    assert f"could not write {ref}" in err
    assert log.read_bytes() == before
    assert refs.target(lab, ref) == base
