"""The texts of a cause; the rules recognise causes."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]


class Cause(NamedTuple):
    """The texts of a cause.

    Attributes:
        severity: `error` if it made the round fail, `warning` if it makes the result doubtful or poor, `info` if nothing is
            wrong.
        says: Its meaning, in a sentence.
        next_step: A command or an edit; `{round}`, `{run}` and words of the rule are filled in.
    """

    severity: Severity
    says: str
    next_step: str


#: Phrases that many next steps share.
FORK = "in a new round that forks {round}"
CODE = "edit stages/<slug>/module.py"

#: The most severe first.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
