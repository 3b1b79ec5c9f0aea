"""Sends a streamed request to the service and retries it, with pauses, up to a time limit.

The SDK's own retries are off: they wait silently for as long as a `retry-after` header says, and do not retry an interrupted
stream. This module reports each pause and limits their total.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autoqec.agents.agent_contract import AgentUnavailable, Report, Usage

from .anthropic_options import Endpoint, Options
from .reply_stream import Answer
from .request_errors import BrokenStreamError, Trouble, trouble_of

if TYPE_CHECKING:
    import anthropic

#: Seconds of the first pause, unless the service gives a time; each further pause is twice as long, up to the longest.
_FIRST, _LONGEST = 0.5, 60.0

#: Maximum number of interrupted replies: each one costs money, and the next try starts from scratch.
_MOST_CUT = 5

#: Seconds between two reports of progress.
_EVERY = 0.25

_CONNECT = 10.0


def ask(
    request: Mapping[str, Any], options: Options, endpoint: Endpoint, prompt_tokens: int, report: Report
) -> tuple[Answer, list[Usage]]:
    """Send a request until it is answered.

    Args:
        request: Fields of `messages.create`.
        options: Timeout and maximum waiting time.
        endpoint: The endpoint.
        prompt_tokens: Approximate tokens of the prompt, for a service that does not count them.
        report: Called with tokens as they arrive, and with pauses.

    Returns:
        The answer, and the usage of each interrupted try.

    Raises:
        AgentUnavailable: The service refuses the request, or trouble lasts longer than `patience_seconds`.
    """
    lost: list[Usage] = []
    began: float | None = None
    pause = _FIRST
    with _client(options, endpoint) as client:
        while True:
            answer = Answer()
            try:
                _read(client, request, answer, report)
                return answer, lost
            except Exception as error:
                trouble = trouble_of(error, model=str(request["model"]), where=endpoint.name)
            if (usage := answer.usage(prompt_tokens)) is not None:
                lost.append(usage)
            began = time.monotonic() if began is None else began
            wait = pause if trouble.wait is None else trouble.wait
            _require_patience(trouble, wait, began, len(lost), options, endpoint)
            report({"waiting": round(wait, 1), "why": trouble.why})
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST)


def _require_patience(
    trouble: Trouble, wait: float, began: float, cut: int, options: Options, endpoint: Endpoint
) -> None:
    lasted = time.monotonic() - began
    said = f": {trouble.detail}" if trouble.detail else ""
    if cut >= _MOST_CUT:
        raise AgentUnavailable(
            f"{endpoint.name} interrupted {cut} replies, the last with {trouble.why}{said}",
            hint="continue later: autoqec resume",
        )
    if lasted + wait > options.patience_seconds:
        asks = f"; it asks to wait {wait:,.0f} s" if trouble.wait is not None else ""
        raise AgentUnavailable(
            f"{endpoint.name} is unavailable: {trouble.why} for {lasted:,.0f} s{asks};"
            f" agents.<role>.patience_seconds is {options.patience_seconds:g}{said}",
            hint="continue later: autoqec resume; or raise patience_seconds in [agents.<role>]",
        )


def _client(options: Options, endpoint: Endpoint) -> anthropic.Anthropic:
    import anthropic

    timeout = anthropic.Timeout(options.timeout, connect=min(options.timeout, _CONNECT))
    return anthropic.Anthropic(
        api_key=endpoint.key,
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=timeout,
        # A redirect could send the prompt, and in some cases the key, to another server.
        http_client=anthropic.DefaultHttpxClient(follow_redirects=False, timeout=timeout),
    )


def _read(client: anthropic.Anthropic, request: Mapping[str, Any], answer: Answer, report: Report) -> None:
    told = float("-inf")
    with client.messages.create(**request, stream=True) as stream:
        events = iter(stream)
        while True:
            try:
                event = next(events, None)
                if event is not None:
                    answer.take(event)
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise BrokenStreamError(f"the response is not a stream of the Messages API: {error}") from error
            if event is None:
                break
            if answer.written and time.monotonic() - told >= _EVERY:
                told = time.monotonic()
                report({"tokens": answer.written})
    if not answer.ended:
        raise BrokenStreamError("the stream ended before the message did")
