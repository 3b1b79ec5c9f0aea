"""What a cause is, in words; recognising one is for the rules."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]


class Cause(NamedTuple):
    """A cause in words.

    Attributes:
        severity: `error` if the round came to nothing by it, `warning` if its result is doubtful or poor by it, `info` if
            there is nothing wrong.
        says: What it means, a sentence.
        next_step: A command or an edit; `{round}`, `{run}` and the rule's own words are put in.
    """

    severity: Severity
    says: str
    next_step: str


#: Ends of next steps that many causes share.
FORK = "in a new round that forks {round}"
CODE = "edit stages/<slug>/module.py"

#: The gravest first.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
