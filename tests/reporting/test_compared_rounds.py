"""`autoqec review`: two rounds beside each other, in a terminal, as Markdown and as JSON."""

import json
import re
import subprocess

import pytest

from autoqec import history
from autoqec.cli.main import run
from autoqec.errors import NotFoundError, UsageError
from autoqec.reporting.compared_rounds import compared_text, read_review
from autoqec.reporting.recorded_lab import read_round
from autoqec.testing import figures, make_tiny_lab, record_round, record_run

EVIL = "<b>@octocat</b> closes #1\n/close " * 30


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """Round 1 is VERIFIED; round 2 forks it and is shown to be better; round 3 is like round 1; round 4 has no verdict."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("review") / "lab")
    run = record_run(ledger, "tiny-abcd")
    first = None
    for gain, flops, files in (
        (0.002, 2000, {"output.yaml": b"mode: weights\n"}),
        (0.008, 1000, {"output.yaml": b"mode: hard_flip\n", "stages/x/module.py": EVIL.encode()}),
        (0.002, 2000, {"output.yaml": b"mode: weights\n"}),
    ):
        told = figures(delta_ler=gain, flops_per_shot=flops, params=20)
        verdict = {"verdict": "VERIFIED", "reason": "better", **told}
        parents = (first,) if first else ()
        commit = record_round(ledger, run, files, parents=parents, hypothesis=EVIL, metrics=told, verdict=verdict)
        first = first or commit
    record_round(ledger, run, {"output.yaml": b"mode: weights\n"}, parents=(first,))
    return ledger


@pytest.fixture
def command(ledger, monkeypatch, capsys):
    """Run a command in the lab; its exit code, standard output and standard error."""
    monkeypatch.chdir(ledger.workdir)

    def call(*args, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        code = run(list(args))
        return code, *capsys.readouterr()

    return call


def test_a_review_says_which_round_fails_less_often_and_what_it_costs(ledger):
    text = compared_text(read_review(ledger, "tiny-abcd/1..2"))
    assert (
        "`tiny-abcd/2` fails less often than `tiny-abcd/1`: the intervals of their ratios to plain decoding do not overlap"
        in text
    )
    assert "It takes 0.5 times the FLOPs per shot and has as many parameters." in text
    assert "-mode: weights\n+mode: hard_flip" in text
    assert "The round replaces the base on the front: it fails less often and costs no more." in text
    assert "| FLOPs per shot | 2,000 | 1,000 |" in text
    assert text == compared_text(read_review(ledger, "exp/tiny-abcd/1..exp/tiny-abcd/2"))


def test_what_is_not_decided_is_said_with_the_command_that_decides_it(ledger):
    text = compared_text(read_review(ledger, "tiny-abcd/1..3"))
    assert "The record does not decide whether `tiny-abcd/3` fails less often than `tiny-abcd/1`." in text
    assert "autoqec verify --head-to-head tiny-abcd" in text
    assert "The two candidates are the same." in text
    assert "cannot be compared: `there is no verdict with figures of tiny-abcd/4`." in compared_text(
        read_review(ledger, "tiny-abcd/1..4")
    )


def test_a_round_alone_is_compared_with_its_parent_or_with_plain_decoding(ledger):
    assert read_review(ledger, "tiny-abcd/2").base.name == "tiny-abcd/1"
    alone = read_review(ledger, "tiny-abcd/1")
    assert alone.base is None
    assert "starts from the baseline, and is VERIFIED." in compared_text(alone).replace("`", "")


def test_a_parent_that_is_not_here_is_named(ledger, tmp_path):
    """A clone of one branch has the parent's commit, and no round of it."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "-b", "exp/tiny-abcd/2", str(ledger.workdir), str(folder)], check=True)
    pair = read_review(history.open_ledger(folder), "tiny-abcd/2")
    assert pair.base is None
    assert re.search(
        "starts from `[0-9a-f]{40}`, which is no round of this lab, and has no verdict", compared_text(pair)
    )


@pytest.mark.parametrize("asked", ["..tiny-abcd/1", "tiny-abcd/1..", "tiny-abcd/1..2..3", "x..y", "tiny-abcd/1..tiny"])
def test_what_names_no_two_rounds_is_refused(ledger, asked):
    with pytest.raises(UsageError):
        read_review(ledger, asked)


def test_a_round_that_is_not_there_is_named(ledger):
    with pytest.raises(NotFoundError, match="tiny-abcd/9"):
        read_review(ledger, "tiny-abcd/1..9")


def test_a_review_is_cut_to_the_limit_of_a_host(ledger):
    pair = read_review(ledger, "tiny-abcd/1..2")
    whole = compared_text(pair)
    text = compared_text(pair, most=len(whole) - 500)
    assert len(text) <= len(whole) - 500
    assert "of the diff did not fit here: `autoqec review exp/tiny-abcd/1..exp/tiny-abcd/2`." in text


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_shows_the_same_and_no_line_is_too_wide(command, columns):
    code, out, _ = command("review", "tiny-abcd/1..2", columns=columns)
    assert code == 0
    assert all(len(line) <= columns and line == line.rstrip() for line in out.splitlines())
    assert "fails less often" in " ".join(out.split())
    assert "not decided" in out


def test_it_prints_json_and_markdown(command, ledger):
    (told,) = (json.loads(line) for line in command("review", "tiny-abcd/1..2", "--json")[1].splitlines())
    assert (told["schema"], told["comparison"]["word"]) == ("autoqec.review/1", "better")
    assert told["round"] == read_round(ledger, "tiny-abcd/2").row.to_json()
    assert command("review", "tiny-abcd/1..2", "--markdown")[1] == compared_text(read_review(ledger, "tiny-abcd/1..2"))
    assert command("review", "tiny-abcd/1..9")[0] == 3
    assert command("review", "x..")[0] == 2
    assert command("review", "tiny-abcd/1..2", "--markdown", "--json")[0] == 2
