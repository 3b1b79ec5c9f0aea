"""Finds the commands that stand in a sentence, so that no line breaks inside one and a page shows it as code."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Words after which a sentence goes on: they are no argument of a command.
_PROSE = (
    "again|and|brings|does|draws|ends|fetches|finishes|for|from|has|if|in|it|lists|of|on|or|prints|pushes|reads|runs|says|sends|"
    "shows|starts|tells|that|the|then|they|to|where|which|with|writes"
)

#: A command of ours or git's, up to punctuation or the sentence's next word.
_COMMAND = re.compile(
    r"\b(?:autoqec|git (?:add|checkout|clone|commit|config|fetch|merge|pull|push|remote|switch)|pip install)"
    rf"(?= )(?: (?!(?:{_PROSE})\b(?!-))(?:<(?= )|'[^'\n]*'|[^\s;:,()'`]+(?:[:,'][^\s;:,()'`]+)*))+"
)


def split_commands(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text in order, each with whether it is a command."""
    end = 0
    for found in _COMMAND.finditer(text):
        command = found[0].rstrip(".")
        yield from [(text[end : found.start()], False)] if found.start() > end else []
        yield command, True
        end = found.start() + len(command)
    if end < len(text):
        yield text[end:], False
