"""Text that others wrote is shown, never obeyed."""

import pytest

from autoqec.errors import AutoQECError
from autoqec.history import candidate_diff
from autoqec.views.console import plain, print_error, print_json


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
