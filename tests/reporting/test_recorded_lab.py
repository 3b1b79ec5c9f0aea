"""Reports read a lab once: its rounds by environment, with what `log` and `pareto` say of them."""

import json
import shutil
import subprocess

import pytest

from autoqec.errors import NotFoundError, UsageError
from autoqec.history import attach, drop, open_ledger, read_history
from autoqec.reporting.lab_diagnoses import NO_DIAGNOSES
from autoqec.reporting.lab_sections import lab_blocks
from autoqec.reporting.markdown_text import written
from autoqec.reporting.pages.report_page import report_page
from autoqec.reporting.recorded_lab import only_environment, read_lab, read_round
from autoqec.results.lab_front import Front
from autoqec.testing import figures, make_tiny_lab, record_round, record_run
from autoqec.views.front_json import front_rows
from autoqec.views.log_lines import read_lines


def object_of(ledger, oid):
    """The file of a loose object."""
    return ledger.git_dir / "objects" / oid[:2] / oid[2:]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """A run with a VERIFIED round, its FAILED child, one that ended without a commit's metrics, and an open one."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("reporting") / "lab")
    run = record_run(ledger, "tiny-abcd")
    told = figures(delta_ler=0.006, delta_ler_ci=[0.0059, 0.0061], flops_per_shot=2000, params=20)
    verdict = {"verdict": "VERIFIED", "reason": "better", **told}
    first = record_round(ledger, run, {"output.yaml": b"mode: weights\n"}, metrics=told, verdict=verdict)
    failed = {"verdict": "FAILED", "reason": "not_better", **figures()}
    record_round(
        ledger, run, {"output.yaml": b"mode: hard_flip\n"}, metrics=figures(), verdict=failed, parents=(first,)
    )
    record_round(ledger, run, {}, close=False)
    return ledger


def test_it_has_every_round_of_the_history_with_the_rows_of_log(ledger):
    lab = read_lab(ledger)
    assert [each.record for each in lab.rounds] == read_history(ledger)
    rows = {f"{run.run}/{line.number}": json.loads(line.text) for run in read_lines(ledger) for line in run.lines}
    for each in lab.rounds:
        told = each.row.to_json()
        told.pop("best_so_far")
        assert told == rows[each.name]
    assert [run.name for run in lab.runs] == ["tiny-abcd"]


def test_the_front_and_the_best_round_are_those_of_pareto(ledger):
    environment = only_environment(read_lab(ledger))
    assert (
        list(environment.front.names) == [row.name for row in front_rows(ledger, read_lines(ledger))] == ["tiny-abcd/1"]
    )
    assert environment.best.round == "tiny-abcd/1"
    assert environment.by_name["tiny-abcd/3"].row.best_so_far.since == 1


def test_a_round_shows_what_it_changed(ledger):
    changed = read_round(ledger, "tiny-abcd/2")
    assert "-mode: weights\n+mode: hard_flip" in changed.diff
    assert changed.results.verdict.verdict == "FAILED"


def test_it_says_what_each_round_took_and_how_it_came_out(ledger):
    environment = only_environment(read_lab(ledger))
    assert [each.outcome for each in environment.rounds] == ["VERIFIED", "FAILED", "open"]
    spent = [each.spent for each in environment.rounds]
    assert [each.untimed for each in spent] == [0, 0, 1]
    assert spent[0].train_seconds == environment.rounds[0].results.metrics.costs.train_seconds
    assert environment.climb[-1].spent == environment.found.spent == spent[0] + spent[1] + spent[2]
    assert [(point.rounds, point.best.round) for point in environment.climb] == [(n, "tiny-abcd/1") for n in (1, 2, 2)]
    assert environment.rounds[0].trust == "unsigned: it has no signature"
    assert environment.found.outcomes == {"VERIFIED": 1, "FAILED": 1, "open": 1}
    assert "decoder: mwpm" in environment.text
    assert environment.key.startswith("tiny@")


def test_the_best_round_is_one_of_those_reported(ledger, tmp_path):
    shutil.copytree(ledger.workdir, tmp_path / "lab")
    both = open_ledger(tmp_path / "lab")
    told = figures(delta_ler=0.001, delta_ler_ci=[0.0005, 0.0015], flops_per_shot=2000, params=20)
    verdict = {"verdict": "VERIFIED", "reason": "better", **told}
    record_round(both, record_run(both, "worse-abcd"), {"output.yaml": b"x: 1\n"}, metrics=told, verdict=verdict)
    assert only_environment(read_lab(both)).best.round == "tiny-abcd/1"
    alone = only_environment(read_lab(both, run="worse-abcd"))
    assert alone.best.round == alone.found.best.round == alone.climb[0].best.round == "worse-abcd/1"
    assert alone.rounds[0].row.best_so_far.round == "tiny-abcd/1"  # what `log` says of it


def test_a_damaged_lab_is_read_and_says_what_it_lacks(ledger, tmp_path):
    shutil.copytree(ledger.workdir, tmp_path / "lab")
    damaged = open_ledger(tmp_path / "lab")
    (tree,) = (each for each in read_history(damaged) if each.number == 1)
    attach(damaged, "traces", "tiny-abcd", 2, {"calls/coder-1.json": b'{"round": 2, "seconds": "long"}'})
    object_of(damaged, tree.commit).unlink()
    lab = read_lab(open_ledger(tmp_path / "lab"))
    first, second, _ = lab.rounds
    assert first.row.problems
    assert any(
        "there is no front: refs/heads/exp/tiny-abcd/1" in each for one in lab.environments for each in one.left_out
    )
    assert all(environment.front == Front() for environment in lab.environments)
    assert second.spent.unread == 1
    assert "refs/autoqec/traces/tiny-abcd/2" in second.calls


def test_what_is_not_there_is_named(ledger):
    with pytest.raises(NotFoundError, match="no-such-run"):
        read_lab(ledger, run="no-such-run")
    with pytest.raises(NotFoundError, match="no round is on environment"):
        read_lab(ledger, env="elsewhere")
    name = only_environment(read_lab(ledger)).name
    with pytest.raises(NotFoundError, match=f"the rounds are on {name}@"):
        read_lab(ledger, env=f"{name}@0000000000")
    with pytest.raises(NotFoundError):
        read_round(ledger, "tiny-abcd/9")


def test_a_lab_without_rounds_is_empty(tmp_path):
    lab = read_lab(make_tiny_lab(tmp_path / "lab"))
    assert lab.rounds == lab.environments == ()
    with pytest.raises(UsageError, match="no rounds yet"):
        only_environment(lab)


def test_a_clone_without_the_runs_record_still_has_its_rounds(ledger, tmp_path):
    subprocess.run(["git", "clone", "-q", str(ledger.workdir), str(tmp_path / "clone")], check=True)
    for number in (1, 2):
        ref = f"refs/heads/exp/tiny-abcd/{number}"
        subprocess.run(["git", "-C", str(tmp_path / "clone"), "fetch", "-q", "origin", f"{ref}:{ref}"], check=True)
    lab = read_lab(open_ledger(tmp_path / "clone"))
    assert [each.row.round for each in lab.rounds] == [1, 2]


def test_dropped_rounds_are_named_with_the_way_back(tmp_path):
    ledger = make_tiny_lab(tmp_path / "lab")
    run = record_run(ledger, "tiny-abcd")
    for name in ("one", "two"):
        record_round(ledger, run, {"output.yaml": b"mode: weights\n"}, metrics=figures(), hypothesis=name)
    drop(ledger, "tiny-abcd", 2, "a <b>wrong</b> seed")
    lab = read_lab(ledger)
    assert [each.name for each in lab.rounds] == ["tiny-abcd/1"]
    for text in (written(lab_blocks(lab)), report_page(lab, NO_DIAGNOSES)):
        told = text[text.index("Dropped rounds") :]
        assert "autoqec drop --restore tiny-abcd/2" in told
        assert "<b>wrong" not in told
    drop(ledger, "tiny-abcd")
    assert "autoqec drop --restore tiny-abcd" in report_page(read_lab(ledger), NO_DIAGNOSES)
    assert "autoqec drop --restore tiny-abcd" in written(lab_blocks(read_lab(ledger)))
