"""A run as one file: whole, sound by git's own judgement, and a lab again after a plain clone."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pytest

from autoqec import history
from autoqec.errors import AutoQECError, NotFoundError


def refs_of(path: Path) -> dict[str, str]:
    listed = subprocess.run(["git", "bundle", "list-heads", str(path)], capture_output=True, text=True, check=True)
    return {ref: oid for oid, ref in (line.split() for line in listed.stdout.splitlines())}


@pytest.fixture
def bundle(lab, run, play, tmp_path, git):
    """A bundle of a lab with two rounds, a failed attempt, and much that is nobody's business."""
    for _ in range(2):
        play()
    claim = history.claim_round(lab, run.name)
    history.attach(lab, "attempts", run.name, claim.number, {"report.json": b"{}"})
    history.attach(lab, "traces", run.name, claim.number, {"ideator.json": b"{}"})
    history.close_claim(lab, claim, status="agent_error")
    (lab.workdir / "private").write_text("private\n")
    git("checkout", "-q", "-b", "private")
    git("add", "private")
    git("commit", "-q", "-m", "private")
    git("tag", "private-tag")
    history.start_run(
        lab, "other-abcd", base=run.base, env_name="e", env_id="e" * 64, env_files={"a.yaml": b"a"}, settings={}
    )
    path = tmp_path / "run.bundle"
    assert history.write_bundle(lab, run.name, path, weights=[2, 3]) == list(refs_of(path))
    return path


def clone(bundle: Path) -> history.Ledger:
    top = bundle.parent / "clone"
    subprocess.run(["git", "clone", "-q", str(bundle), str(top)], check=True)
    return history.open_ledger(top)


def test_a_bundle_holds_the_run_and_nothing_else(bundle, lab, run, git):
    refs = refs_of(bundle)
    assert refs.pop("HEAD") == refs.pop("refs/heads/main") == run.base
    here = {
        ref: oid
        for ref, oid in history.list_refs(lab, "refs/").items()
        if run.name in ref and ref != "refs/autoqec/artifacts/depol-abcd/1"
    }
    assert refs == here
    assert {ref.split("/")[2] for ref in refs} >= {
        "exp",
        "runs",
        "claims",
        "artifacts",
        "attempts",
        "traces",
        "autoqec",
    }
    git("bundle", "verify", str(bundle))
    assert [path.name for path in bundle.parent.glob(".run*")] == []


def test_a_clone_of_a_bundle_becomes_the_lab_it_was_made_of(bundle, lab, run):
    ledger = clone(bundle)
    assert history.read_history(ledger) == []
    report = history.fetch_bundle(ledger)
    assert report is not None
    assert set(report.received) == refs_of(bundle).keys() - {"HEAD", "refs/heads/main"}
    records = history.read_history(ledger)
    there = history.read_history(lab, run.name)
    assert records == there
    numbers = [record.number for record in records]
    assert [history.has_attachment(ledger, "artifacts", run.name, n) for n in numbers] == [False, True, False]
    assert history.load_run(ledger, run.name) == run
    assert history.resolve_commit(ledger, "HEAD") == run.base
    assert not (ledger.workdir / "private").exists()
    subprocess.run(["git", "fsck", "--strict"], cwd=ledger.workdir, check=True)


def test_a_bundle_is_taken_up_once(bundle):
    ledger = clone(bundle)
    assert history.fetch_bundle(ledger) is not None
    bundle.unlink()
    assert history.fetch_bundle(ledger) is None
    assert len(history.read_history(ledger)) == 3


def test_other_labs_take_up_nothing_by_themselves(lab, run, tmp_path, git):
    git("clone", "-q", str(lab.workdir), str(tmp_path / "clone"))
    assert history.fetch_bundle(history.open_ledger(tmp_path / "clone")) is None
    assert history.fetch_bundle(lab) is None


def test_a_bundle_can_be_pulled_into_a_lab_that_has_another_part_of_the_run(bundle, lab, run, play):
    ledger = clone(bundle)
    history.fetch_bundle(ledger)
    play()
    again = bundle.with_name("again.bundle")
    history.write_bundle(lab, run.name, again, weights=[])
    report = history.pull(ledger, str(again))
    assert "refs/heads/exp/depol-abcd/4" in report.received
    assert history.read_notes(ledger, run.name, "metrics") == history.read_notes(lab, run.name, "metrics")


def test_a_full_disk_is_an_error_about_the_file_and_not_about_the_store(bundle, lab, run):
    before, limits = bundle.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(AutoQECError, match="run.bundle cannot be written: File too large") as caught:
            history.write_bundle(lab, run.name, bundle, weights=[])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "fsck" not in caught.value.hint
    assert bundle.read_bytes() == before


def test_a_bundle_appears_whole_or_not_at_all(bundle, lab, run, tmp_path, git):
    before = bundle.read_bytes()
    tree = git("rev-parse", "exp/depol-abcd/1^{tree}").strip()
    (lab.git_dir / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(AutoQECError, match="cannot pack the run"):
        history.write_bundle(lab, run.name, bundle, weights=[])
    assert bundle.read_bytes() == before
    with pytest.raises(AutoQECError, match="/absent/run.bundle cannot be written: No such file"):
        history.write_bundle(lab, "other-abcd", tmp_path / "absent" / "run.bundle", weights=[])
    with pytest.raises(NotFoundError, match="no run"):
        history.write_bundle(lab, "none-abcd", bundle, weights=[])
    assert sorted(path.name for path in tmp_path.glob("*run.bundle*")) == ["run.bundle"]
