"""`autoqec export`, and sinter run from inside a lab: rounds that were really trained."""

import csv
import json
import os
import subprocess
import sys

import pytest

from autoqec.cli.main import run
from autoqec.exchange.folder import open_folder


@pytest.fixture
def here(lab, monkeypatch):
    monkeypatch.chdir(lab[0])
    return lab


def printed(capsys, *args):
    code = run(list(args))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_round_is_exported(here, tmp_path, capsys):
    branch, commit = here[1][0]["branch"], here[1][0]["commit"]
    code, out, _ = printed(capsys, "export", branch, "--to", str(tmp_path / "out"), "--json")
    manifest = json.loads(out)
    assert (code, manifest["schema"]) == (0, "autoqec.export/1")
    assert (manifest["round"], manifest["commit"], manifest["verdict"]) == (branch, commit, here[1][0]["verdict"])
    assert open_folder(tmp_path / "out").package.digest == manifest["digest"]
    code, out, _ = printed(capsys, "export", branch, "--to", str(tmp_path / "again"))
    assert code == 0
    assert f"{branch} ({manifest['verdict']}), digest {manifest['digest'][:12]}" in out
    assert "sinter collect --custom_decoders_module_function predecoder:decoders" in out


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("exp/nowhere/1", 3, "there is no run"),
        ("nonsense", 2, "does not name a round"),
        (None, 2, "is not an empty folder"),
    ],
)
def test_what_cannot_be_exported_says_why(here, tmp_path, capsys, name, code, words):
    folder = tmp_path / "out"
    if name is None:
        folder.mkdir()
        (folder / "thesis.tex").touch()
    got, out, err = printed(capsys, "export", name or here[1][0]["branch"], "--to", str(folder))
    assert (got, out) == (code, "")
    assert words in err
    assert [path.name for path in folder.rglob("*")] == (["thesis.tex"] if name is None else [])


@pytest.mark.slow
def test_sinter_collects_by_the_name_of_a_round(here, tmp_path, capsys):
    branch = here[1][0]["branch"]
    printed(capsys, "export", branch, "--to", str(tmp_path / "out"))
    start = "from sinter._command._main import main; import sys; main(command_line_args=sys.argv[1:])"
    wanted = ["--decoders", f"autoqec:{branch}", "autoqec:mwpm", "--max_shots", "20000", "--processes", "1", "--quiet"]
    for folder, module in ((here[0], "autoqec.sinter:decoders"), (tmp_path / "out", "predecoder:decoders")):
        extra = wanted if folder == here[0] else [wanted[0], wanted[1], *wanted[3:]]
        command = ["collect", "--circuits", str(tmp_path / "out/circuit.stim"), *extra, "--save_resume_filepath"]
        table = tmp_path / f"{folder.name}.csv"
        done = subprocess.run(
            [sys.executable, "-c", start, *command, str(table), "--custom_decoders_module_function", module],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        rates = {}
        for row in csv.DictReader(table.read_text().splitlines(), skipinitialspace=True):
            shots, errors = rates.get(row["decoder"], (0, 0))
            rates[row["decoder"]] = shots + int(row["shots"]), errors + int(row["errors"])
        shots, errors = rates[f"autoqec:{branch}"]
        assert shots == 20_000
        # The rate is the one that was scored, within five standard errors.
        assert abs(errors / shots - here[1][0]["metrics"]["ler_candidate"]) < 5 * (0.03 / shots) ** 0.5
