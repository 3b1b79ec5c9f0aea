"""Words in charts: names that come from elsewhere made fit for a picture, and figures as they are written there."""

from __future__ import annotations

import unicodedata

from autoqec.views.figures_text import interval_text, ratio_text
from autoqec.views.round_json import RoundRow

#: How long a name in a chart is at most, and a sentence in what is shown of a mark.
MOST_LETTERS = 26
_MOST_WORDS = 160


def shown_name(text: str, most: int = MOST_LETTERS) -> str:
    """A name on one line, without what no picture can show, and short: what is cut of a long one is its middle."""
    line = shown_words(text, 10 * most)
    if len(line) <= most:
        return line
    head = (most - 1) // 2
    return f"{line[:head]}…{line[head + 1 - most :]}"


def shown_words(text: str, most: int = _MOST_WORDS) -> str:
    """Words on one line: no control characters, none that turns the direction of others, no half of a surrogate pair."""
    kept = (" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 10 * most])
    line = " ".join("".join(kept).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def round_title(row: RoundRow, *more: str) -> str:
    """What is shown of a round's mark: its name, how it was judged or ended, its figures, its idea, in lines."""
    lines = [f"{row.run}/{row.round}: {row.verdict or row.status}"]
    best = row.best
    if best is not None:
        where = "" if row.holdout else ", on development shots"
        ratio = f"{ratio_text(best.ler_ratio, 3)} {interval_text(best.ratio_interval, 3)}"
        lines.append(f"ratio {ratio} to plain decoding over {best.shots:,} shots{where}")
    lines += more
    if row.hypothesis:
        lines.append(row.hypothesis)
    return "\n".join(map(shown_words, lines))


def duration_unit(seconds: float) -> tuple[str, float]:
    """The unit in which a time is best written, and its seconds."""
    return ("hours", 3600.0) if seconds >= 2 * 3600 else ("minutes", 60.0) if seconds >= 300 else ("seconds", 1.0)
