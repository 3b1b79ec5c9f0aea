"""A server that speaks, of the documented APIs of GitHub, Gitea and GitLab, what AutoQEC asks; it can serve git over HTTP too.

Tests get this module by the fixture `host_server`:

    with host_server.HostServer() as server:
        ...  # server.url; server.statuses and server.comments hold what was written

A request that no such API documents is answered as they answer it, by 404 or 422, and is kept in `server.odd`.
"""

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "secret-0123456789abcdefghij"
REPOSITORY = "owner/lab"

#: Per API: where it is, how a token is sent, the states of a commit, and who the token's user is.
APIS = {
    "github": ("/api/v3", ("authorization", f"Bearer {TOKEN}"), {"error", "failure", "pending", "success"}),
    "gitea": ("/api/v1", ("authorization", f"token {TOKEN}"), {"pending", "success", "error", "failure", "warning"}),
    "gitlab": ("/api/v4", ("private-token", TOKEN), {"pending", "running", "success", "failed", "canceled", "skipped"}),
}


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    raw: bytes


@dataclass
class HostServer:
    """See the module.

    Attributes:
        user: The login of the token's user; None where the token may not ask, as in a job of GitHub's CI.
        commits: The commits that the repository has; None for any.
        repositories: Bare git repositories by `owner/name`, to be served.
        before: Called with each API request; what it returns, a status, headers and a JSON value, is the answer.
    """

    user: str | None = "me"
    commits: set[str] | None = None
    repositories: dict[str, Path] = field(default_factory=dict)
    before: Callable[[Request], tuple[int, dict[str, str], Any] | None] | None = None
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    statuses: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    git_tokens: set[str] = field(default_factory=set)

    def __enter__(self) -> "HostServer":
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                raw = _body(self, headers)
                request = Request(self.command, parts.path, parse_qs(parts.query), headers, raw)
                if re.match(
                    r"/[^/]+/[^/]+?(\.git)?/(info/refs|git-upload-pack|git-receive-pack|HEAD|objects)", parts.path
                ):
                    server._git(self, request, parts.query)
                    return
                server.requests.append(request)
                told = server.before(request) if server.before else None
                status, extra, value = told if told is not None else server._answer(request)
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in {"content-type": "application/json", **extra}.items():
                    self.send_header(name, text)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

            def log_message(self, *parts: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def bodies(self) -> list[str]:
        """The comments as they are now."""
        return [each["body"] for each in self.comments]

    def _answer(self, request: Request) -> tuple[int, dict[str, str], Any]:
        for name, (prefix, (header, value), states) in APIS.items():
            if not request.path.startswith(prefix):
                continue
            if request.headers.get(header) != value:
                return 401, {}, {"message": "Bad credentials"}
            if name == "github" and request.headers.get("x-github-api-version") != "2022-11-28":
                self.odd.append("no version of GitHub's API")
            found = self._of(name, request, request.path.removeprefix(prefix), states)
            if found[0] >= 400 and found[0] != 403:
                self.odd.append(f"{request.method} {request.path}: {found[0]}")
            return found[0], {}, found[1]
        return 404, {}, {"message": "Not Found"}

    def _of(self, api: str, request: Request, path: str, states: set[str]) -> tuple[int, Any]:
        if (request.method, path) == ("GET", "/user"):
            if self.user is None:
                return 403, {"message": "Resource not accessible by integration"}
            return 200, {"id": 1, "username" if api == "gitlab" else "login": self.user}
        quoted = "%2F".join(REPOSITORY.split("/"))
        place = f"/projects/{quoted}" if api == "gitlab" else f"/repos/{REPOSITORY}"
        if not path.startswith(f"{place}/"):
            return 404, {"message": "Not Found"}
        rest = unquote(path.removeprefix(f"{place}/"))
        body = json.loads(request.raw) if request.raw else None
        status = re.fullmatch("statuses/([0-9a-f]{40})", rest)
        if request.method == "POST" and status:
            return self._status(api, status[1], body, states)
        return self._comment(api, request, rest, body)

    def _status(self, api: str, commit: str, body: dict[str, Any], states: set[str]) -> tuple[int, Any]:
        name = "name" if api == "gitlab" else "context"
        known = {"state", "description", "target_url", name}
        if set(body) - known or body.get("state") not in states or len(body["description"]) > 140:
            return 422, {"message": "Validation Failed"}
        if self.commits is not None and commit not in self.commits:
            return (422 if api == "github" else 404), {"message": f"No commit found for SHA: {commit}"}
        same = [each for at, each in self.statuses if at == commit and each[name] == body[name]]
        if api == "gitlab" and same and same[-1]["state"] == body["state"]:
            return 400, {"message": f"Cannot transition status via :enqueue from :{body['state']}"}
        self.statuses.append((commit, body))
        return 201, {"id": len(self.statuses), **body}

    def _comment(self, api: str, request: Request, rest: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        listed = r"merge_requests/\d+/notes" if api == "gitlab" else r"issues/\d+/comments"
        one = rf"{listed}/(\d+)" if api == "gitlab" else r"issues/comments/(\d+)"
        change = re.fullmatch(one, rest)
        if change and request.method == ("PUT" if api == "gitlab" else "PATCH"):
            found = [each for each in self.comments if each["id"] == int(change[1])]
            if not found:
                return 404, {"message": "Not Found"}
            found[0]["body"] = body["body"]
            return 200, found[0]
        if re.fullmatch(listed, rest) and request.method == "GET":
            size, page = (int(request.query.get(name, ["1"])[0]) for name in ("per_page", "page"))
            return 200, self.comments[size * (page - 1) : size * page]
        if re.fullmatch(listed, rest) and request.method == "POST" and set(body) == {"body"}:
            self.comments.append(
                self.said(api, len(self.comments) + 1, self.user or "github-actions[bot]", body["body"])
            )
            return 201, self.comments[-1]
        return 404, {"message": "Not Found"}

    @staticmethod
    def said(api: str, number: int, who: str, body: str) -> dict[str, Any]:
        """A comment as the API lists it."""
        person = {"author": {"username": who}} if api == "gitlab" else {"user": {"login": who}}
        return {"id": number, "body": body, **person}

    def _git(self, handler: BaseHTTPRequestHandler, request: Request, query: str) -> None:
        """Answer git by git's own program for this."""
        told = request.headers.get("authorization", "")
        if told.lower().startswith("basic "):
            self.git_tokens.add(base64.b64decode(told[6:]).decode())
        name, _, rest = request.path.lstrip("/").partition("/")
        second, _, rest = rest.partition("/")
        folder = self.repositories.get(f"{name}/{second.removesuffix('.git')}")
        if folder is None:
            handler.send_error(404)
            return
        variables = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{rest}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.raw)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_USER": "test",
        }
        done = subprocess.run(
            ["git", "http-backend"], env=variables, input=request.raw, capture_output=True, check=True
        )
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        handler.send_response(int(fields.pop("Status", "200").split()[0]))
        for field_name, value in fields.items():
            handler.send_header(field_name, value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


def _body(handler: BaseHTTPRequestHandler, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(headers.get("content-length") or 0))
    whole = b""
    while size := int(handler.rfile.readline(), 16):
        whole += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return whole
