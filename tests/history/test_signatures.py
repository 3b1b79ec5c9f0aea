"""Signed verdicts: with a real ssh-keygen and real keys."""

import shutil
import subprocess

import pytest

from autoqec.errors import UsageError
from autoqec.history.rounds.signatures import Signature, examine, sign

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")

VERDICT = {
    "verdict": "VERIFIED",
    "commit": "a" * 40,
    "environment": "b" * 64,
    "test": {"both": 3},
    "ler_ratio": 0.1 + 0.2,
}
STORED = {"v": 1, "kind": "verdict", "ts": "2026-01-01T00:00:00Z", "writer": "w"}


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path


@pytest.fixture
def signed(key):
    return VERDICT | {"signature": sign(VERDICT, key)} | STORED


def test_a_known_signer_is_named(key, signed, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    assert examine(signed, allowed) == Signature("good", "ada@example.org")


def test_an_unknown_key_is_shown_by_its_fingerprint(key, signed, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text("")
    listed = subprocess.run(["ssh-keygen", "-l", "-f", key], capture_output=True, text=True, check=True).stdout
    for signers in (None, allowed):
        found = examine(signed, signers)
        assert (found.word, found.who in listed, bool(found.who)) == ("unknown", True, True)


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "FAILED"},
        {"commit": "c" * 40},
        {"environment": "d" * 64},
        {"test": {"both": 4}},
        {"more": 1},
        {"more": "\ud800"},
        {"signature": "\ud800"},
        {"signature": "x"},
    ],
)
def test_what_was_altered_or_moved_shows(signed, change):
    assert examine(signed | change, None).word == "altered"


def test_what_is_not_signed_says_so():
    assert examine(VERDICT, None) == Signature("unsigned")


def test_a_key_or_list_that_is_not_there_is_named(signed, tmp_path):
    with pytest.raises(UsageError, match="signing_key: there is no key at .*nowhere"):
        sign(VERDICT, tmp_path / "nowhere")
    (tmp_path / "rubbish").write_text("rubbish")
    with pytest.raises(UsageError, match="signing_key: "):
        sign(VERDICT, tmp_path / "rubbish")
    with pytest.raises(UsageError, match="allowed_signers: there is no file"):
        examine(signed, tmp_path / "nowhere")
