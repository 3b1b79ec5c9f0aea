"""A comparison as a table, as JSON and as a plot, from recorded rounds."""

import json
import re

import pytest

from autoqec import history
from autoqec.agents.past_rounds import past_rounds
from autoqec.cli.main import run
from autoqec.errors import UsageError
from autoqec.loop.agent_runs import Arm, arm_result, plan_arms, run_name
from autoqec.results.agent_comparison import ArmResult, Tried
from autoqec.results.figures import Gain
from autoqec.testing import figures, make_tiny_lab, record_round, record_run
from autoqec.views.comparison_plot import plot_comparison
from autoqec.views.line_styles import check_plot


def verdict(gain, word="VERIFIED"):
    shots, reason = 200_000, "better" if word == "VERIFIED" else "not_better"
    counts = {
        "shots": shots, "both": 2000, "baseline_only": 1000, "candidate_only": 1000 - round(gain * shots),
    }  # fmt: skip
    return figures(
        id="v", verdict=word, reason=reason, shots=shots, ler_baseline=0.015, ler_candidate=0.015 - gain, delta_ler=gain,
        delta_ler_ci=[gain - 0.0007, gain + 0.0007], flops_per_shot=1000, params=10, extension=counts,
    )  # fmt: skip


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Two agents, two seeds, two rounds each."""
    ledger = make_tiny_lab(tmp_path / "lab")
    for agent, gains in (("search", (0.003, 0.004)), ("random", (0.0005, 0.001))):
        for seed in (1, 2):
            made = record_run(ledger, f"cmp-tiny-{agent}-s{seed}")
            for number, gain in enumerate(gains):
                word = "VERIFIED" if gain > 0.0006 else "FAILED"
                files = {"training.yaml": f"shots: {number}\n".encode()}
                record_round(ledger, made, files, verdict=verdict(gain, word))
    monkeypatch.chdir(tmp_path / "lab")
    return ledger


ARGUMENTS = ["agents", "compare", "--env", "tiny", "--agents", "search,random", "--rounds", "2", "--seeds", "2"]


def test_a_complete_comparison_is_shown_and_nothing_is_run(lab, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    before = history.list_refs(lab, "refs/")
    assert run(ARGUMENTS) == 0
    out, err = capsys.readouterr()
    assert history.list_refs(lab, "refs/") == before
    assert err == "loading plugins and the environment\n"
    search, random = (
        next(line for line in out.splitlines() if line.startswith(f"{agent} ")) for agent in ("search", "random")
    )
    assert "+4.00 [+3." in search
    assert "4/4" in search
    assert "2/4" in random
    assert "search beats random" in out
    assert "Bonferroni" in out


def test_a_dry_run_says_what_is_missing(lab, capsys):
    assert run([*ARGUMENTS, "--rounds", "3", "--dry-run"]) == 0
    err = capsys.readouterr().err
    assert err.count("1 round to run") == 4


def test_json_has_a_line_for_each_agent_and_each_pair(lab, capsys):
    assert run([*ARGUMENTS, "--json"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["schema"] for item in items] == ["autoqec.comparison/1", "autoqec.comparison/1", "autoqec.contest/1"]
    first = items[0]
    assert (first["agent"], first["best"]["rounds"], first["verified"], first["tokens"]) == ("search", 2, 4, 0)
    assert [row["best_so_far"] for row in first["arms"][0]["rounds"]] == [0.003, 0.004]
    assert (items[2]["agents"], items[2]["word"]) == (["search", "random"], "search")


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_plot_names_its_agents(lab, tmp_path, capsys, ending):
    path = tmp_path / f"plot.{ending}"
    assert run([*ARGUMENTS, "--plot", str(path)]) == 0
    data = path.read_bytes()
    if ending == "png":
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        return
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", data.decode())
    assert {"search (mean of 2 seeds)", "random (mean of 2 seeds)", "rounds", "seconds of rounds"} <= set(texts)


def test_plots_of_one_seed_of_no_round_and_of_many_agents(tmp_path):
    rounds = (Tried(1, "ok", "VERIFIED", 10.0, Gain(0.001, (0.0005, 0.0015))), Tried(2, "ok", None, 30.0))
    arms = [ArmResult(f"agent{n}", 1, f"r{n}", rounds if n else ()) for n in range(8)]
    plot_comparison(arms, tmp_path / "p.svg", "title")
    assert "agent7 (mean of 1 seed)" in (tmp_path / "p.svg").read_text()
    with pytest.raises(UsageError, match="png"):
        check_plot(tmp_path / "p.gif")
    with pytest.raises(UsageError, match="none/p.svg cannot be written: No such file"):
        check_plot(tmp_path / "none" / "p.svg")


def test_only_the_first_rounds_count_and_seconds_add_up(lab):
    arm = Arm("search", 1, "cmp-tiny-search-s1")
    result = arm_result(lab, arm, 1)
    assert [each.gain.delta_ler for each in result.tried] == [0.003]
    both = arm_result(lab, arm, 2).tried
    taken = [past.seconds for past in past_rounds(history.read_history(lab, arm.run), lambda commit: {})]
    assert both[1].seconds == pytest.approx(sum(taken), abs=2e-3)


def test_a_comparison_says_which_runs_had_rounds_at_once(lab, capsys):
    assert [arm_result(lab, arm, 2).at_once for arm in plan_arms("tiny", ["search"], 1)] == [1]
    claim = history.claim_round(lab, "cmp-tiny-search-s1", {"seen": {"closed": "1", "open": "2", "ideas": ""}})
    history.close_claim(lab, claim, status="abandoned")
    assert arm_result(lab, Arm("search", 1, "cmp-tiny-search-s1"), 3).at_once == 2
    assert run([*ARGUMENTS[:-3], "3", "--seeds", "1", "--dry-run"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "at once" in line)
    assert line.startswith("cmp-tiny-search-s1: up to 2 rounds at once")
    assert run([*ARGUMENTS[:-3], "3", "--seeds", "1", "--dry-run", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["arms"][0]["at_once"] for each in told if "arms" in each] == [2, 1]


def test_names_of_runs_tell_what_they_are_and_are_names(lab):
    assert run_name("surface_d5_depol", "random", 2) == "cmp-surface-d5-depol-random-s2"
    odd = [run_name("e", agent, 1) for agent in ("anthropic:Model.X", "anthropic:model-x", "anthropic:" + "x" * 80)]
    assert len(set(odd)) == 3
    for name in odd:
        history.check_run_name(name)
        assert name.startswith("cmp-e-anthropic")
    arms = plan_arms("e", ["a", "b"], 2)
    assert [(arm.agent, arm.seed) for arm in arms] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    with pytest.raises(UsageError, match="once"):
        plan_arms("e", ["a", "a"], 1)


def test_an_unknown_agent_is_refused_before_anything_is_run(lab, capsys):
    assert run(["agents", "compare", "--env", "tiny", "--agents", "search,nobody"]) == 3
    assert "nobody" in capsys.readouterr().err
