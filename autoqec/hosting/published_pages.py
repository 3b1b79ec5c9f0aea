"""The pages of `autoqec publish`: a front page, a page for each round and each run, and the report as one file of HTML.

They follow from the record alone, so that publishing again what has not changed makes no commit. Each page has a size that hosts
still render, whatever the lab holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from autoqec.counted_words import counted
from autoqec.errors import AutoQECError
from autoqec.reporting.lab_diagnoses import Diagnoses
from autoqec.reporting.lab_sections import climb_blocks, front_blocks, lost_lines, rounds_grid
from autoqec.reporting.markdown_text import written
from autoqec.reporting.page_blocks import Block, Code, Heading, Items, Link, Paragraph, joined, parts_of
from autoqec.reporting.pages.report_page import report_page
from autoqec.reporting.recorded_lab import RecordedEnvironment, RecordedLab, RecordedRound
from autoqec.reporting.report_prose import facts_of, founded, three_sentences
from autoqec.reporting.review_page import review_text
from autoqec.reporting.round_sections import anchor_of

#: Rounds in a table of the front page, and in a page of a run: hosts show no page over half a megabyte.
_ROUNDS, _ROUNDS_OF_RUN = 100, 1000

#: Characters of a round's page, and of any other one.
_PAGE, _LONGEST = 20_000, 400_000

_CUT = ("This page is cut here, so that hosts still show it. The whole is in ", Code("autoqec report"), ".")


def pages_of(lab: RecordedLab, diagnoses: Diagnoses) -> dict[str, bytes]:
    """All pages, by path.

    Args:
        lab: The whole lab.
        diagnoses: What is wrong with its rounds.
    """
    lab = replace(lab, title="this lab")  # so that all clones write the same pages
    files = {"README.md": _front_page(lab, diagnoses), "index.html": report_page(lab, diagnoses)}
    runs: dict[str, list[RecordedRound]] = {}
    for found in lab.rounds:
        runs.setdefault(found.row.run, []).append(found)
        files[f"rounds/{found.name}.md"] = _round_page(found)
    files |= {f"rounds/{run}/README.md": _run_page(run, rounds) for run, rounds in runs.items()}
    return {path: text.encode("utf-8", "replace") for path, text in files.items()}


def _front_page(lab: RecordedLab, diagnoses: Diagnoses) -> str:
    blocks: list[Block] = [Heading(1, "Rounds of this lab")]
    if not lab.rounds:
        blocks.append(Paragraph("There are no rounds yet."))
    for environment in lab.environments:
        blocks += _environment(environment, diagnoses, {each.name for each in lab.rounds})
    if lab.rounds:
        runs = dict.fromkeys(each.row.run for each in lab.rounds)
        blocks += [Heading(2, "All rounds of each run"), Items([Link(run, f"rounds/{run}/README.md") for run in runs])]
        blocks.append(
            Paragraph((Link("index.html", "index.html"), " has charts and every round in one file, to download."))
        )
    blocks.append(
        Paragraph(
            ("Written by ", Code("autoqec publish"), " from the record in git, which counts where this page differs.")
        )
    )
    return _linked(written(blocks), lab.rounds, "rounds/")


def _environment(environment: RecordedEnvironment, diagnoses: Diagnoses, names: set[str]) -> Iterator[Block]:
    facts, newest = facts_of(environment), environment.rounds[-_ROUNDS:]
    told = [founded(each, facts) for each in three_sentences(environment)]
    yield Heading(2, Code(environment.key))
    yield Paragraph(joined(map(parts_of, told), " "))
    yield Heading(3, "Pareto front")
    yield from front_blocks(environment, names)
    yield Heading(3, "Best so far")
    yield from climb_blocks(environment, names)
    yield Heading(3, "Rounds")
    if len(newest) < len(environment.rounds):
        yield Paragraph(f"The newest {len(newest):,} of {counted(len(environment.rounds), 'round')}.")
    yield rounds_grid(newest, names)
    lost = [*lost_lines(replace(environment, rounds=newest), diagnoses, names)]
    if lost:
        yield Heading(3, "Failed, ignored and unfinished ones of these")
        yield Items(lost)


def _run_page(run: str, rounds: Sequence[RecordedRound]) -> str:
    shown = rounds[-_ROUNDS_OF_RUN:]
    blocks: list[Block] = [
        Heading(1, ("Rounds of ", Code(run))),
        Paragraph(Link("Rounds of this lab", "../../README.md")),
    ]
    if len(shown) < len(rounds):
        blocks.append(
            Paragraph(f"The newest {len(shown):,} of {counted(len(rounds), 'round')}; each has a page in this folder.")
        )
    blocks.append(rounds_grid(shown, {each.name for each in rounds}))
    return _linked(written(blocks), rounds, "../")


def _round_page(found: RecordedRound) -> str:
    above = written(
        [Paragraph((Link("Rounds of this lab", "../../README.md"), ", ", Link(found.row.run, "README.md")))]
    )
    try:
        return f"{above}\n{review_text(found, most=_PAGE)}"
    except AutoQECError as error:  # one damaged round must not keep all others from being shown
        return f"{above}\n{written([Heading(1, Code(found.row.branch)), Paragraph(error.problem)])}"


def _linked(page: str, rounds: Sequence[RecordedRound], above: str) -> str:
    """A page whose links to sections of rounds lead to the pages of these rounds instead.

    Text of others cannot look like such a link, because the writer of Markdown breaks up every bracket in it.
    """
    places = {anchor_of(each.name): f"{above}{each.name}.md" for each in rounds}
    whole = re.sub(r"\]\(#([\w-]+)\)", lambda link: f"]({places.get(link[1], f'#{link[1]}')})", page)
    if len(whole) <= _LONGEST:
        return whole
    return f"{whole[: whole.rfind(chr(10), 0, _LONGEST)]}\n\n{written([Paragraph(_CUT)])}"
