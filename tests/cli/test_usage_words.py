"""No sentence of click's reaches a person: wrong options and arguments are named, with what they may be and what was found."""

import enum
import re

import click
import pytest

from autoqec.cli import main
from autoqec.cli.usage_words import usage_error
from autoqec.errors import UsageError

#: How click speaks.
RAW = re.compile(
    r"Invalid value|is not a valid|in the range|No such|Got unexpected|requires an? |Missing |does not take|is not one of|"
    r"Choose from|Could not open|Takes \d|Recognized values|does not match the format"
)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@click.group()
def group():
    """A group."""


@group.command()
@click.argument("count", type=int)
@click.argument("pair", nargs=2)
@click.option("--number", type=float)
@click.option("--whole", type=click.IntRange(1, 100_000))
@click.option("--up", type=click.IntRange(min=1))
@click.option("--open", "open_", type=click.FloatRange(0, 0.5, min_open=True, max_open=True))
@click.option("--most", type=click.FloatRange(max=2))
@click.option("--choice", type=click.Choice(["a", "b"]))
@click.option("--colour", type=click.Choice(Colour))
@click.option("--date", type=click.DateTime(["%Y"]))
@click.option("--uuid", type=click.UUID)
@click.option("--truth", type=bool)
@click.option("--two", type=(int, float))
@click.option("--file", type=click.File())
@click.option("--path", type=click.Path(exists=True))
@click.option("--folder", type=click.Path(exists=True, file_okay=False))
@click.option("--plain", type=click.Path(exists=True, dir_okay=False))
@click.option("--switch", is_flag=True)
@click.option("--must", required=True, type=click.IntRange(0, 3))
def work(**options):
    """A command."""


GOOD = ["work", "1", "a", "b", "--must", "1"]

CASES = [
    (["wrok"], "there is no command wrok; did you mean work? known: work"),
    ([*GOOD, "--nubmer", "1"], "there is no option --nubmer; did you mean --number?"),
    ([*GOOD, "c", "d"], "c d: the command takes no further argument"),
    ([*GOOD, "--number"], "--number needs a value: a number"),
    ([*GOOD, "--two", "1"], "--two needs 2 values: a whole number, then a number"),
    ([*GOOD, "--switch=1"], "--switch is a switch and takes no value"),
    ([*GOOD, "--number", "x y"], "--number: must be a number, not 'x y'"),
    ([*GOOD, "--number", ""], "--number: must be a number, not ''"),
    ([*GOOD, "--whole", "0"], "--whole: must be a whole number from 1 to 100,000, not 0"),
    ([*GOOD, "--whole", "1.5"], "--whole: must be a whole number from 1 to 100,000, not '1.5'"),
    ([*GOOD, "--up", "0"], "--up: must be a whole number from 1 up, not 0"),
    ([*GOOD, "--open", "0.5"], "--open: must be a number above 0 and below 0.5, not 0.5"),
    ([*GOOD, "--most", "3"], "--most: must be a number at most 2, not 3.0"),
    ([*GOOD, "--choice", "c"], "--choice: must be one of a, b, not 'c'"),
    ([*GOOD, "--colour", "green"], "--colour: must be one of RED, BLUE, not 'green'"),
    ([*GOOD, "--date", "soon"], "--date: must be a time written as %Y, not 'soon'"),
    ([*GOOD, "--uuid", "x"], "--uuid: must be a UUID, not 'x'"),
    ([*GOOD, "--truth", "maybe"], "--truth: must be true or false, not 'maybe'"),
    ([*GOOD, "--two", "1", "x"], "--two: must be a whole number, then a number, not 'x'"),
    ([*GOOD, "--file", "nowhere"], "--file: 'nowhere': No such file or directory"),
    ([*GOOD, "--path", "nowhere"], "--path: there is no file 'nowhere'"),
    ([*GOOD, "--folder", "nowhere"], "--folder: there is no folder 'nowhere'"),
    ([*GOOD, "--folder", "file"], "--folder: 'file' is a file, not a folder"),
    ([*GOOD, "--plain", "."], "--plain: '.' is a folder, not a file"),
    (["work", "x", "a", "b", "--must", "1"], "COUNT: must be a whole number, not 'x'"),
    (["work", "--must", "1"], "COUNT is missing; it must be a whole number"),
    (["work", "1", "a", "--must", "1"], "pair takes 2 values"),
    (["work", "1", "a", "b"], "--must is missing; it must be a whole number from 0 to 3"),
]


@pytest.mark.parametrize(("args", "said"), CASES, ids=[" ".join(args[-2:]) for args, _ in CASES])
def test_what_is_said(args, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(click.ClickException) as caught:
        group.main(args, prog_name="tool", standalone_mode=False)
    told = usage_error(caught.value, group, "tool", args)
    assert isinstance(told, UsageError)
    assert told.problem == said
    assert not RAW.search(told.problem.replace("No such file or directory", ""))
    assert told.hint in ("tool --help", "tool work --help")


def test_every_type_of_click_has_words():
    """A type that click gains, or that this test does not try, is noticed."""
    tried = {type(option.type) for option in work.params}
    types = {
        kind for kind in vars(click.types).values() if isinstance(kind, type) and issubclass(kind, click.ParamType)
    }
    abstract = {"ParamType", "CompositeParamType", "_NumberParamTypeBase", "_NumberRangeBase", "FuncParamType"}
    assert {kind.__name__ for kind in types - tried} - abstract <= {"UnprocessedParamType"}


def test_sentences_of_commands_stay():
    for error, said in (
        (click.UsageError("a sentence of a plugin"), "a sentence of a plugin"),
        (click.BadParameter("red is no colour"), "red is no colour"),
        (click.FileError("x", "it is gone"), "x cannot be opened: it is gone"),
    ):
        assert usage_error(error, group, "tool", []).problem == said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["env", "check"], "ENV is missing"),
        (["env", "chekc"], "did you mean check?"),
        (["round", "--jobs", "-1"], "--jobs: must be a whole number from 0 to 1,024, not -1"),
    ],
)
def test_the_command_line_says_it_with_a_hint_that_works(args, said, capsys):
    assert main.run(args) == 2
    err = capsys.readouterr().err
    assert said in err
    hint = err.partition("hint: ")[2].split()
    assert hint[0] == "autoqec"
    assert main.run(hint[1:]) == 0
