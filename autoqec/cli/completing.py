"""Answers a shell that completes a command line: a line for each value, `kind`, `value` and help with tabs between.

Kinds: `plain`; `part`, after which the shell adds no space; `file` and `dir`, which the shell completes itself. A key press
must never print an error or leave anything behind: whatever goes wrong, the answer is empty and the exit code 0.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from typing import NamedTuple

import click
from click.shell_completion import ShellComplete, split_arg_string

from autoqec.cli.completed_names import GOES_ON

#: Set by the scripts of `autoqec completion`: the shell's name.
SHELL_VARIABLE = "_AUTOQEC_COMPLETE"

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


class Answer(NamedTuple):
    """One value of an answer; see the module."""

    kind: str
    value: str
    help: str = ""


def answer_shell(shell: str, group: click.Group) -> int:
    """Print what completes the line in `COMP_LINE`, up to the cursor, and return the exit code, which is 0.

    Args:
        shell: The shell's name.
        group: The commands.
    """
    try:
        with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
            line, breaks = os.environ.get("COMP_LINE", ""), os.environ.get("COMP_BREAKS", "")
            answers = list(completions(group, line, breaks if shell == "bash" else ""))
            text = "".join(f"{each.kind}\t{each.value}\t{each.help}\n" for each in answers)
            sys.stdout.buffer.write(text.encode("utf-8", "replace"))
            sys.stdout.flush()
    except BaseException:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing is said when the stream is closed
    return 0


def completions(group: click.Group, line: str, breaks: str = "") -> Iterator[Answer]:
    """Yield what completes a command line.

    Args:
        group: The commands.
        line: The line up to the cursor, the command's name included.
        breaks: Characters at which the shell begins a new word within ours, as bash does at `:` and `=`.
    """
    words = split_arg_string(line)
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    begun = words.pop() if words and not line[-1:].isspace() else ""
    named = next((word for word in words[1:] if not word.startswith("-")), None)
    if not words or (named is not None and named not in group.list_commands(click.Context(group))):
        return
    head, given, _ = begun.partition("=") if begun.startswith("--") else ("", "", "")
    lead = head + given if given else ""
    cut = 1 + max((begun.rfind(each) for each in ":=" if each in breaks), default=-1)
    for item in ShellComplete(group, {}, "autoqec", SHELL_VARIABLE).get_completions(words[1:], begun):
        if item.type != "plain":
            yield Answer(item.type, "")
            continue
        value = lead + str(item.value)
        if value.casefold().startswith(begun.casefold()):
            kind = "part" if value.endswith(GOES_ON) else "plain"
            yield Answer(kind, value[cut:], " ".join((item.help or "").split()))
