"""`autoqec report`: the record of a lab as one HTML file, in which each figure of the prose is checked against the record.

The file needs no other. It can be read without script; script adds sorting, filtering, what a point of a chart says, and the
rounds that did not fit in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from autoqec.reporting.lab_diagnoses import Diagnoses
from autoqec.reporting.lab_sections import (
    dropped_lines,
    file_blocks,
    front_blocks,
    lost_lines,
    repeat_blocks,
    spending_grid,
)
from autoqec.reporting.page_blocks import Block, Items, Line, flat
from autoqec.reporting.pages.chart_svg import ChartSheet
from autoqec.reporting.pages.data_islands import json_text, packed
from autoqec.reporting.pages.page_writer import render, render_page
from autoqec.reporting.pages.report_charts import ChartRoom, ShownChart
from autoqec.reporting.pages.rounds_in_full import RoundsInFull, Shelved, rounds_in_full
from autoqec.reporting.pages.rounds_table import rounds_table, short_words
from autoqec.reporting.recorded_lab import RecordedEnvironment, RecordedLab, RecordedRound
from autoqec.reporting.report_prose import facts_of, founded, spent_sentence, three_sentences
from autoqec.reporting.round_sections import Detail, ratio_and_interval, round_blocks, word_of
from autoqec.results.quoted_figures import Sentence

#: The schema of the data in the page: an object of `autoqec report --json` for each environment, and one of `autoqec log --json`
#: for each round.
DATA_SCHEMA = "autoqec.report_data/1"

#: Bytes of a report. Rounds that are packed give way to the rest, which stays below that by itself where rounds are thousands.
MOST_BYTES = 9_900_000

#: Bytes of the rounds that stand in full, of those that are packed, of the list of rounds that are not VERIFIED, and of the data.
FULL_BYTES, PARCEL_BYTES, LOST_BYTES, DATA_BYTES = 1_000_000, 4_000_000, 2_500_000, 1_500_000

#: What a part of a line takes besides its text, and how many parts say the round and how it came out.
_MARKUP, _BEGINNING = 20, 3

#: Characters of a round's diff.
_DIFF = 16_000

#: Data of more characters than that is packed.
_PLAIN_DATA = 400_000


@dataclass(frozen=True)
class EnvironmentPart:
    """What a report shows of an environment.

    Attributes:
        title, anchor: Its name, and that of its section.
        sentences: What was sought and found.
        charts: Its charts.
        front: The front as a table, and what is left out of it.
        lost: The rounds that are not VERIFIED, with their diagnosis.
        took: What its rounds took, in a sentence.
        spending: The same, run by run.
        file: The environment's file.
    """

    title: str
    anchor: str
    sentences: Sequence[Sentence]
    charts: Sequence[ShownChart]
    front: Sequence[Block]
    lost: Sequence[Block]
    took: Sentence
    spending: Sequence[Block]
    file: Sequence[Block]


def report_page(lab: RecordedLab, diagnoses: Diagnoses) -> str:
    """A report as the text of an HTML file.

    Args:
        lab: The rounds.
        diagnoses: What is wrong with them.

    Raises:
        AutoQECError: A figure of the prose is not what the record says (`unfounded_figure`).
    """
    shelf = _shelf(lab, diagnoses)
    page = _rendered(lab, diagnoses, shelf)
    over = len(page.encode("utf-8", "replace")) - MOST_BYTES
    return page if over <= 0 or not shelf.parcels else _rendered(lab, diagnoses, shelf.smaller(over))


def _rendered(lab: RecordedLab, diagnoses: Diagnoses, shelf: RoundsInFull) -> str:
    sheet = ChartSheet()
    room = ChartRoom(sheet)
    standing = {name for name, _ in shelf.full}
    names = [each.name for each in lab.environments]
    parts = [
        _part(each, number, each.name if names.count(each.name) == 1 else each.key, room, diagnoses, standing)
        for number, each in enumerate(lab.environments)
    ]
    return render_page(
        "report.html",
        css=sheet.css,
        title=f"AutoQEC report of {lab.name}",
        parts=parts,
        table=rounds_table(lab.environments),
        shelf=shelf,
        standing=standing,
        dropped=[Items([*dropped_lines(lab)])] if lab.dropped else [],
        repeat=repeat_blocks(lab),
        **_data(lab),
    )


def _part(
    environment: RecordedEnvironment,
    number: int,
    title: str,
    room: ChartRoom,
    diagnoses: Diagnoses,
    standing: set[str],
) -> EnvironmentPart:
    facts = facts_of(environment)
    lost = [*lost_lines(environment, diagnoses, standing)]
    return EnvironmentPart(
        title=title,
        anchor=f"environment-{number}",
        sentences=[founded(each, facts) for each in three_sentences(environment)],
        charts=room.draw(environment, number),
        front=front_blocks(environment, standing),
        lost=[Items(_short(lost))] if lost else [],
        took=founded(spent_sentence(environment), facts),
        spending=[spending_grid(environment)],
        file=file_blocks(environment),
    )


def _short(lines: Sequence[Line]) -> list[Line]:
    """Lines about rounds; from where they would take too many bytes on, only their beginning: the round and how it came out."""
    told: list[Line] = []
    left = LOST_BYTES
    for line in lines:
        parts = flat(line)
        size = sum(len(part if isinstance(part, str) else part.text) + _MARKUP for part in parts)
        told.append(parts if left > 0 else parts[:_BEGINNING])
        left -= size
    return told


def _shelf(lab: RecordedLab, diagnoses: Diagnoses) -> RoundsInFull:
    known = {each.name: each for each in lab.rounds}
    front = {name for environment in lab.environments for name in environment.front.names}
    rounds = [Shelved(each.name, each.name in front, each.outcome == "VERIFIED") for each in lab.rounds]

    def markup(name: str) -> Markup:
        found = known[name]
        blocks = round_blocks(found, diagnoses.of(name), level=3, detail=Detail(diff=_DIFF))
        head = {"name": name, "outcome": found.outcome, "word": word_of(found), "summary": _summary(found)}
        return render("round.html", blocks_told=blocks, **head)

    return rounds_in_full(rounds, markup, FULL_BYTES, PARCEL_BYTES)


def _summary(found: RecordedRound) -> str:
    """A round's ratio and idea, beside its name."""
    best = found.row.best
    ratio = "" if best is None or best.ler_ratio is None else ratio_and_interval(best.ler_ratio, best.ratio_interval)
    ratio += " on development shots" if ratio and found.row.holdout is None else ""
    return " · ".join(filter(None, (ratio, short_words(found.row.hypothesis or found.row.reason or ""))))


def _data(lab: RecordedLab) -> Mapping[str, Any]:
    """The record in the page: plain JSON, or packed where it is long."""
    told = {
        "schema": DATA_SCHEMA,
        "lab": lab.name,
        "environments": [
            {"env": each.name, "env_id": each.env_id, **each.found.to_json()} for each in lab.environments
        ],
        "rounds": [each.row.to_json() for each in lab.rounds],
    }
    text = json_text(told)
    if len(text) <= _PLAIN_DATA:
        return {"data": text, "packed_data": ""}
    small = packed(str(text))
    return {"data": "", "packed_data": small if len(small) <= DATA_BYTES else ""}
