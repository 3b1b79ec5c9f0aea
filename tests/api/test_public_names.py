"""The public names of `autoqec` are those listed here, each documented on the site; to add or remove one is a decision."""

import inspect
import re
from pathlib import Path

import pytest

import autoqec

PAGE = (Path(__file__).parents[2] / "docs/python.md").read_text()

#: Each public name, and the public members of those that are classes, but for what their bases have.
NAMES = {
    "AutoQECError": {"at", "code", "exit_code"},
    "DecoderComparison": {"pairs", "save", "save_csv", "shown", "word"},
    "DecoderSweep": {"crossings", "left_out", "plot", "shown", "suppressions"},
    "Environment": {
        "check", "decoder", "files", "from_circuit", "from_dem", "from_matrices", "identity", "loaded", "name", "open",
        "problem", "save", "story", "to_row",
    },
    "Front": {"confirmed", "dominates", "open_pairs", "rows", "shown"},
    "Lab": {"environment", "front", "path", "resume", "round", "rounds", "run", "runs", "verify"},
    "Round": {
        "analysis", "commit", "decoder", "env", "environment", "files", "fork_from", "hypothesis", "metrics", "name",
        "number", "package", "problems", "reason", "run", "status", "time", "to_row", "trust", "verdict", "verified",
    },
    "RoundDecoder": {"close", "locked", "metadata", "name"},
    "Rounds": {"shown"},
    "RunOfLab": {"base", "created", "env", "env_id", "environment", "name", "to_row"},
    "Runs": {"shown"},
    "__version__": set(),
    "compare": set(),
    "hookimpl": set(),
    "init": set(),
    "open": set(),
    "sweep": set(),
}  # fmt: skip


def test_the_names_are_these():
    assert sorted(autoqec.__all__) == sorted(NAMES)
    assert [name for name in NAMES if getattr(autoqec, name, None) is None] == []


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isclass(getattr(autoqec, name))])
def test_the_members_of_a_class_are_these_and_have_docstrings(name):
    members = {member: value for member, value in vars(getattr(autoqec, name)).items() if not member.startswith("_")}
    assert set(members) == NAMES[name]
    for member, value in members.items():
        plain = value.__func__ if isinstance(value, staticmethod) else value
        assert not (callable(plain) or hasattr(plain, "__get__")) or inspect.getdoc(plain), member


def test_every_name_is_on_the_page_of_the_site():
    section = re.search(r"^::: autoqec\n((?:    .*\n)*)", PAGE, re.MULTILINE)[1]
    assert set(re.findall(r"\w+", section.partition("members:")[2])) == set(NAMES) - {
        "__version__",  # a word, not an object with a docstring
        "AutoQECError",  # with its subclasses, under Errors
        "hookimpl",  # with the hooks
    }
    assert "::: autoqec.errors" in PAGE
    assert "`autoqec.hookimpl`" in PAGE


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'autoqec' has no attribute 'nothing'"):
        autoqec.nothing  # noqa: B018
