"""The comment on a pull request, and the same as the summary of a job: what was found out, and the review of the round."""

from __future__ import annotations

from pathlib import Path

from autoqec.hosting.judged_rounds import JudgedRound
from autoqec.reporting.markdown_text import inline
from autoqec.whole_files import explained

#: What the comment begins with, and readers do not see.
MARKER = "<!-- autoqec:verdict -->"

_LONGEST = 60_000  # GitHub takes 65,536 characters
_WORDS = {"success": "holds", "failure": "does not hold", "error": "was not judged", "pending": "is being judged"}


def comment_text(result: JudgedRound, review: str = "") -> str:
    """The comment in Markdown, without its marker.

    Args:
        result: What was found out. It came from a job that runs code of the pull request, so its texts are escaped.
        review: The review of the round, as `autoqec show ROUND --markdown` prints it.
    """
    lines = [f"**autoqec/verdict {_WORDS[result.state]}**: {inline(result.description, begins=False)}", ""]
    lines += [f"- {inline(each)}" for each in result.findings]
    lines += [""] if result.findings else []
    lines += [f"Judged at commit {result.commit[:10]} of exp/{result.round}. Repeat it in a clone of your own:", ""]
    replay = " --replay" if result.replayed or result.state == "error" else ""
    lines += ["```sh", "autoqec pull --artifacts", f"autoqec verify exp/{result.round} --audit{replay}", "```", ""]
    whole = "\n".join(lines) + review
    if len(whole) <= _LONGEST:
        return whole
    return whole[: whole.rfind("\n\n", 0, _LONGEST)] + f"\n\nCut here: `autoqec show exp/{result.round} --markdown` shows the rest.\n"


def append_summary(file: Path, result: JudgedRound, review: str = "") -> None:
    """Append the comment to the file in which a CI job collects its summary.

    Raises:
        AutoQECError: It cannot be written.
    """
    with explained(file), file.open("a", encoding="utf-8") as opened:
        opened.write(comment_text(result, review) + "\n")
