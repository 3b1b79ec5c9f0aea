"""`autoqec init` asks nothing and says what comes next: six commands that exist, in a new lab and in one that has rounds."""

import shlex

import click
import pytest
from rich.cells import cell_len

from autoqec import history
from autoqec.cli.main import cli, run
from autoqec.testing import figures, make_tiny_lab, record_round, record_run
from autoqec.views.guide_text import LabSeen, guide_rows


@pytest.fixture
def lab(tmp_path):
    ledger = make_tiny_lab(tmp_path / "lab")
    made = record_run(ledger, "r-abcd")
    verdict = {"verdict": "VERIFIED", "reason": "better"} | figures(flops_per_shot=10, params=1)
    record_round(ledger, made, {"output.yaml": b"a: 1\n"}, verdict=verdict)
    record_round(ledger, made, {"output.yaml": b"a: 2\n"})
    return ledger


def guide(folder, capsys):
    assert run(["init", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    head, *lines = err.splitlines()
    return head, [line.split("  ")[1] for line in lines], lines


def exists(command):
    """Whether a command line is one: its command and options exist."""
    words = shlex.split(command)[1:]
    found, context = cli, click.Context(cli, info_name="autoqec")
    while isinstance(found, click.Group):
        found, context = found.get_command(context, words[0]), click.Context(found, info_name=words[0], parent=context)
        words = words[1:]
    found.make_context(context.info_name, list(words), parent=context.parent)


def test_a_new_lab_is_told_six_commands_that_exist(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdin", None)  # it asks nothing
    head, commands, lines = guide(tmp_path / "new", capsys)
    assert head == f"lab at {tmp_path / 'new'}; next:"
    assert commands[0] == "autoqec round"
    assert len(lines) == len(commands) == 6
    assert max(map(cell_len, lines)) <= 80
    for command in commands:
        exists(command)


def test_a_lab_that_has_rounds_is_told_what_it_has_and_where_to_go_on(lab, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    refs = history.list_refs(lab, "refs/")
    head, commands, lines = guide(lab.workdir, capsys)
    assert head == f"lab at {lab.workdir}: 1 run, 2 rounds, 1 of them VERIFIED; next:"
    assert commands[:3] == ["autoqec log", "autoqec show r-abcd/2", "autoqec round"]
    assert len(lines) == 6
    assert history.list_refs(lab, "refs/") == refs


def test_what_is_urgent_comes_first(tmp_path):
    seen = LabSeen(tmp_path, 1, 2, 0, "r-abcd/2", unfinished=1, elsewhere="origin", problem="refs/notes/x is damaged")
    rows = guide_rows(seen)
    assert [command for command, _ in rows[:4]] == [
        "autoqec fsck",
        "autoqec resume",
        "autoqec pull origin",
        "autoqec log",
    ]
    assert rows[0][1] == "refs/notes/x is damaged"
    assert rows[1][1] == "1 round was interrupted"
    assert len(rows) == 6


def test_a_damaged_lab_is_one_too(lab, capsys):
    ref = f"{lab.git_dir}/refs/heads/exp/r-abcd/1"
    with open(ref, "w") as file:
        file.write("f" * 40 + "\n")
    head, commands, _ = guide(lab.workdir, capsys)
    assert head.startswith("lab at ")
    assert commands


def test_help_points_to_it_with_and_without_arguments(capsys):
    for arguments in ([], ["--help"]):
        run(arguments)
        told = " ".join("".join(capsys.readouterr()).split())
        assert "New here? `autoqec init DIR` makes a lab and says what comes next" in told
