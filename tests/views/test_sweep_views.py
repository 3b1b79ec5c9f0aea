"""A sweep as a table, as JSON, as a plot and as a page: complete, in 80 columns, and nobody's text is markup."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from printed_samples import ROUND, place_of, swept

from autoqec.errors import UsageError
from autoqec.reporting.pages.sweep_page import plot_sweep, write_page
from autoqec.results.sweep_records import LeftOut, Sweep, SweepProgress
from autoqec.views.line_styles import MARKERS, power_of_ten
from autoqec.views.sweep_plot import draw, plot_notes, svg_of
from autoqec.views.sweep_progress import SweepDisplay
from autoqec.views.sweep_text import print_sweep, sweep_objects
from autoqec.views.sweep_words import left_out_words


def test_the_table_fits_80_columns_and_says_what_is_left_out(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = swept(decoders=("mwpm", "osd:method=osd_cs,order=10,bp_iterations=30", ROUND))
    print_sweep(found)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    text = "\n".join(lines)
    assert re.search(r"0\.002 +5 +\d+/20,000\* +0\.\d+ \[", text)
    assert "* the limit of shots was reached before the target" in text
    assert "mwpm: the rates per shot of distances 3 and 5 cross at p = 0.00" in text
    joined = " ".join(text.split())
    assert f"{ROUND} is left out at distance = 3: it was trained for d5, and its weights fit no other problem" in joined
    assert joined.count("is left out") == 1
    assert re.search(r"0\.002 +3, 5 +\d+\.\d+ \[\d", text)


def test_json_has_every_point_factor_crossing_and_what_is_left_out():
    found = swept()
    objects = [json.loads(json.dumps(each, allow_nan=False)) for each in sweep_objects(found)]
    kinds = [each["schema"].split("_")[1].split("/")[0] for each in objects]
    assert kinds == ["point"] * 18 + ["left"] * 6 + ["suppression"] * 6 + ["crossing"]
    first, crossing, factor = objects[0], objects[-1], objects[24]
    assert first["ler"] == first["errors"] / first["shots"]
    assert first["ler_ci"][0] < first["ler"] < first["ler_ci"][1]
    assert (first["p"], first["distance"], first["set"]["noise.p"]) == (0.002, 3, 0.002)
    assert first["seed_keys"] == ["ab" * 16]
    assert crossing["distances"] == [3, 5]
    assert crossing["p_ci"][0] < crossing["p"] < crossing["p_ci"][1]
    assert factor["suppression"] == pytest.approx(3.5, rel=0.2)  # 0.007 / 0.002


def test_rates_per_round_are_shown_and_cross_where_they_are_asked_for():
    shot, per_round = swept(), swept(per="round")
    a, b = shot.counted()[0], per_round.counted()[0]
    assert b.rate("round") == pytest.approx(a.rate() / 3, rel=0.1)
    assert sweep_objects(per_round)[0]["rate"] == b.rate("round")
    assert per_round.crossings[0].fit.p == pytest.approx(0.007, rel=0.1)
    assert per_round.crossings[0].fit.p > 1.1 * shot.crossings[0].fit.p  # five rounds against three
    assert shot.suppressions == per_round.suppressions


def test_a_plot_says_in_words_what_no_line_shows(tmp_path):
    found = swept()
    silent = replace(found.points[2], errors=0)
    assert silent.decoder == ROUND
    found = replace(found, points=(*found.points[:2], silent, *found.points[3:]))
    svg = svg_of(found)
    texts = {"".join(each.itertext()) for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"distance 3", "distance 5", "mwpm", ROUND, "logical error rate per shot"} <= texts
    assert any("is left out at distance = 3" in text for text in texts)
    assert any("cross at p" in text for text in texts)
    assert any("An arrow points down" in text for text in texts)
    assert len(set(re.findall(r'id="(point-\d+)"', svg))) == len(found.points)


def test_the_same_figures_give_the_same_file(tmp_path):
    found = swept(rates=(0.002, 0.004), distances=(5,))
    assert svg_of(found) == svg_of(found)
    plot_sweep(found, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_decoders_differ_in_more_than_colour():
    figure = draw(swept(decoders=("mwpm", "osd")))
    lines = figure.subfigs[0].axes[0].lines
    styles = {line.get_linestyle() for line in lines if len(line.get_xdata()) > 1}
    assert len(styles) == 2
    markers = {line.get_marker() for line in lines} - {"", "None", "_", "x"}
    assert len(markers) >= 2  # distances


@pytest.mark.parametrize(
    ("sweep", "panels", "x"),
    [
        (swept(), 2, "physical error rate p"),
        (swept(distances=(5,)), 1, "physical error rate p"),
        (swept(rates=(0.004,), distances=(3, 5, 7)), 1, "code distance"),
        (swept(rates=(0.004,), distances=(5,), rounds=(1, 3, 9), decoders=("mwpm",)), 1, "rounds"),
        (swept(rounds=(3, 9)), 3, "physical error rate p"),
        (swept(rates=(0.004,), distances=(5,)), 1, "physical error rate p"),
    ],
)
def test_the_axis_is_what_varies(sweep, panels, x):
    axes = [each for each in draw(sweep).subfigs[0].axes if each.get_visible()]
    assert len(axes) == panels
    assert axes[0].get_xlabel() == x


def test_against_distance_the_legend_has_the_factor():
    figure = draw(swept(rates=(0.004,), distances=(3, 5, 7), decoders=("mwpm",)))
    (legend,) = figure.subfigs[0].legends
    assert re.fullmatch(r"mwpm: Λ = 1\.\d+ \[1\.\d+, \d\.\d+\] per round", legend.get_texts()[0].get_text())


def test_too_many_panels_and_no_points_are_refused():
    with pytest.raises(UsageError, match="at most 12 panels"):
        draw(swept(rounds=tuple(range(1, 15))))
    with pytest.raises(UsageError, match="nothing was counted"):
        draw(Sweep("env", ("mwpm",), (), ()))


def test_a_page_is_one_file_and_nobodys_text_is_markup(tmp_path):
    evil = '<script>alert("&")</script>'
    found = swept(decoders=(evil, "mwpm"))
    bad = LeftOut(place_of(0.002, 3), "osd", "exception", "<img src=x onerror=y>")
    write_page(replace(found, left_out=(bad,), decoders=(evil, "mwpm", "osd")), tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert evil not in page
    assert "<img" not in page
    assert page.count("<script>") == 1
    assert not re.search(r'(src|href)="(?!#|data:,")', page)
    titles = re.findall(r"<title>([^<]*)</title>", page)
    assert sum("shots failed" in title for title in titles) == len(found.points)
    assert "&lt;script&gt;alert" in page
    assert "Error suppression factor" in page
    assert page.count("<tr>") == len(found.points) + len(found.suppressions) + 2


def test_places_that_are_no_combinations_are_listed():
    found = swept(decoders=("mwpm",))
    some = tuple(
        LeftOut(place_of(p, d), "osd", "crash", "it ended") for p, d in ((0.002, 3), (0.004, 5), (0.006, 3), (0.009, 5))
    )
    (words,) = left_out_words(replace(found, left_out=some))
    assert words.startswith(
        "osd is left out at p = 0.002, distance = 3; p = 0.004, distance = 5; p = 0.006, distance = 3; and at 1"
    )
    everywhere = tuple(LeftOut(each.place, "osd", "crash", "it ended") for each in found.points)
    assert left_out_words(replace(found, left_out=everywhere)) == ["osd is left out: it ended"]


def test_rates_on_no_line_are_told():
    found = swept(rates=(0.004,), distances=(3, 5, 7), decoders=("mwpm",))
    bent = replace(found.points[2], errors=5 * found.points[1].errors)
    notes = plot_notes(replace(found, points=(*found.points[:2], bent)), 200)
    assert any("the rates are on no line in the distance" in note for note in notes)


def test_progress_is_a_line_for_each_point_that_is_over(capsys):
    now = [0.0]
    with SweepDisplay(clock=lambda: now[0]) as display:
        event = SweepProgress(0, 4, "mwpm", "distance = 3", 0, 0)
        display.event(event)
        display.event(replace(event, shots=64, errors=1))
        now[0] = 61.0
        display.event(replace(event, shots=640, errors=12))
        for _ in range(2):
            display.event(replace(event, done=1, shots=700, errors=100, ended="relative_error"))
        display.event(replace(event, done=2, decoder="osd", problem="does not fit"))
        display.event(SweepProgress(2, 4, message="a row was removed"))
    assert capsys.readouterr().err.splitlines() == [
        "counting",
        "0/4 mwpm, distance = 3: 12 of 640 shots failed",
        "1/4 mwpm, distance = 3: 100 of 700 shots failed",
        "2/4 osd, distance = 3: left out: does not fit",
        "a row was removed",
        "counting: done in 61 s",
    ]
    with SweepDisplay(quiet=True) as display:
        display.event(replace(event, ended="max_shots", shots=3))
    assert capsys.readouterr().err == ""


def test_colours_and_markers_mean_one_thing_in_a_plot():
    rates, factors = draw(swept(decoders=("mwpm", "osd"))).subfigs[0].axes
    told, told_there = (
        {
            (line.get_color(), line.get_marker())
            for line in axes.lines
            if line.get_marker() in MARKERS and line.get_color() != "0.35"
        }
        for axes in (rates, factors)
    )
    assert len(told) == 2  # one for each distance, whatever the decoder
    assert len(told_there) == 1  # Λ is about all distances: decoders differ in dashes and filling
    assert not {part for look in told for part in look} & {part for look in told_there for part in look}
    lines = {line.get_linestyle() for line in factors.lines if len(line.get_xdata()) > 2}
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("value", "text"), [(1e-3, "10⁻³"), (0.1, "10⁻¹"), (1.0, "1"), (1000.0, "1000"), (1e5, "10⁵"), (2e-3, "0.002")]
)
def test_powers_of_ten_are_plain_text(value, text):
    assert power_of_ten(value) == text
