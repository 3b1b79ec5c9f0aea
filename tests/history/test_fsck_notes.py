"""Notes that plain git spoiled are each seen as exactly that, and what was lost comes back."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess

import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.rounds.notes import add_lines
from autoqec.history.rounds.signatures import sign
from autoqec.testing.whole_notes import whole_metrics, whole_verdict

ENV_ID = "e" * 64
REF = "refs/notes/autoqec/depol-abcd/metrics"


def line(ident, **fields):
    stamps = {"v": 1, "id": ident, "kind": "metrics", "ts": "2025", "writer": "x"}
    return json.dumps(whole_metrics(shots=65_536) | stamps | fields) + "\n"


@pytest.fixture
def put(git):
    """Write a notes tree by hand on top of what there is, as an object-level tool would."""

    def make(**paths):
        git("read-tree", REF)
        for path, content in paths.items():
            blob = git("hash-object", "-w", "--stdin", stdin=content).strip()
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        commit = git("commit-tree", "-p", REF, "-m", "by hand", git("write-tree").strip()).strip()
        git("read-tree", "HEAD")
        git("update-ref", REF, commit)

    return make


def everything_but(lab, ref):
    refs = history.list_refs(lab, "refs/")
    return {name: oid for name, oid in refs.items() if name != ref}


def findings(lab):
    return history.check(history.open_ledger(lab.workdir))


def the_only(lab, code):
    (finding,) = findings(lab)
    assert (finding.code, finding.ref) == (code, REF)
    return finding


def test_a_line_that_is_no_record(lab, play, git):
    _, oid = play()
    git("notes", f"--ref={REF}", "append", "-m", "looks good to me", oid)
    finding = the_only(lab, "not-a-record")
    assert "line 2" in finding.problem
    assert finding.severity == "error"


def test_a_note_on_a_commit_that_is_not_here(lab, play, put):
    play()
    put(**{"ab/" + "c" * 38: line("x")})
    assert "abcccccccc" in the_only(lab, "unknown-commit").problem


def test_one_id_with_two_contents(lab, play, git):
    claim, oid = play()
    git("notes", f"--ref={REF}", "append", "-m", line(claim.attempt, value=9), oid)
    the_only(lab, "two-records")


def test_one_id_on_two_commits(lab, play, put):
    claim, _ = play()
    _, other = play()
    records = history.read_notes(lab, claim.run, "metrics")
    first = next(json.dumps(r) for rs in records.values() for r in rs if r["id"] == claim.attempt)
    second = json.dumps(records[other][0])
    put(**{f"{other[:2]}/{other[2:]}": first + "\n" + second + "\n"})
    assert {finding.code for finding in findings(lab)} == {"two-records", "rewritten"}  # the second is spelled anew


def test_two_paths_of_one_note_become_one(lab, play, put, git):
    _, oid = play()
    play()
    put(**{oid: line("flat")})
    finding = the_only(lab, "spelled-twice")
    assert finding.repairable
    before, records = everything_but(lab, REF), history.read_notes(lab, "depol-abcd", "metrics")
    assert [item.code for item in history.repair(lab, [finding])] == ["spelled-twice"]
    assert findings(lab) == []
    paths = git("ls-tree", "-r", "--name-only", REF).split()
    assert [path for path in paths if path.replace("/", "") == oid] == [f"{oid[:2]}/{oid[2:]}"]
    after = history.read_notes(lab, "depol-abcd", "metrics")
    assert {o: sorted(r["id"] for r in rs) for o, rs in after.items()} == {
        o: sorted(r["id"] for r in rs) for o, rs in records.items()
    }
    assert everything_but(lab, REF) == before


def test_what_a_forced_ref_dropped_is_in_its_log_and_comes_back(lab, play, git):
    play()
    old = git("rev-parse", REF).strip()
    for _ in range(3):
        play()
    whole = history.read_notes(lab, "depol-abcd", "metrics")
    git("update-ref", REF, old)
    lost = the_only(lab, "lost-records")
    assert "it has lost 3 records" in lost.problem
    assert (lost.severity, lost.repairable) == ("error", True)
    before = everything_but(lab, REF)
    (done,) = history.repair(lab, [lost])
    assert done.what == "records restored: 3"
    assert history.read_notes(lab, "depol-abcd", "metrics") == whole
    assert findings(lab) == []
    assert everything_but(lab, REF) == before
    assert git("merge-base", "--is-ancestor", old, REF) == ""  # added to, not moved away from
    assert history.repair(lab, [lost]) == []


def test_what_git_notes_removed_comes_back(lab, play, git):
    claim, oid = play()
    git("notes", f"--ref={REF}", "remove", oid)
    assert "it has lost 1 record" in the_only(lab, "lost-records").problem
    history.repair(lab, findings(lab))
    assert history.read_notes(lab, "depol-abcd", "metrics")[oid][0]["id"] == claim.attempt


def test_a_move_that_was_logged_and_never_made_lost_nothing(lab, play, git):
    _, oid = play()
    log = lab.git_dir / "logs" / REF
    tip = git("rev-parse", REF).strip()
    git("notes", f"--ref={REF}", "append", "-m", line("never"), oid)
    made = git("rev-parse", REF).strip()
    history.compare_and_swap(lab, REF, made, tip, "back")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))  # as a writer killed in between leaves it
    assert made in log.read_text()
    assert findings(lab) == []
    play()
    assert findings(lab) == []


@pytest.mark.parametrize("cut", [0, 20, 60, 100, 130])
def test_a_log_that_a_power_cut_tore_is_read_all_the_same(cut, lab, play, git):
    play()
    log = lab.git_dir / "logs" / REF
    line = log.read_bytes().splitlines()[0]
    log.write_bytes(log.read_bytes() + line[:cut])
    assert findings(lab) == []
    old = git("rev-parse", REF).strip()
    play()
    assert findings(lab) == []
    git("update-ref", REF, old)
    assert "it has lost 1 record" in the_only(lab, "lost-records").problem
    log.write_bytes(b"")
    assert findings(lab) == []
    log.unlink()
    assert findings(lab) == []


def test_a_record_that_was_rewritten_is_an_error_that_nothing_repairs(lab, play, git):
    claim, oid = play()
    git("notes", f"--ref={REF}", "add", "-f", "-m", line(claim.attempt, value=10**6), oid)
    finding = the_only(lab, "rewritten")
    assert (finding.severity, finding.repairable) == ("error", False)
    assert history.repair(lab, [finding]) == []
    assert claim.attempt in finding.problem


def test_weights_that_are_not_those_of_the_metrics(lab, run, commit, git):
    claim = history.claim_round(lab, run.name)
    oid = commit(1, {}, attempt=claim.attempt)
    history.attach(lab, "artifacts", run.name, 1, {"weights.safetensors": b"w"})
    record = whole_metrics(id=claim.attempt, weights_sha256=hashlib.sha256(b"w").hexdigest())
    history.append_note(lab, run.name, "metrics", oid, record)
    history.close_claim(lab, claim, status="ok", commit=oid)
    assert findings(lab) == []
    history.attach(lab, "artifacts", run.name, 1, {"weights.safetensors": b"other"}, replace=True)
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("weights-differ", "error")
    git("update-ref", "-d", "refs/autoqec/artifacts/depol-abcd/1")
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("weights-absent", "info")


def test_notes_that_are_no_commit(lab, play, git):
    play()
    git("update-ref", REF, git("hash-object", "-w", "--stdin", stdin="x").strip())
    assert "notes-damaged" in {finding.code for finding in findings(lab)}


ABOUT = {"environment": ENV_ID, "candidate": "a" * 64, "weights_sha256": "b" * 64}


@pytest.fixture
def judged(lab, play):
    """A round with a verdict that names its metrics; what else the verdict says is the test's."""

    def make(**fields):
        claim, oid = play()
        about = ABOUT | {"commit": oid, "metrics": claim.attempt}
        verdict = whole_verdict(id="v", ts="3", attempt=2, shots=65_536, about=about) | fields
        history.append_note(lab, claim.run, "verdict", oid, verdict)
        return claim, oid

    return make


def test_a_verdict_that_names_the_metrics_that_count(lab, judged):
    judged()
    assert findings(lab) == []


def test_a_verdict_that_names_metrics_that_were_superseded(lab, judged):
    claim, oid = judged()
    history.append_note(lab, claim.run, "metrics", oid, whole_metrics(id="m2", supersedes=claim.attempt))
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("metrics-superseded", "warning")
    assert finding.hint == "autoqec verify exp/depol-abcd/1"
    about = ABOUT | {"commit": oid, "metrics": "m2"}
    history.append_note(lab, claim.run, "verdict", oid, whole_verdict(id="v2", attempt=3, shots=65_536, about=about))
    assert findings(lab) == []


def test_a_verdict_that_names_metrics_that_are_not_here(lab, judged):
    judged(metrics="gone")
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("metrics-absent", "warning")
    assert "gone" in finding.problem


def test_a_verdict_that_was_copied_from_another_commit(lab, judged):
    judged(commit="c" * 40)
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("verdict-copied", "error")
    assert "cccccccccc" in finding.problem


def test_a_verdict_about_another_environment(lab, judged):
    judged(environment="d" * 64)
    (finding,) = findings(lab)
    assert (finding.code, finding.severity) == ("verdict-environment", "error")
    assert "dddddddddddd" in finding.problem


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
@pytest.mark.parametrize(("verifier", "codes"), [("", []), ("other", ["verdict-altered"])])
def test_a_signed_verdict_that_was_altered(lab, play, tmp_path, verifier, codes):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    claim, oid = play()
    about = ABOUT | {"commit": oid, "metrics": claim.attempt}
    verdict = whole_verdict(id="v", attempt=2, shots=65_536, about=about)
    verdict["verifier"] = ""
    signed = verdict | {"signature": sign(verdict, tmp_path / "key"), "verifier": verifier}
    history.append_note(lab, claim.run, "verdict", oid, signed)
    assert [finding.code for finding in findings(lab)] == codes


def test_without_openssh_a_signature_is_not_checked_and_the_rest_is(lab, play, tmp_path, monkeypatch):
    claim, oid = play()
    verdict = whole_verdict(id="v", attempt=2, shots=65_536, about=ABOUT | {"commit": oid, "metrics": "gone"})
    history.append_note(lab, claim.run, "verdict", oid, verdict | {"signature": "x"})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = {finding.code: finding for finding in findings(lab)}
    assert set(found) == {"signature-unchecked", "metrics-absent"}
    assert "ssh-keygen is not installed" in found["signature-unchecked"].problem


VERDICTS = "refs/notes/autoqec/depol-abcd/verdict"


@pytest.fixture
def begin(lab):
    """Note an intent on a commit as a verifier does; returns its line."""

    def make(run, oid, **fields):
        chain = history.read_chain(lab, run)
        begun = {"event": "begun", "attempt": chain.next_attempt, "chain": list(chain.next_chain), **fields}
        line = history.append_line(lab, run, "verdict", oid, begun)
        history.remember_heads(lab, run)
        return line

    return make


def drop(lab, git, oid, line, *, parents=True):
    """Write the verdict note anew without a line, as a commit on the old history or as one without any."""
    kept = [each.data.decode() for each in history.read_lines(lab, "depol-abcd", "verdict")[oid] if each != line]
    git("read-tree", VERDICTS)
    blob = git("hash-object", "-w", "--stdin", stdin="".join(f"{each}\n" for each in kept)).strip()
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},{oid[:2]}/{oid[2:]}")
    before = ["-p", VERDICTS] if parents else []
    commit = git("commit-tree", *before, "-m", "by hand", git("write-tree").strip()).strip()
    git("read-tree", "HEAD")
    git("update-ref", VERDICTS, commit)


def forget(lab):
    """Delete the reflog, as it is absent in a fresh clone."""
    (lab.git_dir / "logs" / VERDICTS).unlink()


def codes(lab):
    return sorted(finding.code for finding in findings(lab))


def test_a_whole_chain_is_no_finding(lab, play, begin):
    claim, oid = play()
    for _ in range(3):
        begin(claim.run, oid)
    assert findings(lab) == []


def test_a_begun_verification_that_was_deleted_is_missed_and_comes_back_without_any_reflog(lab, play, begin, git):
    claim, oid = play()
    lines = [begin(claim.run, oid) for _ in range(3)]
    drop(lab, git, oid, lines[1])
    forget(lab)
    assert codes(lab) == ["chain-broken", "lost-records"]
    broken = next(finding for finding in findings(lab) if finding.code == "chain-broken")
    assert (broken.severity, broken.ref) == ("error", VERDICTS)
    assert f"{lines[1].digest[:12]}, named by {lines[2].record['id']}" in broken.problem
    assert broken.hint == "autoqec fsck --repair, which restores it"
    assert [done.code for done in history.repair(lab, findings(lab))] == ["lost-records"]
    assert findings(lab) == []
    assert set(history.read_chain(lab, claim.run).intents) == {line.digest for line in lines}


def test_where_the_history_was_rewritten_too_the_break_says_where_to_get_it(lab, play, begin, git):
    claim, oid = play()
    lines = [begin(claim.run, oid) for _ in range(3)]
    drop(lab, git, oid, lines[1], parents=False)
    forget(lab)
    (broken,) = findings(lab)
    assert broken.code == "chain-broken"
    assert broken.hint.startswith("autoqec pull <remote>")
    assert history.read_chain(lab, claim.run).next_attempt == 4


def test_a_verdict_whose_intent_is_gone_is_a_break(lab, play, begin, git):
    claim, oid = play()
    line = begin(claim.run, oid)
    about = ABOUT | {"commit": oid, "metrics": claim.attempt}
    verdict = whole_verdict(id="v", attempt=2, about=about) | {"intent": line.digest}
    history.append_note(lab, claim.run, "verdict", oid, verdict)
    assert findings(lab) == []
    drop(lab, git, oid, line, parents=False)
    forget(lab)
    assert "named by v" in next(f for f in findings(lab) if f.code == "chain-broken").problem


def test_a_tail_that_was_cut_off_is_missed_by_the_clone_that_saw_it(lab, play, begin, git):
    claim, oid = play()
    lines = [begin(claim.run, oid) for _ in range(3)]
    drop(lab, git, oid, lines[2], parents=False)
    forget(lab)
    (cut,) = findings(lab)
    assert (cut.code, cut.severity) == ("chain-cut", "error")
    assert lines[2].digest[:12] in cut.problem
    begin(claim.run, oid)  # a later one does not make it forget
    assert codes(lab) == ["chain-cut"]
    command = cut.hint.partition("if it is gone for good: ")[2]
    subprocess.run(command, shell=True, check=True)
    assert findings(lab) == []


def test_heads_are_a_memory_and_no_record(lab, play, begin):
    claim, oid = play()
    line = begin(claim.run, oid)
    file = lab.git_dir / "autoqec" / "heads" / claim.run
    assert file.read_text() == f"{line.digest}\n"
    for damage in (b"\xff\xfe", b"rubbish\n../..\n", b""):
        file.write_bytes(damage)
        assert findings(lab) == []
    shutil.rmtree(file.parent)
    file.parent.write_text("in the way")
    begin(claim.run, oid)
    assert findings(lab) == []


def test_two_verdicts_of_one_verification(lab, play, begin):
    claim, oid = play()
    line = begin(claim.run, oid)
    about = ABOUT | {"commit": oid, "metrics": claim.attempt}
    for number, ident in enumerate(("v1", "v2"), 2):
        verdict = whole_verdict(id=ident, attempt=number, about=about) | {"intent": line.digest}
        history.append_note(lab, claim.run, "verdict", oid, verdict)
    (conflict,) = [finding for finding in findings(lab) if finding.code == "verdict-conflict"]
    assert conflict.severity == "error"
    assert f"2 verdicts that count name the intent {line.digest[:40]}" in conflict.problem


def test_what_does_not_count_breaks_no_chain(lab, play, begin):
    claim, oid = play()
    begin(claim.run, oid)
    history.append_note(lab, claim.run, "verdict", oid, {"id": "v", "verdict": "VERIFIED", "intent": "a" * 64})
    other = {"event": "begun", "attempt": 60, "chain": ["b" * 64], "commit": "c" * 40}
    history.append_note(lab, claim.run, "verdict", oid, other)
    assert not {"chain-broken", "attempt-twice"} & {*codes(lab)}
    assert history.read_chain(lab, claim.run).next_attempt == 2


def test_a_note_that_is_not_here_does_not_make_the_next_attempt_the_first(lab, play, begin, git):
    claim, oid = play()
    begin(claim.run, oid)
    blob = git("rev-parse", f"{VERDICTS}:{oid[:2]}/{oid[2:]}").strip()
    (lab.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(AutoQECError):
        history.read_chain(history.open_ledger(lab.workdir), claim.run)


def test_the_budget_that_is_spent_is_computed_and_not_what_notes_say(lab, play, begin):
    claim, oid = play()
    begin(claim.run, oid, share=500.0)
    history.append_note(lab, claim.run, "verdict", oid, {"event": "begun", "attempt": 10**15, "share": 2})
    assert findings(lab) == []
    for _ in range(128):
        history.append_note(lab, claim.run, "verdict", oid, {"event": "begun", "attempt": 1, "share": 0})
    assert "overspent" in codes(lab)


def test_a_copy_of_an_intent_is_not_another_one(lab, play, begin, git):
    claim, oid = play()
    line = begin(claim.run, oid)
    _, other = play()
    add_lines(lab, VERDICTS, {other: [line.data]}, "copied")
    assert history.read_chain(lab, claim.run).next_attempt == 2
    assert "attempt-twice" not in codes(lab)
