"""Conformance check for hosts: they keep the token to one server and out of every message, and say what a host refuses.

A server on this machine stands in for the host. It does not know any host's API: it records what it is asked, and answers as it
is told. So the check is about what must hold for every host.
"""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from autoqec.errors import AutoQECError
from autoqec.hosting.host_contract import CommitStatus, Host

_TOKEN = "token-0123456789abcdef"  # noqa: S105 - the check looks for it
_COMMIT = "0123456789" * 4
_STATUS = CommitStatus("success", "VERIFIED: a check")
_MARKER, _TEXT = "<!-- a check -->", "the text of a comment"


@dataclass
class _Server:
    """What a server was asked, and what it answers.

    Attributes:
        url: Its address.
        requests: Method, path, headers and body of each request.
        status, headers, body: Of each answer but those to GET with status 201: these are empty lists.
    """

    url: str = ""
    requests: list[tuple[str, str, str, str]] = field(default_factory=list)
    status: int = 201
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        """The status and the body."""
        if self.status != 201:
            return self.status, json.dumps(self.body).encode()
        if method != "GET":
            return 201, b"{}"
        return 200, b'{"id": 1, "login": "me", "username": "me"}' if path.endswith("/user") else b"[]"


@contextmanager
def _serving() -> Iterator[_Server]:
    told = _Server()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode(errors="replace")
            told.requests.append((self.command, self.path, str(self.headers), body))
            status, data = told.answer(self.command, self.path)
            self.send_response(status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - names of the library

        def log_message(self, *parts: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def check_host(factory: Callable[..., Host]) -> None:
    """Check a host: what it sends, where it sends the token, and what it says of a refusal.

    Args:
        factory: Makes the host, as `factory(server=, repository=, token=, api_url=)`.

    Raises:
        AssertionError: It does not conform; the message says how.
    """
    with _serving() as server, _serving() as other:

        def made() -> Host:
            return factory(server=server.url, repository="owner/name", token=SecretStr(_TOKEN), api_url=None)

        made().set_status(_COMMIT, _STATUS)
        _check_sent(server, [_COMMIT, _STATUS.description, _STATUS.context], "set_status")
        made().put_comment(7, _MARKER, _TEXT)
        _check_sent(server, ["7", _MARKER, _TEXT], "put_comment")
        server.status, server.body = 401, {"message": f"bad credentials: {_TOKEN}"}
        _check_refused(made, "refuses")
        server.status, server.headers = 429, {"retry-after": "86400"}
        _check_refused(made, "asks to wait for a day")
        server.status, server.headers = 307, {"location": f"{other.url}/elsewhere"}
        _check_refused(made, "redirects to another server")
        assert not any(_TOKEN in headers for _, _, headers, _ in other.requests), (
            "a redirect to another server must not get the token"
        )


def _check_sent(server: _Server, needed: list[str], method: str) -> None:
    sent = [each for each in server.requests if each[0] != "GET"]
    assert sent, f"{method} must send a request that changes something"
    _, path, headers, body = sent[-1]
    assert not any(_TOKEN in path for _, path, _, _ in server.requests), f"{method} must not put the token into a URL"
    assert _TOKEN in headers, f"{method} must send the token in a header"
    for each in needed:
        there = path + body + json.dumps(json.loads(body), ensure_ascii=False) if body.startswith("{") else path + body
        assert each in there, f"{method} must send {each!r}"
    server.requests.clear()


def _check_refused(made: Callable[[], Host], what: str) -> None:
    calls: dict[str, Callable[[], None]] = {
        "set_status": lambda: made().set_status(_COMMIT, _STATUS),
        "put_comment": lambda: made().put_comment(7, _MARKER, _TEXT),
    }
    for method, call in calls.items():
        try:
            call()
        except AutoQECError as error:
            said = "".join(traceback.format_exception(error)) + str(error.about) + str(error.hint)
            assert _TOKEN not in said, f"no message may hold the token; {method} has it where a server {what}"
        else:
            raise AssertionError(f"{method} must raise an AutoQECError where a server {what}")
