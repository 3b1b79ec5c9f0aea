"""Which host and which repository is meant, and which token goes there: from a remote's address, or from variables of a CI job.

A host's own variable, such as GITHUB_TOKEN, holds a token for that host's own servers, so it is sent to those alone: to the
domains that the plugin names, and to the server that a CI job says it runs on. AUTOQEC_HOST_TOKEN is for any server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from autoqec.errors import NotFoundError, UsageError
from autoqec.hosting.host_contract import Host
from autoqec.plugins import Registration, Registry

#: The variable whose token goes to whichever host is asked.
TOKEN = "AUTOQEC_HOST_TOKEN"  # noqa: S105 - the name of a variable

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[A-Za-z0-9.-]+):(?!//)(?P<path>.+)")


@dataclass(frozen=True)
class Place:
    """A repository on a server.

    Attributes:
        server: The address of the server's pages, such as `https://git.example.org`. It holds no user and no password.
        repository: The path there, `owner/name`.
        api_url: The address of its API; None for where it usually is.
    """

    server: str
    repository: str
    api_url: str | None = None

    @property
    def name(self) -> str:
        """The server's name."""
        return urlsplit(self.server).hostname or ""


def place_of(address: str) -> Place:
    """The place that the address of a git remote names.

    Args:
        address: A URL, or `user@host:path` as of ssh. A user, a password and the port of ssh are left out.

    Raises:
        UsageError: It is a path, or names no repository.
    """
    scp = _SCP.fullmatch(address)
    parts = urlsplit(address if "://" in address else "")
    if scp is not None and "://" not in address:
        server, path = f"https://{scp['host'].lower()}", scp["path"]
    elif parts.scheme in ("http", "https", "ssh", "git") and parts.hostname:
        kept = parts.scheme in ("http", "https")
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        server = f"{parts.scheme}://{name}{f':{parts.port}' if parts.port else ''}" if kept else f"https://{name}"
        path = parts.path
    else:
        raise UsageError("this remote is no host: its address is a path", hint="name a remote on a host: git remote -v")
    return Place(server, checked_repository(path))


def checked_repository(path: str) -> str:
    """The path of a repository on a host, without slashes at its ends and `.git`.

    Raises:
        UsageError: It is not of the form `owner/name`.
    """
    segments = path.strip("/").removesuffix(".git").split("/")
    if len(segments) < 2 or not all(_SEGMENT.fullmatch(each) for each in segments):
        raise UsageError(f"{path[:100]!r} names no repository on a host", hint="it is of the form owner/name")
    return "/".join(segments)


def find_host(
    registry: Registry, place: Place, environ: Mapping[str, str], *, name: str | None = None, api_url: str | None = None
) -> Host:
    """The host of a place, with the token of the environment.

    Args:
        registry: Installed plugins.
        place: The place.
        environ: Environment variables.
        name: The host's kind, such as `gitea`; by default the one whose domains the server is among.
        api_url: The address of its API, where that is not the usual one.

    Raises:
        NotFoundError: No plugin knows this server, or there is no token for it.
    """
    entry = registry.get("host", name) if name else _known(registry, place)
    variable, token = _token(entry, place, environ)
    if token is None:
        own = ", ".join(entry.capabilities.get("tokens", ()))
        where = ", ".join(entry.capabilities.get("domains", ()))
        more = f"; {own} is sent to {where} only" if own else ""
        raise NotFoundError(
            f"there is no token for {place.name}",
            hint=f"export {variable}=…, a token that may write commit statuses and comments there{more}",
            code="host_token",
        )
    fields = {"server": place.server, "repository": place.repository, "api_url": api_url or place.api_url}
    host: Host = entry.create(token=token, **fields)
    return host


def place_in_job(registry: Registry, name: str, environ: Mapping[str, str]) -> Place:
    """The place that a CI job of a host runs for.

    Args:
        registry: Installed plugins.
        name: The host's kind. Its plugin names the variables (capability `job`).
        environ: Environment variables.

    Raises:
        UsageError: The variables are not there.
    """
    variables = tuple(registry.get("host", name).capabilities.get("job", ()))
    values = [environ.get(each, "") for each in variables]
    if len(values) != 3 or not all(values[:2]):
        missing = next((each for each, value in zip(variables, values, strict=True) if not value), "its variables")
        raise UsageError(f"{missing} is not set: this is no job of {name}'s CI", hint="name a remote instead: --remote")
    return Place(values[0].rstrip("/"), checked_repository(values[1]), values[2] or None)


def _known(registry: Registry, place: Place) -> Registration:
    found = [each for each in registry.all("host") if place.name in each.capabilities.get("domains", ())]
    if not found:
        raise NotFoundError(
            f"no plugin knows which kind of host {place.name} is",
            hint=f"--host {', --host '.join(registry.names('host'))}",
        )
    return found[0]


def _token(entry: Registration, place: Place, environ: Mapping[str, str]) -> tuple[str, SecretStr | None]:
    """The variable that a token for this place comes from, or should, and the token."""
    if environ.get(TOKEN):
        return TOKEN, SecretStr(environ[TOKEN])
    job = entry.capabilities.get("job", ("",))
    own = place.name in entry.capabilities.get("domains", ()) or environ.get(job[0], "").rstrip("/") == place.server
    for variable in entry.capabilities.get("tokens", ()) if own else ():
        if environ.get(variable):
            return variable, SecretStr(environ[variable])
    return TOKEN, None
