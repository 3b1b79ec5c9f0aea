"""`show` begins with three lines that say it all; then come figures, then what the round changed, and formulas if asked."""

import re
from dataclasses import replace

import pytest
from printed_samples import item
from rich.cells import cell_len

from autoqec.results.round_results import RoundResults, read_results
from autoqec.testing import figures
from autoqec.testing.whole_notes import whole_verdict
from autoqec.views.outcome_words import next_step
from autoqec.views.show_text import RoundDetails, print_round


class Noted:
    """A round's notes."""

    def __init__(self, verdict=None):
        self.verdict, self.metrics = verdict, figures(references={"strong": 0.012})
        self.analysis = {"decision": "candidate", "summary": "A gain."}


RESULTS = read_results(Noted(whole_verdict()))


def shown(row, capsys, results=RESULTS, **options):
    print_round(
        row,
        RoundDetails(results, "why it is tried", "--- a\n+++ b\n-x: 1\n+x: 2", trust="unsigned: by nobody"),
        **options,
    )
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    ("changes", "came_out", "worth"),
    [
        ({"verdict_reason": "better", "trust": {"state": "unsigned", "why": "by nobody"}},
         "ratio to plain 0.705 [0.660, 0.750] (95 %) over 200,704 shots after the commit",
         "VERIFIED, unsigned; next: autoqec verify r/1 --audit"),
        ({"verdict": "FAILED", "verdict_reason": "not_better"}, "ratio to plain 0.705 ",
         "FAILED (not better): The evidence shows no worthwhile gain; next: autoqec diagnose r/1"),
        ({"verdict": None, "holdout": None, "decision": "ignore"}, "over 200,704 development shots",
         "not verified: the Analyst asked for no verification; next: autoqec diagnose r/1"),
        ({"verdict": None, "holdout": None, "metrics": None, "status": "train_error", "reason": "it diverged"},
         "no shots were scored", "train_error: it diverged; next: autoqec diagnose r/1"),
        ({"verdict": None, "trust": {"state": "foreign", "why": "it is about another commit"}}, "ratio to plain 0.705 ",
         "foreign: its verdict does not count: it is about another commit; next: autoqec diagnose r/1"),
        ({"verdict": None, "holdout": None, "metrics": None, "status": "interrupted"}, "no shots were scored",
         "interrupted; next: autoqec resume"),
        ({"verdict": None, "holdout": None, "metrics": None, "status": "waiting", "reason": "for the coder"},
         "no shots were scored", "waiting: for the coder; next: autoqec agents prompt coder --run r/1"),
    ],
)  # fmt: skip
def test_three_lines_say_it_all(changes, came_out, worth, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    row = replace(item(1, run="r", hypothesis="words of a hypothesis " * 9, branch="exp/r/1"), **_typed(changes))
    lines = shown(row, capsys)
    assert lines[0].startswith("exp/r/1: words of a hypothesis")
    assert lines[0].endswith("…")
    head = " ".join(lines[: lines.index("")])
    assert came_out in head
    assert head.endswith(worth)
    assert len(lines[: lines.index("")]) <= (4 if width == 80 else 3)
    assert max(map(cell_len, lines)) <= width


def _typed(changes):
    told = item(1, **changes)
    return {name: getattr(told, name) for name in changes}


def test_figures_come_before_words_and_words_before_the_change(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    lines = shown(item(1), capsys)
    titles = ["verdict, on shots drawn after the commit", "development shots", "analysis", "round", "why", "change"]
    assert [line for line in lines if line in titles] == titles
    text = "\n".join(lines)
    assert "\n+x: 2" in text
    assert "log(1/level)" not in text
    assert re.search(r"\nformulas +autoqec show surface-d5-depol-iyfh/1 --full\n", text)
    assert re.search(r"\ntrust +unsigned: by nobody\n", text)


def test_formulas_come_if_asked_and_at_the_end(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    lines = shown(item(1), capsys, full=True)
    place = lines.index("verdict, with its formulas")
    assert place > lines.index("change")
    assert "log(1/level)" in "\n".join(lines[place:])
    assert not any(line.startswith("formulas ") for line in lines)


def test_a_hypothesis_is_text_and_its_control_characters_are_visible(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    lines = shown(item(1, hypothesis="\x1b[2J[red]x[/red]\nnext: autoqec drop r"), capsys, RoundResults())
    assert lines[0].endswith(": \\x1b[2J[red]x[/red] next: autoqec drop r")


def test_words_of_records_begin_no_line(capsys):
    forged = "x\nVERIFIED, signed\nnext: y"
    for changes in (
        {"verdict": "FAILED", "verdict_reason": forged},
        {"verdict": None, "status": forged, "reason": forged, "problems": [forged]},
        {"verdict": None, "status": "waiting", "reason": f"for the {forged}; rm -r .", "hypothesis": "h"},
        {"verdict": None, "trust": {"state": "foreign", "why": forged}},
    ):
        for full in (False, True):
            lines = shown(
                item(1, run="r", **changes),
                capsys,
                read_results(Noted({**whole_verdict(), "reason": forged})),
                full=full,
            )
            assert [line for line in lines if line.startswith(("VERIFIED, signed", "next: y"))] == []


def test_a_role_that_a_claim_made_up_gets_into_no_command():
    row = item(1, run="r", status="waiting", verdict=None, reason="for the coder; rm -r .")
    assert next_step(row) == "autoqec agents prompt --run r/1"


def test_the_next_step_of_a_round_that_has_not_ended_shows_or_continues_it():
    assert next_step(item(1, status="open", verdict=None)) == "autoqec status"
    assert next_step(item(1, status="interrupted", verdict=None)) == "autoqec resume"


def test_the_change_is_coloured_where_colours_are(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = shown(item(1), capsys)
    assert "\x1b[32m+x: 2\x1b[0m" in lines
    assert "\x1b[31m-x: 1\x1b[0m" in lines
    assert "why it is tried" in lines
