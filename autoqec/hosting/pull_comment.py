"""The comment on a pull request, and the same as the summary of a job: what was found out, and the review of the round."""

from __future__ import annotations

from pathlib import Path

from autoqec.errors import AutoQECError
from autoqec.history import Ledger
from autoqec.hosting.judged_rounds import JudgedRound
from autoqec.reporting.markdown_text import written
from autoqec.reporting.page_blocks import Block, Code, Items, Paragraph, Strong
from autoqec.reporting.recorded_lab import read_round
from autoqec.reporting.review_page import review_text
from autoqec.whole_files import explained

#: What the comment begins with, and readers do not see.
MARKER = "<!-- autoqec:verdict -->"

_LONGEST = 60_000  # GitHub takes 65,536 characters
_WORDS = {
    "success": "The verdict holds",
    "failure": "The verdict does not hold",
    "error": "Not judged",
    "pending": "Being judged",
}


def comment_text(result: JudgedRound, ledger: Ledger) -> str:
    """The comment in Markdown, without its marker: what was found out, then the review of the round.

    Args:
        result: What was found out. It comes from a job that runs code of the pull request, so it is text like any other.
        ledger: The lab, with the records of the round as far as they were fetched. Only text of git is read.
    """
    word = "The verdict is found again, and the round is not VERIFIED" if _is_refused(result) else _WORDS[result.state]
    # The description is the first of the findings, shortened.
    blocks: list[Block] = [Paragraph((Strong(f"{word}."), "" if result.findings else f" {result.description}"))]
    blocks += [Items(list(result.findings))] if result.findings else []
    blocks += [Paragraph(("Judged at commit ", Code(result.commit), " of ", Code(f"exp/{result.round}"), "."))]
    head = written(blocks)
    try:
        return f"{head}\n{review_text(read_round(ledger, result.round), most=_LONGEST - len(head))}"
    except AutoQECError as error:
        return f"{head}\n{written([Paragraph(f'There is no review of this round: {error.problem}')])}"


def append_summary(file: Path, result: JudgedRound, ledger: Ledger) -> None:
    """Append the comment to the file in which a CI job collects its summary.

    Raises:
        AutoQECError: It cannot be written.
    """
    text = comment_text(result, ledger)
    with explained(file), file.open("a", encoding="utf-8") as opened:
        opened.write(text + "\n")


def _is_refused(result: JudgedRound) -> bool:
    return result.state == "failure" and not result.findings
