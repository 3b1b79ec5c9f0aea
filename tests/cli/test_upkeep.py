"""`fsck` and `archive` at the command line: what they print, what they exit with, what the log shows afterwards."""

import json
import subprocess

import pytest

from autoqec import history
from autoqec.cli.main import run
from autoqec.testing import figures, make_tiny_lab, record_round, record_run

RUN = "tiny-abcd"
DELTAS = {1: 0.02, 2: 0.001, 3: 0.03}


def metrics(delta, flops):
    return figures(
        shots=1000, ler_baseline=0.1, ler_candidate=0.1 - delta, delta_ler=delta, delta_ler_ci=[delta - 1e-4, delta + 1e-4],
        flops_per_shot=flops, params=flops, references={}, weights_sha256="0" * 64,
    )  # fmt: skip


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Three verified rounds, the second beaten by the others, in a lab that is the current directory."""
    make_tiny_lab(tmp_path)
    monkeypatch.chdir(tmp_path)
    ledger = history.open_ledger(tmp_path)
    played = record_run(ledger, RUN)
    for number, delta in DELTAS.items():
        told = metrics(delta, 100 + number)
        verdict = told | {"verdict": "VERIFIED", "reason": "better"}
        files = {"output.yaml": b"mode: soft_priors\n"}
        record_round(ledger, played, files, hypothesis=f"idea {number}", weights=b"w", metrics=told, verdict=verdict)
    return ledger


@pytest.fixture
def printed(capsys):
    def call(*args):
        code = run(list(args))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_fsck_finds_says_and_mends(lab, printed):
    code, out, _ = printed("fsck", "--json")
    found = objects(out)
    assert code == 1  # the weights are not those that the metrics promise
    assert {item["code"] for item in found} == {"weights-differ"}
    assert found[0].keys() == {"schema", "code", "severity", "ref", "problem", "hint", "mend", "repairable"}
    assert found[0]["schema"] == "autoqec.finding/1"
    for number in DELTAS:
        subprocess.run(["git", "update-ref", "-d", f"refs/autoqec/artifacts/{RUN}/{number}"], check=True)
    assert printed("fsck")[0] == 0
    ref = f"refs/notes/autoqec/{RUN}/metrics"
    subprocess.run(["git", "update-ref", ref, f"{ref}~1"], check=True)
    code, out, _ = printed("fsck")
    assert code == 1
    assert f"error lost-records {ref}: it has lost 1 record" in out
    assert "--repair would: restore them" in out
    assert "1 error, 1 warning, 1 info" in out  # the verdict names the lost metrics
    code, out, _ = printed("fsck", "--repair")
    assert code == 0
    assert f"repaired lost-records {ref}: records restored: 1" in out
    code, out, _ = printed("fsck", "--repair", "--json")
    assert {item["schema"] for item in objects(out)} == {"autoqec.finding/1"}


def test_archived_rounds_look_the_same(lab, printed):
    views = (("log", "--json"), ("log",), ("show", f"exp/{RUN}/1", "--json"), ("pareto", "--json"))
    before = [printed(*view) for view in views]
    assert [item["round"] for item in objects(before[-1][1])] == [3, 1]
    code, out, _ = printed("archive", RUN, "--json")
    assert code == 0
    done = {"schema": "autoqec.archive/1", "run": RUN, "archived": [1, 2, 3], "left": {}, "pruned": []}
    assert objects(out) == [done]
    assert "exp/" not in subprocess.run(["git", "branch"], capture_output=True, text=True, check=True).stdout
    assert [printed(*view) for view in views] == before


def test_archive_prunes_all_but_the_front(lab, printed):
    subprocess.run(["git", "checkout", "-q", f"exp/{RUN}/2"], check=True)
    code, out, err = printed("archive", RUN, "--prune-weights")
    assert (code, out) == (0, f"2 rounds of {RUN} archived; weights of 1 pruned\n")
    assert f"exp/{RUN}/2 stays: it is checked out" in err
    kept = [number for number in (1, 2, 3) if history.has_attachment(lab, "artifacts", RUN, number)]
    assert kept == [1, 3]


def test_archive_of_what_is_not_there(lab, printed):
    assert printed("archive", "nobody")[0] == 3
