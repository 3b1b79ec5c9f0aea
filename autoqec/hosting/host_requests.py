"""Asks a host's API over HTTP: within limits of time and size, with patience where the host asks for some.

The token stands in a header of requests to one server. It is in no URL, no message and no traceback, and a redirect to another
server is an error, because a request that follows it would carry the token there.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import SecretStr

from autoqec.agents.calls import redact
from autoqec.counted_words import cut_line
from autoqec.errors import UsageError
from autoqec.history.store.transports import allowed_transports
from autoqec.hosting.host_contract import HostBusyError, HostError
from autoqec.installed_package import __version__

_SECONDS = 60.0  # of one request, from the first byte to the last
_BYTES = 16 * 2**20  # of an answer: a page of the longest comments that hosts take
_TRIES = 4
_PATIENCE = 60.0  # seconds to wait for a host that limits; more is said, and left to the user
_REDIRECTS = 3
_SAID = 300  # characters of a host's own message

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Answer:
    """What a host answered.

    Attributes:
        status: HTTP's.
        headers: With names in lower case.
        body: Its bytes.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Asked:
    """A request in words, for errors.

    Attributes:
        doing: What it does, such as `set the status of 12ab34cd56`.
        rights: What the token must allow, such as `Commit statuses: write`.
    """

    doing: str
    rights: str


class HostClient:
    """Sends requests to one API.

    Args:
        api_url: The address that paths are added to.
        headers: A function from the token to the headers that carry it, with any others.
        token: The token.
        sleep: How to wait; tests do not.
        seconds: How long one request may take.

    Raises:
        UsageError: The address cannot be used with a token, or the token cannot be one.
    """

    def __init__(
        self,
        api_url: str,
        headers: Callable[[str], Mapping[str, str]],
        token: SecretStr,
        *,
        sleep: Callable[[float], object] = time.sleep,
        seconds: float = _SECONDS,
    ):
        self.api_url = checked_address(api_url)
        self._token, self._headers, self._sleep, self._seconds = token, headers, sleep, seconds
        # A library would quote a header that cannot be sent in its error, and so print the token.
        if re.fullmatch("[!-~]+", token.get_secret_value()) is None:
            raise UsageError(
                "the token for the host is empty, or has characters that no token has",
                hint="export it again, without spaces and line feeds",
                code="host_token",
            )

    @property
    def name(self) -> str:
        """The server's name, for messages."""
        return urlsplit(self.api_url).netloc

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        asked: Asked,
        repeatable: bool = True,
        may: tuple[int, ...] = (),
    ) -> Answer:
        """Send a request, again where the host asks for patience.

        Args:
            method: HTTP's.
            path: What comes after the API's address, with quoted parts.
            body: What is sent as JSON; None for nothing.
            asked: The request in words.
            repeatable: Whether a request whose answer was lost may be sent again.
            may: Statuses that are returned although they say that it failed.

        Raises:
            HostBusyError: The host limits, or fails for the moment, at each try.
            HostError: The host refuses, redirects to another server, or cannot be reached.
        """
        why, wait = "", 0.0
        for attempt in range(_TRIES):
            if attempt:
                self._sleep(wait)
            try:
                answer = self._send(method, self.api_url + path, body)
            except _LostError as error:
                why, wait = str(error), 2.0**attempt
                if not repeatable:
                    break
                continue
            if answer.status < 300 or answer.status in may:
                return answer
            asks = _asks_to_wait(answer, time.time())
            if asks is None:
                raise self._refusal(answer, asked)
            why, wait = f"{_why(answer)} {self._said(answer)}".strip(), asks if asks > 0 else 2.0**attempt
            if wait > _PATIENCE:
                break
        hint = f"run it again in {wait:.0f} seconds" if wait > _PATIENCE else "run it again later"
        raise HostBusyError(f"could not {asked.doing}: {self.name} {why}", hint=hint, about={"host": self.name})

    def _send(self, method: str, url: str, body: object) -> Answer:
        """Send a request once, following redirects that stay on the server."""
        for _ in range(_REDIRECTS + 1):
            answer = asyncio.run(self._send_limited(method, url, body))
            place = answer.headers.get("location", "")
            if answer.status not in (301, 302, 307, 308) or not place:
                return answer
            target = _joined(url, place)
            if target is None or _server(target) != _server(url):
                raise HostError(
                    f"{self.name} redirects to another server, and the token is not sent there: {self._readable(place)}",
                    hint="give the address of the API itself: --api-url",
                    about={"host": self.name},
                )
            url = target
        raise HostError(f"{self.name} redirects in a circle", hint="give the address of the API itself: --api-url")

    async def _send_limited(self, method: str, url: str, body: object) -> Answer:
        import httpx2

        try:
            async with asyncio.timeout(self._seconds):
                async with httpx2.AsyncClient(timeout=self._seconds, verify=_certificates()) as client:
                    return await self._exchange(client, method, url, body)
        except TimeoutError:
            raise _LostError(f"did not answer within {self._seconds:g} seconds") from None
        except httpx2.TimeoutException:
            raise _LostError(f"did not answer within {self._seconds:g} seconds") from None
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.InvalidURL, OSError) as error:
            # Without its cause: that holds the request, and the request the token.
            raise _LostError(f"cannot be reached: {self._readable(str(error) or type(error).__name__)}") from None

    async def _exchange(self, client: Any, method: str, url: str, body: object) -> Answer:
        headers = {"User-Agent": f"autoqec/{__version__}", **self._headers(self._token.get_secret_value())}
        content = None if body is None else json.dumps(body).encode()
        headers |= {} if content is None else {"Content-Type": "application/json"}
        async with client.stream(method, url, headers=headers, content=content) as response:
            whole = b""
            async for part in response.aiter_bytes():
                whole += part
                if len(whole) > _BYTES:
                    raise HostError(
                        f"{self.name} answers with more than {_BYTES // 2**20} MiB", hint="check the address"
                    )
            return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, whole)

    def _refusal(self, answer: Answer, asked: Asked) -> HostError:
        said, about = self._said(answer), {"host": self.name, "status": answer.status}
        problem = f"could not {asked.doing}: {self.name} answers {answer.status}{f' ({said})' if said else ''}"
        if answer.status == 401:
            hint = "the token is not valid, or has expired: make a new one"
            return HostError(problem, hint=hint, code="host_token", about=about)
        if answer.status in (403, 404):
            # Hosts answer 404 for what a token may not see.
            hint = f"the token must be allowed to do this ({asked.rights}), and what it is about must be on the host"
            return HostError(
                problem, hint=hint, code="host_token" if answer.status == 403 else "host_refused", about=about
            )
        hint = "push what it is about first, and check the address: autoqec push, --api-url"
        return HostError(problem, hint=hint, about=about)

    def _said(self, answer: Answer) -> str:
        """The message of a host's answer, made safe to show."""
        found = answer.json()
        if isinstance(found, dict):
            said = next((found[name] for name in ("message", "error_description", "error") if found.get(name)), "")
            return self._readable(said if isinstance(said, str) else json.dumps(said))
        return "" if b"<" in answer.body[:200] else self._readable(answer.body.decode(errors="replace"))

    def _readable(self, text: str) -> str:
        hidden = str(redact(text.replace(self._token.get_secret_value(), "***")))
        return cut_line(hidden, _SAID)


class _LostError(Exception):
    """A request was not answered; says why."""


def checked_address(url: str) -> str:
    """The address of an API, without a slash at its end.

    Raises:
        UsageError: It is no address, holds a user or a password, or anybody on the way could read the token.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
        raise UsageError(
            "the address of the host's API is none", hint="give one such as https://git.example.org/api/v1"
        )
    if parts.username or parts.password:
        raise UsageError(
            f"the address of {host}'s API holds a user or a password",
            hint="give the token in AUTOQEC_HOST_TOKEN instead",
        )
    if parts.scheme == "http" and host not in _LOOPBACK and "http" not in allowed_transports():
        raise UsageError(
            f"{host} would be asked over http, and anybody on the way could read the token",
            hint="use https; for a network that you trust: GIT_ALLOW_PROTOCOL=http:https",
            code="transport_refused",
        )
    return url.rstrip("/")


@cache
def _certificates() -> ssl.SSLContext:
    """The authorities that servers are checked against, read once: it takes longer than a request."""
    import httpx2

    return httpx2.create_ssl_context()


def _joined(url: str, place: str) -> str | None:
    """Where a redirect leads; None if that is no address."""
    try:
        return urljoin(url, place)
    except ValueError:
        return None


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return "", None, None


def _asks_to_wait(answer: Answer, now: float) -> float | None:
    """Seconds that an answer asks to wait, 0 if it does not say how long; None if a later try is of no use."""
    headers = answer.headers
    limited = answer.status == 429 or (
        answer.status == 403 and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")
    )
    if not limited and answer.status not in (500, 502, 503, 504):
        return None
    told = headers.get("retry-after")
    if told is None:
        reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset")
        return max(0.0, _number(reset) - now) if reset and limited else 0.0
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - now)
    except (ValueError, OverflowError):  # seconds; or a date that no calendar has
        return _number(told)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value < 1e12 else 0.0


def _why(answer: Answer) -> str:
    limited = answer.status in (403, 429)
    return f"limits how often it is asked ({answer.status})" if limited else f"fails for the moment ({answer.status})"
