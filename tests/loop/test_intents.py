"""Verifications note their intent first, judge only what was scored, and report what stands in the place of their records."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest
import stim

from autoqec.candidate.weights import save_weights
from autoqec.cli.main import run
from autoqec.config import load_settings
from autoqec.errors import AutoQECError
from autoqec.history import (
    RoundIdentity,
    append_line,
    append_note,
    attach,
    claim_round,
    close_claim,
    commit_round,
    missing_from_chain,
    read_lines,
    read_notes,
)
from autoqec.history.rounds.notes import add_lines
from autoqec.history.rounds.signatures import examine
from autoqec.loop import one_round
from autoqec.loop.auditing import audit_round
from autoqec.loop.front_pairs import head_to_head
from autoqec.loop.identity import IdentityMismatchError, sealed_parents
from autoqec.loop.judging import Asked, judge
from autoqec.loop.one_round import run_round
from autoqec.loop.round_state import read_state
from autoqec.problem.problem import problem_from_dem
from autoqec.results.pareto_front import Point
from autoqec.results.verdict_parts import Attempt
from autoqec.scoring.verifier_contract import Verdict
from autoqec.testing import ScriptedAgent
from autoqec.testing import tiny_proposal as candidate
from autoqec.testing.sample_notes import verdict_note
from autoqec.testing.whole_notes import whole_metrics, whole_verdict

FAILED = Verdict("FAILED", "not_better")
OPENSSH = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")


@pytest.fixture
def made(with_round):
    """A session of a run whose second round was scored, and the events that it reports."""
    events = []
    made = replace(with_round, report=events.append)
    made.events = events
    return made


@pytest.fixture
def answering(monkeypatch):
    """Let the verifier give an answer at once; what was asked is noted, and `meanwhile` is called before it answers."""

    def make(answer=FAILED, meanwhile=lambda request: None):
        asked = []

        def verify(request, **_):
            asked.append(request)
            meanwhile(request)
            return answer

        monkeypatch.setattr("autoqec.loop.judging.verify_in_process", verify)
        return asked

    return make


def state_of(made):
    return read_state(made.ledger, made.run.name, 2)


def lines_of(made):
    return [line for lines in read_lines(made.ledger, made.run.name, "verdict").values() for line in lines]


def forged(count):
    """Lines that each say that another round was VERIFIED before."""
    for number in range(count):
        record = {"id": f"{number}", "v": 1, "event": "x", "verdict": "VERIFIED", "commit": f"x{number}"}
        yield json.dumps(record).encode()


def add(made, lines):
    add_lines(
        made.ledger, f"refs/notes/autoqec/{made.run.name}/verdict", {state_of(made).commit: list(lines)}, "by hand"
    )


def test_the_intent_says_all_before_the_key_is_drawn_and_the_verdict_names_it(made, answering):
    seen = []
    answering(meanwhile=lambda request: seen.extend(lines_of(made)))
    state = state_of(made)
    verdict = judge(made, state)
    (intent,) = seen
    subject = {
        "run": made.run.name,
        "round": 2,
        "commit": state.commit,
        "environment": made.run.env_id,
        "candidate": state.sealed.digest,
        "weights_sha256": hashlib.sha256(state.weights).hexdigest(),
        "metrics": state.metrics.measured.id,
        "verifier": "holdout",
    }
    expected = subject | {"event": "begun", "attempt": 1, "share": 1 / 128, "chain": []}
    assert {name: intent.record[name] for name in expected} == expected
    (_, noted) = lines_of(made)
    assert noted.record == verdict.to_note()
    assert {name: noted.record[name] for name in subject} == subject
    assert noted.record["intent"] == intent.digest
    assert len({intent.record["id"], noted.record["id"]}) == 2
    assert noted.record["id"][:8] not in intent.record["id"]


def test_each_intent_names_the_ones_before_it(made, answering):
    answering()
    for _ in range(3):
        judge(made, state_of(made))
    intents = [line for line in lines_of(made) if line.record.get("event") == "begun"]
    assert [intent.record["chain"] for intent in intents] == [[], [intents[0].digest], [intents[1].digest]]


def test_lines_that_anybody_added_change_neither_level_nor_attempt_for_the_better(made, answering):
    asked = answering()
    add(made, [*forged(300), b"{", b'"text"', b'{"id":"q","ts":"9"}', b'{"id":"n","event":"begun","attempt":-3}'])
    judge(made, state_of(made))
    assert [(request.attempt, request.verified_before) for request in asked] == [(1, 0)]
    absurd = {"id": "far", "event": "begun", "attempt": 10**15}
    add(made, [json.dumps(absurd).encode()])
    judge(made, state_of(made))
    assert [request.attempt for request in asked] == [1, 3]


def test_six_thousand_forged_successes_do_not_verify_an_empty_pipeline(session):
    made = session()
    ledger, run_of = made.ledger, made.run
    claim = claim_round(ledger, run_of.name)
    env = f"{run_of.env_name}@sha256:{run_of.env_id}"
    who = RoundIdentity(run_of.name, 1, claim.attempt, env, (), "none", "search", "nothing at all")
    commit = commit_round(ledger, who, base=run_of.base, parents=(run_of.base,), files={}, subject="s", body="")
    fingerprint = problem_from_dem(stim.DetectorErrorModel(made.dems[0]), name="tiny").fingerprint
    attach(ledger, "artifacts", run_of.name, 1, {"weights.safetensors": save_weights({}, fingerprints=[fingerprint])})
    sealed = read_state(ledger, run_of.name, 1).sealed
    scored = whole_metrics(id="m", candidate=sealed.digest, weights_sha256=sealed.weights_sha256)
    append_note(ledger, run_of.name, "metrics", commit, scored)
    close_claim(ledger, claim, status="ok", commit=commit)
    ref = f"refs/notes/autoqec/{run_of.name}/verdict"
    add_lines(ledger, ref, {commit: list(forged(6000))}, "by hand")
    verdict = judge(made, read_state(ledger, run_of.name, 1), Asked(max_shots=16_384))
    assert verdict.evidence.target.test.baseline_only == verdict.evidence.target.test.candidate_only == 0
    assert (verdict.verdict, verdict.evidence.attempt.alpha_attempt) == ("FAILED", 0.05 / 128)


def forge(made, line, **changes):
    """Write a VERIFIED verdict beside an intent, as anyone can who reads the notes while a verification runs."""
    fields = verdict_note(commit=state_of(made).commit, intent=line.digest, **changes)
    append_note(made.ledger, made.run.name, "verdict", state_of(made).commit, fields)


def test_a_verdict_in_the_place_of_ours_is_a_conflict_and_ours_is_what_is_said(made, answering, monkeypatch, capsys):
    answering(meanwhile=lambda request: forge(made, lines_of(made)[0], id="evil", ts="9999", writer="Eve"))
    verdict = judge(made, state_of(made))
    assert (verdict.verdict, verdict.reason) == ("FAILED", "not_better")
    (conflict,) = [event for event in made.events if event["event"] == "record_conflict"]
    assert (conflict["code"], conflict["round"]) == ("record_conflict", 2)
    assert "the verdict evil, by Eve, names the intent" in conflict["problem"]
    monkeypatch.chdir(made.ledger.workdir)
    answering(meanwhile=lambda request: forge(made, lines_of(made)[-1], id="evil2", ts="9999", writer="Eve"))
    assert run(["verify", f"exp/{made.run.name}/2", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["verdict"] == "FAILED"
    assert "the verdict evil2, by Eve" in told.err
    assert "[record_conflict]" in told.err


def test_who_asks_for_signatures_and_signs_nothing_still_numbers_attempts_and_is_told(
    made, answering, monkeypatch, capsys
):
    """Otherwise every verification would be the first one, at the highest level, for as long as it is not signed."""
    asked = answering()
    monkeypatch.setenv("AUTOQEC_TRUST", "signed")
    for _ in range(2):
        judge(made, state_of(made))
    assert [request.attempt for request in asked] == [1, 2]
    assert [event["round"] for event in made.events if event["event"] == "verdict_unsigned"] == [2, 2]
    monkeypatch.chdir(made.ledger.workdir)
    assert run(["verify", f"exp/{made.run.name}/2"]) == 1
    assert (
        "will not count here: the setting trust asks for signatures, and signing_key is not set"
        in capsys.readouterr().err
    )
    assert asked[-1].attempt == 3


def test_a_record_under_the_id_of_ours_does_not_take_its_place(made, answering, monkeypatch):
    """Ids are random; a writer that guessed one still changes nothing."""
    ids = iter(["a" * 32, "b" * 32, "c" * 32])  # of the intent, of the verdict, and of the verdict again

    class Known:
        @property
        def hex(self):
            return next(ids)

    answering()
    add(made, [json.dumps(verdict_note(id="b" * 32, writer="Eve")).encode()])
    monkeypatch.setattr("autoqec.history.rounds.notes.uuid", SimpleNamespace(uuid4=Known))
    verdict = judge(made, state_of(made))
    assert (verdict.verdict, verdict.evidence.id) == ("FAILED", "c" * 32)
    assert [event["code"] for event in made.events if event["event"] == "record_conflict"] == ["record_conflict"]


@pytest.mark.parametrize("kind", ["metrics", "analysis"])
def test_a_round_reports_its_own_metrics_and_analysis(session, kind, monkeypatch):
    """The id of both is the attempt's, which anyone can read in the claim."""
    agent = ScriptedAgent(
        {"ideator": [{"text": "t"}], "coder": [candidate(1)], "analyst": [{"summary": "mine", "decision": "ignore"}]}
    )
    made = session(agent)
    steps = []
    for name, step in one_round.STEPS:

        def interfered(session, state, name=name, step=step):
            if name == {"metrics": "score", "analysis": "analyse"}[kind]:
                before = {"id": state.claim.attempt, "event": "seen", "summary": "theirs", "writer": "Eve"}
                append_note(session.ledger, session.run.name, kind, state.commit, before)
            return step(session, state)

        steps.append((name, interfered))
    monkeypatch.setattr(one_round, "STEPS", steps)
    record = run_round(made)
    assert record.status == "ok"
    assert record.metrics["shots"] >= 20_000
    assert record.analysis["summary"] == "mine"
    (conflict,) = [event for event in made.events if event["event"] == "record_conflict"]
    assert "by Eve" in conflict["problem"]
    written = [note for notes in read_notes(made.ledger, made.run.name, kind).values() for note in notes]
    assert getattr(record, kind) in written


def test_a_round_judges_and_reports_itself_though_a_verdict_was_there_before(session, answering, monkeypatch):
    agent = ScriptedAgent(
        {"ideator": [{"text": "t"}], "coder": [candidate(1)], "analyst": [{"summary": "s", "decision": "candidate"}]}
    )
    made = session(agent)
    steps = []
    for name, step in one_round.STEPS:

        def interfered(session, state, name=name, step=step):
            if name == "analyse":
                sealed = {"candidate": state.sealed.digest, "weights_sha256": state.sealed.weights_sha256}
                about = {"commit": state.commit, "environment": session.run.env_id, **sealed}
                early = whole_verdict(id="early", writer="Eve", ts="9999", about=about)
                append_note(session.ledger, session.run.name, "verdict", state.commit, early)
            return step(session, state)

        steps.append((name, interfered))
    monkeypatch.setattr(one_round, "STEPS", steps)
    asked = answering()
    record = run_round(made)
    assert len(asked) == 1
    assert (record.verdict["verdict"], record.verdict["reason"]) == ("FAILED", "not_better")
    assert {event["problem"] for event in made.events if event["event"] == "record_conflict"} == {
        "somebody else has written its verdict note; it is left out"
    }


@OPENSSH
def test_intent_and_verdict_are_signed_over_all_their_fields(made, answering, tmp_path, monkeypatch):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    monkeypatch.setenv("AUTOQEC_SIGNING_KEY", str(tmp_path / "key"))
    signing = replace(made, settings=load_settings(made.ledger.workdir))
    answering(Verdict.from_dict(whole_verdict("FAILED", "undecided")))
    for _ in range(2):  # the second one is an event beside the first one
        judge(signing, state_of(made))
    lines = lines_of(made)
    assert [line.record.get("event") for line in lines] == ["begun", None, "begun", "undecided"]
    for line in lines:
        assert line.record["signature_version"] == 2
        assert examine(line.record, None).word == "unknown"
        for change in ({"ts": "9999"}, {"writer": "Eve"}, {"id": "x"}, {"event": "x"}):
            assert examine(line.record | change, None).word == "altered"


@OPENSSH
def test_where_signatures_are_asked_for_unsigned_intents_neither_spend_nor_break(
    made, answering, tmp_path, monkeypatch
):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    (tmp_path / "allowed").write_text(f"ada@example.org {(tmp_path / 'key.pub').read_text()}")
    monkeypatch.setenv("AUTOQEC_SIGNING_KEY", str(tmp_path / "key"))
    monkeypatch.setenv("AUTOQEC_ALLOWED_SIGNERS", str(tmp_path / "allowed"))
    signing = replace(made, settings=load_settings(made.ledger.workdir))
    asked = answering()
    for number in range(3):
        judge(signing, state_of(made))
        forged_intent = {"id": f"f{number}", "event": "begun", "attempt": 30, "chain": ["a" * 64]}
        add(made, [json.dumps(forged_intent).encode()])
    assert [request.attempt for request in asked] == [1, 2, 3]
    assert missing_from_chain(made.ledger, made.run.name) is None
    monkeypatch.setenv("AUTOQEC_TRUST", "any")
    assert "has lost the note aaaaaaaaaaaa, named by f0" in missing_from_chain(made.ledger, made.run.name)


SWAPPED = (
    "round .*/2 is not what was scored: weights: the metrics are about [0-9a-f]{12}, but the round has [0-9a-f]{12}"
)


@pytest.fixture
def swapped(made):
    """The round with the weights of somebody else; metrics, claim and branch are as they were."""
    attach(
        made.ledger, "artifacts", made.run.name, 2, {"weights.safetensors": state_of(made).weights + b" "}, replace=True
    )
    return made


def test_weights_that_were_swapped_after_scoring_are_not_judged_and_cost_no_attempt(
    swapped, answering, monkeypatch, capsys
):
    asked = answering()
    with pytest.raises(IdentityMismatchError, match=SWAPPED) as found:
        judge(swapped, state_of(swapped))
    assert found.value.code == "identity_mismatch"
    assert (asked, lines_of(swapped)) == ([], [])
    monkeypatch.chdir(swapped.ledger.workdir)
    assert run(["verify", f"exp/{swapped.run.name}/2"]) == 1
    assert "[identity_mismatch]" in capsys.readouterr().err


def test_nor_are_they_replayed_or_compared_or_parents(swapped, answering):
    asked = answering()
    state = state_of(swapped)
    verdict = FAILED.noted(
        commit=state.commit,
        environment=swapped.run.env_id,
        candidate=state.sealed.digest,
        weights_sha256=state.sealed.weights_sha256,
        **vars(Attempt(1, 0, 0.05, 0.05 / 128, "00" * 32, 10**6)),
    )
    with pytest.raises(IdentityMismatchError, match=SWAPPED):
        judge(swapped, state, replay=verdict)
    points = [Point(name, 0.0, (0.0, 0.0), 1, 1) for name in "ab"]
    with pytest.raises(IdentityMismatchError, match=SWAPPED):
        head_to_head(swapped, ((points[0], state), (points[1], state)), 0.05)
    with pytest.raises(IdentityMismatchError, match=SWAPPED):
        sealed_parents(swapped.ledger, [f"{swapped.run.name}/2"])
    assert asked == []
    said = [line for line in audit_round(swapped, state, verdict) if line.startswith(("weights:", "candidate:"))]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: replace(s, files={**s.files, "output.yaml": b"x: 1\n"}), "candidate: the metrics are about"),
        (lambda s: replace(s, metrics=None), "no metrics say which weights were scored"),
        (lambda s: replace(s, commit="c" * 40), "commit: the round's is"),
        (lambda s: replace(s, claim=replace(s.claim, attempt="d" * 32)), "is of another attempt"),
    ],
)
def test_no_other_part_of_a_round_may_differ_from_what_was_scored(made, answering, change, said):
    asked = answering()
    with pytest.raises(IdentityMismatchError, match=said):
        judge(made, change(state_of(made)))
    assert (asked, lines_of(made)) == ([], [])


@pytest.mark.parametrize("named", ["e" * 64, ""])
def test_a_round_of_another_environment_is_not_judged(made, answering, named):
    asked = answering()
    with pytest.raises(AutoQECError, match="environment: "):
        judge(replace(made, run=replace(made.run, env_id=named)), state_of(made))
    assert asked == []


@pytest.mark.parametrize("part", ["commit", "environment", "candidate", "weights_sha256"])
def test_a_verdict_about_something_else_is_not_replayed(made, answering, part):
    asked = answering()
    state = state_of(made)
    subject = {
        "commit": state.commit,
        "environment": made.run.env_id,
        "candidate": state.sealed.digest,
        "weights_sha256": state.sealed.weights_sha256,
    }
    whole = FAILED.noted(**subject, **vars(Attempt(1, 0, 0.05, 0.05 / 128, "00" * 32, 10**6)))
    assert judge(made, state, replay=whole).reason == "not_better"
    with pytest.raises(IdentityMismatchError, match="the verdict is about ffff"):
        judge(made, state, replay=whole.noted(**{part: "f" * 64}))
    assert len(asked) == 1


def test_a_line_that_is_written_again_is_one(made):
    line = append_line(made.ledger, made.run.name, "verdict", state_of(made).commit, {"id": "x", "event": "x"})
    assert append_line(made.ledger, made.run.name, "verdict", state_of(made).commit, line.record) == line


def test_a_broken_chain_is_shown_by_log_pareto_and_audit(made, answering, monkeypatch, capsys, tmp_path):
    answering()
    for _ in range(2):
        judge(made, state_of(made))
    monkeypatch.chdir(made.ledger.workdir)
    name = f"exp/{made.run.name}/2"
    broken = f"the chain of verifications of run {made.run.name} is broken: it has lost the note"
    for command in (["log"], ["log", "--json"], ["pareto"], ["verify", name, "--audit"]):
        run(command)
        told = capsys.readouterr()
        assert broken not in told.out + told.err
    gone = lines_of(made)[0]
    (tmp_path / "note").write_bytes(b"".join(line.data + b"\n" for line in lines_of(made) if line != gone))
    ref = f"refs/notes/autoqec/{made.run.name}/verdict"
    asked = ["git", "notes", f"--ref={ref}", "add", "-f", "-F", tmp_path / "note", state_of(made).commit]
    subprocess.run(asked, check=True, capture_output=True)
    for command in (["log"], ["log"], ["log", "--json"], ["pareto"], ["pareto", "--json"]):
        assert run(command) == 0
        assert f"{broken} {gone.digest[:12]}, named by " in capsys.readouterr().err
    assert run(["verify", name, "--audit"]) == 1
    assert f"chain: {broken}" in capsys.readouterr().out.replace("\n", " ")
    assert run(["fsck", "--repair"]) in (0, 1)
    capsys.readouterr()
    run(["log"])
    assert broken not in capsys.readouterr().err


@pytest.fixture(scope="module")
def whole():
    """A verdict note that has the parts of one that the verifier `holdout` writes."""
    return verdict_note(**vars(Attempt(1, 0, 0.05, 0.05 / 128, "ab" * 32, 10**6)))


PARTS = sorted(verdict_note(**vars(Attempt(1, 0, 0.05, 0.05 / 128, "ab" * 32, 10**6))))


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("verdict", "reason")])
@pytest.mark.parametrize("form", ["gone", "other"])
def test_a_note_picked_by_its_key_may_lack_any_part(made, answering, monkeypatch, capsys, whole, part, form):
    answering()
    state = state_of(made)
    subject = {"commit": state.commit, "environment": made.run.env_id, "candidate": state.sealed.digest}
    subject |= {"weights_sha256": state.sealed.weights_sha256}
    note = whole | subject | ({part: ["x"]} if form == "other" else {})
    if form == "gone":
        del note[part]
    append_note(made.ledger, made.run.name, "verdict", state.commit, {"id": "picked", **note})
    monkeypatch.chdir(made.ledger.workdir)
    name = f"exp/{made.run.name}/2"
    for more in ([], ["--json"], ["--audit"], ["--audit", "--json"], ["--audit", "--replay"]):
        assert run(["verify", name, "--seed-key", "ab" * 32, *more]) in (0, 1, 2, 3)
    for command in (["show", name], ["show", name, "--json"], ["diagnose", made.run.name], ["fsck"]):
        assert run(command) in (0, 1)
    assert "internal error" not in capsys.readouterr().err.lower()
