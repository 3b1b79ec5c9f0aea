"""The display: a line for each phase off a terminal; on one, the step, the speed, the loss and the time left."""

import io
import re

from rich.console import Console

from autoqec.views.console import out, print_json, print_lines
from autoqec.views.progress import RoundDisplay

EVENTS = [
    {"event": "round", "run": "r-abcd", "round": 3},
    {"event": "step", "step": "ideate"},
    {"event": "agent", "round": 3, "tokens": 1234},
    {"event": "agent", "round": 3, "waiting": 30.2, "why": "rate limit\x1b[2J"},
    {"event": "spent", "round": 3, "calls": 1, "tokens": 5678, "cost": 0.0123, "unpriced": 1},
    {"event": "step", "step": "train"},
    {"event": "compiling", "what": "belief\x1b propagation", "seconds": 8.0},
    {"event": "train", "step": 5, "steps": 10, "shots": 1280, "loss": 7.25, "planned": 1000},
    {"event": "step", "step": "score"},
    {"event": "score", "shots": 8192, "total": 131072},
    {"event": "step", "step": "verify"},
    {"event": "verify", "shots": 4096, "max_shots": 2_000_000, "stage": "test"},
    {"event": "verify", "shots": 53248, "max_shots": 2_000_000, "log_e_better": 31.5},
    {"event": "verify", "shots": 4096, "max_shots": 204_800, "stage": "extension"},
    {"event": "verify", "shots": 8192, "max_shots": 204_800, "stage": "extension"},
    {"event": "closed", "status": "ok"},
]


def drawn(monkeypatch, *, terminal, quiet=False):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=160, color_system=None)
    monkeypatch.setattr("autoqec.views.progress.err", lambda: console)
    with RoundDisplay(quiet=quiet) as display:
        for event in EVENTS:
            display.show(event)
            if display._progress is not None:
                display._progress.refresh()
    return file.getvalue()


def test_on_a_terminal_it_says_what_is_going_on(monkeypatch):
    text = drawn(monkeypatch, terminal=True)
    for words in (
        "round r-abcd/3", "ideator: what to try", "1,234 tokens", "continues in 30 s", "5,678 tokens, $0.0123, and 1 call of",
        "training", "loss 7.250", "shots/s", "cut from 1,000 steps to fit the time", "scoring against the plain decoder",
        "compiling belief\\x1b propagation, once, about 8 s",
        "verifying: test", "verifying: extension", "53,248 shots, log evidence 31.5", "0:00:00",
    ):  # fmt: skip
        assert words in text
    assert "limit\x1b" not in text


def test_off_a_terminal_it_says_a_line_for_each_phase_and_what_it_took(monkeypatch, capsys):
    times = iter(range(100))
    monkeypatch.setattr("autoqec.views.progress.time.monotonic", lambda: next(times))
    assert drawn(monkeypatch, terminal=False) == ""
    said = [re.sub(r"\d+\.\d s$", "… s", line) for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "round r-abcd/3",
        "ideator: what to try: … s",
        "compiling belief\\x1b propagation, once, about 8 s",
        "training: … s",
        "scoring against the plain decoder: … s",
        "verifying on the holdout: … s",
        "verifying on the holdout: test: … s",
        "verifying on the holdout: extension: … s",
    ]


def test_when_told_it_is_silent(monkeypatch, capsys):
    assert drawn(monkeypatch, terminal=True, quiet=True) == ""
    assert drawn(monkeypatch, terminal=False, quiet=True) == ""
    assert capsys.readouterr().err == ""


def test_a_verification_without_a_round_shows_its_progress(monkeypatch):
    only = [event for event in EVENTS if event["event"] == "verify"]
    monkeypatch.setattr(f"{__name__}.EVENTS", only)
    text = drawn(monkeypatch, terminal=True)
    assert "verifying: test" in text
    assert "53,248 shots, log evidence 31.5" in text


def test_the_bar_is_erased_before_anything_is_printed_and_the_output_stays_where_it_is_sent(monkeypatch, capsys):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr("autoqec.views.progress.err", lambda: console)
    with RoundDisplay() as display:
        for printed in (lambda: print_json([{"a": 1}]), lambda: out().print("a verdict"), lambda: print_lines(["b"])):
            display.show({"event": "verify", "shots": 4096, "max_shots": 8192, "stage": "extension"})
            assert display._progress is not None
            printed()
            assert display._progress is None
        assert file.getvalue().endswith("\x1b[1A\x1b[2K")  # up to the bar's line, and clear it
        display.show({"event": "verify", "shots": 8192, "max_shots": 8192, "stage": "extension"})
        assert display._progress.tasks[0].completed == 8192  # and it goes on
    assert capsys.readouterr().out == '{"a": 1}\na verdict\nb\n'
    out().print("later")  # nothing is left to erase


def test_each_part_of_a_verification_has_a_rate_of_its_own(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("autoqec.views.progress.time.monotonic", lambda: now[0])
    file = io.StringIO()
    monkeypatch.setattr(
        "autoqec.views.progress.err", lambda: Console(file=file, force_terminal=True, width=120, color_system=None)
    )
    said = []
    with RoundDisplay() as display:
        for at, shots, stage in (
            (0, 0, "test"),
            (100, 100_000, "test"),
            (100, 0, "extension"),
            (110, 50_000, "extension"),
        ):
            now[0] = at
            display.show({"event": "verify", "shots": shots, "max_shots": 200_000, "stage": stage})
            task = display._progress.tasks[0]
            said.append((task.description, task.fields["note"].rpartition(", ")[2], task.total))
    assert said[1] == ("verifying: test", "1,000 shots/s", None)  # it may stop at any time, so no time left is shown
    assert said[3] == ("verifying: extension", "5,000 shots/s", 200_000)
