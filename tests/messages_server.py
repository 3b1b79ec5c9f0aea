"""A server of the Messages API that says what a test tells it to, over real HTTP and server-sent events.

Tests get this module by the fixture `messages_server`:

    with messages_server.MessagesServer([messages_server.said({"text": "an idea"})]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "claude-test-1"
USAGE = {"input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)


@dataclass(frozen=True)
class Response:
    """What is answered: a body, or events, of which `cut` are sent before the connection is lost (0: not even a status).

    With `polite`, a stream that is cut looks to HTTP as if it were whole.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    events: tuple[dict[str, Any], ...] = ()
    cut: int | None = None
    polite: bool = False
    delay: float = 0.0

    def cut_after(self, events: int, *, polite: bool = False) -> "Response":
        """The same, cut off."""
        return replace(self, cut=events, polite=polite)


def blocks(
    *contents: dict[str, Any],
    stop: str,
    model: str = MODEL,
    usage: dict[str, int] | None = None,
    output: int = 20,
    pieces: int = 4,
    delay: float = 0.0,
    details: dict[str, Any] | None = None,
) -> Response:
    """A message of text and tool blocks, in so many pieces each."""
    counts = USAGE | (usage or {})
    head = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model}
    head |= {"stop_reason": None, "stop_sequence": None, "usage": counts | {"output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": head}, {"type": "ping"}]
    for index, content in enumerate(contents):
        tool = content["type"] == "tool_use"
        said = content["input"] if tool else content["text"]
        start = {**content, "input": {}} if tool else {**content, "text": ""}
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        size = max(1, -(-len(said) // pieces))
        for at in range(0, len(said), size):
            piece = said[at : at + size]
            delta = (
                {"type": "input_json_delta", "partial_json": piece} if tool else {"type": "text_delta", "text": piece}
            )
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop, "stop_sequence": None, "stop_details": details}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output}})
    events.append({"type": "message_stop"})
    return Response(events=tuple(events), delay=delay)


def said(message: Any, **how: Any) -> Response:
    """A call of the tool `reply`; a string is its raw input, anything else is made JSON."""
    raw = message if isinstance(message, str) else json.dumps(message)
    block = {"type": "tool_use", "id": "toolu_1", "name": "reply", "input": raw}
    return blocks(block, **{"stop": "tool_use"} | how)


def words(text: str, **how: Any) -> Response:
    """A reply in words."""
    return blocks({"type": "text", "text": text}, **{"stop": "end_turn"} | how)


def failed(status: int, kind: str, message: str = "no", **headers: str) -> Response:
    """An error; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, {"type": "error", "error": {"type": kind, "message": message}})


def failing(kind: str, response: Response, after: int, message: str = "no") -> Response:
    """A stream that says after so many events that it cannot go on."""
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return replace(response, events=(*response.events[:after], error))


class MessagesServer:
    """See the module.

    Args:
        script: Responses in order, or a function from a request to a response. What it has no response to is refused.

    Attributes:
        url: The base URL.
        requests: What was asked so far.
    """

    def __init__(self, script: Iterable[Response] | Callable[[Request], Response]):
        if callable(script):
            self._respond = script
        else:
            rest = iter(list(script))
            over = failed(400, "invalid_request_error", "the script has no further response")
            self._respond = lambda request: next(rest, over)
        self.requests: list[Request] = []

    def __enter__(self) -> "MessagesServer":
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.path, headers, raw, time.monotonic())
                server.requests.append(request)
                self.close_connection = True
                _answer(self, server._respond(request))

            def log_message(self, *parts: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=lambda: self._http.serve_forever(poll_interval=0.02), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _answer(handler: BaseHTTPRequestHandler, response: Response) -> None:
    if response.cut == 0:
        handler.connection.shutdown(socket.SHUT_RDWR)
        return
    handler.send_response(response.status)
    handler.send_header("connection", "close")
    for name, value in response.headers.items():
        handler.send_header(name, value)
    if not response.events:
        data = json.dumps(response.body).encode()
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        return
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for event in response.events[: response.cut]:
        data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        handler.wfile.flush()
        time.sleep(response.delay)
    if response.cut is None or response.polite:
        handler.wfile.write(b"0\r\n\r\n")
