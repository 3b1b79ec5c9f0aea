"""The agent `anthropic:MODEL`: turns a context into a request, and the response into a reply with its usage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from autoqec.agents.agent_contract import Context, Estimate, Reply, Report, Role, Usage, ignore
from autoqec.agents.prompt import Prompt, render
from autoqec.agents.quoting import count_tokens

from .anthropic_options import endpoint, parsed
from .calling import ask
from .prices import cost_of, price_of
from .reply_stream import Answer

_TOOL = "reply"

_FENCED = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)


class AnthropicAgent:
    """Claude in any role.

    Args:
        model: The model's name in the API.
        prices: Prices by model from the settings; they take precedence over the built-in prices.
        options: See `autoqec_plugins.anthropic.anthropic_options.Options`.

    Raises:
        UsageError: An option is unknown or invalid.
    """

    def __init__(self, model: str, *, prices: Mapping[str, Mapping[str, float]] | None = None, **options: Any):
        self._model = model
        self._prices = dict(prices or {})
        self._options = parsed(options)

    def estimate(self, role: Role, context: Context) -> Estimate:
        """See `autoqec.agents.agent_contract.Estimating.estimate`."""
        prompt_tokens = self._prompt_tokens(render(role, context))
        longest = self._options.max_tokens
        price = price_of([self._model], self._prices, prompt_tokens)
        # The most expensive case: nothing is cached yet, and the whole prompt is written to the cache.
        dearest = Usage(output_tokens=longest, cache_write_tokens=prompt_tokens)
        if price is not None and price.input > price.cache_write:
            dearest = Usage(input_tokens=prompt_tokens, output_tokens=longest)
        return Estimate(prompt_tokens, prompt_tokens + longest, None if price is None else price.of(dearest))

    def reply(self, role: Role, context: Context, report: Report = ignore) -> Reply:
        """See `autoqec.agents.agent_contract.Agent.reply`."""
        prompt = render(role, context)
        where = endpoint(self._options)
        prompt_tokens = self._prompt_tokens(prompt)
        answer, lost = ask(self._request(prompt), self._options, where, prompt_tokens, report)
        usages = [*lost, answer.usage(prompt_tokens) or Usage(prompt_tokens)]
        message, problem = _message(answer, self._options.max_tokens)
        return Reply(
            message=message,
            problem=problem,
            model=answer.model or self._model,
            prompt=prompt.text,
            text=answer.text,
            usage=sum(usages, Usage()),
            cost=cost_of([name for name in (answer.model, self._model) if name], self._prices, usages),
        )

    def require_ready(self) -> None:
        """See `autoqec.agents.agent_contract.CheckingAgent`: there must be a key."""
        endpoint(self._options)

    def _prompt_tokens(self, prompt: Prompt) -> int:
        return count_tokens(prompt.text) + count_tokens(json.dumps(_tool(prompt)))

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._model,
            "max_tokens": self._options.max_tokens,
            # Tools, then system: the same bytes in every round of a run, so that the cache applies.
            "tools": [_tool(prompt)],
            # Not forced: models that always think refuse a forced tool, and `output_config.format` does not accept a schema
            # with free field names, such as the Coder's files. A reply as text is accepted too.
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "system": [
                {"type": "text", "text": prompt.system},
                {"type": "text", "text": prompt.stable, "cache_control": {"type": "ephemeral"}},
            ],
            "messages": [{"role": "user", "content": prompt.volatile}],
        }
        if self._options.effort:
            request["output_config"] = {"effort": self._options.effort}
        return request


def _tool(prompt: Prompt) -> dict[str, Any]:
    return {
        "name": _TOOL,
        "description": "Takes your answer. Call it exactly once, with the JSON object you were asked for as its input,"
        " and say nothing else.",
        "input_schema": dict(prompt.schema),
    }


def _message(answer: Answer, max_tokens: int) -> tuple[Any, str]:
    """Return the message, or the problem if there is none."""
    if answer.stop == "max_tokens":
        return None, f"the reply was cut off at max_tokens={max_tokens}; be shorter"
    if answer.stop == "model_context_window_exceeded":
        return None, "the reply was cut off at the end of the model's context window; be shorter"
    if answer.stop == "refusal":
        return None, f"the model refused to answer{': ' if answer.why else ''}{answer.why}"
    if len(answer.inputs) > 1:
        return None, f"the tool {_TOOL} was called {len(answer.inputs)} times; call it once"
    if answer.inputs:
        return _read_json(answer.inputs[0], f"the input of the tool {_TOOL}")
    if not answer.words:
        return None, f"the reply is empty; call the tool {_TOOL}"
    fenced = _FENCED.fullmatch(answer.words)
    return _read_json(fenced[1] if fenced else answer.words, f"the tool {_TOOL} was not called, and the reply")


def _read_json(text: str, what: str) -> tuple[Any, str]:
    try:
        return json.loads(text, parse_constant=_no_number), ""
    except (ValueError, RecursionError) as error:
        return None, f"{what} is not a JSON object: {error}"


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
