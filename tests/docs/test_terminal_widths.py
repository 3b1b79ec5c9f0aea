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
        lines = printed.splitlines()
        assert [line for line in lines if line != line.rstrip()] == [], command
        # The hints of fsck stay whole, so that you can copy the commands in them.
        wide = [
            line for line in lines if cell_len(line) > width and not line.startswith(("  hint: ", "  --repair would: "))
        ]
        assert wide == [], command
