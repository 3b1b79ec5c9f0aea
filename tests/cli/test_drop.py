"""`autoqec drop`: what it prints, and that every list agrees with it."""

import json
import shutil

import pytest

from autoqec.cli.main import run


@pytest.fixture
def copied(lab, tmp_path, monkeypatch):
    """The lab once more, to be changed: its rounds as printed."""
    shutil.copytree(lab[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return lab[1]


@pytest.fixture
def told(capsys):
    def tell(*args):
        code = run(list(args))
        found = capsys.readouterr()
        return code, found.out, found.err

    return tell


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_a_round_leaves_every_list_and_comes_back(copied, told):
    first, second = copied
    name = f"{first['run']}/1"
    listed = told("log")
    code, out, err = told("drop", first["branch"], "-m", "a \x1b[2Jslip\nof the pen")
    assert (code, out) == (0, f"dropped {name}\n")
    assert f"autoqec drop --restore {name} brings it back" in err
    if first["commit"] in second["fork_from"] or name in second["fork_from"]:
        assert f"{first['run']}/2 starts from {name} and stays" in err
    assert [item["round"] for item in lines(told("log", "--json")[1])] == [2]
    assert "1 round dropped: autoqec log --dropped" in told("log")[2]
    assert name not in told("pareto")[1]
    code, _, err = told("show", first["branch"])
    assert (code, f"autoqec drop --restore {name}" in err) == (3, True)
    code, out, err = told("log", "--dropped")
    assert (code, out.startswith(f"{name}  {first['verdict']}, dropped 2")) == (0, True)
    assert out.endswith(": a \\x1b[2Jslip of the pen\n")
    (item,) = lines(told("log", "--dropped", "--json")[1])
    assert (item["schema"], item["run"], item["round"], item["rounds"]) == ("autoqec.drop/1", first["run"], 1, [1])
    assert item["verdicts"] == {first["verdict"]: 1}
    assert told("fsck")[0] == 0
    (item,) = lines(told("drop", "--restore", name, "--json")[1])
    assert (item["restored"], item["rounds"]) == (True, [1])
    assert told("log") == listed


def test_a_run_leaves_every_list_and_nothing_of_it_is_used_again(copied, told):
    name = copied[0]["run"]
    assert told("drop", name)[:2] == (0, f"dropped {name}: 2 rounds\n")
    assert told("log", "--json")[1] == told("pareto", "--json")[1] == ""
    for args in (
        ("log", name),
        ("diagnose", name),
        ("round", "--run", name, "--dry-run"),
        ("archive", name),
        ("drop", name),
    ):
        code, _, err = told(*args)
        assert (code, f"hint: autoqec drop --restore {name} brings it back" in err) == (3, True), (args, err)
    assert told("log", "--dropped", name)[1].startswith(f"{name}  2 rounds, ")
    assert told("log", "--dropped", "nobody-abcd")[0] == 3
    assert told("drop", "--restore", name)[:2] == (0, f"restored {name}: 2 rounds\n")
    assert [item["round"] for item in lines(told("log", "--json")[1])] == [1, 2]
    assert told("log", "--dropped")[1:] == ("", "nothing is dropped\n")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["drop", "no such/7"], 2), (["drop", "NoRun"], 2), (["drop", "nobody-abcd"], 3), (["drop", "nobody-abcd/1"], 3),
        (["drop", "--restore", "nobody-abcd"], 3), (["drop", "--restore", "nobody-abcd", "-m", "x"], 2), (["drop"], 2),
        (["log", "--dropped", "--graph"], 2), (["log", "--dropped", "--verdict", "none"], 2),
    ],
)  # fmt: skip
def test_what_cannot_be_dropped_is_said_with_a_hint(here, told, args, code):
    found, out, err = told(*args)
    assert (found, out, "hint: " in err) == (code, "", True)


@pytest.fixture
def here(lab, monkeypatch):
    monkeypatch.chdir(lab[0])
