"""Whole rounds in a tiny lab: what is promised of them, end to end and with nothing in place of the real parts."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace

import pytest
from threads_for_processes import one_process

from autoqec.agents.agent_contract import ROLES
from autoqec.agents.role_messages import Hypothesis
from autoqec.candidate.weights import load_weights
from autoqec.cli.main import run
from autoqec.config import load_settings
from autoqec.errors import AutoQECError, BudgetSpentError, MissingPackageError, NotFoundError, UsageError
from autoqec.history import (
    RoundIdentity,
    append_note,
    check,
    claim_round,
    close_claim,
    commit_round,
    find_record,
    list_claims,
    open_ledger,
    read_attachment,
    read_candidate,
    read_claim,
    read_notes,
)
from autoqec.loop import candidate_files, judging, round_steps
from autoqec.loop import one_round as rounds
from autoqec.loop.auditing import audit_round, replay_differences, why_no_replay
from autoqec.loop.candidate_files import teacher_of
from autoqec.loop.front_pairs import head_to_head
from autoqec.loop.judging import Asked, judge, strong_reference
from autoqec.loop.one_round import run_round
from autoqec.loop.parents import composed_parents
from autoqec.loop.round_state import find_verdict, read_state, save_message
from autoqec.loop.round_steps import trains_locked
from autoqec.loop.session import Session, open_run
from autoqec.plugins import Registration, load_plugins
from autoqec.results.audit import audit
from autoqec.results.counts import PairedCounts
from autoqec.results.head_to_head import head_to_head_words
from autoqec.results.metrics import parse_metrics
from autoqec.results.pareto_front import Point
from autoqec.results.reasons import unverified_words
from autoqec.results.statistics import log_e_better
from autoqec.results.verdict_parts import OutOfTime
from autoqec.sandbox.child import Child
from autoqec.scoring.executor_contract import run_task
from autoqec.scoring.verifier_contract import Verdict
from autoqec.testing import ScriptedAgent
from autoqec.testing import tiny_proposal as candidate
from autoqec.testing.whole_notes import whole_verdict
from autoqec.views.log_graph import print_graph
from autoqec.views.round_json import RoundRow, round_row
from autoqec.views.tables import print_front, print_log
from autoqec.views.verdict_text import verdict_lines

IGNORE = {"summary": "seen", "decision": "ignore"}
VERIFY = {"summary": "seen", "decision": "candidate"}


def git(ledger, *args):
    done = subprocess.run(["git", "-C", str(ledger.workdir), *args], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def searched(played, tmp_path_factory):
    """A lab in which the embedded agent ran four rounds, two by the command; dirty in every way while it did."""
    folder = tmp_path_factory.mktemp("searched") / "lab"
    shutil.copytree(played.folder, folder)
    ledger = open_ledger(folder)
    registry = load_plugins()
    run = open_run(ledger, registry, env="tiny", run_name=None, fresh=False, seed=3)
    session = Session(ledger, registry, load_settings(ledger.workdir), run)
    records = [find_record(ledger, run.name, number) for number in (1, 2)]
    with one_process():
        return ledger, run, [*records, run_round(session), run_round(session)], played.before


def test_the_first_round_is_verified(searched):
    _, _, records, _ = searched
    first = records[0]
    assert first.status == "ok"
    assert first.verdict["verdict"] == "VERIFIED"
    assert first.verdict["ler_ratio_ci"][1] < 1
    assert first.metrics["shots"] >= 20_000
    assert first.metrics["params"] > 0
    assert first.metrics["references"]["mwpm_correlated"] < first.metrics["ler_baseline"]


def test_the_working_tree_index_and_head_are_not_touched(searched, worktree):
    ledger, _, _, before = searched
    assert worktree(ledger.workdir) == before


def test_later_rounds_fork_and_one_composes(searched):
    _, _, records, _ = searched
    first, with_ensemble, cheaper, both = records
    assert [record.status for record in records] == ["ok"] * 4
    assert [record.identity.fork_from for record in (with_ensemble, cheaper)] == [(first.commit,)] * 2
    assert both.identity.compose == "pure"
    assert set(both.parents) == set(both.identity.fork_from) == {with_ensemble.commit, cheaper.commit}


def test_an_ensemble_is_added_without_training_and_merged_with_the_weights_of_the_other_parent(searched):
    ledger, run, records, _ = searched
    files = [read_candidate(ledger, record.commit) for record in records]
    assert ["ensemble.yaml" in each for each in files] == [False, True, False, True]
    assert files[1].keys() - files[0].keys() == {"ensemble.yaml"}
    assert [b"shots: 0\n" in each["training.yaml"] for each in files] == [False, True, False, True]
    stages = [{path: data for path, data in each.items() if path.startswith("stages/")} for each in files]
    assert stages[1] == stages[0] != stages[2] == stages[3]
    weights = [read_attachment(ledger, "artifacts", run.name, n)["weights.safetensors"] for n in range(1, 5)]
    tensors = [
        {name: data.tobytes() for name, data in load_weights(each).items() if name.startswith("bp.")}
        for each in weights
    ]
    assert tensors[1] == tensors[0] != tensors[2] == tensors[3]


def test_the_repository_is_whole_and_readable_by_plain_git(searched):
    ledger, run, records, _ = searched
    assert "error" not in git(ledger, "fsck", "--strict")
    trailers = git(ledger, "log", "-1", "--format=%(trailers:key=AutoQEC-Hypothesis,valueonly)", f"exp/{run.name}/1")
    assert json.loads(trailers) == records[0].identity.hypothesis
    shown = git(ledger, "notes", f"--ref=refs/notes/autoqec/{run.name}/metrics", "show", f"exp/{run.name}/1")
    assert json.loads(shown.splitlines()[-1])["ler_candidate"] == records[0].metrics["ler_candidate"]


def test_a_round_changes_the_candidate_and_nothing_else(searched):
    ledger, run, _, _ = searched
    changed = git(ledger, "diff", "--name-only", run.base, f"exp/{run.name}/1").split()
    assert changed
    assert all(path.startswith(".autoqec/candidate/") for path in changed)


def test_a_verdict_can_be_checked_from_its_counts(searched):
    verdict = searched[2][0].verdict
    assert log_e_better(PairedCounts.from_dict(verdict["test"])) == pytest.approx(verdict["log_e_better"], abs=1e-5)
    assert verdict["log_e_better"] >= verdict["log_e_needed"]
    extension = PairedCounts.from_dict(verdict["extension"])
    assert verdict["delta_ler"] == pytest.approx(extension.delta_ler)


def test_the_holdout_is_neither_the_development_stream_nor_used_twice(searched):
    verdicts = [record.verdict for record in searched[2] if record.verdict]
    assert len({verdict["seed_key"] for verdict in verdicts}) == len(verdicts)
    digests = [digest for verdict in verdicts for digest in verdict["digests"]]
    assert len(set(digests)) == len(digests)


def test_log_pareto_and_verify_need_nothing_outside_git(searched, tmp_path, monkeypatch):
    ledger, run, records, _ = searched
    bare = tmp_path / "bare"
    shutil.copytree(ledger.workdir / ".git", bare / ".git")
    monkeypatch.chdir(bare)
    from autoqec.views.front_json import front_rows
    from autoqec.views.log_lines import read_lines

    there = open_ledger(".")
    runs = read_lines(there)
    verdicts = [json.loads(line.text)["verdict"] for found in runs for line in found.lines]
    assert verdicts == [r.verdict and r.verdict["verdict"] for r in records]
    assert front_rows(there, runs)
    script = [sys.executable, "-m", "autoqec", "verify", f"exp/{run.name}/1", "--json"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "VERIFIED"
    assert json.loads(done.stdout)["attempt"] == 1 + sum(record.verdict is not None for record in records)


@pytest.mark.fresh_processes  # each with a seed of its own for Python's hashes
def test_a_seed_gives_the_same_candidate_and_metrics_on_any_number_of_workers(told, tell, tmp_path):
    (first, (_, a), *_), (second, (_, b), *_) = told, tell(tmp_path / "lab", jobs=2)
    assert (first.settings.jobs, second.settings.jobs) == (1, 2)
    assert first.run.name != second.run.name
    assert read_candidate(first.ledger, a.commit) == read_candidate(second.ledger, b.commit)
    weights = [read_attachment(s.ledger, "artifacts", s.run.name, 2)["weights.safetensors"] for s in (first, second)]
    assert weights[0] == weights[1]
    for name in ("counts", "references", "weights_sha256", "flops_per_shot", "params", "delta_ler_ci"):
        assert a.metrics[name] == b.metrics[name]


def test_a_verdict_is_replayed_to_the_same_counts_on_any_number_of_workers(searched):
    ledger, run, records, _ = searched
    state = read_state(ledger, run.name, 1)
    noted, standing = find_verdict(state, records[0].verdict["seed_key"])
    assert standing.counts
    before = read_notes(ledger, run.name, "verdict")
    settings = load_settings(ledger.workdir, {"jobs": 2})
    assert Session(ledger, load_plugins(), load_settings(ledger.workdir), run).settings.jobs == 1
    replayed = judge(Session(ledger, load_plugins(), settings, run), state, replay=noted)
    assert replay_differences(noted, replayed) == []
    assert replay_differences(noted, replayed.noted(digests=[], harm=[])) == ["digests", "harm"]
    own = ("id", "ts", "seconds", "seconds_by_part", "max_seconds", "v", "kind", "writer")
    own += ("cpu_us_per_shot", "us_per_shot", "reference_us", "neutral_us")
    same = {name: value for name, value in noted.to_note().items() if name not in own}
    assert same == {name: value for name, value in replayed.to_note().items() if name in same}
    assert read_notes(ledger, run.name, "verdict") == before, "a replay is not noted"


@pytest.mark.slow
def test_a_verdict_that_ran_out_of_time_is_audited_and_replayed_to_the_same_shots(with_round):
    """At a level that no evidence reaches, so that the clock ends it."""
    state = read_state(with_round.ledger, with_round.run.name, 2)
    noted = judge(with_round, state, Asked(alpha=1e-200, max_seconds=1e-3))
    evidence = noted.evidence
    assert (noted.verdict, noted.reason, evidence.attempt.max_seconds) == ("FAILED", "undecided", 1e-3)
    assert evidence.out_of_time == OutOfTime(None, evidence.target.test.shots, 1e-3)
    assert audit_round(with_round, state, noted) == []
    replayed = judge(with_round, state, replay=noted)
    assert replay_differences(noted, replayed) == []
    assert replayed.evidence.target.digests == evidence.target.digests


def test_a_verdict_is_audited_from_its_note_and_is_about_its_round(searched):
    ledger, run, _, _ = searched
    session, state = (
        Session(ledger, load_plugins(), load_settings(ledger.workdir), run),
        read_state(ledger, run.name, 1),
    )
    noted = state.verdict
    assert audit_round(session, state, noted) == []
    assert "check harm" in verdict_lines(noted)
    other = read_state(ledger, run.name, 3)  # the second round has the first one's weights
    assert [sentence.partition(":")[0] for sentence in audit_round(session, other, noted)] == [
        "commit", "candidate", "weights_sha256",
    ]  # fmt: skip
    simd = noted.evidence.simd
    assert why_no_replay(noted, simd) is None
    assert why_no_replay(noted, "avx2") == f"stim's build {simd} there, avx2 here"
    older = noted.noted(versions={**noted.evidence.versions, "stim": "1.14.0"}, machine="aarch64")
    assert why_no_replay(older, simd).startswith("machine aarch64 there, ")


def test_a_pair_of_the_front_is_decided_on_shots_that_both_share(searched, tmp_path, one_process):
    source, run, _, _ = searched
    shutil.copytree(source.workdir, tmp_path / "lab")
    ledger = open_ledger(tmp_path / "lab")
    states = [read_state(ledger, run.name, number) for number in (1, 2)]
    points = [Point(f"{run.name}/{n}", 0.0, (-1.0, 1.0), n, n) for n in (1, 2)]
    session = Session(ledger, load_plugins(), load_settings(ledger.workdir), run)
    found = head_to_head(session, tuple(zip(points, states, strict=True)), 0.05, max_shots=60_000)
    counts = found.counts
    assert counts.shots == len(found.digests) * 4096
    assert counts.baseline_only + counts.candidate_only > 0, "they are not one decoder"
    expected = head_to_head_words(*points, counts, 0.05).get((points[0].name, points[1].name), "undecided")
    assert (found.word, found.rival) == (expected, states[0].commit)
    assert read_state(ledger, run.name, 2).verdict == states[1].verdict, (
        "it is no verdict, and takes no verdict's place"
    )
    assert found.id in {each["id"] for each in read_notes(ledger, run.name, "verdict")[states[1].commit]}


def test_a_level_above_the_environments_is_refused(searched):
    ledger, run, _, _ = searched
    session = Session(ledger, load_plugins(), load_settings(ledger.workdir), run)
    with pytest.raises(UsageError, match=r"--alpha 0.1 is above protocol.alpha 0.05"):
        judge(session, read_state(ledger, run.name, 1), Asked(alpha=0.1))


def test_a_key_of_no_verdict_is_not_found(searched):
    ledger, run, _, _ = searched
    with pytest.raises(NotFoundError, match="no verdict with that key"):
        find_verdict(read_state(ledger, run.name, 1), "0" * 64)


def answered(request, word="FAILED", reason="not_better"):
    """A verifier's answer to a request, from counts that nobody drew."""
    return Verdict.from_dict(whole_verdict(word, reason, attempt=request.attempt))


def test_an_undecided_verdict_does_not_take_the_place_of_one_that_was_reached(with_round, monkeypatch):
    made = with_round
    state = read_state(made.ledger, made.run.name, 2)
    words = iter([("FAILED", "undecided"), ("VERIFIED", "better"), ("FAILED", "undecided")])
    monkeypatch.setattr("autoqec.loop.judging.verify_in_process", lambda request, **_: answered(request, *next(words)))
    seen = []
    for _ in range(3):
        judge(made, read_state(made.ledger, made.run.name, 2))
        seen.append(read_state(made.ledger, made.run.name, 2).verdict.reason)
    assert seen == ["undecided", "better", "better"]
    notes = read_notes(made.ledger, made.run.name, "verdict")[state.commit]
    assert [note["attempt"] for note in notes if note.get("event") == "begun"] == [1, 2, 3]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_a_verdict_is_signed_and_readers_say_by_whom(with_round, tmp_path, monkeypatch, capsys):
    made = with_round
    state = read_state(made.ledger, made.run.name, 2)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "allowed").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    monkeypatch.setenv("AUTOQEC_SIGNING_KEY", str(key))
    monkeypatch.setenv("AUTOQEC_ALLOWED_SIGNERS", str(tmp_path / "allowed"))
    monkeypatch.chdir(made.ledger.workdir)
    monkeypatch.setattr("autoqec.loop.judging.verify_in_process", lambda request, **_: answered(request))
    signing = replace(made, settings=load_settings(made.ledger.workdir))
    noted = judge(signing, state)
    assert run(["show", f"{made.run.name}/2"]) == 0
    assert "signed by ada@example.org" in capsys.readouterr().out
    said = "signature: the note is not what was signed"
    assert said not in audit_round(signing, state, noted)
    assert said in audit_round(signing, state, replace(noted, reason="better"))


def test_attempts_that_another_clone_began_are_counted_however_numbered(with_round, monkeypatch):
    made = with_round
    state = read_state(made.ledger, made.run.name, 2)
    commit = state.commit
    asked = []

    def answer(request, **_):
        asked.append(request.attempt)
        return answered(request)

    monkeypatch.setattr("autoqec.loop.judging.verify_in_process", answer)

    def elsewhere(*attempts):
        for number in attempts:
            append_note(
                made.ledger, made.run.name, "verdict", commit, {"event": "begun", "attempt": number, "share": 1 / 128}
            )

    judge(made, state)
    elsewhere(1)
    judge(made, state)
    assert asked == [1, 3]
    found = [(finding.code, finding.severity) for finding in check(made.ledger)]
    assert found == [("attempt-twice", "info")]
    elsewhere(*[4] * 126)
    with pytest.raises(BudgetSpentError, match="the error budget of run .* is spent, by 129 verifications"):
        judge(made, state)
    assert asked == [1, 3]
    assert ("overspent", "error") in {(finding.code, finding.severity) for finding in check(made.ledger)}


def test_what_a_round_composes_is_found_by_commit_whatever_its_parents_are_called_now(session):
    made = session()
    ledger, run = made.ledger, made.run
    parents = []
    for number in (1, 2, 3):
        compose = "pure" if parents[1:] else "none"
        fork = tuple(parents) if compose == "pure" else ()
        env = f"{run.env_name}@sha256:{run.env_id}"
        who = RoundIdentity(run.name, number, f"{number:032x}", env, fork, compose, "search", "t")
        files = {"output.yaml": b"n: %d\n" % number}
        parents.append(commit_round(ledger, who, base=run.base, parents=fork, files=files, subject="s", body=""))
    assert composed_parents(ledger, run.name, 1) == ()
    assert composed_parents(ledger, run.name, 3) == (f"{run.name}/1", f"{run.name}/2")
    git(ledger, "branch", "-m", f"exp/{run.name}/1", f"exp/{run.name}/9")
    assert composed_parents(ledger, run.name, 3) == (f"{run.name}/9", f"{run.name}/2")


class _Failing:
    def reply(self, role, context, report):
        raise ConnectionError("no net\nand more")


def test_after_a_round_and_not_during_it_git_is_asked_to_tidy_up(session, monkeypatch):
    asked = []
    monkeypatch.setattr(rounds, "tidy", lambda ledger: asked.append([c.state for c in list_claims(ledger)]))
    made = session(ScriptedAgent({}))
    assert run_round(made).status == "agent_error"
    assert asked == [["closed"]]


def test_an_agent_that_raises_ends_the_round(session):
    record = run_round(session(_Failing()))
    assert record.status == "agent_error"
    assert record.claim.reason == "the ideator failed: ConnectionError: no net"


def test_what_is_ignored_is_not_verified(told):
    made, (_, record), events, _ = told
    assert (record.status, record.verdict) == ("ok", None)
    assert [e["step"] for e in events if e["event"] == "step" and e["round"] == 2] == [
        "ideate", "code", "train", "score", "analyse", "close",
    ]  # fmt: skip
    (skipped,) = (e for e in events if e["event"] == "skipped")
    assert (skipped["step"], skipped["why"]) == ("verify", unverified_words("ignore", record.metrics["delta_ler_ci"]))
    begun = {e["step"]: e for e in events if e["event"] == "step" and e["round"] == 2}
    assert begun["train"]["seconds_at_most"] == made.settings.profile.train_seconds
    assert {step for step, e in begun.items() if "agent" in e} == {"ideate", "code", "analyse"}
    shots = [(e["shots"], e["total"]) for e in events if e["event"] == "score"]
    assert shots == sorted(shots)
    assert shots[-1][0] == shots[-1][1], "shots at all rates are counted, and no more"


def test_in_a_shared_run_the_remote_gives_the_number(session, tmp_path):
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    made = session(ScriptedAgent({}), claim_remote=str(remote))
    assert run_round(made).status == "agent_error"  # the script is empty; what counts is the claim
    listed = subprocess.run(["git", "for-each-ref"], cwd=remote, capture_output=True, text=True, check=True).stdout
    assert f"refs/autoqec/claims/{made.run.name}/1" in listed
    assert f"refs/autoqec/runs/{made.run.name}" in listed


def test_an_agent_that_cannot_be_understood_ends_the_round_and_not_the_run(told):
    made, (failed, following), _, _ = told
    assert (failed.status, failed.commit) == ("agent_error", None)
    assert "text: missing" in failed.claim.reason
    assert following.status == "ok"
    assert [claim.status for claim in list_claims(made.ledger, made.run.name)] == ["agent_error", "ok"]


def test_a_candidate_that_is_not_valid_is_shown_back_to_the_coder(told):
    _, (_, record), _, agent = told
    assert record.status == "ok"
    assert "not allowed in a candidate" in next(c.repair for role, c in agent.seen if role == "coder" and c.repair)


@pytest.mark.slow
def test_the_same_candidate_is_not_tried_twice(session):
    agent = ScriptedAgent(
        {
            "ideator": [{"text": "a"}, {"text": "b"}],
            "coder": [candidate(1), candidate(1), candidate(2)],
            "analyst": [IGNORE, IGNORE],
        }
    )
    made = session(agent)
    run_round(made)
    assert run_round(made).status == "ok"
    assert "the same as" in agent.seen[-2][1].repair


def test_a_compose_that_conflicts_is_a_finding(session):
    agent = ScriptedAgent({})
    made = session(agent)
    ledger, run = made.ledger, made.run
    for number in (1, 2):  # as rounds leave them; that they are trained is nothing to a merge
        claim = claim_round(ledger, run.name)
        who = RoundIdentity(
            run.name, number, claim.attempt, f"{run.env_name}@sha256:{run.env_id}", (), "none", "search", "t"
        )
        files = {path: text.encode() for path, text in candidate(number)["files"].items()}
        commit = commit_round(ledger, who, base=run.base, parents=(run.base,), files=files, subject="s", body="")
        close_claim(ledger, claim, status="ok", commit=commit)
    names = [f"{run.name}/{n}" for n in (1, 2)]
    compose = {"text": "both", "fork_from": names, "compose": "pure"}
    agent._replies = {
        "ideator": iter([compose, compose, {"text": "c"}]),
        "coder": iter([candidate(3)]),
        "analyst": iter([IGNORE]),
    }
    conflict = run_round(made)
    assert (conflict.status, conflict.commit) == ("compose_conflict", None)
    assert "iterations" in conflict.claim.reason
    assert conflict.conflict["conflicts"][0]["field"] == "iterations"
    assert run_round(made).status == "ok"
    assert "conflicted before" in agent.seen[-3][1].repair


def gated(kind, number=4):
    reply = candidate(number)
    return {**reply, "files": {**reply["files"], "gate.yaml": f"kind: {kind}\nthreshold: 4.0\n"}}


def by_hand(made, files, *, traced=True):
    """An interrupted round with a commit that no agent of ours wrote."""
    ledger, run = made.ledger, made.run
    claim = claim_round(
        ledger, run.name, {"profile": made.settings.profile.model_dump(), "agents": dict.fromkeys(ROLES, "scripted")}
    )
    who = RoundIdentity(
        run.name, claim.number, claim.attempt, f"{run.env_name}@sha256:{run.env_id}", (), "none", "by+hand", "t"
    )
    commit_round(ledger, who, base=run.base, parents=(run.base,), files=files, subject="s", body="")
    if traced:
        save_message(ledger, claim, "ideator", Hypothesis(text="t"))
    return claim


@pytest.mark.parametrize("training", [b"learning_rate: .nan\n", b"batch_size: [8]\n", b"- 1\n", b""])
def test_a_training_file_by_hand_that_is_not_valid_ends_the_round(session, training):
    made = session(ScriptedAgent({}))
    claim = by_hand(made, {"stages/bp/stage.yaml": b"kind: neural_bp\n", "training.yaml": training})
    record = rounds.resume_round(made, claim)
    assert (record.status, record.claim.code) == (
        "compile_error",
        "bad_yaml" if training in (b"- 1\n", b"") else "bad_value",
    )
    assert "training.yaml" in record.claim.reason


def test_a_teacher_by_hand_that_there_is_not_ends_the_round_and_one_that_is_not_installed_leaves_it_open(
    session, monkeypatch
):
    made = session(ScriptedAgent({}))
    training = b"labels: distilled\nteacher: nobody\n"
    claim = by_hand(made, {"stages/bp/stage.yaml": b"kind: neural_bp\n", "training.yaml": training})
    record = rounds.resume_round(made, claim)
    assert (record.status, record.claim.code) == ("compile_error", "bad_value")
    monkeypatch.setattr(candidate_files, "missing_packages", lambda registry: {"osd": "pip install 'x'"})
    claim = by_hand(
        made, {"stages/bp/stage.yaml": b"kind: neural_bp\n", "training.yaml": training.replace(b"nobody", b"osd")}
    )
    with pytest.raises(UsageError, match="pip install"):
        rounds.resume_round(made, claim)
    assert read_claim(made.ledger, claim.run, claim.number).state == "open"


def test_a_round_by_hand_without_a_hypothesis_says_what_is_missing(session):
    made = session(ScriptedAgent({}))
    claim = by_hand(made, {"stages/bp/stage.yaml": b"kind: neural_bp\n"}, traced=False)
    with pytest.raises(AutoQECError, match="the hypothesis of .* is missing from its trace") as caught:
        rounds.resume_round(made, claim)
    assert "resume --abandon" in caught.value.hint


def test_a_gate_that_the_decoder_cannot_serve_is_refused_with_what_it_offers(session):
    agent = ScriptedAgent(
        {"ideator": [{"text": "t"}], "coder": [gated("converged"), gated("gap")], "analyst": [IGNORE]}
    )
    made = session(agent)
    record = run_round(made)
    assert record.status == "ok"
    (repair,) = [context.repair for role, context in agent.seen if role == "coder" and context.repair]
    assert "gate.yaml: kind: decoder 'mwpm' offers the confidence 'gap', not 'converged'" in repair
    assert read_candidate(made.ledger, record.commit)["gate.yaml"] == (
        b"events: 0\n\nkind: gap\n\nshort_bp: 0\n\nthreshold: 4.0\n"
    )


def test_a_gated_round_says_everywhere_what_share_is_sent_on(session, capsys):
    agent = ScriptedAgent({"ideator": [{"text": "t"}], "coder": [gated("gap", 8)], "analyst": [VERIFY]})
    made = session(agent)
    record = run_round(made)
    metrics, verdict = record.metrics, record.verdict
    assert (record.status, verdict["verdict"]) == ("ok", "VERIFIED")
    assert 0 < metrics["sent"] < metrics["shots"] / 2
    assert metrics["flops_per_shot"] == -(-metrics["flops_per_sent_shot"] * metrics["sent"] // metrics["shots"])
    assert metrics["latency_us_per_shot"] == pytest.approx(
        sum(metrics["latency_us"][part] for part in ("plain", "gate", "predict", "decode")), abs=0.02
    )
    assert verdict["flops_per_shot"] < metrics["flops_per_sent_shot"] / 2
    assert verdict["us_per_shot"].keys() == {"plain", "gate", "predict", "decode"}
    assert [row["name"] for row in verdict["ablation"]["variants"]][:2] == ["shuffled", "without the gate"]
    found = Verdict.from_dict(verdict)
    assert audit(found) == []
    assert replay_differences(found, found.noted(sent=verdict["sent"] - 1)) == ["sent"]
    row = round_row(record)
    assert RoundRow.from_json(json.loads(json.dumps(row.to_json()))) == row
    told = row.to_json()
    assert told["metrics"]["sent_on"] == metrics["sent"] / metrics["shots"]
    assert told["holdout"]["sent_on"] == verdict["sent"] / verdict["shots_in_all"]
    print_log([row])
    print_front([row.on_front((), True)])
    print_graph([row])
    shown = capsys.readouterr().out
    assert shown.count(f" {100 * row.sent_on:.1f} %") == 3, "and the gain, which has a minus, may be as many per cent"
    assert shown.count("sent") == 2, "a column of each table"


def test_a_merged_gate_that_the_decoder_cannot_serve_is_a_compile_error(session):
    agent = ScriptedAgent({})
    made = session(agent)
    ledger, run = made.ledger, made.run
    for number, slug in ((1, "bp"), (2, "other")):
        claim = claim_round(ledger, run.name)
        who = RoundIdentity(
            run.name, number, claim.attempt, f"{run.env_name}@sha256:{run.env_id}", (), "none", "search", "t"
        )
        files = {f"stages/{slug}/stage.yaml": b"kind: neural_bp\n"} | (
            {"gate.yaml": b"kind: converged\nthreshold: 0.5\n"} if number == 1 else {}
        )
        commit = commit_round(ledger, who, base=run.base, parents=(run.base,), files=files, subject="s", body="")
        close_claim(ledger, claim, status="ok", commit=commit)
    compose = {"text": "both", "fork_from": [f"{run.name}/{n}" for n in (1, 2)], "compose": "pure"}
    agent._replies = {"ideator": iter([compose])}
    record = run_round(made)
    assert (record.status, record.claim.code) == ("compile_error", "gate_not_offered")
    assert "decoder 'mwpm' offers the confidence 'gap', not 'converged'" in record.claim.reason


def test_training_that_takes_too_long_is_stopped(session, monkeypatch):
    monkeypatch.setattr("autoqec.runner.train.Child", Child)  # a thread cannot be stopped
    monkeypatch.setattr("autoqec.runner.train._STEPPING", 1000.0)  # nor may it end by itself in time
    slow = {
        "files": {"stages/bp/stage.yaml": "kind: neural_bp\niterations: 50\n", "training.yaml": "shots: 100000000\n"}
    }
    agent = ScriptedAgent({"ideator": [{"text": "t"}], "coder": [slow]})
    made = session(agent)
    profile = type(made.settings.profile)(
        train_shots=10**8, train_seconds=2.0, memory_gib=12.0, score_shots=20_000, verify_shots=60_000
    )
    made.settings.profiles["tiny"] = profile
    record = run_round(made)
    assert record.status == "killed_by_safety"
    assert "longer than 2 s" in record.claim.reason
    assert record.commit is not None


def test_hostile_words_stay_words(told, hostile):
    made, (_, record), _, _ = told
    assert (record.identity.run, record.identity.round) == (made.run.name, 2)
    assert record.identity.hypothesis == hostile
    assert not record.problems


@pytest.mark.slow
def test_hard_flip_is_decoded_as_hard_flip(session):
    """On the same shots, a threshold nothing exceeds is the plain decoder; one that is often exceeded is not."""

    def files(threshold):
        made = candidate(8)
        return made | {"files": made["files"] | {"output.yaml": f"mode: hard_flip\nthreshold: {threshold}\n"}}

    agent = ScriptedAgent(
        {"ideator": [{"text": "a"}, {"text": "b"}], "coder": [files(0.999999), files(0.4)], "analyst": [IGNORE] * 2}
    )
    made = session(agent)
    never, often = run_round(made).metrics["counts"], run_round(made).metrics["counts"]
    assert never["baseline_only"] + never["candidate_only"] <= 0.02 * never["both"]
    assert often["baseline_only"] + often["candidate_only"] > 0.05 * often["both"]


def test_every_rate_of_the_environment_is_trained_on_and_scored(session, autoqec_lab):
    path = autoqec_lab.workdir / "envs/tiny.yaml"
    path.write_text(path.read_text().replace("p: [0.006]", "p: [0.003, 0.006, 0.009], target_p: 0.006"))
    agent = ScriptedAgent({"ideator": [{"text": "a"}], "coder": [candidate(4)], "analyst": [IGNORE]})
    record = run_round(session(agent))
    assert record.status == "ok", record.claim.reason
    rows = parse_metrics(record.metrics).record.rates_beside
    assert [row.p for row in rows] == [0.003, 0.009]
    rates = [rows[0].figures.ler_baseline, record.metrics["ler_baseline"], rows[1].figures.ler_baseline]
    assert rates == sorted(rates)
    assert rates[2] > 3 * rates[0]
    assert all(row.figures.ler_candidate <= row.figures.ler_baseline for row in rows)
    weights = read_attachment(autoqec_lab, "artifacts", record.run, record.number)["weights.safetensors"]
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert len(set(header["__metadata__"]["fingerprint"].split())) == 3


@pytest.mark.slow
def test_an_environment_may_ask_for_fewer_shots(session, autoqec_lab):
    path = autoqec_lab.workdir / "envs/tiny.yaml"
    text = path.read_text().replace(
        "{min_shots: 16384, headline_shots: 32768}", "{score_shots: 4096, min_shots: 8192, headline_shots: 4096}"
    )
    path.write_text(text)
    agent = ScriptedAgent({"ideator": [{"text": "a"}], "coder": [candidate(8)], "analyst": [VERIFY]})
    record = run_round(session(agent))
    assert record.metrics["shots"] == 4096
    assert 8192 <= PairedCounts.from_dict(record.verdict["test"]).shots < 50_000
    assert "extension" not in record.verdict or PairedCounts.from_dict(record.verdict["extension"]).shots == 4096


@pytest.mark.slow
def test_an_environment_may_ask_for_a_multiple_of_the_profiles_shots(session, autoqec_lab, monkeypatch):
    path = autoqec_lab.workdir / "envs/tiny.yaml"
    path.write_text(path.read_text().replace("protocol: {", "protocol: {shots_factor: 3, max_shots: 250000, "))
    asked = []
    real = round_steps.judge
    monkeypatch.setattr(round_steps, "judge", lambda *args: asked.append(args[2].max_shots) or real(*args))
    agent = ScriptedAgent({"ideator": [{"text": "a"}], "coder": [candidate(8)], "analyst": [VERIFY]})
    record = run_round(session(agent))
    assert record.metrics["shots"] == 61_440, "the profile's 20,000, three times, in whole chunks"
    assert asked == [300_000]
    assert record.verdict["max_shots"] == 250_000, "the protocol's limit still holds"


@pytest.mark.slow
def test_a_verdict_by_strata_is_audited_and_replayed_as_any_other(session, autoqec_lab):
    path = autoqec_lab.workdir / "envs/tiny.yaml"
    plain = path.read_text()
    path.write_text(plain.replace("protocol: {", "protocol: {sampling: stratified, max_shots: 400000, "))
    agent = ScriptedAgent({"ideator": [{"text": "a"}], "coder": [candidate(8)], "analyst": [VERIFY]})
    made = session(agent)
    record = run_round(made)
    noted = Verdict.from_dict(record.verdict)
    assert len(noted.evidence.target.strata.test.listed) == 2, "there are too many pairs for the profile's shots"
    assert noted.evidence.share_of_gap is None
    state = read_state(made.ledger, made.run.name, record.number)
    assert audit_round(made, state, noted) == []
    assert replay_differences(noted, judge(made, state, replay=noted)) == []
    note = noted.to_note()
    del note["strata"]
    assert "strata: the verdict's shots are plain" in " ".join(audit_round(made, state, Verdict.from_dict(note)))
    refused = load_settings(made.ledger.workdir, {"strong_reference": "mwpm_correlated"})
    with pytest.raises(UsageError, match="cannot be compared on shots by strata"):
        judge(replace(made, settings=refused), state)


@pytest.mark.slow
def test_a_verdict_says_how_much_of_a_strong_decoders_gain_is_reached(session):
    agent = ScriptedAgent({"ideator": [{"text": "a"}], "coder": [candidate(8)], "analyst": [VERIFY]})
    made = session(agent, strong_reference="mwpm_correlated")
    record = run_round(made)
    assert record.verdict["verdict"] == "VERIFIED"
    share = record.verdict["share_of_gap"]
    assert share["reference"] == "mwpm_correlated"
    assert share["shots"] <= PairedCounts.from_dict(record.verdict["extension"]).shots
    failures = share["failures"]
    assert failures["strong"] < failures["baseline"]
    gains = failures["baseline"] - failures["candidate"], failures["baseline"] - failures["strong"]
    assert share["share"] == gains[0] / gains[1]
    state = read_state(made.ledger, record.run, record.number)
    replayed = judge(made, state, replay=Verdict.from_dict(record.verdict))
    assert replayed.to_note()["share_of_gap"] == share


class Here:
    """An executor that runs tasks in this process, where a test can hide a package."""

    jobs = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, task):
        future = Future()
        future.set_result(run_task(task))
        return future


def test_a_reference_whose_package_is_missing_is_left_out_and_named(session, autoqec_lab, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "chromobius", None)
    path = autoqec_lab.workdir / "envs/tiny.yaml"
    path.write_text(path.read_text().replace("[mwpm_correlated]", "[mwpm_correlated, chromobius]"))
    made = session(ScriptedAgent({"ideator": [{"text": "a"}], "coder": [candidate(4)], "analyst": [IGNORE]}))
    made.registry.entries["executor", "local"] = Registration("executor", "local", lambda jobs: Here(), {}, "test", "0")
    record = run_round(made)
    assert record.status == "ok", record.claim.reason
    assert record.metrics["references"].keys() == {"mwpm_correlated"}
    line = "pip install 'chromobius'"
    assert record.metrics["references_missing"] == {"chromobius": line}
    assert run(["show", f"{record.run}/1"]) == 0
    assert f"chromobius left out, not installed: {line}" in " ".join(capsys.readouterr().out.split())
    assert run(["env", "check", "tiny", "--shots", "4096", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {
        "field": "references",
        "finding": f"chromobius is left out because it is not installed: {line}",
        "line": 6,
    } in found


def test_a_strong_reference_that_cannot_be_run_is_refused_before_an_attempt_is_spent(with_round, monkeypatch):
    monkeypatch.setitem(sys.modules, "tesseract_decoder", None)
    settings = load_settings(with_round.ledger.workdir, {"strong_reference": "tesseract"})
    with pytest.raises(MissingPackageError, match="strong_reference: decoder tesseract needs") as caught:
        judge(replace(with_round, settings=settings), read_state(with_round.ledger, with_round.run.name, 2))
    assert caught.value.hint == "pip install 'tesseract-decoder'"
    assert not read_notes(with_round.ledger, with_round.run.name, "verdict")


@pytest.mark.parametrize(
    ("setting", "takes", "references", "expected"),
    [
        ("", True, "[mwpm_correlated]", "tesseract"),
        ("", False, "[mwpm_correlated]", None),
        ("", True, "[mwpm_correlated, tesseract]", None),
        ("none", True, "[mwpm_correlated]", None),
        ("osd", True, "[mwpm_correlated]", "osd"),
    ],
)
def test_a_verdict_is_compared_with_a_decoder_near_maximum_likelihood_that_is_installed(
    session, autoqec_lab, monkeypatch, setting, takes, references, expected
):
    path = autoqec_lab.workdir / "envs/tiny.yaml"
    path.write_text(path.read_text().replace("[mwpm_correlated]", references))
    made = session(ScriptedAgent({}), strong_reference=setting)

    def compiled(choice, problem, registry):
        if not takes:
            raise UsageError("not this problem")

    monkeypatch.setattr(judging, "compile_decoder", compiled)
    assert strong_reference(made) == expected


def test_a_teacher_that_is_not_there_is_refused_and_a_round_says_what_its_labels_cost(session):
    labels = "labels: distilled\nshots: 512\nbatch_size: 128\n"
    replies = [
        {**candidate(4), "files": candidate(4)["files"] | {"training.yaml": labels + teacher}}
        for teacher in ("teacher: nobody\n", "")
    ]
    agent = ScriptedAgent({"ideator": [{"text": "t"}], "coder": replies, "analyst": [IGNORE]})
    made = session(agent)
    record = run_round(made)
    assert record.status == "ok"
    (repair,) = [context.repair for role, context in agent.seen if role == "coder" and context.repair]
    assert "training.yaml: teacher: there is no decoder 'nobody'" in repair
    assert record.metrics["training"]["labelled"] >= 512
    assert record.metrics["training"]["label_seconds"] > 0


def test_a_teacher_is_a_reference_by_its_label_or_a_decoder_but_no_member_of_a_family(session, monkeypatch):
    made = session(ScriptedAgent({}))

    def teacher(name):
        return teacher_of(made, {"training.yaml": f"labels: distilled\nteacher: '{name}'\n".encode()})

    assert teacher_of(made, {"training.yaml": b"labels: canonical\n"}) is None
    assert teacher("").kind == teacher("mwpm_correlated").kind == "mwpm_correlated"
    assert teacher("osd").kind == "osd"
    for name in ("sinter:", "sinter:os:system", "nobody"):
        with pytest.raises(UsageError, match=f"there is no decoder '{name}'") as caught:
            teacher(name)
        assert caught.value.about["field"] == "teacher"
        assert "mwpm_correlated" in caught.value.hint
    monkeypatch.setattr(candidate_files, "missing_packages", lambda registry: {"osd": "pip install 'x'"})
    with pytest.raises(UsageError, match="needs a package that is not installed: pip install 'x'"):
        teacher("osd")


def test_a_teacher_of_others_is_asked_behind_the_lock(session, monkeypatch):
    made = session(ScriptedAgent({}))
    monkeypatch.setattr(Registration, "is_own", property(lambda entry: entry.name != "mwpm_correlated"))
    plain, taught = (
        {"training.yaml": f"labels: {labels}\n".encode(), "stages/s/stage.yaml": b"kind: mlp\n"}
        for labels in ("canonical", "distilled")
    )
    assert [trains_locked(made, files) for files in (plain, taught)] == [False, True]
