"""Signs records with ssh keys (`ssh-keygen -Y`), as git signs commits, and checks the signatures.

A verdict note is data in git, and anyone who can write to the repository can write one. A signature proves who made the
record. It covers every field except itself: also the time, the writer and the kind. The commit, the environment and the
candidate's hash are among the signed fields, so nobody can copy a signed verdict to another round.

Records of earlier versions have no `signature_version`. Their signatures leave out the fields that `append_note` adds.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoqec.errors import AutoQECError, UsageError
from autoqec.json_values import JsonObject

NAMESPACE = "autoqec-verdict"

#: The version of new signatures, as a signed record says in `signature_version`.
SIGNATURE_VERSION = 2

#: Fields that a signature does not cover; and those that signatures without a version do not cover.
_OUTSIDE = frozenset({"signature"})
_OUTSIDE_BEFORE = frozenset({"signature", "v", "kind", "ts", "writer"})

_SECONDS = 20.0


@dataclass(frozen=True)
class Signature:
    """The result of checking a record's signature.

    Attributes:
        word: `unsigned`; `good`: valid, by a key among the lab's allowed signers; `unknown`: valid, by another key;
            `altered`: the record was changed after it was signed.
        who: The signer's name in the allowed signers file, or the key's fingerprint.
    """

    word: Literal["unsigned", "good", "unknown", "altered"]
    who: str = ""


def signed_bytes(record: JsonObject) -> bytes:
    """Return the bytes to sign: the record's own fields as JSON with sorted keys and no spaces, UTF-8."""
    version = record.get("signature_version")
    outside = _OUTSIDE if type(version) is int and version == SIGNATURE_VERSION else _OUTSIDE_BEFORE
    fields = {name: value for name, value in record.items() if name not in outside}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")  # JSON can hold half a surrogate pair


def signed(record: JsonObject, key: Path) -> JsonObject:
    """Return a record with its signature.

    Args:
        record: The record exactly as it is to be stored (`complete_note`): no field can change or be added afterwards.
        key: As for `sign`.

    Raises:
        UsageError: As for `sign`.
    """
    full = {**record, "signature_version": SIGNATURE_VERSION}
    return {**full, "signature": sign(full, key)}


def sign(record: JsonObject, key: Path) -> str:
    """Make the signature of a record.

    Args:
        record: Plain data; its `signature_version` decides which fields the signature covers.
        key: A private ssh key, or a public one whose private half ssh-agent holds.

    Returns:
        The signature in ssh's format, for the record's field `signature`.

    Raises:
        UsageError: There is no such key, or ssh-keygen cannot sign with it.
    """
    return sign_bytes(signed_bytes(record), key, NAMESPACE)


def sign_bytes(data: bytes, key: Path, namespace: str) -> str:
    """Make the signature of bytes, in ssh's armoured format.

    Args:
        data: What is signed.
        key: As for `sign`.
        namespace: What the signature is for; a signature for one purpose is none for another.

    Raises:
        UsageError: As for `sign`.
    """
    if not key.is_file():
        raise UsageError(f"signing_key: there is no key at {key}", hint="ssh-keygen -t ed25519, or correct the setting")
    done = _ssh_keygen(["-Y", "sign", "-q", "-n", namespace, "-f", str(key)], data)
    if done.returncode != 0:
        raise UsageError(
            f"signing_key: {_last(done)}", hint="use a key without a passphrase, or one that ssh-agent holds"
        )
    return done.stdout.decode()


def key_fingerprint(key: Path) -> str:
    """Return the fingerprint of a key, `SHA256:…`; empty if ssh-keygen cannot tell."""
    done = _ssh_keygen(["-l", "-E", "sha256", "-f", str(key)], b"")
    return next((word for word in done.stdout.decode("utf-8", "replace").split() if word.startswith("SHA256:")), "")


def examine(record: JsonObject, allowed_signers: Path | None) -> Signature:
    """Check a record's signature.

    Args:
        record: The record as read from a note.
        allowed_signers: A file in the format of ALLOWED SIGNERS in `man ssh-keygen`; None for none.

    Raises:
        UsageError: There is no such file.
        AutoQECError: ssh-keygen is missing or hangs.
    """
    signature = record.get("signature")
    if not isinstance(signature, str):
        return Signature("unsigned")
    if allowed_signers is not None and not allowed_signers.is_file():
        raise UsageError(
            f"allowed_signers: there is no file {allowed_signers}", hint="make the file, or correct the setting"
        )
    data = signed_bytes(record)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "signature"
        file.write_bytes(signature.encode("utf-8", "surrogatepass"))
        # A good signature, which is what most are, needs the fewest processes.
        if allowed_signers is not None:
            found = _ssh_keygen(["-Y", "find-principals", "-s", str(file), "-f", str(allowed_signers)], b"")
            for who in found.stdout.decode().split("\n") if found.returncode == 0 else []:
                asked = ["-Y", "verify", "-n", NAMESPACE, "-s", str(file), "-f", str(allowed_signers), "-I", who]
                if who and _ssh_keygen(asked, data).returncode == 0:
                    return Signature("good", who)
        intact = _ssh_keygen(["-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(file)], data)
    if intact.returncode != 0:
        return Signature("altered")
    # Good "autoqec-verdict" signature with ED25519 key SHA256:…
    key = next((word for word in intact.stdout.decode().split() if word.startswith("SHA256:")), "")
    return Signature("unknown", key)


def _ssh_keygen(arguments: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments], input=data, capture_output=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise AutoQECError("ssh-keygen is not installed", hint="install OpenSSH, 8.0 or later") from error
    except subprocess.TimeoutExpired as error:
        raise AutoQECError(
            f"ssh-keygen did not end within {_SECONDS:.0f} s; it may be waiting for a passphrase",
            hint="use a key without a passphrase, or ssh-agent",
        ) from error


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "ssh-keygen failed"
