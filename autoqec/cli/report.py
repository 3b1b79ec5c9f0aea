"""`autoqec report`: write what a lab's record says as one page: what was sought and found, the front, and every round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoqec.cli import shared_options as options
from autoqec.cli.lab import open_lab
from autoqec.counted_words import counted
from autoqec.errors import UsageError

if TYPE_CHECKING:
    from autoqec.reporting.lab_diagnoses import Diagnoses
    from autoqec.reporting.recorded_lab import RecordedLab

#: From so many rounds on, the command says what it does: it takes seconds.
_MANY = 500

#: A page with more bytes than that opens slowly.
_LARGE = 10_000_000


@click.command()
@click.argument("run", required=False)
@click.option("--env", default=None, help="Only rounds on this environment: its name, or NAME@HEX.")
@click.option(
    "-o",
    "--output",
    "file",
    default=None,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; standard output without it.",
)
@click.option(
    "--format",
    "form",
    default=None,
    type=click.Choice(["html", "md"]),
    help="The page's format. By default what the file's name says, and md without a file.",
)
@options.json_option
def command(run: str | None, env: str | None, file: Path | None, form: str | None, as_json: bool) -> int:
    """Write a report: of the lab, or of one RUN.

    It says what was sought and found in three sentences, shows the front with intervals, the best round so far against rounds,
    seconds and cost, every round with its verdict, failed and ignored ones with their diagnosis, and how to repeat it. All of it
    comes from git. A file that ends in .html is one page with charts, which needs no other file. `--json` prints the figures, an
    object for each environment.
    """
    from autoqec.plugins import load_plugins
    from autoqec.reporting.lab_diagnoses import read_diagnoses
    from autoqec.reporting.recorded_lab import read_lab
    from autoqec.views.console import print_json, print_lines, say
    from autoqec.whole_files import require_place, write_file

    form = form or _format_of(file)
    if file is not None:
        require_place(file)
    ledger, settings = open_lab()
    lab = read_lab(ledger, run=run, env=env)
    if as_json:
        print_json(
            {"schema": "autoqec.report/1", "env": e.name, "env_id": e.env_id, **e.found.to_json()}
            for e in lab.environments
        )
        return 0
    if len(lab.rounds) > _MANY:
        say(f"diagnosing {counted(len(lab.rounds), 'round')} and writing them down")
    text = _page(lab, read_diagnoses(lab, load_plugins(), settings), form)
    if file is None:
        print_lines(text.rstrip("\n").split("\n"))
        return 0
    data = text.encode("utf-8", "replace")
    write_file(file, data)
    if form == "html" and len(data) > _LARGE:
        say(
            f"the page has more than {_LARGE / 1e6:g} MB and may open slowly: a report of one RUN, or with --env, is smaller"
        )
    say(f"{file}: a report of {counted(len(lab.rounds), 'round')}, {len(data) / 1000:,.0f} kB")
    return 0


def _format_of(file: Path | None) -> str:
    """The format that a file's name says.

    Raises:
        UsageError: It says none.
    """
    if file is None:
        return "md"
    found = {".html": "html", ".htm": "html", ".md": "md"}.get(file.suffix.lower())
    if found is None:
        raise UsageError(f"-o {file}: the file must end in .html or .md", hint="-o report.html, or say --format")
    return found


def _page(lab: RecordedLab, diagnoses: Diagnoses, form: str) -> str:
    """The page in a format."""
    if form == "html":
        from autoqec.reporting.pages.report_page import report_page

        return report_page(lab, diagnoses)
    from autoqec.reporting.lab_sections import lab_blocks
    from autoqec.reporting.markdown_text import written

    return written(lab_blocks(lab, diagnoses))
