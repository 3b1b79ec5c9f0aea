"""The display of a round: a line for each phase in a log; on a terminal one line with the rate, the loss and the time left."""

import io
import re

import pytest
from rich.console import Console
from terminal_screen import TerminalScreen

from autoqec.phases import Phase, duration
from autoqec.round_phases import RoundPhases
from autoqec.views import console as streams
from autoqec.views.console import out, print_json, print_lines
from autoqec.views.parallel_display import ParallelDisplay
from autoqec.views.phase_display import _SPINNER, PhaseDisplay, fitted
from autoqec.views.progress import RoundDisplay

#: Seconds that pass before an event, and the event.
EVENTS = [
    (2, {"event": "round", "run": "r-abcd", "round": 3}),
    (0, {"event": "step", "step": "ideate", "agent": "search"}),
    (1, {"event": "agent", "round": 3, "tokens": 1234}),
    (1, {"event": "agent", "round": 3, "waiting": 30.2, "why": "rate limit\x1b[2J"}),
    (0, {"event": "spent", "round": 3, "calls": 1, "tokens": 5678, "cost": 0.0123, "unpriced": 1}),
    (0, {"event": "step", "step": "train", "seconds_at_most": 300.0}),
    (1, {"event": "compiling", "what": "belief\x1b propagation", "seconds": 8.0}),
    (8, {"event": "train", "step": 0, "steps": 10, "shots": 0, "loss": 8.5, "planned": 1000}),
    (6, {"event": "train", "step": 3, "steps": 10, "shots": 768, "loss": 7.5, "planned": 1000}),
    (1, {"event": "train", "step": 4, "steps": 10, "shots": 1024, "loss": 7.25, "planned": 1000}),
    (1, {"event": "step", "step": "score"}),
    (0, {"event": "score", "shots": 8192, "total": 131072}),
    (1, {"event": "step", "step": "verify"}),
    (2, {"event": "verify", "shots": 0, "max_shots": 2_000_000, "max_seconds": 600.0, "stage": "test"}),
    (100, {"event": "verify", "shots": 50_000, "max_shots": 2_000_000, "max_seconds": 600.0, "log_e_better": 31.5}),
    (0, {"event": "verify", "shots": 0, "max_shots": 204_800, "stage": "extension"}),
    (2, {"event": "verify", "shots": 102_400, "max_shots": 204_800, "stage": "extension"}),
    (0, {"event": "step", "step": "close"}),
    (0, {"event": "closed", "status": "ok", "run": "r-abcd", "round": 3, "verdict": "VERIFIED"}),
]


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self):
        return self.now


def events(display, clock, told=EVENTS):
    """Shows events, each at its time, and yields after each."""
    for seconds, event in told:
        clock.now += seconds
        display.event(event)
        yield event


def test_a_log_has_a_line_for_each_phase_at_its_beginning(capsys):
    clock = Clock()
    with RoundDisplay(clock=clock) as display:
        display.begin("loading")
        assert capsys.readouterr().err == "loading\n", "before anything was done"
        said = [*events(display, clock)]
        assert len(said) == len(EVENTS)
    assert capsys.readouterr().err.splitlines() == [
        "loading: done in 2 s",
        "round r-abcd/3",
        "ideator: what to try",
        "spent on this run: 5,678 tokens, $0.0123, and 1 call of unknown price",
        "ideator: what to try: done in 2 s",
        "training, at most 5 min",
        "compiling belief\\x1b propagation, once, about 8 s",
        "training: 30 %, loss 7.500, cut from 1,000 steps to fit the time, 128 shots/s, about 14 s left",
        "training: done in 17 s",
        "scoring against the plain decoder",
        "scoring against the plain decoder: done in 1 s",
        "starting the verifier",
        "starting the verifier: done in 2 s",
        "verifying (test), at most 2,000,000 shots or 10 min",
        "verifying (test): 50,000 shots, log evidence 31.5, 500 shots/s, at most 8 min left",
        "verifying (test): done in 100 s",
        "verifying (extension)",
        "verifying (extension): done in 2 s",
    ]


def test_a_long_phase_has_further_lines_in_a_log_and_no_more_than_it_needs(capsys):
    clock = Clock()
    with RoundDisplay(clock=clock) as display:
        display.event({"event": "step", "step": "score"})
        for done in range(401):
            clock.now += 1
            display.event({"event": "score", "shots": done, "total": 400})
        display.event({"event": "step", "step": "analyse", "agent": "cli:claude"})
        display.event({"event": "agent", "seconds_at_most": 600.0})
        for _ in range(13):
            clock.now += 10
            display.event({"event": "agent", "tokens": 7})
    said = capsys.readouterr().err.splitlines()
    assert 4 <= sum(line.startswith("scoring against the plain decoder: ") for line in said) <= 10
    assert "analyst: 7 tokens, at most 9 min left" in said
    assert len(said) <= 16


def test_when_told_it_is_silent(monkeypatch, capsys):
    for drawn in (True, False):
        monkeypatch.setattr("autoqec.views.phase_display.draws", lambda console, drawn=drawn: drawn)
        clock = Clock()
        with RoundDisplay(quiet=True, clock=clock) as display:
            display.begin("loading")
            for _ in events(display, clock):
                pass
        assert capsys.readouterr() == ("", "")


def test_a_phase_that_is_broken_off_was_not_done(capsys):
    clock = Clock()
    display = RoundDisplay(clock=clock)
    display.begin("loading")
    clock.now += 60
    display.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "loading\n"


def test_a_step_that_is_not_needed_says_why_and_one_that_is_done_says_nothing(capsys):
    with RoundDisplay() as display:
        display.event({"event": "skipped", "step": "verify", "why": "the Analyst asks for no verification"})
        display.event({"event": "skipped", "step": "train", "why": "it has no stage"})
    assert capsys.readouterr().err == "not verified: the Analyst asks for no verification\n"


@pytest.fixture
def terminal(monkeypatch):
    """Makes a real terminal of so many columns, of both streams, and returns what reads its screen."""
    opened = []

    def make(columns):
        opened.append(screen := TerminalScreen(columns))
        console = Console(file=screen.file, width=columns, highlight=False)
        monkeypatch.setattr(PhaseDisplay, "animated", False)
        monkeypatch.setattr("autoqec.views.phase_display.err", lambda: console)
        monkeypatch.setattr(streams, "err", lambda: console)
        monkeypatch.setattr(streams, "_data_output", lambda: screen.file)
        return screen.lines

    yield make
    for screen in opened:
        screen.close()


@pytest.mark.parametrize("columns", [20, 60, 80, 120])
def test_on_a_terminal_the_result_stands_alone_and_each_phase_takes_one_line(columns, terminal, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    read, clock = terminal(columns), Clock()
    with RoundDisplay(clock=clock) as display:
        display.begin("loading")
        (line,) = read()
        assert line[2:].startswith("loading"), "the first line is there before anything is done"
        for _ in events(display, clock):
            drawn = [line for line in read() if line[0] in _SPINNER]
            assert len(drawn) == (display._live is not None)
            assert drawn == read()[-1:] or not drawn, "a phase takes one line, the last one"
        print_lines(["VERIFIED"])
        assert read()[-1] == "VERIFIED"
    assert read()[-1] == "VERIFIED"
    assert not any(line[0] in _SPINNER for line in read())


def test_a_terminal_gets_a_long_line_broken_between_words_and_a_log_gets_it_whole(terminal, monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    told = {"event": "compiling", "what": "the gradient of belief propagation", "seconds": 6.0}

    def show():
        with ParallelDisplay(1) as display:
            display.event(0, {"event": "round", "run": "surface-d3-depol-abcd", "round": 1})
            display.event(0, told)

    show()
    whole = "surface-d3-depol-abcd/1: compiling the gradient of belief propagation, once, about 6 s"
    assert whole in capsys.readouterr().err.splitlines()
    read = terminal(80)
    show()
    assert [line.rstrip() for line in read()[-2:]] == ["".join(whole.partition(" once,")[:2]), "about 6 s"]


def test_a_result_in_the_middle_of_a_phase_erases_it_and_the_phase_goes_on(terminal, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    read, clock = terminal(80), Clock()
    with RoundDisplay(clock=clock) as display:
        for printed in (lambda: print_json([{"a": 1}]), lambda: print_lines(["b"])):
            display.event({"event": "verify", "shots": 4096, "max_shots": 8192, "stage": "extension"})
            assert "verifying (extension): 50 %" in read()[-1]
            printed()
            assert "verifying" not in "".join(read())
        display.event({"event": "verify", "shots": 8192, "max_shots": 8192, "stage": "extension"})
        assert "100 %" in read()[-1]
    assert read() == ['{"a": 1}', "b"]
    out().print("later")  # nothing is left to erase


@pytest.mark.parametrize(
    "variables", [{"TERM": "dumb"}, {"TERM": "xterm", "CI": "1"}, {"TERM": "xterm", "TTY_INTERACTIVE": "0"}]
)
def test_a_terminal_on_which_no_line_can_change_gets_the_lines_of_a_log(variables, terminal, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    read, clock = terminal(120), Clock()
    with RoundDisplay(clock=clock) as display:
        for _ in events(display, clock):
            pass
        print_lines(["exp/r-abcd/3  VERIFIED"])
    lines = read()
    assert lines[-2:] == ["verifying (extension): done in 2 s", "exp/r-abcd/3  VERIFIED"]
    assert "scoring against the plain decoder" in lines


def test_without_colour_nothing_is_coloured(terminal, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, highlight=False)
    monkeypatch.setattr("autoqec.views.phase_display.err", lambda: console)
    with PhaseDisplay() as display:
        display.begin("loading")
    assert re.search(r"\x1b\[[0-9;]*m", file.getvalue()) is None
    assert "loading" in file.getvalue()


def test_a_narrow_line_leaves_out_what_matters_least():
    phase = Phase("training", 0.0, seconds_at_most=300.0)
    phase.advance(10.0, 0, 100, made=0)
    phase.advance(20.0, 25, made=2500, note="loss 7.250")
    said = [fitted(phase, 21.0, width).partition(" ")[2] for width in (119, 79, 59, 50, 30, 14, 8, 1)]
    assert said == [
        "training: ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌, 25 %, loss 7.250, 250 shots/s, about 29 s left, 0:21",
        "training: 25 %, loss 7.250, 250 shots/s, about 29 s left, 0:21",
        "training: 25 %, loss 7.250, 250 shots/s, about 29 s left",
        "training: 25 %, 250 shots/s, about 29 s left",
        "training: 25 %",
        "training",
        "train…",
        "",
    ]


def test_a_rate_is_of_the_phase_and_not_of_what_was_before():
    phase = Phase("training", 0.0)
    phase.advance(100.0, 10, 110)  # after loading, and after what an earlier process did
    assert (phase.rate, phase.time_left(100.0)) == (None, None)
    phase.advance(110.0, 60)
    assert phase.rate == 5.0
    left = phase.time_left(112.0)
    assert (left.seconds, left.at_most, left.in_words()) == (8.0, False, "about 8 s left")
    assert phase.time_left(125.0) is None, "it is overdue"
    phase.advance(125.0, 5)
    assert phase.rate is None, "it began again, and so does its rate"


def test_the_time_left_knows_the_limits():
    test = Phase("test", 0.0, total=10_000, open_ended=True, seconds_at_most=60.0)
    assert test.limits() == "at most 10,000 shots or 60 s"
    test.advance(10.0, 0)
    assert test.time_left(10.0).in_words() == "at most 50 s left", "before a rate is known"
    test.advance(20.0, 5_000)
    assert test.time_left(20.0).in_words() == "at most 10 s left", "it may stop at any time"
    test.advance(30.0, 5_100)
    test.total = 100_000
    assert test.time_left(30.0).in_words() == "at most 30 s left", "its time is over before its shots are"
    assert Phase("plain", 0.0).limits() == ""
    assert Phase("plain", 0.0).time_left(5.0) is None


def workers(what, name="ssh a", reason="", count=1):
    return {"event": "workers", "run": "r-abcd", "what": what, "worker": name, "reason": reason, "workers": count}


def test_a_phase_says_how_many_workers_elsewhere_do_it_until_the_next_step():
    clock = Clock()
    phases = RoundPhases(clock)
    phases.take({"event": "step", "step": "score"})
    phases.take(workers("joined", count=2))
    phases.take({"event": "score", "shots": 8192, "total": 16384})
    assert "2 workers" in fitted(phases.phase, clock.now, 200)
    phases.take(workers("lost", count=1))
    assert "1 worker," in fitted(phases.phase, clock.now, 200)
    phases.take({"event": "verify", "shots": 0, "max_shots": 8, "stage": "test"})
    assert "1 worker" in fitted(phases.phase, clock.now, 200)
    phases.take({"event": "step", "step": "verify"})
    assert "worker" not in fitted(phases.phase, clock.now, 200)


def test_what_is_wrong_with_a_worker_is_said_once_and_a_wrong_answer_in_any_case(capsys):
    told = [
        workers("joined"),
        workers("refused", "ssh b", "numpy is 1 there,\x1b[2J 2 here"),
        workers("lost", reason="it ended"),
        workers("refused", "ssh b", "numpy is 1 there,\x1b[2J 2 here"),
        workers("dropped", "ssh c", "it answered otherwise than ssh a and ssh d on the same task"),
    ]
    for quiet in (False, True):
        with RoundDisplay(quiet=quiet) as display:
            for event in told:
                display.event(event)
        lines = capsys.readouterr().err.replace("\n  ", " ").splitlines()
        said = [" ".join(line.split()) for line in lines]
        wrong = "warning: worker ssh c dropped: it answered otherwise than ssh a and ssh d on the same task"
        assert "".join(said).replace(" ", "").endswith(wrong.replace(" ", ""))
        assert ("refused" in "".join(said), "lost" in "".join(said)) == ((not quiet,) * 2)
        assert "".join(said).count("refused") == (not quiet)
        assert "\x1b" not in "".join(said)


def test_a_screen_takes_no_time_of_the_trainings_limit_and_is_not_in_its_rate():
    clock = Clock()
    phases = RoundPhases(clock)
    phases.take({"event": "step", "step": "train", "seconds_at_most": 100.0})
    told = {"steps": 100, "planned": 100, "loss": 1.0, "event": "train"}
    phases.take({**told, "step": 0, "shots": 0})
    clock.now += 10
    phases.take({**told, "step": 10, "shots": 1000})
    training = phases.phase
    for done in (0, 500, 1000, 0, 1000):  # the candidate, then its rival
        clock.now += 10
        phases.take({"event": "screen", "shots": done, "total": 1000})
    assert phases.phase.title == "screen after a tenth of the training"
    phases.take({**told, "step": 11, "shots": 1100})
    clock.now += 10
    phases.take({**told, "step": 21, "shots": 2100})
    assert (training.title, training.outcome) == ("training", "a tenth done")
    assert phases.phase.title == "training after its screen"
    assert phases.phase.rate == 100.0
    assert phases.phase.seconds_at_most == 80.0, "20 were gone when the first shots of the screen were reported"
    assert phases.phase.time_left(clock.now).seconds == 70.0


def test_times_in_words():
    assert [duration(each) for each in (0.04, 0.42, 3, 9.96, 42.4, 179.6, 300, 3600, 9000)] == [
        "0 s", "0.4 s", "3 s", "10 s", "42 s", "3 min", "5 min", "60 min", "2.5 h",
    ]  # fmt: skip


def test_rounds_at_once_have_lines_that_name_their_round(capsys):
    clock = Clock()
    with ParallelDisplay(2, clock=clock) as display:
        for place in (0, 1):
            display.event(place, {"event": "round", "run": "r-abcd", "round": place + 3})
            display.event(place, {"event": "step", "step": "train", "seconds_at_most": 300.0})
        clock.now += 20
        display.event(1, {"event": "step", "step": "score"})
        display.event(1, {"event": "closed", "status": "ok", "run": "r-abcd", "round": 4, "verdict": None})
        display.over(1)
        display.event(1, {"event": "round", "run": "r-abcd", "round": 5})
        display.over(0)
    assert capsys.readouterr().err.splitlines() == [
        "round r-abcd/3",
        "r-abcd/3: training, at most 5 min",
        "round r-abcd/4",
        "r-abcd/4: training, at most 5 min",
        "r-abcd/4: training: done in 20 s",
        "r-abcd/4: scoring against the plain decoder",
        "round r-abcd/5",
        "r-abcd/3: training: done in 20 s",
    ]


def test_a_terminal_has_a_line_for_each_of_the_rounds_at_once(terminal, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    read, clock = terminal(60), Clock()
    with ParallelDisplay(3, clock=clock) as display:
        for place, name in ((2, "longer-name"), (0, "r")):
            display.event(place, {"event": "round", "run": name, "round": 10 - place})
            display.event(place, {"event": "step", "step": "score"})
        display.event(2, {"event": "score", "shots": 8192, "total": 16384})
        display.redraw(at_once=True)
        spinner = f"[{_SPINNER}]"
        shown = read()
        assert re.fullmatch(f"r/10          {spinner} scoring against the plain decoder: 0:00", shown[-2])
        assert re.fullmatch(f"longer-name/8 {spinner} scoring against the plain decoder: 50 %", shown[-1])
        display.over(2)
        assert len(read()) == len(shown) - 1
        display.over(0)
        assert read() == ["round longer-name/8", "round r/10"]
