"""The documents say what the program does: commands, hooks, rooms, versions, and code that is the tested code."""

import dataclasses
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import click
import pytest
from autoqec_plugins.cli_agent.program_agent import CliAgent
from autoqec_plugins.osd.osd_config import LsdConfig, OsdConfig

from autoqec import __version__, hookspecs
from autoqec.agents.agent_contract import Context, PastRound
from autoqec.agents.role_messages import MESSAGES
from autoqec.candidate.schema import Output, Training
from autoqec.cli.main import COMMANDS, cli, module_of
from autoqec.cli.reference import reference
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Environment

ROOT = Path(__file__).parent.parent
DOCS = {path: path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}


def test_the_command_reference_is_what_help_says():
    """If this fails: python -m autoqec.cli.reference > docs/cli.md."""
    assert DOCS[ROOT / "docs/cli.md"] == reference()


def test_every_command_of_the_table_is_there_and_says_what_it_does():
    with click.Context(cli) as context:
        for name, line in COMMANDS.items():
            command = cli.get_command(context, name)
            assert command is importlib.import_module(module_of(name)).command
            # The table spares `--help` an import of every command, so its words must be kept true by hand.
            assert set(re.findall(r"\w{5,}", line.lower())) & set(re.findall(r"\w{5,}", command.help.lower()))


def test_every_hook_has_a_heading_with_its_signature():
    text = DOCS[ROOT / "docs/plugins.md"]
    for name, hook in vars(hookspecs).items():
        if name.startswith("autoqec_"):
            parameters = ", ".join(inspect.signature(hook).parameters)
            assert f"### `{name}({parameters})`" in text


def test_files_quoted_in_the_documents_are_the_files():
    quoted = [
        (path.name, source, body)
        for path, text in DOCS.items()
        for source, body in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL)
    ]
    assert len(quoted) >= 2
    for document, source, body in quoted:
        assert (ROOT / source).read_text() == body, f"{document} quotes {source} as it was"


def test_every_room_and_plugin_is_on_the_page():
    page = DOCS[ROOT / "ARCHITECTURE.md"]
    for room in (ROOT / "autoqec").iterdir():
        if room.is_dir() and (room / "__init__.py").exists():
            assert f"| `{room.name}/`" in page
    for plugin in (ROOT / "plugins").iterdir():
        if (plugin / "__init__.py").exists():
            assert f"| `{plugin.name}` |" in page


def test_every_command_is_in_the_readme():
    for name in COMMANDS:
        assert f"autoqec {name}" in DOCS[ROOT / "README.md"]


def _rows(section):
    """The fields a section explains: name to the default it gives."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))


def test_every_field_of_a_candidate_and_an_environment_is_explained():
    page = DOCS[ROOT / "docs/candidates.md"]
    sections = dict(re.findall(r"^##+ `(\S+)`\n(.*?)(?=^## |^### |\Z)", page, re.MULTILINE | re.DOTALL))
    models = {"output.yaml": Output, "training.yaml": Training}
    models |= {entry.name: entry.create().Config for entry in load_plugins().all("stage")}
    for title, model in models.items():
        rows = _rows(sections[title])
        for name, field in model.model_fields.items():
            if name in ("kind", "position"):
                assert f"`{name}`" in sections["stages/<slug>/stage.yaml"]
                continue
            given = field.default
            value = "null" if given is None else str(given).lower() if isinstance(given, bool) else str(given)
            assert rows[name].strip("`") == value, f"{title}: {name}"
    for name in Environment.model_fields:
        assert re.search(rf"\| `{name}(\.kind)?` \|", DOCS[ROOT / "docs/environments.md"]), name


def test_every_field_that_a_role_sees_or_returns_is_explained():
    page = DOCS[ROOT / "docs/agents.md"]
    seen, returned = re.search(
        r"## What a role sees\n(.*)## What a role may return\n(.*?)\n## ", page, re.DOTALL
    ).groups()
    for known, text in ((Context, seen.partition("PastRound")[0]), (PastRound, seen.partition("PastRound")[2])):
        assert [field.name for field in dataclasses.fields(known)] == list(_rows(text)), known.__name__
    for role, message in MESSAGES.items():
        table = returned.partition(f"`{message.__name__}`:\n\n")[2].partition("\n\n")[0]
        assert list(message.model_fields) == list(_rows(table)), role
    options = _rows(page.partition("\n## cli\n")[2])
    for name, parameter in inspect.signature(CliAgent).parameters.items():
        if name not in ("member", "prices"):
            assert options[name] == (f"{parameter.default:g}" if parameter.default else "none"), name


def test_every_decoder_and_its_fields_are_explained():
    page = DOCS[ROOT / "docs/environments.md"]
    for name in load_plugins().names("decoder"):
        assert f"| `{name}" in page, name
    for model in (OsdConfig, LsdConfig):
        for name, field in model.model_fields.items():
            row = re.search(rf"^\| `{name}` \|(.*?)\|", page, re.MULTILINE)
            assert row, name
            assert model is LsdConfig or f"{field.default}" in row[1], name


def test_every_finding_of_fsck_is_explained():
    sources = "".join(path.read_text() for path in (ROOT / "autoqec/history/fsck").glob("fsck_*.py"))
    codes = set(re.findall(r'inding\(\s*"([a-z-]+)"', sources))
    rows = [row.split(" | ")[0] for row in DOCS[ROOT / "docs/fsck.md"].splitlines() if row.startswith("| `")]
    assert codes == {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}
    assert len(codes) > 25


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## \[(\d\S*)\]", DOCS[ROOT / "CHANGELOG.md"], re.MULTILINE)
    assert project["version"] == __version__ == newest[1]


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    wanted = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    assert {re.match(r"[A-Za-z0-9_-]+", name)[0].lower() for name in wanted} <= pins
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize("path", sorted(DOCS), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\((?!http)([^)#]+)", re.sub(r"```.*?```|`[^`\n]*`", "", DOCS[path], flags=re.DOTALL)):
        assert (path.parent / target).exists(), target
