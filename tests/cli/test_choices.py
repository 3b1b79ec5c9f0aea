"""Commands list what an option may be without importing what defines it, so that help is quick: the two lists are the same."""

from typing import get_args

import click
import pytest

from autoqec.cli.main import cli
from autoqec.hosting.ci_files import CI_HOSTS
from autoqec.plugins import KINDS
from autoqec.reporting.charts.front_chart import Measure
from autoqec.reporting.lab_charts import ChartName
from autoqec.reporting.trackers.experiment_trackers import TRACKERS


@pytest.mark.parametrize(
    ("path", "parameter", "defined"),
    [
        ("init", "ci", CI_HOSTS),
        ("plugins new", "kind", KINDS),
        ("plot", "chart", get_args(ChartName)),
        ("plot", "measure", get_args(Measure)),
        ("export", "tracker", tuple(TRACKERS)),
    ],
)
def test_choices_are_those_that_are_defined(path, parameter, defined):
    command = cli
    for name in path.split():
        command = command.get_command(click.Context(command), name)
    choices = next(each.type.choices for each in command.params if each.name == parameter)
    assert sorted(choices) == sorted(defined)
