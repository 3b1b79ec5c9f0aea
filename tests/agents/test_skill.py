"""The skill for coding agents: every command in it exists, and writing it harms nothing."""

import re
import subprocess

import pytest
import yaml

from autoqec.agents.skill import SKILL_FILES, skill_text, write_skill
from autoqec.cli.main import run
from autoqec.errors import UsageError
from autoqec.testing import make_tiny_lab


def commands():
    text = skill_text()
    fenced = [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]
    return sorted({*fenced, *re.findall(r"`(autoqec [^`]+)`", text)})


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_skill_is_one(line, capsys):
    program, *words = line.split()
    assert program == "autoqec"
    assert run([*words, "--help"]) == 0, line
    assert "Usage: autoqec" in capsys.readouterr().out


def test_a_command_that_is_none_would_be_found(capsys):
    assert run(["round", "--no-such-option", "--help"]) == 2
    assert run(["agents", "no-such-command", "--help"]) == 2
    assert len(commands()) > 20


def test_its_front_matter_is_valid():
    head = re.match(r"---\n(.*?)\n---\n", skill_text(), re.DOTALL)
    fields = yaml.safe_load(head[1])
    assert fields.keys() == {"name", "description"}
    assert all(path.split("/")[-2] == fields["name"] for path in SKILL_FILES)
    assert re.fullmatch(r"[a-z0-9-]{1,64}", fields["name"])
    assert 0 < len(fields["description"]) <= 1024
    assert len(skill_text().splitlines()) < 500


def test_init_writes_it_where_agents_look_and_commits_it_nowhere(tmp_path, capsys):
    top = tmp_path / "lab"
    for _ in range(2):
        assert run(["init", str(top), "--skills"]) == 0
        assert [(top / name).read_text() for name in SKILL_FILES] == [skill_text()] * 2
    err = capsys.readouterr().err
    assert all(f"wrote {name}" in err for name in SKILL_FILES)
    tracked = subprocess.run(["git", "ls-files"], cwd=top, capture_output=True, text=True, check=True).stdout
    assert "SKILL" not in tracked


def test_other_contents_are_kept_and_links_not_followed(tmp_path):
    top = make_tiny_lab(tmp_path / "lab").workdir
    mine = top / SKILL_FILES[1]
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match="other contents"):
        write_skill(top)
    assert mine.read_text() == "mine"
    assert not (top / SKILL_FILES[0]).exists()
    mine.unlink()
    mine.symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="leads out"):
        write_skill(top)
    assert not (tmp_path / "outside").exists()
