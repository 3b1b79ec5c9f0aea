"""Signed verdicts: with a real ssh-keygen and real keys."""

import shutil
import subprocess

import pytest

from autoqec.errors import UsageError
from autoqec.history.rounds.signatures import Signature, examine, sign, signed

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


@pytest.fixture(params=["of now", "without a version"])
def noted(key, request):
    """A signed record as it is stored; earlier versions signed it before it had all its fields."""
    if request.param == "of now":
        return signed(VERDICT | STORED, key)
    return VERDICT | {"signature": sign(VERDICT, key)} | STORED


def test_a_known_signer_is_named(key, noted, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    assert examine(noted, allowed) == Signature("good", "ada@example.org")


def test_an_unknown_key_is_shown_by_its_fingerprint(key, noted, tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text("")
    listed = subprocess.run(["ssh-keygen", "-l", "-f", key], capture_output=True, text=True, check=True).stdout
    for signers in (None, allowed):
        found = examine(noted, signers)
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
def test_what_was_altered_or_moved_shows(noted, change):
    assert examine(noted | change, None).word == "altered"


@pytest.mark.parametrize(
    "change",
    [
        {"ts": "9999-01-01T00:00:00Z"},
        {"writer": "somebody else"},
        {"kind": "analysis"},
        {"v": 2},
        {"id": "another"},
        {"event": "undecided"},
        {"supersedes": "v"},
        {"signature_version": 1},
        {"signature_version": 3},
        {"signature_version": True},
        {"signature_version": 2.0},
        {"signature_version": None},
    ],
)
def test_time_writer_and_kind_are_under_the_signature(key, change):
    assert examine(signed(VERDICT | STORED, key) | change, None).word == "altered"


def test_no_record_can_be_moved_to_the_other_form_of_signature(key):
    now = signed(VERDICT | STORED, key)
    del now["signature_version"]
    assert examine(now, None).word == "altered"
    before = VERDICT | {"signature": sign(VERDICT, key)} | STORED
    assert examine(before | {"signature_version": 2}, None).word == "altered"


def test_what_is_not_signed_says_so():
    assert examine(VERDICT, None) == Signature("unsigned")


def test_a_key_or_list_that_is_not_there_is_named(noted, tmp_path):
    with pytest.raises(UsageError, match="signing_key: there is no key at .*nowhere"):
        sign(VERDICT, tmp_path / "nowhere")
    (tmp_path / "rubbish").write_text("rubbish")
    with pytest.raises(UsageError, match="signing_key: "):
        sign(VERDICT, tmp_path / "rubbish")
    with pytest.raises(UsageError, match="allowed_signers: there is no file"):
        examine(noted, tmp_path / "nowhere")
