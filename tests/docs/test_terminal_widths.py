"""What the reading commands print about recorded labs fits the terminal, and no line ends in spaces."""

import subprocess

import pytest
from document_blocks import make_lab
from rich.cells import cell_len

from autoqec.cli.main import run

LABS = ("recorded", "own-circuit", "killed", "ungated")
VIEWS = ("log", "log --graph", "pareto", "diagnose", "fsck", "env list", "agents list", "plugins --metadata")


@pytest.fixture(scope="module", params=LABS)
def recorded(request, tmp_path_factory):
    """A recorded lab, and the branches of its rounds."""
    folder = tmp_path_factory.mktemp("labs") / request.param
    make_lab(request.param, folder)
    listed = ["git", "-C", folder, "for-each-ref", "--format=%(refname:short)", "refs/heads/exp"]
    return folder, subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_every_view_fits(recorded, width, monkeypatch, capsys):
    folder, rounds = recorded
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", str(width))
    for command in [*VIEWS, *(f"show {name}" for name in rounds)]:
        run(command.split())
        printed = capsys.readouterr().out
        assert printed, command
        wrong = [line for line in printed.splitlines() if line != line.rstrip() or cell_len(line) > width]
        assert wrong == [], command
