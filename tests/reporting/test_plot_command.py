"""`autoqec plot` draws what is asked for, beside its numbers, and says what it cannot draw."""

import csv
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from autoqec.cli.main import run
from autoqec.errors import NotFoundError, UsageError
from autoqec.reporting.lab_charts import chosen_environment
from autoqec.testing import figures, make_tiny_lab, record_round, record_run
from autoqec.testing.whole_notes import whole_metrics


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs on one environment: a VERIFIED round and its trained child; one round of another run."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("plots") / "lab")
    first, second = record_run(ledger, "tiny-abcd"), record_run(ledger, "tiny-efgh")
    told = figures(delta_ler=0.006, delta_ler_ci=[0.0059, 0.0061], flops_per_shot=2000, params=20)
    verdict = {"verdict": "VERIFIED", "reason": "better", **told}
    parent = record_round(ledger, first, {}, metrics=told, verdict=verdict)
    curve = [{"step": step, "loss": 1 / (1 + step)} for step in range(5)]
    trained = whole_metrics(0.003, training={"loss": "bce", "points": curve, "validation": curve[::2], "steps": 5})
    record_round(ledger, first, {"output.yaml": b"mode: hard_flip\n"}, metrics=trained, parents=(parent,))
    record_round(ledger, second, {"training.yaml": b"shots: 5\n"}, metrics=figures())
    return ledger.workdir


@pytest.fixture
def plot(folder, tmp_path, monkeypatch, capsys):
    """Runs the command in the lab and returns its exit code, output and messages."""
    monkeypatch.chdir(folder)

    def ran(*arguments):
        code = run(["plot", *arguments])
        return (code, *capsys.readouterr())

    return ran


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_picture_and_numbers_are_written_and_named(plot, tmp_path):
    code, out, err = plot("climb", "-o", str(tmp_path / "c.svg"))
    assert (code, out, err) == (0, "", f"wrote {tmp_path}/c.svg and {tmp_path}/c.csv\n")
    rows = rows_of(tmp_path / "c.csv")
    assert [row["round"] for row in rows] == ["tiny-abcd/1", "tiny-abcd/2", "tiny-efgh/1"]
    assert rows[2]["best_round"] == "tiny-abcd/1"
    assert (tmp_path / "c.svg").read_text().count("<title>") == 6


def test_a_run_is_a_part_of_the_rounds(plot, tmp_path):
    code, out, _ = plot("forks", "tiny-efgh", "--json", "-o", str(tmp_path / "f.png"))
    told = json.loads(out)
    assert (code, told["schema"], told["rows"]) == (0, "autoqec.plot/1", 1)
    assert told["environment"].startswith("tiny@")
    assert [row["round"] for row in rows_of(tmp_path / "f.csv")] == ["tiny-efgh/1"]


def test_rounds_by_name_and_those_that_have_nothing_to_show(plot, tmp_path):
    code, _, err = plot("learning", "exp/tiny-abcd/2", "tiny-efgh/1", "-o", str(tmp_path / "l.svg"))
    assert code == 0
    assert "the record has nothing for it of tiny-efgh/1" in err
    assert {row["round"] for row in rows_of(tmp_path / "l.csv")} == {"tiny-abcd/2"}


def test_without_a_file_it_is_named_after_chart_and_environment(plot, folder):
    try:
        assert plot("front")[0] == 0
        assert (folder / "front_tiny.csv").exists()
    finally:
        for each in folder.glob("front_tiny.*"):
            each.unlink()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gap"], 3, "nothing to plot: no verdict has a reference near maximum likelihood"),
        (["gap"], 3, "pip install tesseract-decoder"),
        (["learning", "tiny-efgh"], 3, "nothing to plot: no curve is recorded"),
        (["learning", "tiny-efgh"], 3, "autoqec show ROUND says what was trained"),
        (["front", "tiny-abcd/1"], 2, "autoqec plot front tiny-abcd"),
        (["front", "tiny-abcd", "tiny-efgh"], 2, "a chart is of one run or of rounds"),
        (["rates", "tiny-abcd/9"], 3, "tiny-abcd"),
        (["rates", "nope"], 3, "there is no run 'nope'"),
        (["front", "--env", "nope"], 3, "nope"),
        (["front", "-o", "front.gif"], 2, "-o front.gif: the file must end in .png, .svg, .pdf"),
        (["front", "-o", "none/front.svg"], 2, "none/front.svg cannot be written"),
        (["pie"], 2, "pie"),
    ],
)
def test_what_cannot_be_drawn_is_said_and_nothing_is_written(plot, folder, arguments, code, said):
    before = sorted(folder.iterdir())
    ended, out, err = plot(*arguments)
    assert (ended, out) == (code, "")
    assert said in " ".join(err.split())
    assert sorted(folder.iterdir()) == before


def test_a_lab_without_rounds_says_how_to_begin(tmp_path, monkeypatch, capsys):
    make_tiny_lab(tmp_path / "lab")
    monkeypatch.chdir(tmp_path / "lab")
    assert run(["plot", "front"]) == 2
    assert "has no rounds yet" in capsys.readouterr().err


def two_environments():
    """A lab whose latest run is on the first environment by name."""

    def environment(name, *rounds):
        told = [SimpleNamespace(name=each, row=SimpleNamespace(run=each.partition("/")[0])) for each in rounds]
        return SimpleNamespace(key=f"{name}@12", name=name, rounds=told, by_name={each.name: each for each in told})

    runs = [SimpleNamespace(name=name) for name in ("old", "new")]
    return SimpleNamespace(runs=runs, environments=(environment("a", "new/1"), environment("b", "old/1", "old/2")))


def test_of_several_environments_the_latest_run_decides_or_the_rounds():
    lab = two_environments()
    assert chosen_environment(lab, ()).name == "a"
    assert chosen_environment(lab, ("old/2",)).name == "b"
    with pytest.raises(UsageError, match="on several environments: a@12, b@12"):
        chosen_environment(lab, ("old/2", "new/1"))
    with pytest.raises(NotFoundError, match="old/3 is on another environment"):
        chosen_environment(lab, ("old/3",))


def test_it_says_which_environment_it_drew_and_what_else_there_is(plot, tmp_path, monkeypatch):
    from autoqec.reporting import lab_charts

    drawn = lab_charts.lab_chart
    monkeypatch.setattr(lab_charts, "lab_chart", lambda *a, **k: replace(drawn(*a, **k), others=("other@12",)))
    code, _, err = plot("climb", "-o", str(tmp_path / "c.svg"))
    assert code == 0
    assert re.search(r"climb of tiny@\w+; there are rounds on other@12 too: --env shows them", " ".join(err.split()))
    assert "other@12" not in plot("climb", "tiny-abcd", "-o", str(tmp_path / "c.svg"))[2]
