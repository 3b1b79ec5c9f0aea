"""The errors a user sees: what is wrong, the command or edit that mends it, and the exit code it ends with.

Exit codes are part of the command line's contract: 0 ok, 1 the work failed, 2 wrong usage, 3 not found,
4 budget spent, 130 interrupted.
"""

from __future__ import annotations


class AutoQECError(Exception):
    """The work failed for a reason worth one clear sentence (exit code 1).

    Args:
        problem: What is wrong, naming the file, field or ref.
        hint: What the reader can do about it, as a command or an edit; shown on its own line.
    """

    exit_code = 1

    def __init__(self, problem: str, *, hint: str | None = None):
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class UsageError(AutoQECError):
    """What the user wrote — a flag, a config value, an environment file — cannot be used (exit code 2)."""

    exit_code = 2


class NotFoundError(AutoQECError):
    """A run, round, environment, plugin or file that was named does not exist (exit code 3)."""

    exit_code = 3


class MissingPackageError(AutoQECError):
    """A plugin is there and the package it needs is not; the mend is the line that installs it."""


class BudgetSpentError(AutoQECError):
    """A budget the user set is used up; the state can be resumed with a larger one (exit code 4)."""

    exit_code = 4
