"""The command line: exit codes, data on stdout, messages on stderr, and nothing heavy imported by what only reads."""

import errno
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from autoqec.cli.lab import run_session
from autoqec.cli.main import COMMANDS, module_of, run
from autoqec.compiled_once import say_compiling
from autoqec.config import load_settings
from autoqec.errors import AutoQECError, BudgetSpentError
from autoqec.history import claim_round, close_claim, find_record, list_claims, list_runs, open_ledger
from autoqec.installed_package import LIBRARIES
from autoqec.plugins import Registration, load_plugins
from autoqec.sandbox.child import Child
from autoqec.testing import ScriptedAgent, make_tiny_lab, tiny_proposal

HEAVY = ["torch", "stim", "pymatching", "ldpc", "anthropic", "optuna", "numba", "fusion_blossom", "scipy"]


def autoqec(*args, cwd, check=True, **environment):
    """Run the installed command as its user would."""
    done = subprocess.run(
        [sys.executable, "-m", "autoqec", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        env=os.environ | environment,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def here(lab, monkeypatch):
    """The lab, as the current directory."""
    monkeypatch.chdir(lab[0])
    return lab


def printed(capsys, *args):
    code = run(list(args))
    out, err = capsys.readouterr()
    return code, out, err


FIELDS = {
    "schema", "run", "round", "branch", "commit", "env", "status", "verdict", "metrics", "hypothesis", "fork_from",
}  # fmt: skip
METRICS = {
    "shots", "ler_baseline", "ler_candidate", "delta_ler", "delta_ler_ci", "ler_ratio", "ler_ratio_ci", "flops_per_shot",
    "params", "latency_us_per_shot", "train_seconds", "score_seconds", "sent_on",
    "passes_per_sent_shot", "rung",
}  # fmt: skip


def test_round_prints_the_promised_fields_and_a_line_for_each_step_off_a_terminal(lab):
    _, rounds, stderr = lab
    assert [item["round"] for item in rounds] == [1, 2]
    for item in rounds:
        assert item.keys() >= FIELDS
        assert item["metrics"].keys() == METRICS
        assert item["schema"] == "autoqec.round/1"
        assert item["branch"] == f"exp/{item['run']}/{item['round']}"
    assert f"round {rounds[0]['run']}/1\n" in stderr
    assert "\ntraining, at most " in stderr


def test_log_prints_the_same_objects_from_git_alone(here, capsys):
    code, out, _ = printed(capsys, "log", "--json")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == here[1]


def test_the_front_holds_verified_rounds_with_what_they_dominate(here, capsys):
    _, out, _ = printed(capsys, "pareto", "--json")
    items = [json.loads(line) for line in out.splitlines()]
    assert items
    assert all(item["verdict"] == "VERIFIED" and isinstance(item["dominates"], list) for item in items)
    assert printed(capsys, "pareto", "--env", "other", "--json")[1] == ""
    assert len(printed(capsys, "pareto", "--top", "1", "--json")[1].splitlines()) == 1


def test_a_verdict_is_audited_from_git_alone(here, capsys):
    branch = here[1][0]["branch"]
    code, out, _ = printed(capsys, "verify", branch, "--audit")
    assert (code, "follows from its counts" in out) == (0, True)
    code, out, _ = printed(capsys, "verify", branch, "--audit", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["replayed"], found["disagreements"]) == (0, "VERIFIED", False, [])


def test_an_altered_verdict_does_not_pass_its_audit(here, capsys, monkeypatch):
    from autoqec.loop import round_state as state
    from autoqec.results.note_lines import Line

    read = state.read_state

    def altered(*args):
        found = read(*args)
        test = found.verdict.evidence.target.test.to_dict() | {"candidate_only": 0}
        line = Line("0" * 64, {**found.trust.record, "test": test})
        return replace(found, trust=replace(found.trust, line=line))

    monkeypatch.setattr(state, "read_state", altered)
    code, out, _ = printed(capsys, "verify", here[1][0]["branch"], "--audit")
    assert code == 1
    assert "does not agree with its own note" in out
    assert "log_e_better: the note says" in out


def test_people_get_tables(here, capsys):
    branch = here[1][0]["branch"]
    assert "VERIFIED" in printed(capsys, "log")[1]
    assert "hypothesis" in printed(capsys, "pareto")[1]
    shown = printed(capsys, "show", branch)[1]
    for text in (
        "development shots",
        "verdict, on shots drawn after the commit",
        "+iterations: 5",
        "natural logarithms",
    ):
        assert text in shown
    full = printed(capsys, "show", "--full", branch)[1]
    for text in ("both fail", "log evidence"):
        assert text in full
        assert text not in shown


def test_show_json_has_the_notes(here, capsys):
    item = json.loads(printed(capsys, "show", here[1][0]["branch"].removeprefix("exp/"), "--json")[1])
    assert item["notes"]["verdict"]["seed_key"]
    assert item["notes"]["metrics"]["provenance"]["versions"]["torch"]


def test_plugins_lists_everything_registered(here, capsys):
    items = [json.loads(line) for line in printed(capsys, "plugins", "--json")[1].splitlines()]
    assert {"agent", "decoder", "verifier", "stage", "code", "executor"} <= {item["kind"] for item in items}
    assert all(item["distribution"].startswith("autoqec") for item in items)
    assert "neural_bp" in printed(capsys, "plugins")[1]
    only = [json.loads(line) for line in printed(capsys, "plugins", "--kind", "decoders", "--json")[1].splitlines()]
    assert {item["name"] for item in only} >= {"mwpm", "mwpm_correlated"}


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["log"],
        ["log", "--json"],
        ["pareto"],
        ["pareto", "--json"],
        ["status", "--json"],
        ["plugins"],
        ["plugins", "--metadata"],
    ],
)
def test_what_only_reads_imports_nothing_heavy(lab, args):
    names = f"[m for m in {HEAVY!r} if m in sys.modules]"
    script = f"import sys\nfrom autoqec.cli.main import run\nrun({args!r})\nprint({names}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=lab[0], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", [[], *[[name] for name in COMMANDS], ["env", "list"], ["env", "check"]])
def test_every_command_explains_itself(command, capsys):
    code, out, _ = printed(capsys, *command, "--help")
    assert code == 0
    assert "Usage: autoqec" in out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["bogus"], 2, "there is no command bogus; known: init, round"),
        (["lgo"], 2, "there is no command lgo; did you mean log"),
        (["plugins", "chek"], 2, "did you mean check?"),
        (["env", "new", "foo", "--set", "codee=1"], 2, "nothing was written"),
        (["round", "--rounds", "0"], 2, "--rounds: must be a whole number from 1"),
        (["round", "--env", "nope"], 3, "there is no environment named 'nope'"),
        (["round", "--profile", "nope"], 2, "no profile 'nope'"),
        (["round", "--ideator", "nope"], 3, "no agent named 'nope'"),
        (["round", "--verifier", "nope"], 3, "no verifier named 'nope'"),
        (["round", "--executor", "nope"], 3, "no executor named 'nope'"),
        (["round", "--run", "UPPER"], 2, "UPPER"),
        (["round", "--from", "none-abcd/1"], 3, "none-abcd"),
        (["round", "--from", "exp/none-abcd/1"], 3, "none-abcd"),
        (["round", "--from", "main"], 2, "main"),
        (["round", "--untrained"], 2, "--untrained needs --from"),
        (["round", "--from", "none-abcd/1", "--dry-run"], 2, "does not go with --dry-run"),
        (["show", "exp/none-abcd/1"], 3, "none-abcd"),
        (["show", "main"], 2, "main"),
        (["verify", "exp/none-abcd/1"], 3, "none-abcd"),
        (["verify", "x-abcd/1", "--max-shots", "100"], 2, "--max-shots: must be a whole number"),
        (["verify", "x-abcd/1", "--alpha", "0.7"], 2, "--alpha: must be a number"),
        (["verify", "x-abcd/1", "--replay"], 2, "--replay needs --audit"),
        (["verify"], 2, "the round is missing"),
        (["verify", "--front", "--head-to-head"], 2, "each go alone"),
        (["verify", "--front", "none-abcd"], 3, "none-abcd"),
        (["log", "none-abcd"], 3, "none-abcd"),
        (["round", "--new", "--strong-reference", "nope"], 3, "strong_reference: there is no decoder named 'nope'"),
        (["round", "--new", "--coder", "cli:claude"], 1, "the program claude is not on PATH"),
        (["round", "--new", "--remote", "nope"], 3, "'nope' is neither a remote nor a path"),
        (["round", "--new", "--record", "absent/tape"], 2, "absent/tape cannot be written"),
        (
            ["agents", "compare", "--agents", "cli:claude", "--rounds", "1"],
            1,
            "cli:claude is left out: the program claude",
        ),
        (["round", "--run", ""], 2, "--run is empty"),
        (["round", "--ideator="], 2, "--ideator is empty"),
        (["log", ""], 2, "an argument is empty"),
        (["log", "--text", ""], 2, "--text is empty"),
        (["export", "x-abcd/1", "--to", ""], 2, "--to is empty"),
        (["env", "new", ""], 2, "an argument is empty"),
        (["env", "check", ""], 2, "an argument is empty"),
        (["plugins", "list", "--kind", ""], 2, "--kind is empty"),
        (["agents", "compare", "--agents", ","], 2, "--agents names no agent"),
        (["compose", "x-abcd/1", "exp/x-abcd/1"], 2, "x-abcd/1 is named twice"),
        (["compose", "x-abcd/1"], 2, "two to 8 rounds, not 1"),
        (["env", "check", "nope"], 3, "there is no environment named"),
    ],
)
def test_mistakes_have_a_code_and_a_sentence_and_leave_nothing(here, capsys, args, code, words):
    before = list_runs(open_ledger("."))
    got, out, err = printed(capsys, *args)
    assert (got, out if args[0] != "agents" or code == 2 else "") == (code, "")
    assert words in err
    assert "hint: " in err or "--help" in err or args[0] == "agents"
    assert "Traceback" not in err
    assert list_runs(open_ledger(".")) == before


BAD_ENVIRONMENTS = {
    "not yaml": ("name: [", "bad.yaml, line"),
    "unknown decoder": ("decoder: nonesuch", "no decoder named 'nonesuch'"),
    "sinter decoder that is none": ("decoder: sinter:subprocess:Popen", "is not a sinter.Decoder"),
    "sinter decoder that is not there": ("decoder: sinter:nonesuch:Decoder", "No module named 'nonesuch'"),
    "unknown reference": ("references: [nonesuch]", "no decoder named 'nonesuch'"),
    "wrong decoder field": ("decoder: {kind: mwpm, colour: red}", "does not accept"),
    "hyperedges": ("code: {kind: dem, path: hyper.dem}", "mwpm"),
    "no detectors": ("code: {kind: circuit, path: empty.stim}", "no detectors"),
}


@pytest.mark.parametrize("case", BAD_ENVIRONMENTS)
def test_an_environment_that_cannot_be_used_is_refused_before_anything_is_written(here, tmp_path, capsys, case):
    line, words = BAD_ENVIRONMENTS[case]
    key = line.split(":")[0]
    fields = {"name": "name: bad", "decoder": "decoder: mwpm", "code": "code: {kind: dem, path: good.dem}", key: line}
    (tmp_path / "bad.yaml").write_text("\n".join(fields.values()))
    (tmp_path / "good.dem").write_text("error(0.1) D0 L0\n")
    (tmp_path / "hyper.dem").write_text("error(0.1) D0 D1 D2 L0\nerror(0.1) D0\nerror(0.1) D1\nerror(0.1) D2\n")
    (tmp_path / "empty.stim").write_text("M 0\nOBSERVABLE_INCLUDE(0) rec[-1]\n")
    before = list_runs(open_ledger("."))
    for args in (["round", "--env"], ["env", "check"]):
        code, out, err = printed(capsys, *args, str(tmp_path / "bad.yaml"))
        assert code in (2, 3)
        assert out == ""
        assert words in err
        assert "hint: " in err
    assert list_runs(open_ledger(".")) == before


def test_outside_a_lab(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("round", "log", "pareto", "resume"):
        code, _, err = printed(capsys, command)
        assert code == 3
        assert "autoqec init" in err
    assert printed(capsys, "env", "list")[0] == 0
    assert "none:" in printed(capsys, "doctor")[1]


def test_in_a_directory_that_was_deleted(tmp_path, capsys, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, err = printed(capsys, "log")
    assert (code, "the current directory was deleted" in err) == (3, True)
    assert printed(capsys, "doctor")[0] == 0


def test_init_makes_a_lab_that_a_round_can_be_run_in(tmp_path, capsys, monkeypatch):
    assert printed(capsys, "init", str(tmp_path / "new"))[0] == 0
    before = {p: p.read_bytes() for p in (tmp_path / "new").rglob("*") if p.is_file() and ".git" not in p.parts}
    assert [p.name for p in before] == ["config.toml"]
    assert printed(capsys, "init", str(tmp_path / "new"))[0] == 0
    assert before == {p: p.read_bytes() for p in before}
    monkeypatch.chdir(tmp_path / "new")
    assert printed(capsys, "log")[0] == 0
    assert "surface_d5_depol" in printed(capsys, "env", "list")[1]


def test_doctor_says_where_every_setting_came_from(here, capsys, monkeypatch):
    monkeypatch.setenv("AUTOQEC_JOBS", "3")
    monkeypatch.setattr("autoqec.sandbox.gpus.gpu_model", lambda: "NVIDIA H200")
    facts = json.loads(printed(capsys, "doctor", "--json")[1])
    assert facts["gpu"] == "NVIDIA H200"
    assert facts["jobs"] == "3  (AUTOQEC_JOBS)"
    assert facts["default_env"].startswith("tiny  (")
    assert facts["verifier"] == "holdout  (built-in)"
    assert {*LIBRARIES} <= facts.keys(), "a worker elsewhere is refused for the version of any of these"
    shown = printed(capsys, "doctor")[1]
    assert "0, no limit  (built-in)" in shown


def test_a_worker_on_a_terminal_says_who_starts_it(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    code, out, err = printed(capsys, "worker")
    assert (code, out) == (2, "")
    assert "--executor command" in err


def test_env_check_measures(here, capsys):
    facts = json.loads(printed(capsys, "env", "check", "tiny", "--shots", "8192", "--json")[1])
    rate = facts["decoders"]["mwpm"]
    assert rate["shots"] == 8192
    assert rate["ler_ci"][0] < rate["ler"] < rate["ler_ci"][1]
    assert "LER mwpm_correlated" in printed(capsys, "env", "check", "tiny", "--shots", "4096")[1]


def test_a_broken_plugin_is_listed_and_survived(lab, tmp_path):
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[autoqec]\nbroken = broken_plugin\n")
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('half installed')\n")
    path = {"PYTHONPATH": str(tmp_path)}
    done = autoqec("plugins", cwd=lab[0], **path)
    assert "broken (broken 1.0): RuntimeError: half installed" in done.stdout
    assert "pip uninstall broken" in done.stdout
    assert autoqec("log", cwd=lab[0], **path).stdout
    strict = autoqec("plugins", cwd=lab[0], check=False, AUTOQEC_STRICT_PLUGINS="1", **path)
    assert (strict.returncode, "half installed" in strict.stderr) == (1, True)


@pytest.mark.slow
def test_compose_merges_and_judges_beside_the_parents(autoqec_lab, monkeypatch, capsys):
    """Two rounds that start from the base and write different files; which rounds a search forks is its own business."""
    said = {"summary": "try both", "decision": "candidate"}
    agent = ScriptedAgent(
        {
            "ideator": [{"text": "one idea"}, {"text": "another idea"}],
            "coder": [tiny_proposal(4), tiny_proposal(2, "first_look")],
            "analyst": [said] * 2,
        }
    )
    registry = load_plugins()
    registry.entries["agent", "scripted"] = Registration("agent", "scripted", lambda: agent, {}, "test", "test 0")
    monkeypatch.setattr("autoqec.plugins.load_plugins", lambda: registry)
    script = [word for role in ("ideator", "coder", "analyst") for word in (f"--{role}", "scripted")]
    rounds = [json.loads(line) for line in printed(capsys, "round", "--rounds", "2", "--json", *script)[1].splitlines()]
    one, two = (item["branch"] for item in rounds)
    made = json.loads(printed(capsys, "compose", one, two, "--json", "--text", "both")[1])
    assert (made["status"], made["compose"], made["hypothesis"]) == ("ok", "pure", "both")
    notes = json.loads(printed(capsys, "show", made["branch"], "--json")[1])["notes"]
    assert notes["metrics"]["training"]["inherited"], "a composed child starts from its parents' weights"
    if notes["verdict"]:
        compose = notes["verdict"]["compose"]
        assert compose["composition"] in ("adds_up", "partial", "interferes")
        assert made["composition"] == compose["composition"]
        assert compose["parents"].keys() == {one.removeprefix("exp/"), two.removeprefix("exp/")}
        assert compose["counts"]["shots"] == notes["verdict"]["extension"]["shots"]
        assert "compose: the parents" in printed(capsys, "show", "--full", made["branch"])[1]
    for args, code in (([one], 2), ([one, one], 2), ([one, "exp/none-abcd/1"], 3), ([one, made["branch"]], 2)):
        assert printed(capsys, "compose", *args)[0] == code


@pytest.fixture
def copied(lab, tmp_path, monkeypatch):
    """The lab once more, to be damaged."""
    shutil.copytree(lab[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return lab[1]


def _git(*args, text=None):
    return subprocess.run(["git", *args], input=text, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("verdict", {"verdict": "VERIFIED"}),
        ("verdict", {"verdict": "\x1b]0;pwned\x07VERIFIED", "reason": "better"}),
        ("verdict", {"verdict": "VERIFIED", "reason": "better", "delta_ler": None, "delta_ler_ci": 3}),
        ("metrics", {"shots": 5}),
        ("metrics", {"shots": "many", "ler_candidate": []}),
        ("analysis", {"summary": 3}),
    ],
)
def test_a_malformed_note_is_a_problem_and_not_a_result(copied, capsys, kind, note):
    branch, run = copied[0]["branch"], copied[0]["run"]
    line = json.dumps({"id": "zz", "ts": "2099-01-01T00:00:00Z", **note})
    _git("notes", f"--ref=refs/notes/autoqec/{run}/{kind}", "add", "-f", "-m", line, branch)
    for args in (["log"], ["pareto"], ["show", branch], ["log", "--json"], ["show", branch, "--json"]):
        code, out, err = printed(capsys, *args)
        lost = "is broken: it has lost the note" in err  # the forced note dropped the intents
        assert (code, err == "" or (lost and kind == "verdict")) == (0, True)
        assert "\x1b" not in out
    item = json.loads(printed(capsys, "show", branch, "--json")[1])
    assert item["notes"][kind] is None
    assert f"the {kind} note has a line that does not count, zz: " in item["problems"][0]
    assert "does not match the schema" in item["problems"][0]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_stream_prints_what_its_encoding_lacks_with_look_alikes_and_data_as_json_spells_it(copied, encoding):
    branch, run = copied[0]["branch"], copied[0]["run"]
    line = json.dumps({"id": "zz", "ts": "2099-01-01T00:00:00Z", "decision": "ignore", "summary": "\ud800 ü – 😀"})
    _git("notes", f"--ref=refs/notes/autoqec/{run}/analysis", "add", "-f", "-m", line, branch)
    shown = autoqec("show", branch, "--json", cwd=".", PYTHONIOENCODING=encoding)
    assert json.loads(shown.stdout)["notes"]["analysis"]["summary"] == "\ud800 ü – 😀"
    listed = autoqec("log", cwd=".", PYTHONIOENCODING=encoding)
    assert ("ΔLER" in listed.stdout, "dLER" in listed.stdout) == (encoding == "utf-8", encoding != "utf-8")
    lines = autoqec("log", "--json", cwd=".", PYTHONIOENCODING=encoding).stdout.splitlines()
    assert lines == [line for line in lines if json.loads(line)]
    assert listed.stderr == ""


@pytest.mark.parametrize("change", [{"commit": 5}, {"details": {}}, {"pid": "x"}])
def test_a_damaged_claim_hides_no_other_round_and_can_be_given_up(copied, capsys, change):
    run = copied[0]["run"]
    ref = f"refs/autoqec/claims/{run}/1"
    claim = json.loads(_git("cat-file", "blob", ref)) | {"state": "open", "status": None, "closed": None, "pid": 1}
    claim |= {"boot_id": "gone"} | change
    _git("update-ref", ref, _git("hash-object", "-w", "--stdin", text=json.dumps(claim)))
    code, out, err = printed(capsys, "log", "--json")
    assert (code, len(out.splitlines()), err) == (0, 2, "")
    # Without its details a round whose results are all in git can still be closed; a claim that cannot be read cannot.
    code, out, err = printed(capsys, "resume", "--json")
    assert (code, "Traceback" in err) == (0, False)
    if "details" in change:
        assert json.loads(out)["status"] == "ok"
    else:
        assert "nothing to resume" in err


def test_a_claim_of_a_commit_that_no_git_could_name_is_reported(copied, capsys):
    run = copied[0]["run"]
    ref = f"refs/autoqec/claims/{run}/1"
    claim = json.loads(_git("cat-file", "blob", ref)) | {
        "commit": "\ud800",
        "pid": 1,
        "boot_id": "gone",
        "state": "open",
    }
    _git("update-ref", ref, _git("hash-object", "-w", "--stdin", text=json.dumps(claim | {"closed": None})))
    for args in (["log"], ["show", f"{run}/1"], ["diagnose"], ["fsck"], ["resume"]):
        code, _, err = printed(capsys, *args)
        assert (code in (0, 1), "internal error" in err) == (True, False), (args, err)


def test_a_round_that_cannot_go_on_is_reported_and_can_be_given_up(copied, capsys):
    run = copied[0]["run"]
    ref = f"refs/autoqec/claims/{run}/3"
    claim = json.loads(_git("cat-file", "blob", f"refs/autoqec/claims/{run}/1"))
    claim |= {"number": 3, "attempt": "f" * 32, "state": "open", "status": None, "closed": None, "commit": None}
    claim |= {"boot_id": "gone", "details": {}}
    _git("update-ref", ref, _git("hash-object", "-w", "--stdin", text=json.dumps(claim)))
    code, out, err = printed(capsys, "resume")
    assert (code, out) == (1, "")
    assert f"round {run}/3 cannot continue" in err
    assert f"autoqec resume --abandon {run}/3" in err
    # Whatever holds one round up, the others go on, and it is said how to end it.
    for number in (4, 5):
        stored = _git("hash-object", "-w", "--stdin", text=json.dumps(claim | {"number": number}))
        _git("update-ref", ref.replace("/3", f"/{number}"), stored)
    with pytest.MonkeyPatch.context() as patch:
        seen, raised = [], [BudgetSpentError("spent", hint="--max-wall 9"), LookupError("odd")]

        def stopped(session, claim, *, force):
            seen.append(claim.number)
            raise raised[len(seen) - 1]

        patch.setattr("autoqec.loop.one_round.resume_round", stopped)
        code, _, err = printed(capsys, "resume")
    assert (code, seen) == (4, [4, 5])
    assert f"--max-wall 9; or end the round: autoqec resume --abandon {run}/4" in err
    assert f"round {run}/5 cannot continue: internal error: LookupError: odd" in err
    for number in (4, 5):
        assert printed(capsys, "resume", "--abandon", f"{run}/{number}")[0] == 0
    assert printed(capsys, "resume", "--abandon", f"{run}/3")[0] == 0
    assert "abandoned" in printed(capsys, "log")[1]
    assert "nothing to resume" in printed(capsys, "resume")[2]


@pytest.mark.parametrize(("status", "expected"), [("compile_error", 1), ("ok", 0), ("screened_out", 0)])
def test_resume_exits_as_round_does(copied, capsys, monkeypatch, status, expected):
    run = copied[0]["run"]
    ref = f"refs/autoqec/claims/{run}/1"
    claim = json.loads(_git("cat-file", "blob", ref))
    claim |= {"boot_id": "gone", "state": "open", "status": None, "closed": None}
    _git("update-ref", ref, _git("hash-object", "-w", "--stdin", text=json.dumps(claim)))

    def ends(session, claim):
        close_claim(session.ledger, claim, status=status, reason="r")
        return find_record(session.ledger, claim.run, claim.number)

    monkeypatch.setattr("autoqec.loop.one_round._finish", ends)
    code, out, _ = printed(capsys, "resume", "--json")
    assert (code, json.loads(out)["status"]) == (expected, status)


def test_a_round_of_a_renamed_host_is_named_and_can_be_forced(copied, capsys):
    run = copied[0]["run"]
    ref = f"refs/autoqec/claims/{run}/1"
    claim = json.loads(_git("cat-file", "blob", ref)) | {
        "state": "open",
        "status": None,
        "closed": None,
        "host": "other",
    }
    _git("update-ref", ref, _git("hash-object", "-w", "--stdin", text=json.dumps(claim)))
    assert f"{run}/1 on other" in printed(capsys, "resume")[2]
    assert printed(capsys, "resume", "--abandon", f"{run}/1")[0] == 1
    with pytest.MonkeyPatch.context() as patch:
        forced = []
        patch.setattr("autoqec.loop.one_round.abandon_round", lambda *args, force: forced.append(force) or 1 / 0)
        printed(capsys, "resume", "--force", "--abandon", f"{run}/1")
        assert forced == [True]
    code, out, _ = printed(capsys, "resume", "--force", "--json")
    assert (code, json.loads(out)["status"]) == (0, "ok")


def test_environments_of_one_name_have_fronts_of_their_own(here):
    from autoqec.views.front_json import front_rows
    from autoqec.views.log_lines import read_lines

    ledger = open_ledger(".")
    (found,) = read_lines(ledger)
    one, two = (replace(line, verified=True, figures=(0.004, 0.003, 0.005, 1000, 8)) for line in found.lines[:2])
    better = replace(two, figures=(0.5, 0.4, 0.6, 1000, 8))
    elsewhere = replace(better, env_id="f" * 64)
    kept = {row.round for row in front_rows(ledger, [replace(found, lines=(one, better))])}
    assert kept == {two.number}, "within an environment the better round stands alone"
    kept = {row.round for row in front_rows(ledger, [replace(found, lines=(one, elsewhere))])}
    assert kept == {one.number, two.number}


def test_an_environment_beside_a_run_must_be_the_runs(here, capsys):
    code, _, err = printed(capsys, "round", "--run", here[1][0]["run"], "--env", "surface_d5_depol")
    assert (code, "not on" in err) == (2, True)


def test_a_baseline_that_never_fails_is_shown(autoqec_lab, capsys):
    (autoqec_lab.workdir / "envs/one.yaml").write_text(
        "name: one\ncode: {kind: circuit, path: one.stim}\ndecoder: mwpm\n"
    )
    circuit = "R 0\nX_ERROR(0.1) 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n"
    (autoqec_lab.workdir / "envs/one.stim").write_text(circuit)
    code, out, err = printed(capsys, "round", "--env", "one", "--quiet")
    assert (code, err) == (0, "")
    said = " ".join(out.split())  # however wide the lines are
    assert "shots, with the candidate or without: too few shots to compare them" in said
    assert "ratio –" not in said


def test_what_nobody_foresaw_is_one_line_and_no_traceback(here, capsys, monkeypatch):
    def fail(*args):
        raise LookupError("odd\nand more")

    monkeypatch.setattr("autoqec.views.log_lines.read_lines", fail)
    code, out, err = printed(capsys, "log")
    assert (code, out) == (1, "")
    assert err.startswith("error: internal error: LookupError: odd\n")
    assert "autoqec --traceback log" in err
    with pytest.raises(LookupError):
        run(["--traceback", "log"])


@pytest.mark.parametrize("args", ["--help", "plugins --json", "doctor --json", "env list --json", "log"])
def test_a_reader_that_takes_nothing_is_no_error(lab, args):
    script = f"{sys.executable} -m autoqec {args} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=lab[0], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("args", ["--help", "plugins --json", "env list", "log"])
def test_output_that_cannot_be_written_is_an_error_that_says_so(tmp_path, args):
    make_tiny_lab(tmp_path)
    script = f"{sys.executable} -m autoqec {args} > /dev/full"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: the output cannot be written: No space left on device [not_written]\n  hint: "
    )
    assert len(done.stderr.splitlines()) == 2


def test_a_file_that_cannot_be_written_is_named(monkeypatch, capsys):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device", "x.json")

    monkeypatch.setattr("autoqec.cli.log.command", click.command()(full))
    code, _, err = printed(capsys, "log")
    assert (code, err.splitlines()[0]) == (1, "error: x.json cannot be written: No space left on device [not_written]")


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        ("round", "interrupted\n"),
        ("verify exp/r-abcd/1 -q", "Again: autoqec verify exp/r-abcd/1 -q"),
        ("log", "interrupted\n"),
        ("verify exp/r-abcd/1 --audit", "interrupted\n"),
    ],
)
def test_an_interrupted_command_says_how_to_go_on(here, monkeypatch, capsys, args, hint):
    def interrupted(**options):
        raise KeyboardInterrupt

    command, *rest = args.split()
    monkeypatch.setattr(f"autoqec.cli.{command}.command.callback", interrupted)
    code, _, err = printed(capsys, command, *rest)
    assert code == 130
    assert hint in err
    assert "resume" not in err


@pytest.mark.parametrize(
    ("stop", "code", "words"),
    [
        (
            KeyboardInterrupt(),
            130,
            "interrupted; round {} is open, and nothing of it is lost. Continue with: autoqec resume",
        ),
        (KeyboardInterrupt("SIGTERM"), 130, "stopped by SIGTERM; round {} is open"),
        (AutoQECError("wrong"), 1, "round {} is open; continue with autoqec resume, or end it with"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "round {} is open; continue with autoqec resume"),
        (LookupError("odd"), 1, "round {} is open; continue with autoqec resume"),
    ],
)
def test_a_round_that_a_stopped_command_leaves_open_is_named(copied, monkeypatch, capsys, stop, code, words):
    def stopped(**options):
        raise stop

    claim = claim_round(open_ledger("."), copied[0]["run"])
    monkeypatch.setattr("autoqec.cli.round.command.callback", stopped)
    got, _, err = printed(capsys, "round")
    assert (got, words.format(f"{claim.run}/{claim.number}") in err) == (code, True), err
    assert "resume" not in printed(capsys, "log", "--verdict", "x")[2]


def test_a_signal_that_comes_while_an_error_is_told_is_an_interruption(here, monkeypatch, capsys):
    def interrupted(error):
        raise KeyboardInterrupt("SIGTERM")

    monkeypatch.setattr("autoqec.views.console.print_error", interrupted)
    assert printed(capsys, "show", "nothing")[0] == 130


def test_input_that_ends_is_no_interruption(here, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = printed(capsys, "env", "new", "asked", "--ask")
    assert (code, err.split("error: ")[1].splitlines()[0]) == (
        2,
        "standard input ended before the question was answered",
    )


def _start(folder, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "autoqec", *args],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _has_ref(folder, pattern):
    done = subprocess.run(["git", "for-each-ref", pattern], cwd=folder, capture_output=True, text=True, check=True)
    return bool(done.stdout)


#: A moment of a round by what is in git: what must be there when it is killed.
MOMENTS = {
    "training": "refs/heads/exp/",
    "scoring": "refs/autoqec/artifacts/",
    "verifying": "refs/notes/autoqec/**/verdict",
}


def _killed_at(moment, folder, *args):
    """Kill a command as soon as it has come so far in a lab."""
    process = _start(folder, *args)
    deadline = time.monotonic() + 300
    while not _has_ref(folder, MOMENTS[moment]):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()


def _resumed(folder, whole, attempt):
    """Finish what was killed: it comes to what the whole round came to."""
    assert "interrupted" in autoqec("log", cwd=folder).stdout
    resumed = json.loads(autoqec("resume", "--json", cwd=folder).stdout)
    assert (resumed["status"], resumed["verdict"]) == ("ok", "VERIFIED")
    for name in ("shots", "ler_candidate", "ler_baseline", "delta_ler_ci", "params"):
        assert resumed["metrics"][name] == whole["metrics"][name]
    assert resumed["hypothesis"] == whole["hypothesis"]
    shown = json.loads(autoqec("show", resumed["branch"], "--json", cwd=folder).stdout)
    found = shown["notes"]["verdict"]["attempt"]
    assert found == attempt, "an attempt that was cut off has spent its share too"
    assert "nothing to resume" in autoqec("resume", cwd=folder).stderr


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_round_is_resumed_to_the_same_metrics(lab, tmp_path, moment):
    make_tiny_lab(tmp_path)
    _killed_at(moment, tmp_path, "round", "--seed", "3")
    _resumed(tmp_path, lab[1][0], attempt=2 if moment == "verifying" else 1)


def test_a_round_that_is_killed_while_it_is_verified_is_resumed_to_the_same_metrics(copied):
    """The same for a round that another process trained and scored, with its verdict taken away."""
    whole = copied[0]
    claim = f"refs/autoqec/claims/{whole['run']}/1"
    left = json.loads(_git("cat-file", "blob", claim)) | {"state": "open", "status": None, "closed": None}
    _git("update-ref", claim, _git("hash-object", "-w", "--stdin", text=json.dumps(left | {"boot_id": "gone"})))
    _git("update-ref", "-d", f"refs/notes/autoqec/{whole['run']}/verdict")
    _killed_at("verifying", Path.cwd(), "resume")
    _resumed(Path.cwd(), whole, attempt=2)


@pytest.mark.fresh_processes
def test_ctrl_c_leaves_130_and_no_process(tmp_path):
    ledger = make_tiny_lab(tmp_path)
    process = _start(tmp_path, "round")
    deadline = time.monotonic() + 300
    while not _has_ref(tmp_path, MOMENTS["training"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)  # an impatient user
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert "autoqec resume" in err
    assert "Traceback" not in err
    assert [claim.state for claim in list_claims(ledger)] == ["open"]
    listing = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listing.splitlines() if line.split()[0] == str(process.pid)]


def test_a_reader_that_stops_early_is_no_error(lab):
    if shutil.which("head") is None:
        pytest.fail("this test needs head")
    script = f"{sys.executable} -m autoqec log --json | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=lab[0], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_compiles_for_the_first_time(name, monkeypatch, capsys):
    @click.command()
    def command():
        with Child("autoqec.scoring.executor_contract:serve_tasks") as child:
            child.send({"function": "autoqec.testing.misbehave:compile_kernels", "names": ["matching"]})
            child.receive(60)

    monkeypatch.setattr(importlib.import_module(module_of(name)), "command", command)
    assert printed(capsys, name) == (0, "", "compiling matching, once, about 9 s\n")


def test_a_session_shows_what_it_compiles_and_a_quiet_one_does_not(here, capsys):
    ledger, registry = open_ledger(here[0]), load_plugins()
    for quiet in (False, True):
        with run_session(ledger, registry, load_settings(here[0]), list_runs(ledger)[0], quiet=quiet):
            say_compiling("matching", 9)
        assert capsys.readouterr().err == ("" if quiet else "compiling matching, once, about 9 s\n")
