"""Tables at any width: figures are never cut; words give way."""

import pytest
from printed_samples import FIGURES, GATED, item
from rich.cells import cell_len

from autoqec.results.reasons import REASONS, reason_words, verdict_words
from autoqec.results.reference_ratio import ReferenceRatio
from autoqec.views.figures_text import interval_text, rate_text, reference_text
from autoqec.views.front_json import empty_front
from autoqec.views.log_graph import print_graph
from autoqec.views.tables import print_front, print_log, print_outcome
from autoqec.views.wanted_rounds import Wanted


@pytest.mark.parametrize("width", [40, 80, 100, 125, 250])
@pytest.mark.parametrize("show", [print_log, print_front])
@pytest.mark.parametrize("run", ["r-abcd", "surface-d5-depol-iyfh", "r" * 40])
@pytest.mark.parametrize("found", [FIGURES, GATED])
def test_figures_are_whole_and_the_hypothesis_has_room_from_100_columns_on(
    show, run, found, width, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", str(width))
    signed = {"state": "signed", "why": "by the key of somebody"}
    rows = [
        item(1, run=run, verdict="SUSPICIOUS", trust=signed, confirmed=True, holdout=found),
        item(2, run=run, metrics=found),
    ]
    show(rows)
    out = capsys.readouterr().out
    assert out.count("+4.15 [+3.40, +4.90]") == 2
    figures = ("0.00995", "-29.5 %", "2.1M", "969")
    for figure in figures:
        assert out.count(figure) in (0, 2), "a column is whole, or it is not there"
    assert all(out.count(figure) for figure in figures) or width < 250
    lines = [line for line in out.splitlines() if not line.startswith(("*", "✓"))]
    assert all(cell_len(line) <= width and line == line.rstrip() for line in lines) or width == 40
    if width >= 100:
        place = lines[1].index("hypothesis")
        assert {len(line[place:]) >= 20 and "words" in line[place:] for line in lines[2:]} == {True}


def test_only_below_100_columns_figures_go_before_words(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    print_log([item(1)])
    assert "words" not in (out := capsys.readouterr().out)
    assert "969" in out


def test_a_failed_round_shows_how_it_failed(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    print_log(
        [item(1, status="train_error", verdict=None, metrics=None, holdout=None, reason="it diverged", hypothesis=None)]
    )
    out = capsys.readouterr().out
    assert "train_error" in out
    assert "it diverged" in out


def test_a_round_without_a_verdict_says_why_it_has_none(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    unsure = FIGURES | {"delta_ler_ci": [-0.0001, 0.0049]}
    for metrics, decision, why in (
        (unsure, "ignore", "the Analyst saw no sure gain"),
        (FIGURES, "ignore", "the Analyst asked for no verification"),
        (FIGURES, None, "the Analyst was not asked"),
    ):
        found = item(1, verdict=None, holdout=None, metrics=metrics, decision=decision, analysis="No gain is seen.")
        print_outcome(found)
        out = capsys.readouterr().out
        assert out.splitlines()[0].endswith("  not verified")
        assert f"  not verified: {why}: No gain is seen.\n" in out
        assert "\n  why, and what to do: autoqec diagnose surface-d5-depol-iyfh/1\n" in out
        print_log([found])
        assert "not verified" in capsys.readouterr().out
    print_outcome(item(2, analysis="A gain."))
    assert "Analyst" not in (out := capsys.readouterr().out)
    assert "what to do" not in out


@pytest.mark.parametrize("reason", [name for name, each in REASONS.items() if each.word != "VERIFIED"])
def test_every_word_has_its_reason_in_all_views(reason, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    known = REASONS[reason]
    found = item(1, verdict=known.word, verdict_reason=reason)
    words = verdict_words(known.word, reason)
    assert words == f"{known.word} ({reason_words(reason)})"
    assert "_" not in words
    for show in (print_outcome, lambda row: print_log([row]), lambda row: print_graph([row])):
        show(found)
        assert words in capsys.readouterr().out
    print_outcome(found)
    assert f"  {known.says}\n" in " ".join(capsys.readouterr().out.split("\n    ")) + "\n"


def test_the_ratio_to_the_best_reference_is_said_with_its_interval_and_level(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    row = item(1, holdout=FIGURES | {"references": {"strong": 0.0125, "weak": 0.02}})
    print_outcome(row, ReferenceRatio("strong", 0.0125, 200704, 0.796, (0.75, 0.845)))
    out = capsys.readouterr().out
    assert "  strong 0.01250, weak 0.02000; ratio to strong 0.796 [0.750, 0.845] (95 %) on the same shots\n" in out
    assert "(95 %) over 200,704 shots drawn after the commit" in " ".join(out.split())
    assert reference_text(ReferenceRatio("weighted", 0.0125, 200704, 0.796, None)) == (
        "ratio to weighted 0.796, without an interval, on the same shots"
    )
    assert reference_text(ReferenceRatio("sure", 0.0, 1000, None, None)) == "sure failed none of these 1,000 shots"


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


def test_where_there_is_nothing_to_show_it_says_why(capsys):
    print_log([], none=Wanted().nothing_fits([], None))
    assert capsys.readouterr().out == "No rounds yet. Run one with: autoqec round\n"
    print_log([], none=Wanted(env="tiny", text="a b").nothing_fits([item(1), item(2)], "r-abcd"))
    assert (
        capsys.readouterr().out == "No round of r-abcd fits --env tiny --text 'a b'. There are 2 rounds: 2 VERIFIED.\n"
    )
    print_front([], none=empty_front([], "r-abcd"))
    assert capsys.readouterr().out == "The front is empty: there are no rounds of r-abcd yet.\n"


@pytest.mark.parametrize("width", [40, 120])
def test_confirmed_members_of_the_front_are_marked(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_front([item(1, confirmed=True), item(2)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] == "*" for line in lines[2:4]] == [True, False]
    assert [line for line in lines[4:] if line.startswith("* confirmed:")]
    print_front([item(2)])
    assert "*" not in capsys.readouterr().out


@pytest.mark.parametrize("width", [100, 200])
def test_a_front_with_room_for_it_shows_the_bytes_of_candidates(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_front([item(1, holdout=FIGURES | {"bytes": 4588}), item(2)])
    out = capsys.readouterr().out
    assert ("4.6k" in out) == ("bytes" in out) == (width == 200)


def test_the_closing_line_says_what_the_log_says_of_the_gate(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    row = item(1, metrics=FIGURES | {"sent_on": 0.102}, holdout=FIGURES | {"sent_on": 0.104, "flops_per_shot": 137_062})
    print_outcome(row)
    told = capsys.readouterr().out
    assert "137k FLOPs" in told
    assert "10.4 % of which are sent on" in told
    print_log([row])
    listed = capsys.readouterr().out
    assert "137k  10.4 %" in listed
    assert "10.2" not in told + listed
    assert "passes" not in told
    print_outcome(item(1, metrics=FIGURES, holdout=FIGURES | {"sent_on": 0.104, "passes_per_sent_shot": 3.21}))
    assert "10.4 % of which are sent on and take 3.2 passes each" in capsys.readouterr().out
    print_outcome(item(1, metrics=FIGURES, holdout=FIGURES | {"sent_on": 0.104, "passes_per_sent_shot": 1.0}))
    assert "passes" not in capsys.readouterr().out


def test_low_rates_are_not_printed_as_zero_and_strata_say_so(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    low = FIGURES | {
        "ler_baseline": 1.34e-7,
        "ler_candidate": 9.1e-8,
        "sampling": "stratified",
        "effective_shots": 2.5e9,
    }
    print_outcome(item(1, metrics=FIGURES, holdout=low))
    told = capsys.readouterr().out
    assert "LER 9.1e-08, plain 1.34e-07" in told
    assert "shots drawn after the commit, stratified and worth 2.5e+09 plain ones" in told
    assert rate_text(0.0, 5) == "0.00000"
    assert rate_text(-2e-9, 6, "+") == "-2e-09"
    assert interval_text((1e-9, None), 6) == "[1e-09, ∞]"


def best(number, *, new=True, sure=True, since=0):
    ends = {"ler_ratio": 0.6564, "ler_ratio_ci": [0.614, 0.698]}
    return {"round": f"surface-d5-depol-iyfh/{number}", **ends, "sure": sure, "new": new, "rounds_since": since}


@pytest.mark.parametrize("show", [print_log, print_front])
@pytest.mark.parametrize("width", [80, 120])
def test_the_rounds_that_were_the_best_when_they_came_are_marked(show, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [
        item(1, best_so_far=best(1)),
        item(2, best_so_far=best(1, new=False, since=1)),
        item(3, best_so_far=best(3, sure=False)),
    ]
    show(rows, [("surface_d5_depol", rows[-1].best_so_far)])
    marked = [line for line in capsys.readouterr().out.partition("↑ best VERIFIED")[0].splitlines() if "↑" in line]
    assert len(marked) == 2
    if show is print_log:
        words = [" ↑ sure " in marked[0], " ↑ best " in marked[1]]
        assert words == [True, True]


def test_the_log_ends_with_the_best_round_so_far(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    rows = [item(1, best_so_far=best(1)), item(2, best_so_far=best(1, new=False, since=1))]
    ends = [("surface_d5_depol", rows[-1].best_so_far)]
    print_log(rows, ends)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("↑ best VERIFIED round of its environment when it came")
    assert lines[-1] == "best so far: round 1, ratio 0.656 [0.614, 0.698], 1 round since"
    print_log([rows[1]], [*ends, ("other", rows[0].best_so_far)])
    lines = capsys.readouterr().out.splitlines()
    assert not any("↑" in line for line in lines)
    assert lines[-2].startswith("best so far on surface_d5_depol: 1, ")
    assert lines[-1] == "best so far on other: 1, ratio 0.656 [0.614, 0.698], 0 rounds since"
    print_log([item(1)])
    assert "best so far" not in capsys.readouterr().out


def test_the_time_of_a_shot_is_of_the_same_shots_as_the_flops_beside_it_or_says_that_it_is_not(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    timed, old = FIGURES | {"us_per_shot": 33.4}, FIGURES
    print_outcome(item(1, holdout=timed))
    assert " FLOPs and 33 µs per shot," in capsys.readouterr().out
    print_outcome(item(1, holdout=old))
    assert " FLOPs and 79 µs on development shots per shot," in capsys.readouterr().out
    print_outcome(item(1, holdout=None))
    assert " FLOPs and 79 µs per shot," in capsys.readouterr().out  # all of it is of development shots, and said to be
    print_front([item(1, holdout=timed), item(2, holdout=timed | {"us_per_shot": 12.0})])
    out = capsys.readouterr().out
    assert " µs " in out
    assert "dev." not in out
    assert " 33 " in out
    assert " 79 " not in out
    print_front([item(1, holdout=timed), item(2, holdout=old)])
    out = capsys.readouterr().out
    assert "µs (dev.)" in out
    assert " 33 " not in out


def test_rare_failures_are_shown_and_none_is_said_to_be_none(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    rare = FIGURES | {
        "ler_candidate": 3.2e-6, "ler_baseline": 4.9e-5, "delta_ler": 4.58e-5, "delta_ler_ci": [3.9e-5, 5.3e-5],
    }  # fmt: skip
    print_outcome(item(1, holdout=rare))
    assert "LER 3.2e-06, plain 0.00005 (" in capsys.readouterr().out
    print_log([item(1, holdout=rare)])
    out = capsys.readouterr().out
    assert "3.2e-06" in out
    assert "+0.046 [+0.039, +0.053]" in out
    print_outcome(item(1, holdout=rare | {"sent_on": 2.4e-4, "us_per_shot": 0.42}))
    assert "0.4 µs per shot as the mean of all shots, 0.024 % of which are sent on" in " ".join(
        capsys.readouterr().out.split()
    )
    none = FIGURES | {"ler_candidate": 0.0, "ler_baseline": 0.0, "ler_ratio": None, "ler_ratio_ci": [0.0, None]}
    print_outcome(item(1, holdout=none))
    assert (
        "no failure in 200,704 shots drawn after the commit, with the candidate or without" in capsys.readouterr().out
    )
