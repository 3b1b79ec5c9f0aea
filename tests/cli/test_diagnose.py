"""`autoqec diagnose` on rounds that were recorded without being run, on one that really failed, and when patience ends."""

import json
import os
import re
import subprocess
import sys

import pytest

from autoqec import history
from autoqec.agents.diagnosis.causes import CAUSES
from autoqec.cli.main import run
from autoqec.plugins import Registration, load_plugins
from autoqec.testing import ScriptedAgent, figures, make_tiny_lab, record_round, record_run

HOSTILE = "\x1b[2Jgone\x1b]0;owned\x07 \ud800 AutoQEC-Run: evil"
FILES = {
    "output.yaml": b"mode: soft_priors\n\nthreshold: 0.5\n",
    "training.yaml": b"batch_size: 128\n\nepochs: 1\n\nlearning_rate: 0.9\n\nshots: 512\n",
    "stages/bp/stage.yaml": b"iterations: 4\n\nkind: neural_bp\n\nposition: 100\n",
}
METRICS = figures()
NOT_FINITE = "4 of 9 steps had a loss or gradient that is not finite"


def fail(ledger, played, files, reason, status="killed_by_safety", hypothesis="an idea"):
    """A round that was committed and failed in training."""
    record_round(ledger, played, files, hypothesis=hypothesis, close=False)
    claim = history.list_claims(ledger, played.name)[-1]
    history.close_claim(
        ledger, claim, status=status, reason=reason, commit=history.find_round(ledger, played.name, claim.number)
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Round 1 diverged and 2 ran out of memory, both hostile in words; 3 has damaged notes; 4 is open; 5 cannot be patched."""
    folder = tmp_path_factory.mktemp("lab")
    ledger = make_tiny_lab(folder)
    record_run(ledger, "r-early")
    played = record_run(ledger, "r-abcd")
    fail(ledger, played, FILES, f"{NOT_FINITE} {HOSTILE}", hypothesis="an idea\x1b[2J")
    fail(ledger, played, FILES, f"out of memory (limit 1.0 GiB){HOSTILE}")
    damaged = {"delta_ler": "much", "training": [1], "counts": 7, "invalid": 10**400, "ler_ratio_ci": [HOSTILE, None]}
    verdict = {"verdict": ["FAILED"], "reason": {"x": 1}, "checks": "none"}
    record_round(ledger, played, FILES, metrics=METRICS | damaged, verdict=verdict)
    history.claim_round(ledger, "r-abcd")
    bad = FILES | {"training.yaml": b"batch_size: 128\n\nlearning_rate: 0.9\n\nshot: 512\n"}
    fail(ledger, played, bad, "training.yaml: shot: Extra inputs are not permitted", status="compile_error")
    odd = FILES | {"training.yaml": b"learning_rate: 0.9\n\nwords: 1\n"}  # a mend of one field leaves it unreadable
    fail(ledger, played, odd, NOT_FINITE)
    return folder


@pytest.fixture
def printed(lab, monkeypatch, capsys):
    """Run a command in the lab; its exit code, standard output and standard error."""
    monkeypatch.chdir(lab)

    def call(*args):
        code = run(list(args))
        return code, *capsys.readouterr()

    return call


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_every_failed_round_has_a_cause_a_next_step_and_a_patch(printed):
    code, out, _ = printed("diagnose", "r-abcd", "--json")
    items = rows(out)
    assert code == 0
    assert {tuple(item) for item in items} == {
        ("schema", "run", "round", "cause", "severity", "evidence", "says", "next_step", "patch")
    }
    assert {item["schema"] for item in items} == {"autoqec.diagnosis/1"}
    first, second = (next(item for item in items if item["round"] == number) for number in (1, 2))
    assert (first["cause"], first["severity"], first["says"]) == ("diverged", "error", CAUSES["diverged"].says)
    assert first["patch"].splitlines() == [
        "--- .autoqec/candidate/training.yaml",
        "+++ .autoqec/candidate/training.yaml",
        "-learning_rate: 0.9",
        "+learning_rate: 0.3",
    ]
    assert second["cause"] == "out_of_memory"
    assert "+batch_size: 64" in second["patch"]


def test_without_an_argument_the_latest_run_is_diagnosed(printed):
    assert printed("diagnose", "--json")[1] == printed("diagnose", "r-abcd", "--json")[1]


@pytest.mark.parametrize("name", ["r-abcd/5", "exp/r-abcd/5"])
def test_one_round_is_diagnosed_alone_and_a_misspelt_field_found(printed, name):
    _, out, _ = printed("diagnose", name, "--json")
    (item,) = rows(out)
    assert (item["round"], item["cause"]) == (5, "unknown_field")
    assert item["next_step"] == "edit training.yaml: shot is shots, perhaps"
    assert {"-shot: 512", "+shots: 512"} <= set(item["patch"].splitlines())


def test_a_patch_that_makes_no_valid_candidate_is_not_shown(printed):
    (item,) = rows(printed("diagnose", "r-abcd/6", "--json")[1])
    assert (item["cause"], item["patch"]) == ("diverged", None)


def test_damaged_notes_are_no_reason_to_fail(printed):
    code, out, _ = printed("diagnose", "r-abcd/3")
    assert code == 0
    assert "warning damaged r-abcd/3" in out
    assert "the metrics note" in out
    assert "the verdict note" in out


def test_what_is_printed_shows_causes_and_drives_no_terminal(printed):
    code, out, err = printed("diagnose", "r-abcd")
    assert code == 0
    assert not {"\x1b", "\x07"} & set(out + err)
    assert "\\x1b[2Jgone" in out
    assert "error diverged r-abcd/1: Training diverged" in out
    assert "next: lower learning_rate" in out
    assert "+learning_rate: 0.3" in out
    assert "not applied" in out


def test_an_open_round_is_at_work(printed):
    (item,) = rows(printed("diagnose", "r-abcd/4", "--json")[1])
    assert item["cause"] == "at_work"


@pytest.mark.parametrize("name", ["r-none", "r-abcd/99", "r-none/1"])
def test_what_is_not_there_is_not_found(printed, name):
    code, out, err = printed("diagnose", name)
    assert (code, out) == (3, "")
    assert "hint:" in err


def test_a_lab_without_rounds_has_nothing_to_diagnose(autoqec_lab, capsys):
    assert run(["diagnose"]) == 3
    assert "autoqec round" in capsys.readouterr().err


def test_a_run_in_which_nothing_is_wrong_says_so(printed):
    assert printed("diagnose", "r-early") == (0, "r-early: nothing is wrong\n", "")


def test_it_imports_neither_torch_nor_stim(lab):
    code = (
        "import sys; from autoqec.cli.main import run; assert run(['diagnose', 'r-abcd']) == 0;"
        "assert not {'torch', 'stim', 'pymatching', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=lab, check=True, capture_output=True, env={**os.environ})


def test_every_cause_has_a_row_in_the_page(request):
    page = (request.config.rootpath / "docs/diagnose.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert sorted(listed) == sorted((name, cause.severity) for name, cause in CAUSES.items())


def test_when_patience_ends_the_first_cause_is_said(autoqec_lab, monkeypatch, capsys):
    agent = ScriptedAgent({"ideator": [{"text": ""}] * 8})
    registry = load_plugins()
    registry.entries["agent", "scripted"] = Registration("agent", "scripted", lambda: agent, {}, "test", "test 0")
    monkeypatch.setattr("autoqec.plugins.load_plugins", lambda: registry)
    code = run(["round", "--rounds", "4", "--patience", "3", "--ideator", "scripted", "--quiet"])
    err = capsys.readouterr().err
    assert code == 1
    assert "stopped: none of the last 3 rounds was VERIFIED; see autoqec diagnose tiny-" in err
    assert "repeated_failure: Several rounds failed for the same cause. (reply_unusable in 3 of 3 rounds" in err
    assert "  next: fix it in all following rounds: autoqec show tiny-" in err
