"""A count and its word, in the singular or plural, and lists and lines that are cut: one way for all messages."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, what: str, many: str | None = None) -> str:
    """A count and its word, such as `1 round` and `1,200 rounds`.

    Args:
        count: How many.
        what: The word for one.
        many: The word for several; `what` and an s without it.
    """
    return f"{count:,} {what if count == 1 else many or f'{what}s'}"


def some_of(names: Sequence[str], most: int = 10) -> str:
    """Names with commas; of more than `most`, the first, and how many more there are.

    Args:
        names: The names.
        most: How many to write out.
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def cut_line(text: str, most: int) -> str:
    """A text as one line of at most so many characters: what does not print is a blank, and an ellipsis stands for what is cut.

    Args:
        text: The text.
        most: Characters, at least one.
    """
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
