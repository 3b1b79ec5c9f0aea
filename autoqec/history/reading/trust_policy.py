"""What the user trusts: the settings `trust` and `allowed_signers`."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from autoqec.errors import UsageError
from autoqec.history.store.repository import Ledger
from autoqec.user_folders import user_folder

_CONFIG = ".autoqec/config.toml"
_NAMES = ("trust", "allowed_signers")


@dataclass(frozen=True)
class Trusted:
    """What the user trusts.

    Attributes:
        signed_only: Whether unsigned records do not count.
        signers: The file of allowed signers; None for none.
        digest: A hash of all this, the file's contents included: what is read under one digest is read the same.
    """

    signed_only: bool = False
    signers: Path | None = None
    digest: str = "any"


def trusted(ledger: Ledger) -> Trusted:
    """Return what the user of a lab trusts.

    Raises:
        UsageError: A setting is invalid, or there is no file of allowed signers.
    """
    word, named = _settings(ledger.workdir)
    signed_only = word == "signed" or (word == "" and named != "")
    if not named:
        return Trusted(signed_only, None, "signed" if signed_only else "any")
    path = Path(named).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"allowed_signers: there is no file {path}", hint="make the file, or correct the setting"
        ) from error
    if b"valid-" in data.lower():  # keys may expire; ssh reads options in any case
        data += datetime.now(UTC).date().isoformat().encode()
    return Trusted(signed_only, path, f"{signed_only} {hashlib.sha256(data).hexdigest()}")


def _settings(lab: Path) -> tuple[str, str]:
    """The settings `trust` and `allowed_signers`.

    Reading all settings takes as long as half of the rest of a command. So it is done only if a place where one may be set
    mentions one of these, or holds an escape, in which a name can hide.
    """
    if not any(os.environ.get(f"AUTOQEC_{name.upper()}") for name in _NAMES):
        told = b""
        with suppress(OSError):
            told += (lab / _CONFIG).read_bytes()
        with suppress(OSError, RuntimeError):  # there is no home
            told += (user_folder("XDG_CONFIG_HOME", ".config") / "config.toml").read_bytes()
        if not any(word in told for word in (b"trust", b"allowed_signers", b"\\")):
            return "", ""
    from autoqec.config import load_settings

    settings = load_settings(lab)
    return str(settings["trust"]), str(settings["allowed_signers"])
