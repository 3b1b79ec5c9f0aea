"""A count and its word, in the singular or plural: one way for all messages."""

from __future__ import annotations


def counted(count: int, what: str, many: str | None = None) -> str:
    """A count and its word, such as `1 round` and `1,200 rounds`.

    Args:
        count: How many.
        what: The word for one.
        many: The word for several; `what` and an s without it.
    """
    return f"{count:,} {what if count == 1 else many or f'{what}s'}"
