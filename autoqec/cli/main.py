"""The command `autoqec`: imports only the chosen subcommand, and turns errors into messages and exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import shlex
import signal
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

import click

from autoqec.cli.command_group import CommandGroup
from autoqec.cli.left_open import round_left_open
from autoqec.cli.standard_streams import drop_output, hand_back, reader_is_gone, take_streams
from autoqec.compiled_once import compiling_told
from autoqec.errors import AutoQECError, UsageError
from autoqec.installed_package import __version__
from autoqec.whole_files import not_written

#: Subcommand → its line of help. Its module is imported on use; see `module_of`.
COMMANDS = {
    "init": "Make a lab of a git repository, or a new one.",
    "round": "Run research rounds: propose, train, score, verify.",
    "resume": "Finish interrupted rounds.",
    "status": "Show open rounds: running, waiting or interrupted.",
    "agents": "List agents, compare them, or reply in their place.",
    "compose": "Merge rounds into a new one, and score it beside them.",
    "log": "List rounds with their results.",
    "show": "Show one round: what it tried, what came out, what it changed.",
    "pareto": "Show the Pareto front of verified rounds.",
    "plot": "Draw one picture of the record, with its numbers as CSV.",
    "report": "Write a report of a lab, a run or an environment.",
    "review": "Compare two rounds for a review.",
    "verify": "Judge a round again, on fresh shots.",
    "compare": "Compare any decoders on the same fresh shots of any circuit.",
    "diagnose": "Explain why rounds failed or stalled, and what to do about it.",
    "fsck": "Check the lab's record, and repair what is safe to repair.",
    "archive": "Archive a finished run; prune weights.",
    "drop": "Take a run or round that was a mistake out of the lists, or bring it back.",
    "sweep": "Count failures of decoders over a family of environments; Λ and thresholds.",
    "env": "List, check or create environments.",
    "plugins": "List installed agents, decoders, verifiers, stages and codes.",
    "push": "Send rounds and notes to a remote.",
    "publish": "Write pages of the record for a host to show.",
    "pull": "Fetch rounds and notes from a remote.",
    "bundle": "Write a run as one file, a git bundle.",
    "export": "Write a trained round as a folder that sinter can load.",
    "ci": "Judge the round of a pull request in a host's CI.",
    "trust": "Use what a lab's settings file asks for.",
    "completion": "Print a script that completes this command in bash, zsh or fish.",
    "doctor": "Show settings with their sources, versions and the machine.",
}

#: Subcommands that programs run: no list has them.
_FOR_PROGRAMS = frozenset({"worker"})

#: Subcommands whose module has a different name, because another module has the subcommand's name.
_MODULES = {"plugins": "plugins_group", "worker": "worker_command"}


def module_of(name: str) -> str:
    """Return the module that defines a built-in subcommand as `command`."""
    return f"autoqec.cli.{_MODULES.get(name, name)}"


_EPILOG = (
    "New here? `autoqec init DIR` makes a lab and says what comes next, in six lines. "
    "Plugins may add commands; `autoqec plugins` lists them. "
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 budget spent, 130 interrupted."
)


class _LazyGroup(CommandGroup):
    """A group that imports a command on use, and looks for unknown names among the plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS or name in _FOR_PROGRAMS:
            command: click.Command = importlib.import_module(module_of(name)).command
            return command
        if ctx.resilient_parsing:  # a shell completes: no code of others runs for a key press
            return None
        from autoqec.plugins import load_plugins
        from autoqec.views.console import foreign_prints_apart

        with foreign_prints_apart():
            offer = load_plugins().entries.get(("command", name))
            if offer is None:
                return None
            found = offer.load()
        hand_back()
        if not isinstance(found, click.Command):
            raise offer.failure(TypeError(f"{type(found).__name__} is no click.Command"), "cannot be used")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table above, so that `--help` imports no command.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="autoqec")
@click.option("--traceback", is_flag=True, help="Show the full traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, traceback: bool) -> None:
    """Discover, verify and share neural predecoders for quantum error correction, with git as the only record."""
    ctx.obj = {"traceback": traceback}


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Ignore a second Ctrl-C, which would leave child processes behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt(*(["SIGTERM"] if number == signal.SIGTERM else []))


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with its code; or answer a shell that completes it."""
    if shell := os.environ.get("_AUTOQEC_COMPLETE"):
        from autoqec.cli.completing import answer_shell

        sys.exit(answer_shell(shell, cli))
    take_streams()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: Arguments; by default those of the process.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if args is None else args
    try:
        code = _ran(given)
    except KeyboardInterrupt:  # it came while an error or another interruption was told
        code = 130
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
    except OSError as error:
        drop_output()
        if code == 0:  # otherwise it was said what went wrong
            from autoqec.views.console import print_error

            print_error(_output_lost(error))
            return 1
    return code


def _ran(given: list[str]) -> int:
    """Run a command, say what went wrong, and return the exit code."""
    traceback = "--traceback" in given
    try:
        with compiling_told(_say_compiling):  # any command may be the first to need a kernel
            result: Any = cli.main(given, prog_name="autoqec", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        from autoqec.cli.usage_words import usage_error
        from autoqec.views.console import print_error

        print_error(usage_error(error, cli, "autoqec", given))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        from autoqec.views.console import print_error, say

        if isinstance(error.__cause__, EOFError):  # what read something else came to its end
            print_error(_unexpected(error.__cause__, given))
            return 1
        if isinstance(error.__context__, EOFError):  # click says Abort for all of these
            hint = f"autoqec {shlex.join(given)} --help lists the options that answer it"
            print_error(UsageError("standard input ended before the question was answered", hint=hint))
            return 2
        terminated = (error.__cause__ or error).args == ("SIGTERM",)
        say(("stopped by SIGTERM" if terminated else "interrupted") + _what_is_left(given))
        return 130
    except (SystemExit, BrokenPipeError) as error:
        # click and rich turn a broken pipe into a SystemExit that looks like any other.
        if isinstance(error, SystemExit) and not (isinstance(error.__context__, BrokenPipeError) or reader_is_gone()):
            raise
        # The reader of our output has stopped, as `head` does: this is not an error.
        drop_output()
        return 0
    except AutoQECError as error:
        if traceback:
            raise
        from autoqec.views.console import print_error

        print_error(error)
        _say_what_is_open(given, error)
        return error.exit_code
    except Exception as error:
        if traceback:
            raise
        from autoqec.views.console import print_error

        told = (_not_written(error) if isinstance(error, OSError) else None) or _unexpected(error, given)
        print_error(told)
        _say_what_is_open(given, told)
        return 1


def _say_compiling(what: str, seconds: float) -> None:
    from autoqec.views.console import say
    from autoqec.views.progress import compiling_note

    say(compiling_note(what, seconds))


def _command(given: list[str]) -> str:
    """The subcommand among the arguments."""
    return next((each for each in given if not each.startswith("-")), "")


def _values_of(option: str, given: list[str]) -> list[str]:
    """What an option is given, as two arguments or as one."""
    apart = [value for name, value in pairwise(given) if name == option]
    return apart + [each.partition("=")[2] for each in given if each.startswith(f"{option}=")]


def _what_is_left(given: list[str]) -> str:
    """What is left of an interrupted command, and how to go on."""
    opened = round_left_open(_command(given))
    if opened is not None:
        return f"; round {opened} is open, and nothing of it is lost. Continue with: autoqec resume"
    if _command(given) == "verify" and not {"--audit", "--attest"} & set(given):
        return (
            ": no verdict was noted, and an attempt that had begun has spent its share of the error budget. Again:"
            f" autoqec {shlex.join(given)}"
        )
    if _command(given) == "compare" and any(Path(each).is_file() for each in _values_of("--save", given)):
        return f"; what was counted is in the file. Continue with: autoqec {shlex.join(given)}"
    if _command(given) == "sweep":
        return f"; what was counted is kept. Continue with: autoqec {shlex.join(given)}"
    return ""


def _say_what_is_open(given: list[str], error: AutoQECError) -> None:
    """Name the round that a failed command leaves open, if the error does not say how to go on."""
    opened = None if "autoqec resume" in (error.hint or "") else round_left_open(_command(given))
    if opened is not None:
        from autoqec.views.console import say

        say(f"round {opened} is open; continue with autoqec resume, or end it with autoqec resume --abandon {opened}")


#: Modules that print; nothing else that they do writes.
_PRINTING = ("autoqec.views.", "rich.", "click.utils", "click.termui")


def _output_lost(error: OSError) -> AutoQECError:
    """Describe an error of writing data, of which no more is written."""
    drop_output()
    closed = error.errno == errno.EBADF
    why = "standard output is closed" if closed else error.strerror
    hint = (
        "" if closed else "free some disk space, or "
    ) + "send the output elsewhere; what the command did before is in git"
    return AutoQECError(f"the output cannot be written: {why}", hint=hint, code="not_written")


def _not_written(error: OSError) -> AutoQECError | None:
    """Describe an error of writing that is the machine's; None for any other."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]
    printed = any(name.startswith(_PRINTING) for name in modules)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, *((errno.EBADF,) if printed else ())):
        return None
    if printed:
        return _output_lost(error)
    return not_written(error.filename or "a file", error)


def _missing(error: Exception) -> AutoQECError | None:
    """Describe an error about an object that the lab's repository lacks; None for any other."""
    if "pygit2" not in sys.modules:  # no repository was read
        return None
    from autoqec.history import open_ledger
    from autoqec.history.store.missing_objects import missing_object

    repo = None
    with suppress(Exception):  # the repository may be damaged in whatever way
        repo = open_ledger(".").repo
    return missing_object(error, repo)


def _unexpected(error: Exception, given: list[str]) -> AutoQECError:
    """Describe an uncaught error for the user, with its plugin if a plugin raised it."""
    from autoqec.plugin_errors import one_line, origin

    missing = _missing(error)
    if missing is not None:
        return missing
    found, again = origin(error), f"autoqec --traceback {shlex.join(given)}"
    if found is None:
        return AutoQECError(f"internal error: {one_line(error)}", hint=f"run {again} and report what it prints")
    return AutoQECError(
        f"{found.owner} failed: {one_line(error)} ({found.place})",
        hint=f"report it to the authors of {found.owner.distribution.split()[0]}; {again} shows the traceback",
    )
