"""`autoqec plot`: single pictures of a lab's record, with their numbers beside them."""

from __future__ import annotations

from pathlib import Path

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_history


@click.command()
@click.argument("chart", type=click.Choice(["front", "climb", "rates", "learning", "forks", "gap"]))
@click.argument("names", nargs=-1, metavar="[RUN|ROUND...]")
@click.option("--env", default=None, help="All rounds on this environment: its name, or NAME@HEX.")
@click.option(
    "-o",
    "--output",
    "file",
    default=None,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The picture, .svg, .png or .pdf [CHART_ENV.svg].",
)
@click.option(
    "--y",
    "measure",
    type=click.Choice(["ratio", "gain"]),
    default="ratio",
    show_default=True,
    help="What the front shows: the ratio to plain decoding, or the gain per shot.",
)
@options.json_option
def command(chart: str, names: tuple[str, ...], env: str | None, file: Path | None, measure: str, as_json: bool) -> int:
    """Draw one picture of the record, and write its numbers as CSV beside it.

    front: the Pareto front with references, against FLOPs and parameters. climb: the best round so far against rounds, time and
    money. rates: logical error rates against p. learning: losses by step. forks: which round started from which. gap: the share
    of the gap to a decoder near maximum likelihood.

    Without names, it is about the latest run's environment. rates, learning and gap also take rounds: exp/<run>/<N>.
    """
    from typing import cast

    from autoqec.reporting.charts.front_chart import Measure
    from autoqec.reporting.lab_charts import ChartName, lab_chart
    from autoqec.views.console import print_json, say
    from autoqec.views.line_styles import check_plot

    if file is not None:
        check_plot(file, example=f"-o {chart}.svg", option="-o")
    found = lab_chart(open_history(), cast(ChartName, chart), names, env=env, measure=cast(Measure, measure))
    picture = found.file if file is None else file
    table = found.chart.save(picture)
    if found.without:
        say(f"the record has nothing for it of {', '.join(found.without)}")
    if found.others and not names and env is None:
        say(f"{chart} of {found.environment}; there are rounds on {', '.join(found.others)} too: --env shows them")
    say(f"wrote {picture} and {table}")
    if as_json:
        about = {"chart": chart, "environment": found.environment, "title": found.chart.title}
        files = {"file": str(picture), "table": str(table), "rows": len(found.chart.rows)}
        print_json([{"schema": "autoqec.plot/1", **about, **files}])
    return 0
