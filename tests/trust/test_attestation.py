"""A verdict as an in-toto statement: what it says, that in-toto reads it, how it is signed, and when there is none."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autoqec import history
from autoqec.cli.main import run as autoqec
from autoqec.results.attestation import PREDICATE_TYPE

DATA = Path(__file__).parents[1] / "data"
ROUND = "surface-d5-depol-h6zh/2"

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A copy of a recorded lab, in which the commands run."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "lab"
    for command in (
        ["init", "-q", "-b", "main", folder],
        ["-C", folder, "fetch", "-q", "--update-head-ok", DATA / "ungated-lab.bundle", "+refs/*:refs/*"],
        ["-C", folder, "config", "user.name", "Ada"],
        ["-C", folder, "config", "user.email", "ada@example.org"],
    ):
        subprocess.run(["git", *command], check=True, capture_output=True)
    monkeypatch.chdir(folder)
    return folder


def written(file):
    return json.loads(file.read_text())


def test_a_verdict_becomes_a_statement_about_commit_and_weights(lab, tmp_path, capsys):
    file = tmp_path / "verdict.json"
    assert autoqec(["verify", f"exp/{ROUND}", "--attest", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    found, ledger = written(file), history.open_ledger(lab)
    commit = history.find_round(ledger, *history.parse_round_name(ROUND))
    (line,) = [
        line
        for line in history.read_lines(ledger, ROUND.partition("/")[0], "verdict")[commit]
        if "event" not in line.record
    ]
    note, predicate = line.record, found["predicate"]
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == PREDICATE_TYPE
    assert [each["digest"] for each in found["subject"]] == [{"gitCommit": commit}, {"sha256": note["weights_sha256"]}]
    assert (predicate["verdict"], predicate["reason"]) == ("VERIFIED", "better")
    assert predicate["counts"] == {name: note[name] for name in ("test", "extension", "neutral")}
    assert predicate["figures"]["delta_ler_ci"] == note["delta_ler_ci"]
    assert predicate["record"]["digest"] == {"sha256": line.digest}
    assert predicate["record"]["trust"] == "unsigned"
    assert predicate["chain"]["state"] == "complete"
    assert predicate["attempt"]["number"] == 2


def test_in_toto_reads_the_statement(lab, tmp_path):
    statement = pytest.importorskip("in_toto_attestation.v1.statement", reason="in-toto-attestation is not installed")
    json_format = pytest.importorskip("google.protobuf.json_format")
    file = tmp_path / "verdict.json"
    assert autoqec(["verify", ROUND, "--attest", str(file), "--quiet"]) == 0
    # in-toto's own message: an unknown field, a wrong type or a missing one is an error.
    parsed = json_format.Parse(file.read_text(), statement.spb.Statement())
    statement.Statement.copy_from_pb(parsed).validate()
    assert json_format.MessageToDict(parsed)["predicate"]["verdict"] == "VERIFIED"


@needs_ssh
def test_a_signed_statement_is_a_dsse_envelope_that_ssh_verifies(lab, tmp_path, monkeypatch, capsys):
    key, file = tmp_path / "key", tmp_path / "verdict.json"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    (tmp_path / "signers").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    monkeypatch.setenv("AUTOQEC_SIGNING_KEY", str(key))
    assert autoqec(["verify", ROUND, "--attest", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signed"] is True
    found = written(file)
    assert found["payloadType"] == "application/vnd.in-toto+json"
    payload, (signature,) = base64.b64decode(found["payload"]), found["signatures"]
    assert json.loads(payload)["predicate"]["verdict"] == "VERIFIED"
    assert base64.b64decode(signature["sig"]).startswith(b"SSHSIG")
    assert signature["keyid"].startswith("SHA256:")
    kind = found["payloadType"].encode()
    encoded = b" ".join([b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload])
    body = "\n".join(["-----BEGIN SSH SIGNATURE-----", signature["sig"], "-----END SSH SIGNATURE-----", ""])
    (tmp_path / "sig").write_text(body)
    checked = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-n",
        "autoqec-attestation",
        "-f",
        tmp_path / "signers",
        "-I",
        "ada@example.org",
    ]
    for data, code in ((encoded, 0), (encoded[:-1], 255), (payload, 255)):
        done = subprocess.run([*checked, "-s", tmp_path / "sig"], input=data, capture_output=True, check=False)
        assert done.returncode == code


@pytest.mark.parametrize(
    "forged", [{"delta_ler": 0.5}, {"verdict": "FAILED", "reason": "not_better"}, {"alpha_attempt": 0.5}]
)
def test_a_verdict_that_does_not_follow_from_its_counts_is_not_attested(lab, tmp_path, capsys, forged):
    run, number = history.parse_round_name(ROUND)
    ledger = history.open_ledger(lab)
    commit = history.find_round(ledger, run, number)
    true = next(note for note in history.read_notes(ledger, run, "verdict")[commit] if "event" not in note)
    history.append_note(ledger, run, "verdict", commit, {**true, **forged, "id": "forged", "supersedes": true["id"]})
    file = tmp_path / "verdict.json"
    code = autoqec(["verify", ROUND, "--attest", str(file)])
    # Where a forged line takes nothing away, the true verdict is attested; the forged one never is.
    assert code == 1 or (code == 0 and written(file)["predicate"]["record"]["id"] == true["id"])
    assert code == 0 or ("is not attested" in capsys.readouterr().err and not file.exists())


def test_a_round_without_a_verdict_is_not_attested(lab, tmp_path, capsys):
    assert autoqec(["verify", "surface-d5-depol-h6zh/4", "--attest", str(tmp_path / "x")]) == 3
    assert autoqec(["verify", ROUND, "--attest", str(tmp_path / "x"), "--audit"]) == 2
    assert not (tmp_path / "x").exists()
