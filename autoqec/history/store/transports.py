"""Which addresses git may contact: https, ssh, git and file. A remote helper (`ext::`, `fd::`) would run or read what it names.

A remote's name or URL can come from a repository's files, so it is checked before git sees it, and git itself is told the
list too: it follows redirects, `insteadOf` and `remote.<name>.vcs`.
"""

from __future__ import annotations

import os
import re

from autoqec.errors import UsageError

#: Transports that are always allowed. `http` has neither secrecy nor integrity, so it must be named.
TRANSPORTS = ("file", "git", "https", "ssh")

_NAMED_ONLY = ("http",)
_VARIABLE = "GIT_ALLOW_PROTOCOL"
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP = re.compile(r"[^/\s]+:")


class TransportError(UsageError):
    """The address of a remote names a transport that is not allowed."""

    code = "transport_refused"


def allowed_transports() -> list[str]:
    """Return the transports that git may use: git's own variable GIT_ALLOW_PROTOCOL leaves some out, or adds `http`."""
    named = os.environ.get(_VARIABLE)
    if named is None:
        return list(TRANSPORTS)
    return sorted(set(named.split(":")) & {*TRANSPORTS, *_NAMED_ONLY})


def transport_variables() -> dict[str, str]:
    """Return the variables that make git keep to the allowed transports, whatever its configuration says."""
    return {_VARIABLE: ":".join(allowed_transports())}


def is_url(address: str) -> bool:
    """Tell whether an address is a URL, or `host:path` as of scp; otherwise it is a path."""
    return _SCHEME.match(address) is not None or _SCP.match(address) is not None


def check_address(address: str, name: str) -> None:
    """Check that an address uses an allowed transport.

    Args:
        address: A URL, `host:path`, or a path.
        name: What the user typed, for the error.

    Raises:
        TransportError: It names a remote helper, a transport that is not allowed, or looks like an option.
    """
    scheme = _SCHEME.match(address)
    if address.startswith("-"):
        raise _refused(name, f"its address {_short(address)} looks like an option")
    if _HELPER.match(address):
        raise _refused(name, f"its address {_short(address)} names a remote helper, which can run any program")
    if scheme is not None and scheme[1].lower() not in allowed_transports():
        raise _refused(name, f"{scheme[1]} is not an allowed transport")
    if scheme is None and _SCP.match(address) and "ssh" not in allowed_transports():
        raise _refused(name, "ssh is not an allowed transport")


def _refused(name: str, why: str) -> TransportError:
    hint = f"use one of {', '.join(TRANSPORTS)}; for http, which anybody on the way can change: {_VARIABLE}=http"
    return TransportError(f"{_short(name)} is not contacted: {why}", hint=hint, about={"remote": name})


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
