"""Asking the service: one streamed request after the other until one is answered, with pauses, within a patience.

The SDK can retry by itself, and is told not to: it waits without a word, for as long as a `retry-after` header says, and does
not retry a stream that was cut. Here a pause is reported, and all of them together are limited.
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

#: Seconds of the first pause, where the service does not say; each one after it is twice as long, up to the longest.
_FIRST, _LONGEST = 0.5, 60.0

#: Each cut reply is paid for, and the next try begins anew: so many, and no more.
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
        options: How long to wait, and for what.
        endpoint: Where to.
        prompt_tokens: Of the prompt, about, for a service that does not count.
        report: Told of tokens as they come, and of pauses.

    Returns:
        The answer, and what each try that was cut had taken.

    Raises:
        AgentUnavailable: It is refused, or trouble lasts longer than the patience.
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
            f"{endpoint.name} cut {cut} replies off, the last with {trouble.why}{said}",
            hint="go on later: autoqec resume",
        )
    if lasted + wait > options.patience_seconds:
        asks = f"; it asks to wait {wait:,.0f} s" if trouble.wait is not None else ""
        raise AgentUnavailable(
            f"{endpoint.name} cannot be used: {trouble.why} for {lasted:,.0f} s{asks}, and"
            f" agents.<role>.patience_seconds is {options.patience_seconds:g}{said}",
            hint="go on later: autoqec resume; or be more patient: patience_seconds in [agents.<role>]",
        )


def _client(options: Options, endpoint: Endpoint) -> anthropic.Anthropic:
    import anthropic

    timeout = anthropic.Timeout(options.timeout, connect=min(options.timeout, _CONNECT))
    return anthropic.Anthropic(
        api_key=endpoint.key,
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=timeout,
        # A redirect would carry the prompt, and to some places the key, to wherever it leads.
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
                raise BrokenStreamError(f"this is no stream of the Messages API: {error}") from error
            if event is None:
                break
            if answer.written and time.monotonic() - told >= _EVERY:
                told = time.monotonic()
                report({"tokens": answer.written})
    if not answer.ended:
        raise BrokenStreamError("the stream ended before the message did")
