"""A round's review in one page of Markdown, for the description of a pull request or a comment; the same for the same record."""

from __future__ import annotations

from collections.abc import Iterator

from autoqec.reporting.markdown_text import written
from autoqec.reporting.page_blocks import Block, Code, Heading, Inline, Items, Line, Paragraph, commands, section
from autoqec.reporting.recorded_lab import RecordedRound
from autoqec.reporting.round_sections import (
    Detail,
    check_blocks,
    cut,
    diff_blocks,
    figure_blocks,
    headline,
    problem_blocks,
    verdict_blocks,
    why_blocks,
    word_blocks,
)
from autoqec.results.verdict import parse_verdict

#: Characters that a comment or a description of a pull request may have; GitHub's limit is the smallest.
HOST_LIMIT = 65_536

#: Characters that notes on what was cut may take.
_SLACK = 300

_FEW = Detail(diff=0, formulas=False, words=500)


def review_text(found: RecordedRound, *, most: int = HOST_LIMIT) -> str:
    """A round's review as Markdown of at most so many characters. What does not fit is cut, and the page says so.

    The diff gives way first, then the verdict's formulas, then the words of agents.
    """
    text = written(review_blocks(found, Detail()))
    if len(text) <= most:
        return text
    for formulas in (True, False):
        room = most - len(written(review_blocks(found, Detail(diff=0, formulas=formulas)))) - _SLACK
        while room > 0:
            text = written(review_blocks(found, Detail(diff=room, formulas=formulas)))
            if len(text) <= most:
                return text
            room -= len(text) - most + _SLACK  # what is escaped takes more room than it has characters
    text = written(review_blocks(found, _FEW))
    if len(text) <= most:
        return text
    whole = Code(f"autoqec show {found.row.branch} --full")
    short: list[Block] = [
        _title(found),
        Paragraph(headline(found)),
        Paragraph(("The rest did not fit here: ", whole, ".")),
    ]
    return written([*short, *section(2, "How to check it", _commands(found))])


def review_blocks(found: RecordedRound, detail: Detail) -> list[Block]:
    """A round's review: what and why, diff, figures, verdict with trust, checks, what to look at, how to check it."""
    return [
        _title(found),
        Paragraph(headline(found)),
        *section(2, "What and why", [*why_blocks(found, detail.words), *word_blocks(found, detail.words)]),
        *section(2, "Diff", diff_blocks(found, detail.diff)),
        *section(2, "Figures", figure_blocks(found)),
        *section(2, "Verdict", verdict_blocks(found, formulas=detail.formulas)),
        *section(2, "Checks", check_blocks(found.results)),
        *section(2, "Problems of the record", problem_blocks(found)),
        *section(2, "What to look at", [Items([*what_to_look_at(found)])]),
        *section(2, "How to check it", _commands(found)),
    ]


def _title(found: RecordedRound) -> Heading:
    return Heading(1, ("Review of ", Code(found.row.branch)))


def what_to_look_at(found: RecordedRound) -> Iterator[Line]:
    """What a reviewer should look at, from the record: what failed, what was not checked, what nobody vouches for."""
    results, record = found.results, found.record
    verdict = results.verdict
    own = sorted(path for path in found.files if path.endswith(".py"))
    if own:
        yield "The candidate brings code of its own, which no check reads for you: ", *_codes(own)
    if verdict is None:
        yield "No verdict counts: the figures are of development shots, and the search has seen them."
    else:
        evidence = verdict.evidence
        for each in evidence.checks or ():
            if each.result in ("failed", "warned", "not_made"):
                yield f"Check {each.result.replace('_', ' ')}: ", Code(each.check), f": {cut(each.says, 300)}"
        if verdict.malformed:
            yield "Parts of the verdict's note do not match its schema: ", *_codes(verdict.malformed)
        for name, command in sorted((evidence.target.references_missing if evidence.target else {}).items())[:10]:
            yield "A reference did not run: ", Code(name), f" ({cut(command, 200)})"
        if verdict.composition in ("interferes", "partial"):
            yield f"The parents' gains do not add up: {verdict.composition}."
    if record.trust is not None and record.trust.state != "signed":
        yield "The verdict is not signed by an allowed signer, so whoever could push could have written it: replay it."
    if sum(parse_verdict(each.record).record is not None for each in record.standings) > 1:
        yield "There are several verdicts on its commit; this page shows the one that counts."
    if results.metrics is not None and results.metrics.cut_short is not None:
        yield "Training was cut short by the time limit."
    if found.row.problems:
        yield "The record has problems; see above."
    if not found.row.fork_from and record.commit is not None:
        yield "It starts from the baseline, so the diff is the whole candidate."


def _codes(names: list[str] | tuple[str, ...]) -> tuple[Inline, ...]:
    shown: list[Inline] = []
    for name in names[:10]:
        shown += [", ", Code(name[:120])] if shown else [Code(name[:120])]
    return (*shown, f" and {len(names) - 10:,} more" if len(names) > 10 else "", ".")


def _commands(found: RecordedRound) -> list[Block]:
    branch = found.row.branch
    told = [("fetches rounds, notes and weights into your clone", "autoqec pull REMOTE")]
    if found.results.verdict is not None:
        told += [
            ("works the verdict out again from its counts", f"autoqec verify --audit {branch}"),
            ("the same, by one file that shares no code with AutoQEC", f"autoqec-check . {branch}"),
            ("draws the same shots again, and counts them", f"autoqec verify --audit --replay {branch}"),
        ]
    if found.record.commit is not None:
        told.append(("judges it on fresh shots", f"autoqec verify {branch}"))
    else:
        told.append(("says why it has no commit", f"autoqec diagnose {branch}"))
    return [commands(told)]
