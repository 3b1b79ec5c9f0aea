"""`log`, `pareto` and `show` on a lab whose rounds were recorded without being run."""

import json
import shutil
from dataclasses import replace

import pytest

from autoqec import history
from autoqec.cli.main import run
from autoqec.testing import figures, make_tiny_lab, record_round, record_run

BASE = b"iterations: 3\n\nkind: neural_bp\n"
FIGURES = figures(
    shots=200_000, delta_ler=0.004, delta_ler_ci=[0.003, 0.005], flops_per_shot=1000, params=8, references={}
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Rounds 2 and 3 from 1; 4 composes them and conflicts; 5 failed; 1 and 2 are VERIFIED, 3 is FAILED."""
    folder = tmp_path_factory.mktemp("lab")
    ledger = make_tiny_lab(folder)
    played = record_run(ledger, "r-abcd")
    commits = []
    for number, verdict in ((1, "VERIFIED"), (2, "VERIFIED"), (3, "FAILED")):
        files = {
            "stages/bp/stage.yaml": BASE.replace(b"3", str(2 + number).encode()),
            "stages/bp/m.py": b"a\nb\n" * number,
        }
        said = {"verdict": verdict, "reason": "evidence", **FIGURES}
        idea = f"Idea number {number}"
        commits.append(
            record_round(ledger, played, files, parents=commits[:1], hypothesis=idea, metrics=FIGURES, verdict=said)
        )
    claim = history.claim_round(ledger, "r-abcd")
    merge = history.merge_candidates(ledger, played.base, commits[1:])
    report = {
        "status": "compose_conflict", "fork_from": ["r-abcd/2", "r-abcd/3"], "compose": "pure", "hypothesis": "Both",
        "conflicts": [{name: getattr(c, name) for name in c.__dataclass_fields__} for c in merge.conflicts],
    }  # fmt: skip
    history.attach(ledger, "attempts", "r-abcd", 4, {"report.json": json.dumps(report).encode()})
    history.close_claim(ledger, claim, status="compose_conflict", reason="the parents disagree")
    claim = history.claim_round(ledger, "r-abcd")
    history.close_claim(ledger, claim, status="train_error", reason="it diverged")
    return folder


@pytest.fixture
def printed(lab, monkeypatch, capsys):
    """Run a command in the lab; its exit code, standard output and standard error."""
    monkeypatch.chdir(lab)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*args):
        code = run(list(args))
        return code, *capsys.readouterr()

    return call


FILTERS = {
    "--verdict verified": [1, 2],
    "--verdict FAILED": [3],
    "--verdict none": [4, 5],
    "--status compose_conflict": [4],
    "--status ok --verdict failed": [3],
    "--env tiny": [1, 2, 3],
    "--text NUMBER": [1, 2, 3],
    "--text diverged": [5],
    "--text evidence --status ok --env tiny --verdict VERIFIED": [1, 2],
    "": [1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("flags", FILTERS)
def test_the_log_is_filtered(printed, flags):
    code, out, _ = printed("log", *flags.split(), "--json", "--graph")
    assert code == 0
    assert [json.loads(line)["round"] for line in out.splitlines()] == FILTERS[flags]
    table, graph = (printed("log", *flags.split(), *more)[1] for more in ((), ("--graph",)))
    for number in range(1, 4):
        assert (f"Idea number {number}" in table) == (f"Idea number {number}" in graph) == (number in FILTERS[flags])


def test_the_graph_shows_the_conflict_with_its_parents(printed):
    _, out, _ = printed("log", "--graph")
    graph, _, best = out.partition("↑ best VERIFIED")
    assert best.splitlines()[-1].startswith("best so far: round ")
    assert [line[:8].rstrip() for line in graph.splitlines()][1:] == [
        "x    5",
        "x    4",
        "|\\",
        "| *  3",
        "* |  2",
        "|/",
        "o    1",
    ]
    assert "compose_conflict" in out
    assert "the parents disagree – Both" in out


def test_a_conflict_is_shown_value_by_value(printed):
    _, out, _ = printed("show", "r-abcd/4")
    assert "r-abcd/2 + r-abcd/3" in out
    shown = out[out.index("stages/bp/m.py (the whole file)") :]
    assert shown.count("    | a") == 1 + 2 + 3
    shown = shown[shown.index("stages/bp/stage.yaml: iterations") :].splitlines()
    assert [line.split()[0] for line in shown[1:4]] == ["base", "ours", "theirs"]
    assert shown[1].split()[-1] == "3"
    assert {line.split()[-1] for line in shown[2:4]} == {"4", "5"}
    (item,) = (json.loads(line) for line in printed("show", "r-abcd/4", "--json")[1].splitlines())
    assert [(c["path"], c["field"]) for c in item["conflicts"]] == [
        ("stages/bp/m.py", None),
        ("stages/bp/stage.yaml", "iterations"),
    ]
    assert json.loads(printed("show", "r-abcd/1", "--json")[1])["conflicts"] == []


def test_pareto_says_what_it_dominates_and_what_is_confirmed(printed):
    _, out, _ = printed("pareto", "--json", "--env", "tiny", "--run", "r-abcd", "--top", "1")
    (item,) = (json.loads(line) for line in out.splitlines())
    assert (item["round"], item["dominates"], item["confirmed"]) == (1, [], False)
    assert len(printed("pareto", "--json")[1].splitlines()) == 2


@pytest.fixture
def copy(lab, tmp_path):
    """The lab, to be written to."""
    shutil.copytree(lab, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize(
    ("changes", "left"),
    [({}, [1]), ({"counts": {"shots": "many"}}, [1, 2]), ({"rival": "0" * 40}, [1, 2]), ({"alpha": "x"}, [1, 2])],
)
def test_what_was_decided_head_to_head_is_on_the_front(copy, printed, monkeypatch, changes, left):
    monkeypatch.chdir(copy)
    ledger = history.open_ledger(".")
    first, second = (history.find_round(ledger, "r-abcd", number) for number in (1, 2))
    counts = {"shots": 10**6, "both": 9000, "baseline_only": 900, "candidate_only": 100}
    record = {"event": "head_to_head", "rival": first, "alpha": 0.01, "counts": counts, "word": "undecided"}
    history.append_note(ledger, "r-abcd", "verdict", second, record | changes)
    items = [json.loads(line) for line in printed("pareto", "--json")[1].splitlines()]
    assert sorted(item["round"] for item in items) == left
    assert items[0]["confirmed"] == (left == [1])
    assert items[0]["dominates"] == (["r-abcd/2"] if left == [1] else [])
    assert json.loads(printed("log", "--json")[1].splitlines()[1])["verdict"] == "VERIFIED", "it stays what it was"


@pytest.fixture
def weighty(copy, monkeypatch):
    """A copy in which the rounds of the front have weights, and a run whose environment can be read."""
    from autoqec.loop import front_verification

    monkeypatch.chdir(copy)
    read = front_verification.read_state
    monkeypatch.setattr(front_verification, "read_state", lambda *args: replace(read(*args), weights=b"w"))


def test_a_front_is_judged_again_and_says_what_became_of_each(weighty, printed, monkeypatch):
    from autoqec.errors import BudgetSpentError
    from autoqec.loop import front_verification
    from autoqec.results.verdict import Verdict

    words = {1: {"verdict": "VERIFIED", "reason": "better"} | FIGURES, 2: {"verdict": "FAILED", "reason": "not_better"}}

    def judge(session, state, asked):
        assert asked.alpha == 0.01
        if state.claim.number not in words:
            raise BudgetSpentError("the error budget of run r-abcd is spent")
        return Verdict.from_dict(words[state.claim.number])

    monkeypatch.setattr(front_verification, "judge", judge)
    code, out, _ = printed("verify", "--front", "--alpha", "0.01")
    assert (code, out.splitlines()) == (
        1,
        [
            "r-abcd/1: VERIFIED: ΔLER was +0.004000, now +0.004000 [0.003000, 0.005000]",
            "r-abcd/2: FAILED (not better): ΔLER was +0.004000",
        ],
    )
    words[2] = words[1]
    assert printed("verify", "--front", "r-abcd", "--alpha", "0.01")[0] == 0
    del words[2]
    code, out, _ = printed("verify", "--front", "--alpha", "0.01", "--json")
    assert (code, [json.loads(line)["reason"] for line in out.splitlines()]) == (1, ["better", "budget_spent"])


def test_a_front_without_weights_says_where_they_come_from(copy, printed, monkeypatch):
    monkeypatch.chdir(copy)
    for flag in ("--front", "--head-to-head"):
        code, _, err = printed("verify", flag)
        assert (code, "autoqec pull --artifacts" in err) == (3, True)


def test_pairs_of_the_front_are_decided_once(weighty, printed, monkeypatch):
    from autoqec.loop import front_verification
    from autoqec.results.head_to_head import parse_head_to_head

    def head_to_head(session, rounds, alpha, *, max_shots):
        (cheaper, rival), (_, state) = rounds
        assert (alpha, max_shots) == (0.025, 60_000)
        counts = {"shots": 10**6, "both": 9000, "baseline_only": 900, "candidate_only": 100}
        record = {
            "event": "head_to_head",
            "rival": rival.commit,
            "alpha": alpha,
            "counts": counts,
            "rival_name": cheaper.name,
        }
        record |= {"word": "dominates", "delta_ler": 0.0008, "delta_ler_ci": [0.0007, 0.0009]}
        return parse_head_to_head(history.append_note(session.ledger, state.claim.run, "verdict", state.commit, record))

    monkeypatch.setattr(front_verification, "head_to_head", head_to_head)
    code, out, _ = printed("verify", "--head-to-head", "--max-shots", "60000")
    assert code == 0
    winner, loser = "r-abcd/2", "r-abcd/1"
    if out.startswith("r-abcd/1"):
        winner, loser = loser, winner
    assert out.splitlines()[0] == f"{winner} dominates {loser}"
    assert "both fail 9,000" in out
    assert printed("verify", "--head-to-head", "--max-shots", "60000")[1] == "", "it is decided"
    assert len(printed("pareto", "--json")[1].splitlines()) == 1


MISTAKES = {
    "log --env other": (3, "no round is on environment 'other'; there are tiny", "autoqec log --env tiny"),
    "log r-abcd --env other --json": (3, "there are tiny", "autoqec log --env tiny"),
    "pareto --env other --json": (3, "there are tiny", "autoqec log --env tiny"),
    "log --status bogus": (
        2,
        "there is no status 'bogus'; known: ok, screened_out, train_error",
        "autoqec log --status ok",
    ),
    "log --verdict bogus": (2, "must be one of VERIFIED, SUSPICIOUS, FAILED, none, not 'bogus'", "--help"),
    "plugins --kind bogus": (2, "there are agents, decoders, verifiers", "autoqec plugins --kind agents"),
}


@pytest.mark.parametrize("command", MISTAKES)
def test_words_that_choose_nothing_because_they_are_wrong(printed, command):
    code, words, hint = MISTAKES[command]
    got, out, err = printed(*command.split())
    assert (got, out) == (code, "")
    assert words in " ".join(err.split())
    assert hint in err


def test_words_that_choose_nothing_today(printed, tmp_path, monkeypatch):
    assert printed("log", "--status", "agent_error", "--json") == (0, "", "")
    for graph in ((), ("--graph",)):
        assert printed("log", "--status", "agent_error", *graph)[1].startswith(
            "No round fits --status agent_error. There are "
        )
    make_tiny_lab(tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in ("log", "pareto"):
        assert printed(command, "--json") == (0, "", "")
        code, _, err = printed(command, "--env", "tiny")
        assert (code, "it has no rounds yet" in err) == (3, True)


def test_the_environment_of_a_run_without_commits_is_known(printed, tmp_path, monkeypatch):
    ledger = make_tiny_lab(tmp_path)
    record_run(ledger, "r-abcd")
    monkeypatch.chdir(tmp_path)
    assert printed("log", "--env", "tiny", "--json") == (0, "", "")


def test_pareto_fails_when_a_member_is_gone(printed, lab):
    ledger = history.open_ledger(lab)
    ref = "refs/heads/exp/r-abcd/2"
    oid = history.list_refs(ledger, ref)[ref]
    history.compare_and_swap(ledger, ref, oid, None, "drop")
    code, out, err = printed("pareto", "--json")
    history.compare_and_swap(ledger, ref, None, oid, "back")
    assert (code, out) == (1, "")
    assert ref in err
    assert printed("pareto")[0] == 0
