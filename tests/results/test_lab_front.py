"""There is one front: what people, agents, comparisons and archives are told on one lab with head-to-heads and limits agrees."""

import json
from dataclasses import replace

import pytest

from autoqec import history
from autoqec.cli.main import run
from autoqec.config import load_settings
from autoqec.loop.agent_contexts import run_front
from autoqec.loop.agent_runs import Arm, arm_result
from autoqec.loop.session import Session
from autoqec.plugins import load_plugins
from autoqec.results.agent_comparison import front_size
from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Gain
from autoqec.results.head_to_head import HeadToHead
from autoqec.results.lab_front import Entrant, front_of
from autoqec.results.pareto_front import Point
from autoqec.testing import make_tiny_lab, record_round, record_run
from autoqec.testing.sample_notes import metrics_note, verdict_note
from autoqec.views.front_json import kept_fronts
from autoqec.views.log_lines import read_lines

RUN = "tiny-abcd"
AHEAD, BEHIND = PairedCounts(10**6, 9000, 900, 300), PairedCounts(10**6, 9000, 300, 900)


def entrants(*rows):
    """Rounds by name, gain, FLOPs and limits that they are above; intervals of one width."""
    return [
        Entrant(name, f"commit of {name}", Point(name, gain, (gain - 1, gain + 1), flops, 10), over)
        for name, gain, flops, over in rows
    ]


CLOSE = entrants(("r/1", 4.0, 1, ()), ("r/2", 4.2, 2, ()), ("r/3", 9.0, 3, ("a limit",)), ("r/4", 4.1, 3, ()))


def test_a_round_over_its_limits_or_without_a_figure_is_on_no_front():
    assert front_of(CLOSE, lambda commits: {}).names == ("r/2", "r/4", "r/1")
    torn = [*CLOSE[:1], replace(CLOSE[1], point=None)]
    assert front_of(torn, lambda commits: {}).names == ("r/1",)


def test_head_to_heads_are_asked_for_members_alone_and_their_counts_decide():
    asked = []

    def decided(commits):
        asked.append(set(commits))
        # The word of a note is not believed, a pair whose rival costs more decides nothing, nor does one at another level.
        wrong = HeadToHead("commit of r/4", AHEAD, 0.01, word="dominates")
        return {
            "commit of r/2": [HeadToHead("commit of r/1", AHEAD, 0.01, word="stays"), wrong],
            "commit of r/4": [HeadToHead("commit of r/1", BEHIND, 0.9)],
        }

    found = front_of(CLOSE, decided)
    assert asked == [{f"commit of r/{n}" for n in (1, 2, 4)}]
    assert found.names == ("r/4", "r/1")
    assert found.open_pairs == []
    assert next(m for m in found.members if m.point.name == "r/1").dominates == ("r/2",)


def test_a_front_that_is_sure_asks_for_nothing():
    def nobody(commits):
        raise AssertionError

    assert front_of(CLOSE[:1], nobody).names == ("r/1",)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Three close rounds, of which head-to-heads leave one; a fourth gains more and is above a limit."""
    ledger = make_tiny_lab(tmp_path / "lab")
    made = record_run(ledger, RUN)
    limits = {"max_params": 10, "max_flops_per_shot": None, "target_ler": None}
    commits = []
    for number, (gain, flops, params) in enumerate(((0.004, 10, 8), (0.0042, 20, 8), (0.0043, 30, 8), (0.2, 5, 11)), 1):
        told = {
            "delta_ler": gain,
            "delta_ler_ci": [gain - 0.001, gain + 0.001],
            "flops_per_shot": flops,
            "params": params,
        }
        commits.append(
            record_round(
                ledger,
                made,
                {"output.yaml": f"number: {number}\n".encode()},
                weights=b"weights",
                metrics=metrics_note(**told, weights_sha256="0" * 64),
                verdict=verdict_note(**told, constraints=limits, id=f"v{number}"),
            )
        )
    for dearer in commits[1:3]:
        found = HeadToHead(commits[0], AHEAD, 0.01, f"h{dearer}", gain=Gain.of(AHEAD), word="dominates")
        history.append_note(ledger, RUN, "verdict", dearer, found.to_note())
    monkeypatch.chdir(tmp_path / "lab")
    return ledger


def test_all_who_speak_of_the_front_of_a_lab_agree(lab, capsys):
    session = Session(lab, load_plugins(), load_settings(lab.workdir), history.load_run(lab, RUN))
    agents = run_front(session, session.records()).names
    assert run(["pareto", "--json"]) == 0
    people = tuple(f"{row['run']}/{row['round']}" for row in map(json.loads, capsys.readouterr().out.splitlines()))
    (verified_again,) = kept_fronts(lab, read_lines(lab))
    assert agents == people == verified_again.names == (f"{RUN}/1",)
    assert front_size([arm_result(lab, Arm("search", 1, RUN), 4)]) == 1
    assert run(["bundle", RUN, "-o", "run.bundle", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == [1]
    assert run(["archive", RUN, "--prune-weights", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pruned"] == [2, 3, 4]
