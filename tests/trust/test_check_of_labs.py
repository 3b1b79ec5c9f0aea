"""The checker of one file in whole labs: old ones, and one in which somebody forges what stands around a verdict."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from seeded_verdicts import some_verdict

from autoqec import autoqec_check, history
from autoqec.history.reading.run_chain import read_chain
from autoqec.history.rounds.notes import add_lines
from autoqec.history.rounds.signatures import examine, signed
from autoqec.results.chain import chain_of, intents_in
from autoqec.results.trust import Line, Policy, Signer, Subject, rule, standing_of
from autoqec.results.verification_events import Begun
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.testing import record_round, record_run
from autoqec.testing.sample_notes import metrics_note

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")


@pytest.fixture(autouse=True)
def _own_git(monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Run a copy of the file where nothing of AutoQEC can be imported; its exit code and standard output."""
    copy = shutil.copy(ROOT / "autoqec" / "autoqec_check.py", tmp_path_factory.mktemp("alone"))

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, "-I", "-S", copy, *arguments], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    return call


def unpacked(folder, bundle):
    """A bare lab of a bundle."""
    for command in (
        ["git", "init", "-q", "--bare", folder],
        ["git", "-C", folder, "fetch", "-q", bundle, "refs/*:refs/*"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return folder


@needs_ssh
def test_of_an_old_lab_what_was_forged_is_bad_and_nothing_else(alone, tmp_path):
    lab = unpacked(tmp_path / "lab", DATA / "lab-v0.1.bundle")
    code, printed = alone(lab, "told-abcd")
    assert code == 1
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("  BAD")] == [
        "test", "signature:", "subject:", "form:",
    ]  # fmt: skip
    for name in ("real-abcd", "exp/strict-abcd", "fitting-abcd", "exp/told-abcd/16"):
        code, printed = alone(lab, name, "--signers", DATA / "lab-v0.1.allowed_signers")
        assert code == 0, printed
    assert "signature by" in alone(lab, "real-abcd/1", "--signers", DATA / "lab-v0.1.allowed_signers")[1]


@pytest.mark.parametrize("name", ["recorded", "own-circuit", "ungated"])
def test_recorded_labs_are_as_they_should_be_and_what_is_not_checked_is_said(alone, tmp_path, name):
    lab = unpacked(tmp_path / "lab", DATA / f"{name}-lab.bundle")
    runs = subprocess.run(["git", "-C", lab, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/autoqec/runs"],
                          capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    code, printed = alone(lab, runs[0])
    assert code == 0
    assert "BAD" not in printed
    assert "not checked" in printed


def test_what_is_not_there_is_nothing_to_check_and_no_name_is_an_option_or_a_command(alone, tmp_path):
    lab = unpacked(tmp_path / "lab", DATA / "own-circuit-lab.bundle")
    for name in (
        "nobody",
        "nobody/1",
        "exp/",
        "../../heads",
        "--upload-pack=touch x",
        "a;touch x",
        "$(touch x)",
        "x\n",
    ):
        assert alone(lab, "--", name)[0] == 2
    assert alone(tmp_path, "nobody")[0] == 2
    assert not [*tmp_path.rglob("x")]


@dataclass
class Recorded:
    """A lab with a round that has a true verdict and the intents before it.

    Attributes:
        ledger: The lab.
        run, commit: The round.
        about: What its lines must say.
        key, other_key, signers: Keys, and the file that names the first of them.
    """

    ledger: history.Ledger
    run: history.Run
    commit: str
    about: dict
    key: Path
    other_key: Path
    signers: Path

    def lines(self, key=None, *, attempts=2, **changes):
        """The lines of an honest verification after others: the intents, then the verdict; with fields of it changed."""
        found, chain = [], ()
        for attempt in range(1, attempts + 1):
            begun = Begun(attempt, id=f"begun-{attempt}", chain=chain, **self.about).to_note()
            found.append(self.stored(begun, key))
            chain = (digest(found[-1]),)
        note = some_verdict(Random(4), attempts, **self.about)
        return [*found, self.stored({**note, "id": "verdict", "intent": chain[0], **changes}, key)]

    def stored(self, record, key):
        """A record as it is stored."""
        full = {**record, "v": 1, "kind": "verdict", "ts": "2026-01-01T00:00:00.000000Z", "writer": "w"}
        return dict(full if key is None else signed(full, key))


def text(record):
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(record):
    return autoqec_check.hashlib.sha256(text(record).encode()).hexdigest()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    env = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q", "-b", "main"], [*who, "commit", "-q", "--allow-empty", "-m", "mine"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env=os.environ | env)
    with open(folder / ".git" / "config", "a") as config:
        config.write("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    ledger = history.open_ledger(folder)
    run = record_run(ledger, "depol-abcd")
    sealed = SealedCandidate({"output.yaml": b"mode: soft_priors\n"}, b"some weights")
    metrics = metrics_note(id="scored", weights_sha256=sealed.weights_sha256, candidate=sealed.digest)
    commit = record_round(ledger, run, sealed.files, weights=sealed.weights, metrics=metrics)
    about = {
        "run": run.name, "round": 1, "commit": commit, "environment": run.env_id, "candidate": sealed.digest,
        "weights_sha256": sealed.weights_sha256, "metrics": "scored", "verifier": "holdout",
    }  # fmt: skip
    keys = [folder / "key", folder / "other"]
    for key in keys if shutil.which("ssh-keygen") else ():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
        (folder / "signers").write_text(f"ada@example.org {(folder / 'key.pub').read_text()}")
    return Recorded(ledger, run, commit, about, *keys, folder / "signers")


def checker(recorded, lines, signers=None):
    """What the checker finds in the last of these lines, by the names of its checks."""
    known = {digest(line): line for line in lines}
    ref = f"refs/heads/exp/{recorded.run.name}/1"
    found = autoqec_check.check(
        recorded.ledger.git_dir, lines[-1], ref, recorded.commit, known, signers and str(signers)
    )
    return {name.split()[0] for name, wrong in found if wrong}


def program(recorded, lines, signers=None):
    """What the program finds: the state of the line, and whether the chain is broken."""

    def signer(line):
        found = examine(line.record, signers)
        return Signer(found.word, found.who)

    subject = Subject(
        recorded.run.name, frozenset({1}), recorded.commit, recorded.run.env_id,
        (("scored", recorded.about["candidate"], recorded.about["weights_sha256"]),),
    )  # fmt: skip
    policy = Policy(signed_only=signers is not None, signer=signer)
    line = Line(digest(lines[-1]), lines[-1])
    state = standing_of(line, subject, policy).state
    chain = chain_of(intents_in((digest(each), each) for each in lines), [(line.id, str(line.record.get("intent")))])
    return state, bool(chain.breaks)


def test_a_true_verdict_is_right_in_every_check(recorded):
    lines = recorded.lines()
    assert checker(recorded, lines) == set()
    assert program(recorded, lines) == ("unsigned", False)


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("commit", "c" * 40, "subject"),
        ("environment", "e" * 64, "subject"),
        ("run", "another-abcd", "subject"),
        ("round", 2, "subject"),
        ("weights_sha256", "a" * 64, "weights"),
    ],
)
def test_a_verdict_about_something_else_is_foreign(recorded, name, value, check):
    lines = recorded.lines(**{name: value})
    assert check in checker(recorded, lines)
    assert program(recorded, lines)[0] == "foreign"


def test_a_verdict_that_names_no_metrics_of_the_round_is_held_against_those_that_there_are(recorded):
    lines = recorded.lines(metrics="none such")
    assert program(recorded, lines)[0] == "unsigned"
    lines = recorded.lines(metrics="none such", weights_sha256="a" * 64)
    assert program(recorded, lines)[0] == "foreign"
    assert "weights" in checker(recorded, lines)


def test_a_verdict_takes_the_place_of_a_later_one_if_it_says_so(recorded):
    """So "superseded" is more than "earlier"."""
    first, second = recorded.lines(attempts=1, id="first")[-1], recorded.lines(attempts=2, id="second")[-1]
    lines = [Line(digest(each), each) for each in (first, second)]
    subject = Subject(recorded.run.name, frozenset({1}), recorded.commit, recorded.run.env_id)
    assert rule(lines, subject).verdict.line.id == "second"
    replaced = {**first, "supersedes": "second"}
    assert rule([Line(digest(replaced), replaced), lines[1]], subject).verdict.line.id == "first"


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_intent_is_missed(recorded, lost):
    lines = recorded.lines(attempts=2)
    del lines[lost]
    assert checker(recorded, lines) == {"chain"}
    assert program(recorded, lines) == ("unsigned", True)


def test_a_changed_intent_is_missed(recorded):
    lines = recorded.lines()
    lines[0]["writer"] = "somebody else"
    assert checker(recorded, lines) == {"chain"}
    assert program(recorded, lines)[1]


def test_an_attempt_is_not_before_those_that_its_intent_follows(recorded):
    """The program numbers attempts itself; a forged number is for the checker of a verdict to find."""
    lines = recorded.lines(attempts=3)
    early = recorded.lines(attempts=1)[-1]
    assert "chain" in checker(recorded, [*lines[:-1], {**early, "intent": digest(lines[-2])}])


@pytest.mark.parametrize("chain", ["x", 5, [5], {"x": 1}, [["x"]]])
def test_a_malformed_chain_breaks_none(recorded, chain):
    """Anybody can add such a line, and the next intent names it as it names all heads."""
    junk = recorded.stored({**Begun(1, id="junk", **recorded.about).to_note(), "chain": chain}, None)
    begun = recorded.stored(Begun(2, id="begun", chain=(digest(junk),), **recorded.about).to_note(), None)
    lines = [junk, begun, {**recorded.lines()[-1], "intent": digest(begun)}]
    assert checker(recorded, lines) == set()
    assert program(recorded, lines) == ("unsigned", False)


@pytest.mark.parametrize("other", [{"weights_sha256": "a" * 64}, {}])
def test_other_metrics_under_the_same_id_make_no_verdict_wrong(recorded, monkeypatch, other):
    real = autoqec_check.read_notes

    def read_notes(lab, ref):
        yield from [(recorded.commit, "0", {"id": "scored", **other})] if ref.endswith("metrics") else ()
        yield from real(lab, ref)

    monkeypatch.setattr(autoqec_check, "read_notes", read_notes)
    assert checker(recorded, recorded.lines()) == set()
    assert "metrics" in checker(recorded, recorded.lines(weights_sha256="b" * 64))


@needs_ssh
@pytest.mark.parametrize("name", ["ts", "writer", "seed_key", "machine", "supersedes"])
def test_nothing_of_a_signed_line_can_be_changed(recorded, name):
    lines = recorded.lines(recorded.key)
    assert checker(recorded, lines, recorded.signers) == set()
    assert program(recorded, lines, recorded.signers) == ("signed", False)
    lines[-1][name] = "00"
    assert checker(recorded, lines, recorded.signers) == checker(recorded, lines) == {"signature"}
    assert program(recorded, lines, recorded.signers)[0] == "invalid"


@needs_ssh
def test_a_key_that_nobody_allowed_is_no_signer(recorded):
    lines = recorded.lines(recorded.other_key)
    assert checker(recorded, lines) == set()
    assert checker(recorded, lines, recorded.signers) == {"signer"}
    assert program(recorded, lines, recorded.signers)[0] == "unsigned"


def test_without_ssh_keygen_a_signature_is_not_checked(recorded, monkeypatch, tmp_path):
    (tmp_path / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checker(recorded, recorded.lines(signature="anything")) == set()


def test_the_command_reads_what_the_program_writes(recorded, alone):
    for line in recorded.lines():
        history.append_line(recorded.ledger, recorded.run.name, "verdict", recorded.commit, line)
    code, printed = alone(recorded.ledger.git_dir, f"exp/{recorded.run.name}/1")
    assert code == 0, printed
    assert "  ok          chain\n" in printed
    lie = recorded.lines(verdict="VERIFIED", reason="better", id="forged")[-1]
    history.append_line(recorded.ledger, recorded.run.name, "verdict", recorded.commit, lie)
    code, printed = alone(recorded.ledger.git_dir, recorded.run.name)
    assert code == 1
    assert printed.count("BAD") == 1


@needs_ssh
def test_a_signed_intent_in_another_spelling_spends_nothing(recorded, tmp_path, monkeypatch):
    """Anyone can copy a signed line, and the chain counts lines by their bytes."""
    lab = shutil.copytree(recorded.ledger.workdir, tmp_path / "lab")
    monkeypatch.setenv("AUTOQEC_ALLOWED_SIGNERS", str(recorded.signers))
    ledger = history.open_ledger(lab)
    before = read_chain(ledger, recorded.run.name)
    intent = text(recorded.lines(recorded.key, attempts=1)[0])
    spellings = [intent, intent + " ", intent.replace(":", ": "), '{"v":9,' + intent[1:]]
    ref = f"refs/notes/autoqec/{recorded.run.name}/verdict"
    add_lines(ledger, ref, {recorded.commit: [each.encode() for each in spellings]}, "a copy")
    after = read_chain(ledger, recorded.run.name)
    assert len(after.intents) == len(before.intents) + 1
    assert after.next_attempt == 2
