"""Which rounds to show: what `autoqec log` is asked for. It is read at every start, so it knows rows by name only."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoqec.counted_words import counted
from autoqec.errors import UsageError

if TYPE_CHECKING:
    from autoqec.views.round_json import RoundRow

#: How rounds end, and what those are called that have not: what `autoqec log --status` takes, beside what history holds.
STATUSES = (
    "ok",
    "screened_out",
    "train_error",
    "compile_error",
    "killed_by_safety",
    "agent_error",
    "compose_conflict",
    "abandoned",
    "open",
    "interrupted",
    "waiting",
    "unknown",
)


@dataclass(frozen=True)
class Wanted:
    """Which rounds to show. What is None is not asked about; words are compared without regard to case.

    Attributes:
        env: The environment's name.
        verdict: `VERIFIED`, `SUSPICIOUS` or `FAILED`, or `none` for rounds without one.
        status: `ok`, `train_error`, `open` and so on.
        text: Occurs in the hypothesis, the analysis, or the reason of status or verdict.
    """

    env: str | None = None
    verdict: str | None = None
    status: str | None = None
    text: str | None = None

    @property
    def everything(self) -> bool:
        """Whether every round fits."""
        return self == Wanted()

    def nothing_fits(self, rows: Sequence[RoundRow], run: str | None) -> str:
        """Say that no round fits, and what rounds there are.

        Args:
            rows: The rounds that were looked at.
            run: The run whose rounds these are, if not those of all.
        """
        where = "" if run is None else f" of {run}"
        if not rows:
            return f"No rounds{where} yet. Run one with: autoqec round" + ("" if run is None else f" --run {run}")
        asked = "".join(
            f" --{name} {shlex.quote(value)}"
            for name, value in (
                ("env", self.env),
                ("verdict", self.verdict),
                ("status", self.status),
                ("text", self.text),
            )
            if value is not None
        )
        kinds = Counter(row.status if self.status is not None else row.verdict or row.status for row in rows)
        there = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        return f"No round{where} fits{asked}. There {'is' if len(rows) == 1 else 'are'} {counted(len(rows), 'round')}: {there}."

    def require_status(self, rows: Iterable[RoundRow]) -> None:
        """Check that the status is one that a round can have, or that one of these has.

        Raises:
            UsageError: It is not; names those there are.
        """
        known = dict.fromkeys([*STATUSES, *(row.status for row in rows)])
        if self.status is not None and self.status.lower() not in map(str.lower, known):
            raise UsageError(
                f"there is no status {self.status!r}; known: {', '.join(known)}", hint="autoqec log --status ok"
            )

    def fits(self, row: RoundRow) -> bool:
        """Whether a round is one of those."""
        words = (each or "" for each in (row.hypothesis, row.analysis, row.reason, row.verdict_reason))
        return (
            self.env in (None, row.env)
            and (self.verdict is None or self.verdict.lower() == str(row.verdict).lower())
            and (self.status is None or self.status.lower() == row.status.lower())
            and (self.text is None or self.text.casefold() in "\n".join(map(str, words)).casefold())
        )
