"""What the reading commands print about recorded labs fits the terminal: no number is cut, and nothing in it is Python."""

import re
import subprocess

import pytest
from document_blocks import make_lab
from printed_numbers import numbers
from rich.cells import cell_len

from autoqec.cli.main import run

LABS = ("recorded", "own-circuit", "killed", "ungated")
VIEWS = ("log", "log --graph", "pareto", "diagnose", "fsck", "env list", "agents list", "plugins --metadata", "plugins",
         "doctor")  # fmt: skip

#: What Python calls things, and no reader asked for.
PYTHON = re.compile(
    r"\b(None|True|False)\b|<class |<[\w.]+ (object )?at 0x|\(\s*'|\[\s*'|\{\s*'|Traceback|\bPosixPath|\bdtype\b"
    r"|\b[A-Z]\w+(Error|Exception)\b|autoqec(_plugins)?\.\w+"
)


@pytest.fixture(scope="module", params=LABS)
def recorded(request, tmp_path_factory):
    """A recorded lab, and the branches of its rounds."""
    folder = tmp_path_factory.mktemp("labs") / request.param
    make_lab(request.param, folder)
    listed = ["git", "-C", folder, "for-each-ref", "--format=%(refname:short)", "refs/heads/exp"]
    return folder, subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def commands(recorded, folder_name):
    views = VIEWS if folder_name == "recorded" else VIEWS[:5]  # the others say the same of each lab
    return [*views, *(f"show {name}" for name in recorded[1]), f"show --full {recorded[1][-1]}",
            f"review {recorded[1][0]}..{recorded[1][-1]}"]  # fmt: skip


@pytest.fixture(scope="module")
def wide(recorded):
    """What each command prints where there is room."""
    from contextlib import redirect_stdout
    from io import StringIO

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(recorded[0])
        patch.setenv("COLUMNS", "2000")
        for command in commands(recorded, recorded[0].name):
            with redirect_stdout(StringIO()) as printed:
                run(command.split())
            found[command] = printed.getvalue()
    return found


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_view_fits(recorded, wide, width, monkeypatch, capsys):
    monkeypatch.chdir(recorded[0])
    monkeypatch.setenv("COLUMNS", str(width))
    for command, whole in wide.items():
        run(command.split())
        printed = capsys.readouterr().out
        assert printed, command
        lines = printed.splitlines()
        assert [line for line in lines if line != line.rstrip()] == [], command
        # What you copy stays whole: the commands of a review and of the hints of fsck, and folders outside of the lab.
        copied = ("  hint: ", "  --repair would: ", "in /", "autoqec ")
        assert [line for line in lines if cell_len(line) > width and not line.startswith(copied)] == [], command
        assert numbers(printed) - numbers(whole) == set(), command
        assert str(recorded[0]) not in printed.replace(f"lab  {recorded[0]}", "") or command == "doctor"


def test_nothing_that_is_printed_is_python(wide):
    for command, printed in wide.items():
        found = [line for line in printed.splitlines() if PYTHON.search(line.replace("config.toml", ""))]
        assert found == [], command
