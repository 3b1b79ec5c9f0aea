"""Classifies the errors of a request: temporary ones, with the time to wait, and permanent ones, with a hint."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.agents.agent_contract import AgentUnavailable
from autoqec.agents.calls import redact
from autoqec.agents.quoting import shortened

_MESSAGE = 400

#: The HTTP status that corresponds to an error inside a stream.
_STATUS: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_WHY: Mapping[int, str] = {408: "timeout", 429: "rate limit", 504: "timeout", 529: "overloaded"}


class BrokenStreamError(Exception):
    """A stream that ended before its message, or is not readable."""


@dataclass(frozen=True)
class Trouble:
    """A temporary error.

    Attributes:
        why: The kind of error, in one or two words.
        detail: The service's message.
        wait: Seconds that the service asks to wait; None if it gives no time.
    """

    why: str
    detail: str = ""
    wait: float | None = None


def trouble_of(error: Exception, *, model: str, where: str) -> Trouble:
    """Classify an exception of a request.

    Args:
        error: The exception from the SDK.
        model: The requested model.
        where: The service's name for messages.

    Raises:
        AgentUnavailable: The error is permanent.
        Exception: The same exception, if it has nothing to do with the request.
    """
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        status = error.status_code
        if status == 200:
            status = _STATUS.get(str(error.type), 500)
        detail = readable(error.api_message or error.message)
        headers = error.response.headers
        told = headers.get("x-should-retry")
        if told != "false" and (status in (408, 409, 429) or status >= 500 or told == "true"):
            return Trouble(_WHY.get(status, f"server error {status}"), detail, retry_after(headers, time.time()))
        raise _refusal(status, detail, model, where) from error
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return Trouble("timeout")
    if isinstance(error, anthropic.APIConnectionError):
        return Trouble("no connection", readable(str(error.__cause__ or error)))
    if isinstance(error, httpx2.TransportError | BrokenStreamError):
        return Trouble("connection lost", readable(str(error)))
    raise error


def _refusal(status: int, detail: str, model: str, where: str) -> AgentUnavailable:
    if status in (401, 403):
        return AgentUnavailable(
            f"{where} refused the key ({status}): {detail}",
            hint="export ANTHROPIC_API_KEY=…, with a key that has access to this model",
        )
    if status == 404:
        return AgentUnavailable(
            f"{where} has no model {model!r} (404): {detail}", hint="choose another model: --ideator anthropic:MODEL"
        )
    if 300 <= status < 400:
        return AgentUnavailable(
            f"{where} redirects requests ({status}); the key is not sent to another server",
            hint="export ANTHROPIC_BASE_URL=…",
        )
    hint = {402: "check the account's billing, then continue: autoqec resume"}.get(
        status,
        "correct max_tokens, effort or the model in [agents.<role>], then continue: autoqec resume",
    )
    return AgentUnavailable(f"{where} refused the request ({status}): {detail}", hint=hint)


def readable(text: Any) -> str:
    """Make a foreign message safe to show: one line, without secrets and control characters, limited in length."""
    shown = "".join(letter if letter.isprintable() else " " for letter in str(redact(str(text))))
    return shortened(" ".join(shown.split()), _MESSAGE)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a response asks to wait, in any of the header formats; None if it gives no time."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            date = email.utils.parsedate_tz(value)
            if date is None:
                continue
            seconds = email.utils.mktime_tz(date) - now
        if 0 < seconds < float("inf"):
            return seconds
    return None
