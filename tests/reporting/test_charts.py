"""Charts show what the record says, whatever it says, and their rows are what they show."""

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import charted
import golden_svg
import pytest
from charted import Environment, ended, harm_cell, judged, sample, share

from autoqec.errors import UsageError
from autoqec.reporting.charts.chart_words import shown_name, shown_words
from autoqec.reporting.charts.climb_chart import climb_chart
from autoqec.reporting.charts.drawing import MANY
from autoqec.reporting.charts.fork_chart import fork_chart, lanes_of
from autoqec.reporting.charts.front_chart import front_chart
from autoqec.reporting.charts.gap_chart import gap_chart
from autoqec.reporting.charts.learning_chart import learning_chart
from autoqec.reporting.charts.rates_chart import rates_chart
from autoqec.reporting.charts.round_looks import round_looks
from autoqec.reporting.pages.chart_svg import ChartSheet
from autoqec.results.reference_levels import reference_levels
from autoqec.results.statistics import rate_interval
from autoqec.views.line_styles import log_ticks, plot_style

CHARTS = {
    "front": front_chart, "climb": climb_chart, "forks": fork_chart, "rates": rates_chart, "gap": gap_chart,
    "learning": learning_chart,
}  # fmt: skip

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn():
    """All charts of the sample, and their SVGs."""
    environment = sample()
    charts = {name: make(environment) for name, make in CHARTS.items()}
    return {name: (chart, chart.svg()) for name, chart in charts.items()}


def texts(svg):
    """All that a chart says, and all that is shown of its marks."""
    root = ElementTree.fromstring(svg)
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")], {
        each.text for each in root.iter(f"{SVG}title")
    }


def marks(svg):
    """The marks of a chart: their round and title, by id."""
    root = ElementTree.fromstring(svg)
    return {each.get("id"): (each.get("data-round"), each[0].text) for each in root.iter() if each.get("data-round")}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_that_of_its_golden_file(drawn, name):
    """If this fails, and shall: python tests/reporting/golden_svg.py, and look at the files."""
    assert golden_svg.difference(drawn[name][1], (golden_svg.GOLDEN / f"{name}.svg").read_text()) is None


def test_a_golden_file_tolerates_digits_and_no_other_place():
    svg = (golden_svg.GOLDEN / "gap.svg").read_text()
    moved = re.sub(r'(<use [^>]*?x=")([\d.]+)', lambda m: f"{m[1]}{float(m[2]) + 0.2}", svg)
    assert moved != svg
    assert golden_svg.difference(moved, svg) is None
    assert golden_svg.difference(svg.replace("share of the gap", "share of a gap"), svg) is not None
    further = re.sub(r'(<use [^>]*?x=")([\d.]+)', lambda m: f"{m[1]}{float(m[2]) + 2}", svg)
    assert golden_svg.difference(further, svg) is not None


def test_the_same_figures_give_the_same_bytes_whatever_style_a_user_has(drawn):
    import matplotlib as mpl

    with mpl.rc_context({"font.family": "No Such Font", "axes.edgecolor": "red", "lines.linewidth": 9}):
        assert front_chart(sample()).svg() == drawn["front"][1]


@pytest.mark.parametrize("name", CHARTS)
def test_rows_are_rfc_4180_with_units_in_their_names(drawn, name):
    chart = drawn[name][0]
    told = list(csv.DictReader(io.StringIO(chart.csv(), newline="")))
    assert chart.csv().startswith(",".join(chart.columns()) + "\r\n")
    assert len(told) == len(chart.rows) > 0
    for row, cells in zip(chart.rows, told, strict=True):
        for column, cell in cells.items():
            value = getattr(row, column)
            if isinstance(value, float):
                assert float(cell) == value
            elif value is None:
                assert cell == ""


def test_every_round_of_the_rows_has_a_mark_that_says_its_figures(drawn):
    front, svg = drawn["front"]
    found = marks(svg)
    shown = [row.name for row in front.rows if row.kind == "round"]
    assert Counter(name for name, _ in found.values()) == Counter(dict.fromkeys(shown, 2))  # FLOPs and parameters
    assert len(shown) == 4
    assert "VERIFIED" in found["front-confirmed-flops-0"][1]
    climb, svg = drawn["climb"]
    assert Counter(name for name, _ in marks(svg).values()) == Counter({row.round: 3 for row in climb.rows})
    assert {row.round for row in climb.rows if row.new_best} == {"surface-abcd/1", "surface-abcd/3", "surface-abcd/6"}
    assert climb.rows[-1].cost_so_far_usd == 10.5


def test_references_are_lines_with_names_and_intervals_of_all_shots(drawn):
    front, svg = drawn["front"]
    said = texts(svg)[0]
    assert {"mwpm_correlated 0.78", "tesseract 0.536 near ML", "plain decoding"} <= set(said)
    by_name = {row.name: row for row in front.rows if row.kind != "round"}
    assert by_name["tesseract"].kind == "near_ml"
    assert by_name["tesseract"].shots == 600_000
    correlated = by_name["mwpm_correlated"]
    levels = reference_levels(each.results.verdict for each in sample().rounds)
    level = next(level for level in levels if level.name == "mwpm_correlated")
    assert (level.rounds, level.failures) == (4, round(0.011 * level.shots / 4) * 4)
    low, high = rate_interval(level.failures, level.shots, 0.025)
    plain_low, plain_high = rate_interval(level.plain_failures, level.shots, 0.025)
    assert (correlated.ler_ratio_low, correlated.ler_ratio_high) == (low / plain_high, high / plain_low)
    assert low / plain_high < correlated.ler_ratio < high / plain_low


def test_rates_of_two_rounds_are_added_up_for_those_that_are_not_theirs():
    environment = sample()
    one, both = rates_chart(environment), rates_chart(environment, ("surface-abcd/1", "surface-abcd/6"))
    assert {row.round for row in one.rows if row.kind == "candidate"} == {"surface-abcd/6"}
    assert [row.p for row in one.rows if row.kind == "plain"] == [0.004, 0.005, 0.006]
    plain = {row.p: row for row in both.rows if row.kind == "plain"}
    assert (plain[0.004].failures, plain[0.004].shots) == (500, 60_000)
    assert (plain[0.004].ler_low_per_shot, plain[0.004].ler_high_per_shot) == rate_interval(500, 60_000)
    assert len([row for row in both.rows if row.kind == "candidate"]) == 6
    strong = [row for row in both.rows if row.kind == "near_ml"]
    assert [(row.decoder, row.p, row.failures, row.shots) for row in strong] == [("tesseract", 0.005, 1500, 200_000)]


def test_the_rows_say_where_a_test_that_stopped_early_fixed_no_number_of_shots():
    rounds = [judged(1, -0.001, word="FAILED"), judged(2, 0.004)]
    rows = rates_chart(Environment(rounds), ["surface-abcd/1", "surface-abcd/2"]).rows
    assert [(row.kind, row.fixed_shots) for row in rows] == [
        ("plain", False),
        ("candidate", False),
        ("candidate", True),
    ]


def test_a_reference_that_is_named_like_a_side_is_not_that_side():
    chart = rates_chart(Environment([judged(1, 0.002, references={"plain": 0.01, "candidate": 0.02})]))
    kinds = [(row.kind, row.decoder) for row in chart.rows]
    assert kinds == [("plain", ""), ("reference", "candidate"), ("reference", "plain"), ("candidate", "")]


def test_a_rate_without_failure_is_an_arrow_and_not_minus_infinity():
    environment = Environment([judged(1, 0.002, harm=[harm_cell(0.001, 0, 0)])])
    chart = rates_chart(environment)
    silent = [row for row in chart.rows if row.p == 0.001]
    assert [(row.failures, row.ler_per_shot, row.ler_low_per_shot) for row in silent] == [(0, 0.0, 0.0)] * 2
    found = marks(chart.svg())
    assert any("0 of 30,000 shots failed" in title for _, title in found.values())


def test_an_interval_without_an_upper_end_reaches_to_the_edge_with_an_arrow():
    each = judged(1, 0.002)
    figures = replace(each.row.holdout.figures, ratio_interval=(0.1, None))
    environment = Environment(
        [replace(each, row=replace(each.row, holdout=replace(each.row.holdout, figures=figures)))]
    )
    for make in (front_chart, climb_chart):
        chart = make(environment)
        assert chart.rows[0].ler_ratio_high is None
        assert ",0.1,," in chart.csv()
        assert "∞" in next(iter(marks(chart.svg()).values()))[1]


def test_candidates_that_learn_nothing_stand_at_zero_parameters():
    environment = Environment([judged(1, 0.002, params=0), judged(2, 0.004, params=500)])
    said = texts(front_chart(environment).svg())[0]
    assert {"0", "500"} <= set(said)


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("rounds", ["none", "failed", "one"])
def test_labs_with_nothing_or_little_to_show(name, rounds):
    made = {
        "none": [],
        "failed": [ended(1), ended(2, "open"), judged(3, -0.002, word="FAILED")],
        "one": [judged(1, 0.003)],
    }
    chart = CHARTS[name](Environment(made[rounds]))
    svg = chart.svg()
    if chart.nothing:
        assert chart.nothing in texts(svg)[0]
        assert not chart.rows or name == "front"
    else:
        assert chart.rows
    assert (rounds == "none") <= bool(chart.nothing)


HOSTILE = "_$x_{1}$ <script>alert(1)</script>\x00\x1b[31m\u202e\ud800 & " + "长" * 400


def test_no_name_is_markup_a_formula_or_a_control_character():
    each = judged(1, 0.003, references={HOSTILE: 0.01}, share_of_gap=share() | {"reference": HOSTILE})
    row = replace(each.row, hypothesis=HOSTILE)
    environment = Environment([replace(each, row=row)], name=HOSTILE)
    for make in CHARTS.values():
        chart = make(environment)
        svg = chart.svg()
        assert "<script" not in svg
        assert not re.search("[\x00-\x08\x1b\u202e\ud800]", svg + chart.csv())
        assert len(svg) < 60_000
        ChartSheet().inline(svg, "a-")  # it has nothing but what a page's chart may have
    said = texts(front_chart(environment).svg())[0]
    assert any(text.startswith("_$x_{1}$") for text in said)


def test_long_names_keep_both_ends():
    assert shown_name("a" * 30 + "end") == "aaaaaaaaaaaa…aaaaaaaaaaend"
    assert len(shown_name("x" * 100)) == 26
    assert shown_words("a\tb\nc\u202ed") == "a b c d"


def test_thousands_of_rounds_are_drawn_without_their_overlaps():
    known = judged(1, 0.002)
    rounds, count = [], 5000
    for number in range(1, count + 1):
        parents = () if number < 3 else (number // 2,) if number % 50 else (number // 2, number - 2)
        names = tuple(f"{charted.RUN}/{parent}" for parent in parents)
        row = replace(known.row, round=number, fork_from=names)
        rounds.append(replace(known, row=row) if number % 3 else ended(number, parents=parents))
    environment = Environment(rounds)
    for make in (climb_chart, fork_chart):
        chart = make(environment)
        assert len(chart.rows) == count
        svg = chart.svg()
        assert len(svg) < 1_300_000
        assert MANY < len(marks(svg)) < count
        assert max(title.count("\n") for _, title in marks(svg).values()) <= 3
    assert "5,000 rounds" in fork_chart(environment).title


def test_lanes_are_taken_until_the_last_child_and_no_longer():
    #       0   1     2     3     4       5
    told = [(), (0,), (0,), (1,), (3, 2), (4,)]
    lanes = lanes_of(told)
    assert lanes == [0, 1, 0, 1, 1, 1]
    assert lanes_of([()] * 5) == [0] * 5
    assert lanes_of([(), *[(0,)] * 50]) == [0, *[1] * 49, 0]  # leaves share one lane


def test_lines_along_a_lane_pass_no_other_round():
    import random

    lots = random.Random(3)
    parents = [()] + [tuple(lots.sample(range(n), min(n, lots.choice((0, 1, 1, 2))))) for n in range(1, 300)]
    lanes = lanes_of(parents)
    for child, own in enumerate(parents):
        for parent in own:
            assert all(lanes[other] != lanes[parent] for other in range(parent + 1, child))


def test_picture_and_table_stand_beside_each_other_and_replace_no_other_file(tmp_path):
    chart = front_chart(replace(sample(), name="长"))  # no font here has it, and nobody is warned
    for ending in (".svg", ".png", ".pdf"):
        assert chart.save(tmp_path / f"front{ending}") == tmp_path / "front.csv"
        assert (tmp_path / f"front{ending}").stat().st_size > 3000
    assert (tmp_path / "front.csv").read_bytes().decode() == chart.csv()
    assert "长" in (tmp_path / "front.svg").read_text()
    chart.save(tmp_path / "front.svg")  # its own table is replaced
    counts = tmp_path / "sweep.csv"
    counts.write_text("shots,errors\n1,0\n")
    with pytest.raises(UsageError, match="holds something else"):
        chart.save(tmp_path / "sweep.svg")
    assert counts.read_text() == "shots,errors\n1,0\n"
    assert not (tmp_path / "sweep.svg").exists()


def test_cells_that_a_spreadsheet_would_run_are_text():
    each = judged(1, 0.003, references={"=cmd()": 0.01})
    assert "reference,'=cmd()," in front_chart(Environment([each])).csv()


def test_the_gain_can_stand_in_the_place_of_the_ratio():
    chart = front_chart(sample(), "gain")
    assert "gain in LER over plain decoding, per shot" in texts(chart.svg())[0]


def test_the_shares_of_a_gap_are_those_of_the_verdicts(drawn):
    rows = drawn["gap"][0].rows
    assert [row.round for row in rows] == ["surface-abcd/3", "surface-abcd/5", "surface-abcd/6"]
    assert rows[0].share == pytest.approx(800 / 1300)
    assert rows[0].share_low < rows[0].share < rows[0].share_high
    assert any("62 % of the gap [" in title for _, title in marks(drawn["gap"][1]).values())


def test_curves_of_another_loss_get_another_panel():
    first, second = judged(1, 0.003), judged(2, 0.004)
    log = {**second.results.metrics.note["training"], "loss": "bce"}
    metrics = replace(second.results.metrics, note={**second.results.metrics.note, "training": log})
    chart = learning_chart(Environment([first, replace(second, results=replace(second.results, metrics=metrics))]))
    assert {"loss (logical_gap)", "loss (bce)"} <= set(texts(chart.svg())[0])
    assert {row.loss for row in chart.rows} == {"logical_gap", "bce"}


def test_formulas_are_text_in_every_plot():
    from matplotlib.figure import Figure

    with plot_style():
        assert not Figure().text(0, 0, "$x$").get_parse_math()


@pytest.mark.parametrize("name", CHARTS)
def test_a_narrow_chart_says_the_same(name):
    """Beside another chart, or on a phone: half as wide, with the same marks and words, and nothing outside."""
    chart = CHARTS[name](sample())
    wide, small = (ElementTree.fromstring(chart.svg(small=each)) for each in (False, True))
    assert [each.text for each in small.iter(f"{SVG}title")] == [each.text for each in wide.iter(f"{SVG}title")]
    x, y, width, height = map(float, small.get("viewBox").split())
    assert (x, y) == (0, 0)
    assert width < 0.6 * float(wide.get("viewBox").split()[2])
    for mark in small.iter(f"{SVG}use"):
        if mark.get("x"):
            assert 0 <= float(mark.get("x")) <= width
            assert 0 <= float(mark.get("y")) <= height
    assert chart.title not in "".join(small.itertext()).replace(small.get("aria-label"), "")


def numbered(axis):
    """The ticks of an axis that have a number and are in sight, and its ends."""
    low, high = axis.get_view_interval()
    places = axis.get_majorticklocs()
    labels = axis.get_major_formatter().format_ticks(places)
    return [x for x, label in zip(places, labels, strict=True) if low <= x <= high and label], low, high


def figure_of(chart):
    with plot_style():
        return chart.draw().figure


@pytest.mark.parametrize("make", [climb_chart, fork_chart])
def test_rounds_are_counted_in_whole_numbers_even_if_there_is_one(make):
    ticks, _, _ = numbered(figure_of(make(Environment([judged(1, 0.003)]))).axes[0].xaxis)
    assert ticks == [1.0]


@pytest.mark.parametrize("flops", [(57_000, 136_000), (136_000,), (2_010, 4_000), (1_000, 900_000)])
def test_costs_can_be_read_off_and_a_small_difference_looks_small(flops):
    rounds = [judged(number, 0.003 + number / 1000, flops=each) for number, each in enumerate(flops, start=1)]
    for axes in figure_of(front_chart(Environment(rounds))).axes:
        ticks, low, high = numbered(axes.xaxis)
        assert len(ticks) >= 2
        assert high / low > 3.99


@pytest.mark.parametrize("ends", [(0.0101, 0.0199), (0.031, 0.034), (0.0021, 0.0049), (0.5, 2000)])
def test_a_log_axis_has_two_numbers_at_least(ends):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    axes.set_yscale("log")
    axes.set_ylim(*ends)
    log_ticks(axes.yaxis, ends[1] / ends[0])
    assert len(numbered(axes.yaxis)[0]) >= 2


def places_of_rates(chart):
    """Where the marks of rates stand."""
    return [x for points in figure_of(chart).axes[0].collections for x, _ in points.get_offsets() if points.get_gid()]


def test_marks_of_rates_stand_at_their_p_unless_their_bars_would_cover_each_other():
    apart = rates_chart(Environment([judged(1, 0.004)]))
    assert set(places_of_rates(apart)) == {0.005}
    assert not any("side by side" in text for text in texts(apart.svg())[0])
    covering = rates_chart(Environment([judged(1, 0.004), judged(2, 0.004)]), ("surface-abcd/1", "surface-abcd/2"))
    first, second, third = sorted(places_of_rates(covering))
    assert first < second == 0.005 < third  # plain decoding fails more often, and stays
    assert any("stand side by side" in text for text in texts(covering.svg())[0])


def test_a_legend_has_no_line_that_is_not_drawn():
    one = figure_of(rates_chart(Environment([judged(1, 0.004, references={"mwpm_correlated": 0.011})])))
    assert {line.get_linestyle() for line in one.legends[0].get_lines()} == {"None"}
    forks = [texts(fork_chart(Environment(rounds)).svg())[0] for rounds in FORKED]
    assert ["to the best round" in said for said in forks] == [False, True]


FORKED = [
    [judged(1, 0.004), judged(2, 0.002, parents=(1,))],
    [judged(1, 0.002), judged(2, 0.004, parents=(1,))],
]


def test_a_round_looks_the_same_in_every_chart_of_an_environment():
    environment = sample()
    looks = round_looks(environment.rounds)
    assert len({(look.colour, look.marker) for look in looks.values()}) == len(looks) == 5
    charts = [learning_chart(environment), rates_chart(environment), rates_chart(environment, ("surface-abcd/3",))]
    for chart in charts:
        legend = figure_of(chart).legends[0]
        found = {
            text.get_text(): (line.get_color(), line.get_marker())
            for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
        }
        own = {words: look for words, look in found.items() if words.startswith("round ")}
        assert own
        for words, look in own.items():
            expected = looks[words.replace("round ", "surface-abcd/")]
            assert look == (expected.colour, expected.marker)


def test_a_heading_names_what_is_drawn():
    assert climb_chart(sample()).heading == "Best so far against rounds, time and money"
    assert climb_chart(Environment([judged(1, 0.003)])).heading == "Best so far against rounds and time"


def test_what_is_missing_comes_with_what_to_do():
    trained = learning_chart(Environment([judged(1, 0.003), ended(2)]), (f"{charted.RUN}/2",))
    assert (trained.rows, trained.hint) == ([], f"autoqec plot learning exp/{charted.RUN}/1")
    assert "autoqec show ROUND" in learning_chart(Environment([ended(1)])).hint
    assert "tesseract-decoder" in gap_chart(Environment([judged(1, 0.003, share_of_gap=None)])).hint
