"""Tables at any width: figures are never cut; words give way."""

import pytest

from autoqec.testing import figures
from autoqec.views.round_json import RoundRow
from autoqec.views.tables import print_front, print_log, print_outcome

FIGURES = figures()


def item(number, **changes):
    base = {
        "run": "surface-d5-depol-iyfh", "round": number, "branch": "b", "commit": "c" * 40, "env": "surface_d5_depol",
        "env_id": "0" * 64,
        "status": "ok", "reason": None, "verdict": "VERIFIED", "metrics": FIGURES, "references": {}, "holdout": FIGURES,
        "hypothesis": "words " * 30, "fork_from": [], "compose": "none", "dominates": [], "confirmed": False,
    }  # fmt: skip
    told = base | changes
    return RoundRow.from_json(told)


@pytest.mark.parametrize("width", [40, 80, 100, 125, 250])
@pytest.mark.parametrize("show", [print_log, print_front])
def test_figures_are_whole_at_any_width(show, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    show([item(1), item(2)])
    out = capsys.readouterr().out
    for figure in ("0.00995", "-29.5 %", "+4.15 [+3.40, +4.90]", "2.1M", "969"):
        assert out.count(figure) == 2
    assert ("words" in out) == (width >= (100 if show is print_log else 125))


def test_a_failed_round_shows_how_it_failed(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    print_log(
        [item(1, status="train_error", verdict=None, metrics=None, holdout=None, reason="it diverged", hypothesis=None)]
    )
    out = capsys.readouterr().out
    assert "train_error" in out
    assert "it diverged" in out


def test_words_of_others_do_not_drive_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    print_log([item(1, hypothesis="\x1b[2J[red]x[/red]")])
    assert "\\x1b[2J[red]x[/red]" in capsys.readouterr().out


def test_all_lines_of_a_paragraph_about_a_round_are_indented(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    print_outcome(item(1))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert all(line.startswith("  ") for line in lines[1:])
    assert [line for line in lines if line.endswith(" ") or len(line) > 80] == []


def test_an_empty_lab_says_what_to_do(capsys):
    print_log([])
    print_front([])
    assert "autoqec round" in capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 120])
def test_confirmed_members_of_the_front_are_marked(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_front([item(1, confirmed=True), item(2)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] == "*" for line in lines[2:4]] == [True, False]
    assert lines[-1].startswith("* confirmed:")
    print_front([item(2)])
    assert "*" not in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 100])
def test_a_front_with_room_for_it_shows_the_bytes_of_candidates(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_front([item(1, holdout=FIGURES | {"bytes": 4588}), item(2)])
    out = capsys.readouterr().out
    assert ("4.6k" in out) == ("bytes" in out) == (width == 100)
