"""The cache changes no answer: warm, cold, torn, read-only, shared with other code, or out of date."""

import ast
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

import autoqec
from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.testing import figures, make_tiny_lab, record_round, record_run
from autoqec.views import log_lines as lines
from autoqec.views.climb_rows import find_row, read_climbs
from autoqec.views.front_json import front_rows, left_out
from autoqec.views.log_lines import read_lines

FIGURES = figures(shots=1000, flops_per_shot=1000, params=8)


class Lab:
    """A lab in which rounds are recorded without being run."""

    def __init__(self, folder):
        self.ledger = make_tiny_lab(folder)
        self.played = 0

    def start(self, name):
        record_run(self.ledger, name)

    def play(self, run, *parents, close=True, gain=0.004, **verdict):
        self.played += 1
        told = FIGURES | {"delta_ler": gain, "delta_ler_ci": [gain - 0.001, gain + 0.001]}
        return record_round(
            self.ledger,
            history.load_run(self.ledger, run),
            {"output.yaml": f"number: {self.played}\n".encode()},
            parents=parents,
            hypothesis=f"h{self.played}",
            metrics=told,
            verdict={"verdict": "VERIFIED", "reason": "better"} | told | verdict,
            close=close,
        )

    @property
    def cache(self):
        return self.ledger.git_dir / "autoqec" / "cache"

    def answer(self):
        there = history.open_ledger(self.ledger.workdir)
        return read_lines(there)

    def check(self):
        """The answer, which is the same as without a cache."""
        warm = self.answer()
        aside = self.cache.with_name("aside")
        if self.cache.exists():
            self.cache.rename(aside)
        assert self.answer() == warm
        shutil.rmtree(self.cache, ignore_errors=True)
        if aside.exists():
            aside.rename(self.cache)
        return warm

    def climb(self):
        """`round`, `new` and `rounds_since` of the best round so far, by round, as JSON lines say it."""
        ledger = history.open_ledger(self.ledger.workdir)
        runs = read_lines(ledger)
        climbs = read_climbs(ledger, runs)
        told = [json.loads(climbs.line(run.run, line)) for run in runs for line in run.lines]
        for row in told:
            assert find_row(ledger, row["run"], row["round"]).to_json() == row
        names = "round", "new", "rounds_since"
        return {f"{r['run']}/{r['round']}": r["best_so_far"] and tuple(map(r["best_so_far"].get, names)) for r in told}

    def front(self):
        ledger = history.open_ledger(self.ledger.workdir)
        return [row.to_json() for row in front_rows(ledger, read_lines(ledger))]


@pytest.fixture
def lab(tmp_path):
    made = Lab(tmp_path / "lab")
    made.start("one-abcd")
    first = made.play("one-abcd")
    made.play("one-abcd", first)
    return made


def test_the_cache_is_keyed_by_all_code_that_reads_records():
    top = Path(autoqec.__file__).parent
    rooms = ("results", "history/reading", "history/rounds", "history/store/json_records.py")
    for maker in lines._MAKERS:
        for node in ast.walk(ast.parse((top / maker).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autoqec."):
                file = f"{node.module.removeprefix('autoqec.').replace('.', '/')}.py"
                assert not file.startswith(rooms) or not (top / file).exists() or file in lines._MAKERS, maker


def test_nothing_is_read_again_that_is_cached(lab, monkeypatch):
    cold = lab.answer()
    assert len(list(lab.cache.iterdir())) == 1
    monkeypatch.setattr(lines, "read_run", lambda *args: pytest.fail("read again"))
    assert lab.answer() == cold
    assert [json.loads(line.text)["hypothesis"] for line in cold[0].lines] == ["h1", "h2"]
    assert json.loads(cold[0].lines[1].text)["fork_from"] == ["one-abcd/1"]


def test_every_change_is_seen(lab, monkeypatch):
    seen = [lab.check()]

    def changed():
        seen.append(lab.check())
        return seen[-1] != seen[-2]

    commit = lab.play("one-abcd")
    assert changed()
    history.append_note(lab.ledger, "one-abcd", "analysis", commit, {"summary": "fine", "decision": "ignore"})
    assert changed()
    history.append_note(lab.ledger, "one-abcd", "verdict", commit, {"verdict": "FAILED", "ts": "9999"})
    assert changed()
    open_claim = history.claim_round(lab.ledger, "one-abcd")
    assert changed()
    history.close_claim(lab.ledger, open_claim, status="agent_error", reason="why")
    assert changed()
    lab.start("two-abcd")
    lab.play("two-abcd", commit)
    assert changed()
    assert json.loads(seen[-1][1].lines[0].text)["fork_from"] == ["one-abcd/3"]
    assert not changed()


def test_an_open_round_is_read_every_time(lab, monkeypatch):
    lab.play("one-abcd", close=False)
    assert json.loads(lab.check()[0].lines[2].text)["status"] == "open"
    monkeypatch.setattr("autoqec.history.reading.round_record.owner_alive", lambda claim: False)
    assert json.loads(lab.check()[0].lines[2].text)["status"] == "interrupted"


def test_a_parent_in_another_run_that_goes_takes_its_name_along(lab):
    parent = lab.play("one-abcd")
    lab.start("two-abcd")
    lab.play("two-abcd", parent)
    assert json.loads(lab.check()[1].lines[0].text)["fork_from"] == ["one-abcd/3"]
    history.compare_and_swap(lab.ledger, "refs/heads/exp/one-abcd/3", parent, None, "drop")
    assert json.loads(lab.check()[1].lines[0].text)["fork_from"] == [parent]


DAMAGE = {
    "torn": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "one bit": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "other": lambda data: b"\x00\xff" * 99,
    "whole, of another kind": lambda data: hashlib.sha256(b"{}\nx").hexdigest().encode() + b"\n{}\nx",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_ignored_and_mended(lab, damage):
    cold = lab.answer()
    (path,) = lab.cache.iterdir()
    good = path.read_bytes()
    path.write_bytes(DAMAGE[damage](good))
    assert lab.answer() == cold
    assert path.read_bytes() == good


def test_a_reader_who_may_not_write_goes_on_without(lab):
    cold = lab.answer()
    shutil.rmtree(lab.cache)
    lab.cache.write_text("")  # in the way, for root too
    assert lab.answer() == cold
    lab.cache.unlink()
    if os.getuid():
        lab.cache.parent.chmod(0o500)
        assert lab.answer() == cold
        lab.cache.parent.chmod(0o700)


def test_old_entries_go(lab, monkeypatch):
    monkeypatch.setattr("autoqec.history.store.cache._KEPT_BYTES", 40_000)
    for _ in range(12):
        lab.play("one-abcd")
        lab.check()
    assert 0 < sum(path.stat().st_size for path in lab.cache.iterdir()) <= 40_000


def test_other_code_has_other_entries(lab, monkeypatch):
    lab.answer()
    monkeypatch.setattr(lines, "_code", lambda: "other")
    lab.answer()
    assert len(list(lab.cache.iterdir())) == 2


def remove(lab, oid):
    (lab.ledger.git_dir / "objects" / oid[:2] / oid[2:]).unlink()


def test_the_front_is_of_rounds_that_nobody_surely_beats(lab):
    lab.play("one-abcd", gain=0.02)
    items = lab.front()
    assert [(i["branch"], i["confirmed"]) for i in items] == [("exp/one-abcd/3", True)]
    assert items[0]["dominates"] == ["one-abcd/1", "one-abcd/2"]


def test_a_front_member_whose_commit_is_gone_is_an_error(lab):
    commit = lab.play("one-abcd")
    lab.front()
    history.compare_and_swap(lab.ledger, "refs/heads/exp/one-abcd/3", commit, None, "drop")
    with pytest.raises(AutoQECError, match="refs/heads/exp/one-abcd/3 is gone") as caught:
        lab.front()
    assert f"git branch -f exp/one-abcd/3 {commit[:10]}" in caught.value.hint
    remove(lab, commit)
    with pytest.raises(AutoQECError, match=f"refs/autoqec/claims/one-abcd/3 names {commit}") as caught:
        lab.front()
    assert caught.value.exit_code == 1


def test_a_missing_object_behind_a_branch_is_an_error_with_a_warm_cache_too(lab):
    commit = lab.play("one-abcd")
    lab.front()
    remove(lab, commit)
    for _ in range(2):
        with pytest.raises(AutoQECError, match="refs/heads/exp/one-abcd/3 names"):
            lab.front()
    assert "not a commit in this repository" in lab.check()[0].lines[2].text


def test_a_verdict_on_a_commit_that_no_ref_names_is_told_and_no_error(lab):
    """Anybody can add such a line; it made `pareto` fail."""
    before = lab.front()
    commit = lab.play("one-abcd")
    for ref in ("refs/heads/exp/one-abcd/3", "refs/autoqec/claims/one-abcd/3"):
        history.compare_and_swap(lab.ledger, ref, history.list_refs(lab.ledger, ref)[ref], None, "drop")
    for _ in range(2):
        assert lab.front() == before
        (said,) = left_out(lab.answer())
        assert commit[:10] in said


def test_a_moved_branch_and_an_archived_round_are_on_the_front(lab):
    commit = lab.play("one-abcd", gain=0.02)
    history.compare_and_swap(lab.ledger, "refs/autoqec/rounds/one-abcd/3", None, commit, "archive")
    history.compare_and_swap(lab.ledger, "refs/heads/exp/one-abcd/3", commit, None, "archive")
    assert [item["commit"] for item in lab.front()] == [commit]
    assert lab.check()


def test_a_verdict_without_figures_is_a_problem_and_no_verdict(lab):
    before = lab.front()
    lab.play("one-abcd", delta_ler_ci=None)
    assert lab.front() == before
    item = json.loads(lab.check()[0].lines[2].text)
    assert item["verdict"] is None
    assert "does not match the schema" in item["problems"][0]


@pytest.mark.parametrize(
    ("gain", "said"), [(b"1e999", "is not a JSON record"), (b'"much"', "does not match the schema")]
)
def test_forged_figures_do_not_stop_the_log(lab, gain, said):
    commit = lab.play("one-abcd")
    ref = "refs/notes/autoqec/one-abcd/verdict"
    tip = history.list_refs(lab.ledger, ref)[ref]
    line = b'{"id":"x","v":1,"kind":"verdict","ts":"9","verdict":"VERIFIED","delta_ler":%b,"reason":"\\ud800"}\n' % gain
    repo = lab.ledger.repo
    fan = repo.TreeBuilder()
    fan.insert(commit[2:], repo.create_blob(line), 0o100644)
    top = repo.TreeBuilder()
    top.insert(commit[:2], fan.write(), 0o040000)
    who = lab.ledger.signature()
    new = str(repo.create_commit(None, who, who, "forged", top.write(), [tip]))
    assert history.compare_and_swap(lab.ledger, ref, tip, new, "forged")
    text = lab.check()[0].lines[2].text
    assert said in text
    assert json.loads(text)["verdict"] is None


def test_a_verified_round_over_the_limits_of_its_environment_is_on_no_front(lab):
    limits = {"max_params": 100, "max_flops_per_shot": None, "target_ler": 0.5}
    lab.start("limits-abcd")
    lab.play("limits-abcd", constraints=limits, params=100)
    lab.play("limits-abcd", constraints=limits, params=101, gain=0.01)
    lab.play("limits-abcd", constraints=limits | {"target_ler": 1e-9}, params=1, gain=0.01)
    lab.play("limits-abcd", params=102)
    lab.play("limits-abcd", constraints="none", params=1, gain=0.012)
    found = next(lines for lines in lab.check() if lines.run == "limits-abcd")
    assert {item["round"] for item in lab.front() if item["run"] == found.run} == {1, 4}
    (rate,) = left_out([found])
    assert rate.startswith("limits-abcd/3 is VERIFIED but not on the front: ler_candidate")
    assert "above target_ler 1e-09" in rate
    assert found.lines[1].row.trust["why"].startswith("over: "), "a verdict that it does not follow from"
    assert found.lines[4].row.trust["state"] == "invalid", "its limits do not match the schema"
    assert left_out([found], "other") == []


def test_each_line_says_the_best_round_of_its_environment_so_far(lab):
    """Over all runs of the environment, from the cache as from the notes; rounds over a limit, and lost ones, are none."""
    lab.start("two-abcd")
    lab.play("two-abcd", gain=0.008, verdict="FAILED", reason="undecided")
    lab.play("two-abcd", gain=0.008, constraints={"max_params": None, "max_flops_per_shot": None, "target_ler": 1e-9})
    lab.play("two-abcd", gain=0.008)
    expected = {
        "one-abcd/1": ("one-abcd/1", True, 0),
        "one-abcd/2": ("one-abcd/1", False, 1),
        "two-abcd/1": ("one-abcd/1", False, 2),
        "two-abcd/2": ("one-abcd/1", False, 3),
        "two-abcd/3": ("two-abcd/3", True, 0),
    }
    assert lab.climb() == expected
    assert lab.climb() == expected
    history.claim_round(lab.ledger, "two-abcd")
    assert lab.climb() == expected | {"two-abcd/4": ("two-abcd/3", False, 0)}
