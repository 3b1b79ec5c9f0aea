"""A lab of version 0.1, kept as data, is read as that version read it; `tests/data/make_old_lab.py` says what is in it."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from autoqec import history
from autoqec.cli.main import run
from autoqec.loop.one_round import abandon_round
from autoqec.testing import record_round
from autoqec.testing.whole_notes import whole_verdict

_SPEC = importlib.util.spec_from_file_location("old_lab", Path(__file__).parent / "old_lab.py")
old_lab = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(old_lab)

COMMANDS = json.loads((old_lab.GOLDENS / "commands.json").read_text())
RECORDS = [json.loads(line) for line in (old_lab.GOLDENS / "records.jsonl").read_text().splitlines()]
OURS = ("refs/heads/exp/", "refs/autoqec/", "refs/notes/autoqec/")

#: Commands that look at a signature.
SIGNED = ("fsck", "show real-abcd/1", "verify real-abcd/1", "verify told-abcd/14")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return old_lab.unpack(tmp_path_factory.mktemp("old") / "lab")


def settle(monkeypatch):
    """As for the old version, and the new setting: most records of the lab are not signed, and count."""
    old_lab.settle(monkeypatch.setenv, monkeypatch.setattr)
    monkeypatch.setenv("AUTOQEC_TRUST", "any")


@pytest.fixture
def printed(lab, monkeypatch, capsys):
    """Run a command in the lab; its exit code, standard output and standard error."""
    monkeypatch.chdir(lab)
    settle(monkeypatch)

    def call(*args, columns=120):
        monkeypatch.setenv("COLUMNS", str(columns))
        return run(list(args)), *capsys.readouterr()

    return call


def require_ssh(command):
    if command.removesuffix(" --json").removesuffix(" --audit") in SIGNED and shutil.which("ssh-keygen") is None:
        pytest.skip("OpenSSH is not installed")


def git(folder, *args, **options):
    return subprocess.run(["git", "-C", folder, *args], capture_output=True, check=True, **options).stdout


#: Keys whose values are sentences of the program. Their words may change; that there is a sentence may not.
PROSE = {"says", "next_step", "problem", "problems", "mend", "disagreements", "evidence", "means", "description"}


def differences(old, new, where=""):
    """Where new values are not the old ones. Objects may have gained keys; lists may not have gained items."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key in PROSE and key in new:
                yield from differences(_shape(old[key]), _shape(new[key]), f"{where}.{key}")
            elif key in new:
                yield from differences(old[key], new[key], f"{where}.{key}")
            else:
                yield f"{where}.{key} is gone"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, both in enumerate(zip(old, new, strict=True)):
            yield from differences(*both, f"{where}[{place}]")
    elif (type(old), old) != (type(new), new):
        yield f"{where}: {old!r} before, {new!r} now"


def _shape(prose):
    """How many sentences there are, and nothing of what they say."""
    return [_shape(each) for each in prose] if isinstance(prose, list) else prose and type(prose).__name__


def _tell_the_one_front(expected, found):
    """Version 0.1 told agents a front without head-to-heads; now it is that of `autoqec pareto`, and files follow its order."""
    golden = old_lab.GOLDENS / COMMANDS["pareto --json"]["file"]
    members = [f"{row['run']}/{row['round']}" for row in map(json.loads, golden.read_text().splitlines())]
    for prompt in expected:
        told = prompt["sections"]["front"]
        prompt["sections"]["front"] = [
            each for each in told if (each if isinstance(each, str) else each["round"]) in members
        ]
    for prompt in expected + found:
        prompt["sections"].get("files", []).sort(key=lambda each: each["round"])


#: Rounds whose only verdict no longer counts: its figures are forged, it was altered after it was signed, it is a copy of another
#: round's, or it rests on nothing.
NOT_COUNTED = {("told-abcd", 13), ("told-abcd", 14), ("told-abcd", 15), ("told-abcd", 17), ("odd-abcd", 6)}

#: Rounds whose verdict is on a broken contract, and has figures without counts, which are not shown.
WITHOUT_COUNTS = {("told-abcd", number) for number in range(8, 13)}

#: Rounds of which another line counts than for version 0.1, where the last one hid all before it: junk, or a later record that
#: is not the program's. Its values differ.
OTHER_LINE = {("told-abcd", 3): "analysis", ("told-abcd", 8): "metrics", ("odd-abcd", 7): "metrics"}


def _by_the_rules_of_trust(command, expected, found):
    """Version 0.1 believed every line of a note. Take out of both sides what differs because a line does not count now."""
    if command.startswith(("pareto", "diagnose")):
        for items in (expected, found):  # a run's own findings speak of its best round, which was a forged one
            items[:] = [
                item for item in items
                if (item["run"], item["round"]) not in NOT_COUNTED
                and (item["round"] is not None or item["run"] != "told-abcd")
            ]  # fmt: skip
        return
    for item in expected:
        name = item.get("run"), item.get("round")
        if name in NOT_COUNTED and item["schema"].startswith("autoqec.round/"):
            item |= {"verdict": None, "verdict_reason": None, "holdout": None, "composition": None}
            item["problems"].append("a line of its verdict note does not count")
        if name in NOT_COUNTED | WITHOUT_COUNTS and "holdout" in item:
            item["holdout"] = None
        if name in NOT_COUNTED and "notes" in item:
            item["notes"]["verdict"] = None
    for item in expected + found:
        kind = OTHER_LINE.get((item.get("run"), item.get("round")))
        if kind is not None:
            assert item.pop(kind, ...) is not None or item in expected
            item.pop("references", None)
            item.get("notes", {}).pop(kind, None)
    if command == "fsck --json":
        new = {"verdict-invalid", "metrics-invalid", "analysis-invalid", "verdicts-conflict"}
        found[:] = [item for item in found if item["code"] not in new]
        # These candidates hold a file that no candidate has.
        found[:] = [item for item in found if "stages/bp/note.md" not in item["problem"]]
        # The metrics that a verdict names count now, whatever was added later; those of a copy are no longer looked for.
        gone = ("metrics-superseded", "metrics-absent")
        expected[:] = [item for item in expected if item["code"] not in gone]
    if command == "verify odd-abcd/6 --audit --json":
        found.clear()  # it is audited now, and still exits with 1


def test_objects_may_gain_keys_and_nothing_else():
    old = {"a": [1, {"b": None}], "c": 1.0}
    assert list(differences(old, {"a": [1, {"b": None, "new": 2}], "c": 1.0, "d": 3})) == []
    assert list(differences(old, {"a": [1, {"b": None}, 3], "c": 1})) == [
        ".a: [1, {'b': None}] before, [1, {'b': None}, 3] now",
        ".c: 1.0 before, 1 now",
    ]
    assert list(differences({"says": "a", "problems": ["b"]}, {"says": "other", "problems": ["c"]})) == []
    assert list(differences({"says": "a", "problems": ["b"]}, {"says": "", "problems": []}))
    assert list(differences(old, {"a": [True, {}], "c": 1.0})) == [".a[0]: 1 before, True now", ".a[1].b is gone"]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name.endswith("--json")])
def test_what_a_command_prints_for_programs(printed, command):
    require_ssh(command)
    known = COMMANDS[command]
    code, out, err = printed(*known["args"])
    expected = [json.loads(line) for line in (old_lab.GOLDENS / known["file"]).read_text().splitlines()]
    found = old_lab.comparable(out)
    if command.startswith("agents prompt"):
        _tell_the_one_front(expected, found)
    _by_the_rules_of_trust(command, expected, found)
    assert list(differences(expected, found)) == []
    assert code == known["code"], err


@pytest.mark.parametrize("command", [name for name in COMMANDS if not name.endswith("--json")])
def test_what_a_command_prints_for_people(printed, command):
    """Words may change, and then the file changes with them; this is to notice those that were not meant to."""
    require_ssh(command)
    known = COMMANDS[command]
    code, out, err = printed(*known["args"], columns=known.get("columns", 120))
    if known["file"]:  # tables of figures; what is prose may be reworded
        assert out == (old_lab.GOLDENS / known["file"]).read_text()
    assert code == known["code"], err


def test_the_lab_has_one_of_everything(printed):
    rounds = [json.loads(line) for line in printed("log", "--json")[1].splitlines()]
    assert {item["status"] for item in rounds} == {
        "ok", "train_error", "compile_error", "killed_by_safety", "agent_error", "compose_conflict", "abandoned",
        "open", "interrupted", "waiting", "unknown",
    }  # fmt: skip
    assert {item["verdict"] for item in rounds} == {None, "VERIFIED", "SUSPICIOUS", "FAILED"}
    assert {item["verdict_reason"] for item in rounds} >= {
        "better", "not_better", "undecided", "over_budget", "target_missed", "weights_do_not_fit", "crash", "timeout",
        "bad_output", "bad_weights", "hostile_syscall", "batch_dependent", "decoder_gain", "distance_regression", "harm",
        "cost_mismatch", "beats_reference_ml", "unsandboxed_custom_code",
    }  # fmt: skip
    assert {item["compose"] for item in rounds} == {None, "none", "pure", "with_edit"}
    assert {item["renumbered_from"] for item in rounds} == {None, 2, 3}


def _other_notes(items):
    """The records without the ids of notes that count no longer, or count now."""
    for item in items:
        name = item["run"], item["number"]
        for kind in ("verdict" if name in NOT_COUNTED else OTHER_LINE.get(name),):
            item = {**item, kind: None} if kind else item
        yield item


def test_history_reads_every_claim_and_trailer_as_it_did(lab, monkeypatch):
    settle(monkeypatch)
    assert list(differences(list(_other_notes(RECORDS)), list(_other_notes(old_lab.records(lab))))) == []


def _tree_notes(folder, ref):
    """Every line of a notes ref, by commit, read with git alone."""
    listed = [line.split("\t") for line in git(folder, "ls-tree", "-r", ref, text=True).splitlines()]
    asked = "".join(f"{facts.split()[2]}\n" for facts, _ in listed)
    rest = git(folder, "cat-file", "--batch=%(objectsize)", input=asked.encode())
    found = {}
    for _, path in listed:
        size, _, rest = rest.partition(b"\n")
        found.setdefault(path.replace("/", ""), []).extend(rest[: int(size)].splitlines())
        rest = rest[int(size) + 1 :]
    return found


def _good(line):
    """The record that a line is, for the version of notes that the lab has; None if it is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and isinstance(record.get("id"), str) and record.get("v", 1) == 1
    return record if whole else None


def test_every_line_of_every_note_is_the_record_that_stands_there(lab):
    ledger = history.open_ledger(lab)
    refs = git(lab, "for-each-ref", "--format=%(refname)", "refs/notes/autoqec", text=True).split()
    lines = 0
    for ref in refs:
        name, kind = ref.removeprefix("refs/notes/autoqec/").split("/")
        raw = _tree_notes(lab, ref)
        problems = []
        read = history.read_notes(ledger, name, kind, strict=False, problems=problems)
        assert read == {commit: [r for r in map(_good, each) if r is not None] for commit, each in raw.items()}
        assert len(problems) == sum(_good(line) is None for each in raw.values() for line in each)
        lines += sum(map(len, raw.values()))
    assert (len(refs), lines) == (21, 139)


def _look(folder):
    """Refs with their oids; the lines of notes in place of the oids of theirs."""
    listed = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", *OURS, text=True)
    refs = dict(line.split() for line in listed.splitlines())
    return {ref: _tree_notes(folder, ref) if ref.startswith("refs/notes/") else oid for ref, oid in refs.items()}


def test_new_rounds_leave_old_records_as_they_are(lab, tmp_path, monkeypatch):
    folder = tmp_path / "lab"
    shutil.copytree(lab, folder)
    settle(monkeypatch)
    before, ledger = _look(folder), history.open_ledger(folder)
    played = history.load_run(ledger, "real-abcd")
    forked, judged = (history.find_round(ledger, "real-abcd", number) for number in (1, 4))
    files = history.read_candidate(ledger, forked)
    said = {"metrics": {"shots": 1}, "verdict": {"verdict": "FAILED", "reason": "not_better"}}
    commit = record_round(ledger, played, files, parents=[forked], weights=b"w", **said)
    earlier = history.find_record(ledger, "real-abcd", 4).verdict
    about = {name: earlier[name] for name in ("commit", "environment", "candidate", "weights_sha256", "metrics")}
    whole = whole_verdict("FAILED", "not_better", attempt=earlier["attempt"] + 1, about=about)
    later = history.append_note(ledger, "real-abcd", "verdict", judged, whole)
    assert abandon_round(ledger, "real-abcd", 13).status == "abandoned"
    after = _look(folder)

    new = "real-abcd/18"
    made = {f"refs/heads/exp/{new}", f"refs/autoqec/claims/{new}", f"refs/autoqec/artifacts/{new}"}
    assert after.keys() - before.keys() == made
    moved = {ref for ref in before if before[ref] != after[ref]}
    notes = {f"refs/notes/autoqec/real-abcd/{kind}" for kind in ("metrics", "verdict")}
    assert moved == {"refs/autoqec/claims/real-abcd/13"} | notes
    for ref in notes:
        grown = {oid: lines for oid, lines in after[ref].items() if lines != before[ref].get(oid)}
        assert grown.keys() == ({commit, judged} if ref.endswith("verdict") else {commit})
        assert all(lines[: len(before[ref].get(oid, []))] == before[ref].get(oid, []) for oid, lines in grown.items())
    assert history.find_record(ledger, "real-abcd", 4).verdict["id"] == later["id"]
    touched = [("real-abcd", number) for number in (4, 13, 18)]
    now = {(item["run"], item["number"]): item for item in old_lab.records(folder)}
    old = [item for item in RECORDS if (item["run"], item["number"]) not in touched]
    kept = [now[item["run"], item["number"]] for item in old]
    assert list(differences(list(_other_notes(old)), list(_other_notes(kept)))) == []
