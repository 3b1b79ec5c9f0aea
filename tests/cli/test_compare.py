"""One comparison that is really run, interrupted and gone on with."""

import json

import pytest

from autoqec.cli.main import run
from autoqec.history import list_runs, open_ledger
from autoqec.testing import make_tiny_lab


def lines(capsys, *more):
    code = run(["agents", "compare", "--agents", "search,random", "--rounds", "1", "--seeds", "1", "--json", *more])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.slow
def test_a_round_each_then_nothing_more(tmp_path, monkeypatch, capsys):
    make_tiny_lab(tmp_path / "lab")
    monkeypatch.chdir(tmp_path / "lab")
    code, items, err = lines(capsys)
    assert code == 0
    assert "cmp-tiny-search-s1/1" in err
    assert [item.get("agent") for item in items] == ["search", "random", None]
    assert all(item["rounds"] == 1 for item in items[:2])
    seeds = {made.settings["seed"] for made in list_runs(open_ledger("."))}
    assert len(seeds) == 1, "equal seeds"
    assert lines(capsys)[1:] == (items, "")


def test_a_budget_that_is_spent_ends_an_arm_and_no_other(tmp_path, monkeypatch, capsys):
    make_tiny_lab(tmp_path / "lab")
    monkeypatch.chdir(tmp_path / "lab")
    code, items, err = lines(capsys, "--max-wall", "0.001")
    assert code == 4
    assert err.count("max_wall are spent") == 2
    assert [item["rounds"] for item in items[:2]] == [0, 0]
