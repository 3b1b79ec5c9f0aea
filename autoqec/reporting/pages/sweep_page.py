"""A sweep as one HTML file: the plot, in which each point tells its figures, and the table; it works without script."""

from __future__ import annotations

from pathlib import Path

from autoqec.reporting.pages.chart_svg import ChartSheet
from autoqec.reporting.pages.page_writer import render_page
from autoqec.results.sweep_records import Sweep, SweepPoint
from autoqec.views.line_styles import FORMATS
from autoqec.views.sweep_plot import save_plot, svg_of
from autoqec.views.sweep_words import factor_text, left_out_words, per_words
from autoqec.whole_files import write_file

#: File formats of plots of sweeps.
SWEEP_FORMATS = (*FORMATS, ".html")


def plot_sweep(sweep: Sweep, path: Path) -> None:
    """Draw a sweep into a file, whose extension is one of `SWEEP_FORMATS`.

    Raises:
        UsageError: Nothing was counted, or there are too many panels.
        AutoQECError: The file cannot be written.
    """
    (write_page if path.suffix == ".html" else save_plot)(sweep, path)


def write_page(sweep: Sweep, path: Path) -> None:
    """Write a sweep as an HTML file that needs no other file.

    Raises:
        UsageError: As for `plot_sweep`.
        UsageError, AutoQECError: The file cannot be written.
    """
    sheet = ChartSheet()
    titles = {f"point-{number}": point_words(sweep, each) for number, each in enumerate(sweep.points)}
    svg = sheet.inline(svg_of(sweep), "sweep-", titles)
    page = render_page(
        "sweep.html",
        css=sheet.css,
        title=f"Logical error rates of {sweep.env}",
        svg=svg,
        rate_heads=[
            "decoder",
            "place",
            "failures",
            "shots",
            f"rate per {per_words(sweep)}",
            "95 % interval",
            "µs per shot",
        ],
        rate_rows=[_rate_cells(sweep, each) for each in sweep.counted()],
        factor_heads=["decoder", "p", "distances", "Λ per round (95 %)", "p-value of the line"],
        factor_rows=_factor_rows(sweep),
        left_out=left_out_words(sweep),
    )
    write_file(path, page.encode())


def point_words(sweep: Sweep, point: SweepPoint) -> str:
    """The figures of a point, in lines."""
    low, high = point.interval(sweep.per)
    return (
        f"{point.decoder}\n{point.place.label}\n{point.rate(sweep.per):.3g} [{low:.3g}, {high:.3g}] per {per_words(sweep)}\n"
        f"{point.errors:,} of {point.shots:,} shots failed, {point.microseconds:.3g} µs per shot"
    )


def _rate_cells(sweep: Sweep, point: SweepPoint) -> list[str]:
    low, high = point.interval(sweep.per)
    return [
        point.decoder,
        point.place.label,
        f"{point.errors:,}",
        f"{point.shots:,}",
        f"{point.rate(sweep.per):.3g}",
        f"[{low:.3g}, {high:.3g}]",
        f"{point.microseconds:.3g}",
    ]


def _factor_rows(sweep: Sweep) -> list[list[str]]:
    return [
        [
            each.decoder,
            "" if each.p is None else f"{each.p:g}",
            ", ".join(map(str, each.distances)),
            factor_text(each),
            "" if each.fit.line_p is None else f"{each.fit.line_p:.2g}",
        ]
        for each in sweep.suppressions
    ]
