"""Commands in sentences: found, kept on one line, and copied as they are."""

import pytest

from autoqec.views.console import out, plain
from autoqec.views.quoted_commands import split_commands


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("wait; autoqec status", ["autoqec status"]),
        ("autoqec resume r-1, or autoqec resume --abandon r-1/2", ["autoqec resume r-1", "autoqec resume --abandon r-1/2"]),
        ("autoqec agents reply coder < reply.json, or wait", ["autoqec agents reply coder < reply.json"]),
        ("autoqec show r-1/2 --trace shows the prompt", ["autoqec show r-1/2 --trace"]),
        ("to send them: git push REMOTE refs/notes/commits", ["git push REMOTE refs/notes/commits"]),
        ("compose (autoqec compare a,b), or fork.", ["autoqec compare a,b"]),
        ("it needs pip install 'autoqec[mlflow]'.", ["pip install 'autoqec[mlflow]'"]),
        ("written by autoqec, and git keeps it", []),
        ("Run autoqec log.", ["autoqec log"]),
    ],
)  # fmt: skip
def test_commands_are_found_in_a_sentence(text, commands):
    parts = [*split_commands(text)]
    assert "".join(part for part, _ in parts) == text
    assert [part for part, is_command in parts if is_command] == commands


def test_no_line_breaks_inside_a_command(monkeypatch, capsys):
    for width in range(50, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        text = "refs/notes/commits: 5 notes changed; to send them: git push REMOTE refs/notes/commits"
        out().print(plain(text), soft_wrap=True)
        assert any("git push REMOTE refs/notes/commits" in line for line in capsys.readouterr().out.splitlines())
