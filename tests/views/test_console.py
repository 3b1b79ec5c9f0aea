"""Text that others wrote is shown, never obeyed."""

import ast
import fcntl
import io
import json
import os
import re
import struct
import termios
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from pty_reading import END, read_to_the_end
from rich.text import Text

from autoqec.errors import AutoQECError
from autoqec.history import candidate_diff
from autoqec.views.console import out, plain, print_error, print_json, say
from autoqec.views.fitted_console import FittedConsole
from autoqec.views.installed_text import print_environments
from autoqec.views.stand_ins import escaped, spelled
from autoqec.views.sync_text import print_bundle
from autoqec.views.tables import _print_indented

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("bell\x07", "bell\\x07"),
        ("up\u202edown", "up\\x202edown"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
        ("α Δ_LER → 1e-3", "α Δ_LER → 1e-3"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_control_characters_are_made_visible(text, shown):
    assert plain(text).plain == shown


def test_errors_go_to_stderr_with_their_hint(capsys):
    print_error(AutoQECError("it broke\x1b[2J", hint="fix it"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: it broke\\x1b[2J\n  hint: fix it\n"


def test_json_lines_are_finite(capsys):
    print_json([{"a": "Δ"}])
    assert capsys.readouterr().out == '{"a": "Δ"}\n'
    with pytest.raises(ValueError, match="JSON"):
        print_json([{"a": float("nan")}])


def test_a_diff_shows_what_changed_and_no_more():
    before = {"a.yaml": b"x: 1\n\ny: 2\n", "gone.yaml": b"z: 1\n"}
    after = {"a.yaml": b"x: 1\n\ny: 3\n", "new.yaml": b"w: 1\n"}
    assert candidate_diff(before, after).splitlines() == [
        "--- a.yaml", "+++ a.yaml", "-y: 2", "+y: 3",
        "--- gone.yaml", "+++ /dev/null", "-z: 1",
        "--- /dev/null", "+++ new.yaml", "+w: 1",
    ]  # fmt: skip


def test_a_long_line_goes_on_below_its_own_indentation_and_is_whole_in_a_pipe(monkeypatch, capsys):
    text = plain("head\n" + "  " + "word " * 20)
    monkeypatch.setenv("COLUMNS", "30")
    out().print(text, soft_wrap=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["head", *["  " + "word " * 4 + "word"] * 4]
    out().print_whole(plain("git fetch " + "word " * 10 + "word"))
    assert capsys.readouterr().out == "git fetch " + "word " * 10 + "word\n", "what is to be copied has no line breaks"
    monkeypatch.delenv("COLUMNS")
    out().print(text, soft_wrap=True)
    assert capsys.readouterr().out == "head\n" + "  " + ("word " * 20).rstrip() + "\n"


def test_a_word_as_long_as_the_line_is_broken_and_styles_end_no_line_in_spaces(monkeypatch):
    file = io.StringIO()
    console = FittedConsole(file=file, width=10, force_terminal=True, color_system="standard", highlight=False)
    console.print(plain("x" * 25))
    console.print(Text("red   ", style="red"))
    assert file.getvalue() == f"{'x' * 10}\n{'x' * 10}\n{'x' * 5}\n\x1b[31mred\x1b[0m\n"


@pytest.mark.parametrize("width", [40, 47, 53, 60, 80])
def test_no_line_breaks_inside_a_value(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    text = (
        "test: 53,248 shots: both fail a = 1,234, plain only b = 243, candidate only c = 116, ratio 0.655 [0.614, 0.697],"
        " took 24 µs, 10.4 % of which are sent on, of 3 bets L of (1 + L)^b, 243 · log 1.5620 + 1"
    )
    out().print(plain(text))
    _print_indented(out(), text)
    printed = capsys.readouterr().out
    for value in (
        "a = 1,234,",
        "b = 243,",
        "c = 116,",
        "[0.614, 0.697],",
        "24 µs,",
        "10.4 %",
        "(1 + L)^b",
        "243 · log 1.5620",
    ):
        assert printed.count(value) == 2, value
    assert " ".join(printed.split()) == f"{text} {text}"
    assert max(map(len, printed.splitlines())) <= width


def test_lists_and_messages_fit_a_terminal_of_80_columns_and_paths_stay_whole(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    folder = "/somewhere/" + "a-long-folder/" * 4 + "envs"
    rows = [{"name": name, "where": f"{folder}/{name}.yaml", "story": "words " * 20} for name in ("one", "two")]
    print_environments(rows)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"in {folder}"
    assert max(map(len, printed[1:])) <= 80
    monkeypatch.chdir(tmp_path)
    Path("run.bundle").write_bytes(b"1")
    print_bundle("surface-d5-depol-abcd", Path("run.bundle"), [], [1], rounds=2, as_json=False)
    say("fetched from the bundle of this clone: 1 run, 5 rounds, notes on 1 run, weights of 5 rounds", fitted=True)
    said = "".join(capsys.readouterr())
    assert "\n  git clone run.bundle lab\n  cd lab && autoqec log\n" in said
    assert max(map(len, said.splitlines())) <= 80


def on_a_terminal(columns, show):
    """What a terminal of so many columns gets that is standard output and standard error while `show` prints."""
    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    with open(writer, "w", encoding="utf-8") as stream, redirect_stdout(stream), redirect_stderr(stream):
        show()
        stream.write(END)
        stream.flush()
        printed = read_to_the_end(reader).decode().replace("\r\n", "\n")
    os.close(reader)
    return printed


@pytest.mark.parametrize("name", ["xterm-256color", "dumb"])
@pytest.mark.parametrize(
    "variables", [{}, {"NO_COLOR": "1"}, {"CI": "true"}, {"COLUMNS": "44"}, {"COLUMNS": "rubbish"}]
)
def test_every_terminal_has_its_own_width_and_colours_only_if_wanted(name, variables, monkeypatch):
    for variable in ("COLUMNS", "NO_COLOR", "CI"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"TERM": name, **variables}.items():
        monkeypatch.setenv(variable, value)

    printed = on_a_terminal(66, lambda: out().print(Text("words " * 40, style="red")))
    width = int(variables["COLUMNS"]) if variables.get("COLUMNS") == "44" else 66
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()
    assert width - 6 < max(map(len, map(str.rstrip, lines))) <= width
    assert max(map(len, lines)) <= width
    coloured = "\x1b[31m" in printed
    assert coloured == (name != "dumb" and "NO_COLOR" not in variables)


@pytest.mark.parametrize("columns", ["0", "1", "-5", "", "9" * 9])
def test_no_width_that_is_set_is_an_error(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    out().print(plain("words " * 40))
    say("words")
    assert 1 <= max(map(len, capsys.readouterr().out.splitlines())) <= 240


def test_our_own_characters_have_look_alikes_of_their_width_and_others_are_spelled():
    assert spelled("ΔLER·1e-3 – 5 µs × 3 … ✓ ↑ Λ α") == "dLER*1e-3 - 5 us x 3 ~ v ^ L a"
    assert spelled("[0.5, ∞] ± ≤ 表 😀 \ud800") == "[0.5, inf] +- <= \\u8868 \\ud83d\\ude00 \\ud800"
    assert json.loads(f'"{escaped("Δ – 😀")}"') == "Δ – 😀"
    assert escaped("Δ") == "\\u0394"


def test_every_character_that_our_views_print_has_a_look_alike():
    """A character of a view that the map lacks would be printed as an escape where the output knows ASCII alone."""
    views = [path for room in ("views", "cli") for path in (ROOT / "autoqec" / room).glob("*.py")]
    texts = [
        node.value
        for path in views
        if path.stem != "stand_ins"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    found = {character for text in texts for character in text if not character.isascii() and character.isprintable()}
    assert {character for character in found if spelled(character).startswith("\\u")} == set()
