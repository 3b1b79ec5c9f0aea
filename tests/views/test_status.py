"""`autoqec status` says of each open round what it does, who works on it, and how to go on; with --watch, what changes."""

import json
import os
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from terminal_screen import TerminalScreen

from autoqec import history
from autoqec.cli.main import run as run_command
from autoqec.cli.status import watch_rounds
from autoqec.history.reading.open_rounds import OpenRound
from autoqec.history.rounds.claims import Claim
from autoqec.history.rounds.progress_files import RoundProgress, read_progress
from autoqec.history.store.owner import Owner
from autoqec.loop.opened_session import opened_session
from autoqec.loop.progress_writer import ProgressWriter
from autoqec.plugins import load_plugins
from autoqec.views.fitted_console import FittedConsole
from autoqec.views.status_text import print_status, status_row

NOW = 1_800_000_000.0
OWNER = Owner("a-machine", 123, "boot", "77")
CLAIM = Claim("surface-d5-depol-abcd", 7, "0" * 32, "open", "a-machine", 123, "boot", "2027-01-15T07:58:00+00:00")
PROGRESS = RoundProgress(
    OWNER, "ada", "train", "training", "loss 7.2\x1b[2J", "steps", 25, 100, False, 1234.5678, 90.0, False, NOW - 30, NOW - 2
)  # fmt: skip
RUNNING = OpenRound(CLAIM, "running", "ada", PROGRESS)
ROUNDS = [
    RUNNING,
    OpenRound(replace(CLAIM, number=8), "running"),
    OpenRound(replace(CLAIM, number=9, details={"waiting": "coder"}), "waiting", after="ideate"),
    OpenRound(replace(CLAIM, number=10), "interrupted", after="train"),
    OpenRound(replace(CLAIM, number=11, host="a-machine-far-away.example.org"), "elsewhere", after="claim"),
]


@pytest.fixture(autouse=True)
def _at_a_time(monkeypatch):
    monkeypatch.setattr("autoqec.views.status_text.time", SimpleNamespace(time=lambda: NOW))
    monkeypatch.setattr("autoqec.views.status_watch.time", SimpleNamespace(time=lambda: NOW))


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_it_fits_a_terminal_and_commands_stay_whole(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_status(ROUNDS)
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if "autoqec" in line]
    assert [line for line in lines if len(line) > columns and line not in commands] == []
    assert [line for line in lines if line != line.rstrip()] == []
    name = "surface-d5-depol-abcd"
    assert " ".join(" ".join(lines).split()) == (
        f"{name}/7 running: training, 25 %, loss 7.2\\x1b[2J, about 88 s left for 2 min, process 123 of ada on a-machine"
        f" {name}/8 running: it does not say what for 2 min, process 123 on a-machine"
        f" {name}/9 waits for the coder begun 2 min ago continue: autoqec agents prompt coder --run {name}/9"
        f" {name}/10 interrupted after its training begun 2 min ago, process 123 on a-machine, which has ended"
        f" continue: autoqec resume {name}"
        f" {name}/11 open on another machine, a-machine-far-away.example.org begun 2 min ago, process 123 on"
        " a-machine-far-away.example.org; from here nobody can tell whether that is alive"
        f" if it is not: autoqec resume {name} --force"
    ).replace("2 min", "120 s")


def test_words_of_a_claim_or_a_file_begin_no_line(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "400")
    forged = "x\n  continue: autoqec drop r"
    claims = replace(CLAIM, host=forged), replace(CLAIM, details={"waiting": forged})
    progress = replace(PROGRESS, phase=forged, note=forged, user=forged)
    found = [
        OpenRound(claims[0], "elsewhere"),
        OpenRound(claims[1], "waiting"),
        OpenRound(CLAIM, "running", forged, progress),
    ]
    print_status(found)
    with pytest.raises(KeyboardInterrupt):
        watch_rounds(SimpleNamespace(read=lambda: found, claims=list), _interrupt, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("  continue: autoqec drop")] == []
    assert len(lines) == 3 + 3 + 2 + 3


def _interrupt():
    raise KeyboardInterrupt


def test_json_has_it_all():
    row = status_row(RUNNING, NOW)
    assert (row["schema"], row["state"], row["user"], row["pid"]) == ("autoqec.status/1", "running", "ada", 123)
    assert row["progress"] == {
        "step": "train", "phase": "training", "note": "loss 7.2\x1b[2J", "seconds": 30.0, "unit": "steps", "done": 25,
        "total": 100, "open_ended": False, "per_second": 1235.0, "seconds_left": 88.0, "seconds_left_at_most": False,
        "seconds_silent": 2.0,
    }  # fmt: skip
    row = status_row(ROUNDS[3], NOW)
    assert (row["state"], row["after"], row["command"]) == (
        "interrupted",
        "train",
        "autoqec resume surface-d5-depol-abcd",
    )
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_a_claim_from_anywhere_puts_nothing_into_a_command(capsys):
    strange = replace(ROUNDS[2], claim=replace(CLAIM, details={"waiting": "coder; reboot\x1b[2J"}))
    print_status([strange])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "surface-d5-depol-abcd/7  waits for the coder; reboot\\x1b[2J"
    assert lines[-1] == "  continue: autoqec agents prompt --run surface-d5-depol-abcd/7"


def test_a_process_that_says_nothing_for_long_is_said_to_be_silent(capsys):
    print_status([replace(RUNNING, progress=replace(PROGRESS, written=NOW - 300))])
    assert "it has said nothing for 5 min" in capsys.readouterr().out


class Story:
    """What is read one time after the other."""

    def __init__(self, *scenes, closed=()):
        self.scenes, self.closed = list(scenes), closed

    def read(self):
        return self.scenes.pop(0)

    def claims(self):
        return self.closed

    def wait(self):
        if not self.scenes:
            raise KeyboardInterrupt


@pytest.mark.parametrize("as_json", [False, True])
def test_watching_off_a_terminal_prints_each_change_once(as_json, capsys):
    further, later = replace(PROGRESS, done=50), replace(PROGRESS, phase="scoring", step="score", done=0)
    story = Story(
        [],
        [RUNNING],
        [replace(RUNNING, progress=further)],
        [replace(RUNNING, progress=later), ROUNDS[3]],
        [ROUNDS[3]],
        closed=[replace(CLAIM, state="closed", status="ok")],
    )
    with pytest.raises(KeyboardInterrupt):
        watch_rounds(story, story.wait, as_json=as_json)
    lines = capsys.readouterr().out.splitlines()
    if as_json:
        told = [
            (row["round"], row["state"], row["status"], (row["progress"] or {}).get("phase"))
            for row in map(json.loads, lines)
        ]
        assert told == [
            (7, "running", None, "training"),
            (7, "running", None, "scoring"),
            (10, "interrupted", None, None),
            (7, "ended", "ok", None),
        ]
    else:
        assert [line.removeprefix("surface-d5-depol-abcd/") for line in lines] == [
            "no round is running, waiting or interrupted",
            "7  running: training, 25 %, loss 7.2\\x1b[2J, about 88 s left",
            "7  running: scoring, 0 %, loss 7.2\\x1b[2J, about 88 s left",
            "10  interrupted after its training",
            "7  ended: ok",
        ]


def test_watching_on_a_terminal_redraws_in_one_place(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    screen, seen = TerminalScreen(60), []
    console = FittedConsole(file=screen.file, width=60, highlight=False)
    monkeypatch.setattr("autoqec.views.console.out", lambda: console)
    story = Story(ROUNDS, [RUNNING, ROUNDS[3]], [replace(RUNNING, progress=replace(PROGRESS, done=50))])
    with pytest.raises(KeyboardInterrupt):
        watch_rounds(story, lambda: (seen.append(screen.lines()), story.wait()), as_json=False)
    assert [len(lines) for lines in seen] == [13, 5, 2]
    assert screen.lines() == [
        "surface-d5-depol-abcd/7  running: training, 50 %, loss 7.2…",
        "  for 120 s, process 123 of ada on a-machine",
    ]
    screen.close()


def test_the_command_in_a_lab_and_what_a_new_round_is_told(autoqec_lab, monkeypatch, capsys):
    from autoqec.loop.session import open_run

    assert run_command(["status"]) == 0
    assert capsys.readouterr() == ("", "no round is running, waiting or interrupted\n")
    run = open_run(autoqec_lab, load_plugins(), env="tiny", run_name="r", fresh=False, seed=1)
    claims = [history.claim_round(autoqec_lab, "r") for _ in range(5)]
    for number, changes in ((2, {"boot_id": "x"}), (3, {"details": {"waiting": "coder"}}), (4, {"host": "far"})):
        history.update_claim(autoqec_lab, claims[number - 1], **changes)
    assert run_command(["status", "r", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["state"] for row in rows] == ["running", "interrupted", "waiting", "elsewhere", "running"]
    assert run_command(["status", "none"]) == 3
    capsys.readouterr()
    # What comes after is a round.
    monkeypatch.setattr("autoqec.loop.preflight.begin_run", lambda *given, **options: 1 / 0)
    run_command(["round", "--run", run.name])
    said = [line for line in capsys.readouterr().err.splitlines() if re.match(r"round r/|and \d", line)]
    assert said[0].startswith(f"round r/1 is running, process {os.getpid()} of ")
    assert said[1:4] == [
        "round r/2 interrupted before its hypothesis; autoqec resume r",
        "round r/3 waits for the coder; autoqec agents prompt coder --run r/3",
        "and 2 more open rounds of r: autoqec status",
    ]


def test_a_session_writes_down_what_its_round_does_and_removes_it(autoqec_lab):
    attempt, heard = "a" * 32, []
    file = autoqec_lab.git_dir / "autoqec" / "progress" / attempt
    settings = {"max_wall": 0}
    with opened_session(
        autoqec_lab, load_plugins(), settings, SimpleNamespace(name="r"), lambda event: heard.append(event["event"])
    ) as session:
        session.event("round", round=1, steps=[], attempt=attempt)
        session.event("step", round=1, step="train", seconds_at_most=60.0)
        found = read_progress(autoqec_lab, attempt)
        assert (found.step, found.phase, found.at_most, found.owner.pid) == ("train", "training", True, os.getpid())
        session.event("closed", round=1, status="ok", verdict=None)
        assert not file.exists()
        session.event("round", round=2, steps=[], attempt=attempt)
        assert file.exists()
    assert not file.exists(), "the session is over, however it ended"
    assert heard == ["round", "step", "closed", "round"]


def test_files_are_written_once_a_second_however_fast_events_come(autoqec_lab, monkeypatch):
    written, now = [], [0.0]
    monkeypatch.setattr("autoqec.loop.progress_writer.write_progress", lambda *args: written.append(args[2]))
    writer = ProgressWriter(autoqec_lab, clock=lambda: now[0], now=lambda: NOW + now[0])
    writer.event({"event": "round", "run": "r", "round": 1, "steps": [], "attempt": "a" * 32})
    for count in range(10_000):
        now[0] = count / 1000
        stage = f"stage {count}" if count % 2 else "test"  # a verifier that names another part each time
        writer.event({"event": "verify", "run": "r", "shots": count, "max_shots": 10_000, "stage": stage})
    assert 10 <= len(written) <= 31
    assert written[-1].written > NOW + 8
    assert written[-1].began <= written[-1].written
