"""A comparison of decoders is printed within 80 columns, with all that a reader must know, and nothing drives the terminal."""

from dataclasses import replace

import pytest
from printed_samples import large_comparison

from autoqec.results.comparison_replay import Differs, Replay
from autoqec.results.decoder_comparison import (
    ComparedDecoder,
    ComparedPart,
)
from autoqec.views.decoders_progress import DecodersDisplay
from autoqec.views.decoders_text import comparison_lines, markdown_lines, print_replay, replay_object


@pytest.fixture
def large():
    return large_comparison()


def test_it_fits_80_columns_and_has_no_trailing_spaces(large):
    for line in comparison_lines(large):
        assert len(line) <= 80, line
        assert line == line.rstrip()


def test_nothing_counted_yet_is_a_table_too(large):
    for lines in (comparison_lines(replace(large, parts=())), markdown_lines(replace(large, parts=()))):
        assert any("0 shots" in line or "| – |" in line for line in lines)


def test_progress_names_what_is_counted_and_a_quiet_one_nothing(large, capsys):
    for quiet in (False, True):
        with DecodersDisplay(quiet=quiet, shots=1000, seconds=60.0, clock=lambda: 0.0) as display:
            display.event("start", "", large)
            display.event("time", "mwpm", large)
            for _ in range(3):
                display.event("count", "", large)
            display.replayed(1, 10)
        captured = capsys.readouterr()
        assert captured.out == ""
        said = [
            "starting 5 decoders",
            "measuring the time of mwpm",
            "counting failures, at most 1,000 shots or 60 s",
            "counting again",
        ]
        assert captured.err.splitlines() == ([] if quiet else said)


def test_progress_goes_on_in_a_log(large, capsys):
    now = [0.0]
    with DecodersDisplay(clock=lambda: now[0]) as display:
        for now[0] in (0.0, 30.0, 61.0, 70.0):
            display.event("count", "", large, {"osd": 7})
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "counting failures"
    assert said[1].startswith("counting failures: 987,654,321 shots, failures ")
    assert said[1].endswith(", all pairs decided, osd +7")
    assert said[2:] == ["counting failures: done in 70 s"]


def test_it_says_all_that_a_reader_must_know(large):
    text = " ".join(" ".join(comparison_lines(large)).split())
    for told in (
        "987,654,321 shots, the same for all decoders; stopped: the time is over",
        "2 is the baseline",
        "2 is sinter:a_module_of_a_package:AndAClassThatIsLong:x=[1, 2]",
        "4 failed after 4,096 shots, hang: no progress",
        "(their.py, line 7); wait",
        "5 decodes the first 4,096 shots only, as was asked",
        "3 was trained at another size of its code; its weights are carried to this one",
        "1 was trained at other error rates of the same graph; its weights are carried to this one",
        "2 gave no valid answer to 3 shots, which count as failures",
        "and 3 other sets",
        "each needs an e-value of 200 (Bonferroni",
        "a gain of 3 % or more is ruled out",
        "circuit sha256 " + "ab" * 32,
        "shots by key " + "cd" * 32,
        "package-8 1.2.3",
    ):
        assert told in text, told
    assert "\x1b" not in text


def test_an_interval_that_includes_what_the_word_rules_out_is_explained(large):
    def told(base_only, other_only):
        failed = {"1": base_only, "2": other_only, "3": 28}
        part = ComparedPart(4000, "0" * 64, 3, failed, ("",) * 2, (0,) * 2, (1.0,) * 2)
        found = replace(large, decoders=(ComparedDecoder("mwpm", {}), ComparedDecoder("pymatching", {})), parts=(part,))
        found = replace(found, baseline=0)
        return next(found.pairs()), " ".join(" ".join(comparison_lines(found)).split())

    pair, text = told(28, 9)  # e = 24, and 20 are needed
    assert (pair.word, pair.interval[1] > 1) == ("better", True)
    assert "stops: it needs an e-value of 20" in text
    assert "An interval has two ends, each at half the level" in text
    pair, text = told(80, 9)
    assert (pair.word, pair.interval[1] < 1) == ("better", True)
    assert "two ends" not in text


def test_rates_are_converted_to_the_unit_that_is_asked_for(large):
    halves = comparison_lines(large, ("round", lambda rate: rate / 2))
    rate = large.rate(0)
    assert any(f"{rate.rate / 2:.3e}" in line and f"{rate.low / 2:.3e}" in line for line in halves)
    assert any("LER per round" in line for line in halves)


def test_tables_of_markdown_have_as_many_cells_as_columns(large):
    rows = [line for line in markdown_lines(large) if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {11}
    assert "\x1b" not in "".join(rows)


def test_a_replay_says_what_differs(large, capsys):
    there = Differs(256, 5, 4, "it failed 5 shots, not 4")
    print_replay(Replay(large, 10, 512, {"mwpm": there}, {"stim": ("1", "2")}, {"mwpm": "old there, new here"}))
    text = capsys.readouterr().out
    for told in (
        "from shot 512 on",
        "mwpm differs in the part that begins at shot 256",
        "stim is 1 in the file and 2 here",
        "gave no answers there (hang), and was not tried again",
    ):
        assert told in " ".join(text.split())
    same = Replay(large, large.total, None, {}, {}, {})
    print_replay(same)
    assert "all shots and all answers are the same" in " ".join(capsys.readouterr().out.split())
    assert replay_object(same)["same"] is True
