"""What is wrong with the words of a command line: the option, what it may be in plain words, and what was found.

click's own sentences reach nobody. A sentence that a command or a plugin raises itself stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import click

from autoqec.errors import AutoQECError, UsageError
from autoqec.nearest_names import unknown_name

#: What click says of a number, a choice, or a path. `found` is the value as it was written.
_NOT_VALID = re.compile(
    r"(?P<found>.+?) (?:is not (?:a valid |in the range|one of )|is not '|does not match the format)", re.DOTALL
)
_PATH = re.compile(
    r"(?:File|Directory|Path) (?P<path>'.*'|\".*\") (?P<what>does not exist|is a file|is a directory|is not \w+)\.",
    re.DOTALL,
)
_EXTRA = re.compile(r"Got unexpected extra arguments? \((?P<words>.*)\)", re.DOTALL)
_NEEDS = re.compile(r"Option '(?P<name>[^']+)' requires (?P<count>an argument|\d+ arguments)")
_TAKES = re.compile(r"Argument '(?P<name>[^']+)' takes (?P<count>\d+) values")
_NO_VALUE = re.compile(r"Option '(?P<name>[^']+)' does not take a value")
_COUNT = re.compile(r"Takes (?P<count>\d+) values? but (?P<given>\d+) (?:was|were) given")
_NO_COMMAND = re.compile(r"No such command '(?P<name>[^']*)'")

#: What click says of a path, and how we say it.
_OF_A_PATH = {
    "does not exist": "there is no {kind} {path}",
    "is a file": "{path} is a file, not a folder",
    "is a directory": "{path} is a folder, not a file",
    "is not readable": "you may not read {path}",
    "is not writable": "you may not write {path}",
    "is not executable": "you may not run {path}",
}


#: Types that have nothing to set, and what fits them.
_SIMPLE = {
    type(click.INT): "a whole number",
    type(click.FLOAT): "a number",
    type(click.BOOL): "true or false",
    type(click.UUID): "a UUID",
}


def usage_error(error: click.ClickException, root: click.Command, name: str, args: Sequence[str]) -> AutoQECError:
    """Translate an error of click's, with the command that shows the options as its hint.

    Args:
        error: What click raised.
        root: The command that was run.
        name: Its name on the command line.
        args: Its arguments.
    """
    if isinstance(error, click.FileError):
        return AutoQECError(f"{error.ui_filename} cannot be opened: {error.message}")
    if not isinstance(error, click.UsageError):
        return AutoQECError(error.message)
    if error.ctx is None:  # the parser of options knows none
        error.ctx = _context(root, name, args)
    return UsageError(_sentence(error), hint=f"{error.ctx.command_path} --help")


def _context(root: click.Command, name: str, args: Sequence[str]) -> click.Context:
    """The context of the command that arguments lead to."""
    context = click.Context(root, info_name=name)
    for word in args:
        if not isinstance(context.command, click.Group):
            break
        inner = context.command.get_command(context, word) if not word.startswith("-") else None
        if inner is not None:
            context = click.Context(inner, info_name=word, parent=context)
    return context


def _sentence(error: click.UsageError) -> str:
    if isinstance(error, click.MissingParameter):
        allowed = allowed_values(error.param.type) if error.param is not None else None
        return f"{_name(error) or 'an argument'} is missing" + (f"; it must be {allowed}" if allowed else "")
    if isinstance(error, click.BadParameter):
        name, text = _name(error), _value(error)
        return f"{name}: {text}" if name else text
    if isinstance(error, click.NoSuchOption):
        known = [name for each in _parameters(error) if isinstance(each, click.Option) for name in each.opts]
        near = get_close_matches(error.option_name, known, n=2)
        return f"there is no option {error.option_name}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    for pattern, words in _GENERAL:
        if (found := pattern.match(error.message)) is not None:
            return words(found, error)
    return error.message


def _parameters(error: click.UsageError) -> Sequence[click.Parameter]:
    return error.ctx.command.get_params(error.ctx) if error.ctx is not None else ()


def _name(error: click.BadParameter) -> str:
    """The option or argument as it is typed."""
    if isinstance(error.param_hint, str):
        return error.param_hint.strip("'")
    if error.param_hint is not None:
        return " / ".join(error.param_hint)
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    if error.param is not None:
        return error.param.human_readable_name
    return ""


def _value(error: click.BadParameter) -> str:
    kind = error.param.type if error.param is not None else None
    text = error.message.strip()
    if (of_path := _PATH.fullmatch(text)) is not None and of_path["what"] in _OF_A_PATH:
        folder = isinstance(kind, click.Path) and kind.dir_okay and not kind.file_okay
        return _OF_A_PATH[of_path["what"]].format(kind="folder" if folder else "file", path=of_path["path"])
    if (count := _COUNT.match(text)) is not None:
        return f"takes {count['count']} values, not {count['given']}"
    found = _NOT_VALID.match(text)
    allowed = allowed_values(kind) if kind is not None else None
    return f"must be {allowed}, not {_as_given(found['found'])}" if found is not None and allowed else text


def _as_given(found: str) -> str:
    """A value as it was typed, which click puts between quotes only sometimes."""
    return found if found[:1] in "'\"" or re.fullmatch(r"-?[0-9.e+-]+", found) else repr(found)


def allowed_values(kind: click.ParamType[Any]) -> str | None:
    """What an option of this type may be, in plain words; None for a type that everything fits, or that is not click's."""
    if isinstance(kind, click.IntRange | click.FloatRange):
        return f"a {'whole ' if isinstance(kind, click.IntRange) else ''}number{_range(kind)}"
    if isinstance(kind, click.Choice):
        words = [str(getattr(word, "name", word)) for word in kind.choices]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if isinstance(kind, click.Tuple):
        return ", then ".join(allowed_values(each) or "a value" for each in kind.types)
    if isinstance(kind, click.DateTime):
        return f"a time written as {' or '.join(kind.formats)}"
    return _SIMPLE.get(type(kind))


def _range(kind: click.IntRange | click.FloatRange) -> str:
    low = f"{kind.min:,}" if kind.min is not None else None
    high = f"{kind.max:,}" if kind.max is not None else None
    if low and high and not kind.min_open and not kind.max_open:
        return f" from {low} to {high}"
    if low and not high and not kind.min_open:
        return f" from {low} up"
    ends = [f"{'above' if kind.min_open else 'at least'} {low}"] if low else []
    ends += [f"{'below' if kind.max_open else 'at most'} {high}"] if high else []
    return f" {' and '.join(ends)}" if ends else ""


def _needs(found: re.Match[str], error: click.UsageError) -> str:
    option = next((each for each in _parameters(error) if found["name"] in each.opts), None)
    allowed = allowed_values(option.type) if option is not None else None
    count = found["count"].removesuffix(" arguments")
    what = "a value" if count == "an argument" else f"{count} values"
    return f"{found['name']} needs {what}" + (f": {allowed}" if allowed else "")


def _no_command(found: re.Match[str], error: click.UsageError) -> str:
    context = error.ctx
    known = (
        context.command.list_commands(context)
        if context is not None and isinstance(context.command, click.Group)
        else []
    )
    return f"there is no command {found['name']}{unknown_name(found['name'], known)}"


#: Errors that have no type of their own, or no type in the oldest click that we support.
_GENERAL: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str], click.UsageError], str]]] = (
    (_EXTRA, lambda found, error: f"{found['words']}: the command takes no further argument"),
    (_NEEDS, _needs),
    (_TAKES, lambda found, error: f"{found['name']} takes {found['count']} values"),
    (_NO_VALUE, lambda found, error: f"{found['name']} is a switch and takes no value"),
    (_NO_COMMAND, _no_command),
    (re.compile(r"Missing command"), lambda found, error: "a command is missing"),
)
