"""The errors a user sees: what is wrong, what to do about it, a stable code, and the exit code it ends with.

Exit codes are part of the command line's contract: 0 ok, 1 the work failed, 2 wrong usage, 3 not found,
4 budget spent, 130 interrupted. Codes are part of the record: `autoqec.error_codes` says what each means. Messages are for
people and may be reworded at any time; no code depends on them.
"""

from __future__ import annotations

from typing import Self

from autoqec.json_values import JsonObject


class AutoQECError(Exception):
    """The work failed for a reason worth one clear sentence (exit code 1).

    Args:
        problem: What is wrong, naming the file, field or ref.
        hint: What the reader can do about it, as a command or an edit; shown on its own line.
        code: What kind of error it is, one of `autoqec.error_codes`; by default that of its class.
        about: What it is about, for programs: JSON values by name, such as `{"file": …, "field": …}`.
    """

    exit_code = 1
    code = "failed"

    def __init__(
        self, problem: str, *, hint: str | None = None, code: str | None = None, about: JsonObject | None = None
    ):
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.code = code or type(self).code
        self.about = dict(about or {})
        if hint:
            self.add_note(
                f"hint: {hint}"
            )  # a traceback in a notebook or a script shows notes, and nothing else of these

    def at(self, place: str) -> Self:
        """The same error with the place where it was found before its message. For classes that take what this one takes."""
        return type(self)(f"{place}: {self.problem}", hint=self.hint, code=self.code, about=self.about)


class UsageError(AutoQECError):
    """What the user wrote — a flag, a config value, an environment file — cannot be used (exit code 2)."""

    exit_code = 2
    code = "usage"


class NotFoundError(AutoQECError):
    """A run, round, environment, plugin or file that was named does not exist (exit code 3)."""

    exit_code = 3
    code = "not_found"


class MissingPackageError(AutoQECError):
    """A plugin is installed, but a package that it needs is not; the hint is the command that installs it."""

    code = "missing_package"


class BudgetSpentError(AutoQECError):
    """A budget the user set is used up; the state can be resumed with a larger one (exit code 4)."""

    exit_code = 4
    code = "budget_spent"


def code_of(error: BaseException) -> str:
    """The code of any exception: its own, `out_of_memory`, or `raised` for an exception that is not AutoQEC's."""
    if isinstance(error, AutoQECError):
        return error.code
    return "out_of_memory" if is_out_of_memory(error) else "raised"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. torch raises no MemoryError: on a CPU only the message says so, on a GPU its class does."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
    )
