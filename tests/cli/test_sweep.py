"""`autoqec sweep` as a person types it."""

import json
import os
import shlex

import pytest

from autoqec.cli.main import _what_is_left, cli
from autoqec.cli.main import run as run_command
from autoqec.comparing import compare_decoders, sweeping
from autoqec.results.sinter_rows import read_rows
from autoqec.testing import TINY_ENVIRONMENT


def test_a_sweep_outside_any_lab_from_the_first_line_to_the_plot(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "tiny.yaml").write_text(TINY_ENVIRONMENT)
    arguments = ["sweep", "mwpm", "--env", "./tiny.yaml", "--p", "0.01,0.02", "--max-shots", "600", "--jobs", "1"]
    assert run_command([*arguments, "--plot", "sweep.html"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0] == "checking ./tiny.yaml and mwpm"
    assert "2 environments, 1 decoder: 2 of 2 points to count, 1 worker; counts are in sweep_tiny.csv" in " ".join(
        err.split()
    )
    assert "2/2 mwpm, p = 0.02: " in err
    assert err.splitlines()[-1] == "wrote sweep.html"
    assert out.startswith("mwpm\n")
    rows = read_rows((tmp_path / "sweep_tiny.csv").read_text(), name="counts")
    assert [row.json_metadata["p"] for row in rows if row.shots] == [0.01, 0.02]
    assert "</svg>" in (tmp_path / "sweep.html").read_text()

    assert run_command([*arguments, "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    points = [json.loads(line) for line in out.splitlines()]
    assert [(each["p"], each["shots"] <= 600) for each in points] == [(0.01, True), (0.02, True)]
    assert err == ""


def test_wrong_use_is_told_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for more, said in (
        (["--plot", "sweep.gif"], "must end in .png, .svg, .pdf, .html"),
        (["--p", "1e-3:1e-2"], "FROM:TO:HOW_MANY"),
        (["--set", "code.distance=4.5"], "with distance = 4.5: code.distance"),
        (["--relative-error", "7"], "between 0.001 and 1"),
        (["--csv", "none/counts.csv"], "cannot be written"),
    ):
        assert run_command(["sweep", "mwpm", "--env", "surface_d5_depol", *more]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert run_command(["sweep", "mwpm", "--env", "nowhere"]) == 3
    assert list(tmp_path.iterdir()) == []


def test_the_hint_after_an_interruption_is_the_command():
    given = ["sweep", "mwpm", "--env", "my env.yaml", "--set", "noise.p=[1e-3, 2e-3]"]
    said = _what_is_left(given)
    assert "what was counted is kept" in said
    assert shlex.split(said.partition("Continue with: ")[2]) == ["autoqec", *given]


@pytest.mark.parametrize("command", ["compare", "sweep"])
def test_workers_are_those_of_the_settings(command, tmp_path, monkeypatch):
    """As for every command with `--jobs`: the option, then the variable; 0 are the processors that this process may use."""
    seen, stop = [], RuntimeError("enough")

    def begun(*given, **more):
        seen.append(more["jobs"] if "jobs" in more else given[2].jobs)
        raise stop

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare_decoders, "compare", begun)
    monkeypatch.setattr(sweeping, "plan_sweep", begun)
    monkeypatch.setenv("AUTOQEC_JOBS", "3")
    for more in ([], ["--jobs", "2"], ["--jobs", "0"]):
        with pytest.raises(RuntimeError):
            cli([command, "mwpm", "pymatching", "--env", "surface_d3_depol", "-q", *more], standalone_mode=False)
    assert seen == [3, 2, len(os.sched_getaffinity(0))]
