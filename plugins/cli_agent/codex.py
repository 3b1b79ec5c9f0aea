"""Codex: `codex exec --json` without tools, in a read-only sandbox, with a schema for the reply if Codex accepts it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoqec.agents.agent_contract import Usage
from autoqec.agents.prompt import Prompt
from autoqec.json_values import JsonObject

from .agent_program import Answer, Failed, Options, Program
from .reply_reading import find_object, whole
from .strict_schema import strict_schema

#: Settings that override the user's file: no shell, no search, no servers, no file of instructions.
_OFF = (
    "features.shell_tool=false", "features.unified_exec=false", 'web_search="disabled"', "mcp_servers={}",
    "project_doc_max_bytes=0", 'approval_policy="never"',
)  # fmt: skip


def _command(prompt: Prompt, options: Options, folder: Path) -> tuple[list[str], str]:
    argv = ["exec", "--json", "--sandbox", "read-only", "--skip-git-repo-check", "--ephemeral"]
    for setting in _OFF:
        argv += ["-c", setting]
    argv += ["--model", options.model] if options.model else []
    schema = strict_schema(prompt.schema)
    if schema is not None:
        (path := folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
        argv += ["--output-schema", str(path)]
    return [*argv, "-"], prompt.text


def _read(out: str, options: Options) -> Answer:
    text, usage, failure, complaint, any_event = "", None, "", "", False
    for event in _events(out):
        any_event = True
        kind, item = event.get("type"), event.get("item")
        if kind == "item.completed" and isinstance(item, dict) and item.get("type") == "agent_message":
            text = str(item.get("text", ""))
        elif kind == "turn.completed":
            usage = _usage(event.get("usage"))
        elif kind == "turn.failed":
            error = event.get("error")
            failure = _words(error.get("message") if isinstance(error, dict) else error) or "the turn failed"
        elif kind == "error":  # not always final: for example, Codex may reconnect
            complaint = _words(event.get("message"))
    if not any_event:
        raise Failed(out, unread=True)
    if failure or (complaint and not text):
        raise Failed(failure or complaint)
    message = find_object(text)
    return Answer(message, text, "the reply contains no JSON object", usage=usage, cost=_cost(usage, options.prices))


def _events(out: str) -> Iterator[JsonObject]:
    for line in out.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and "type" in event:
            yield event


def _words(said: Any) -> str:
    """Return an error as text; some services send JSON inside the text."""
    try:
        inner = json.loads(str(said))
    except (ValueError, RecursionError):
        return str(said or "")
    if isinstance(inner, dict):
        error = inner.get("error")
        found = error.get("message") if isinstance(error, dict) else inner.get("message") or inner.get("detail")
        return str(found or said)
    return str(said)


def _usage(said: Any) -> Usage | None:
    if not isinstance(said, dict):
        return None
    cached = whole(said.get("cached_input_tokens"))  # Codex includes them in the input tokens
    return Usage(
        input_tokens=max(0, whole(said.get("input_tokens")) - cached),
        output_tokens=whole(said.get("output_tokens")),
        cache_read_tokens=cached,
    )


def _cost(usage: Usage | None, prices: Mapping[str, float] | None) -> float | None:
    if usage is None or prices is None:
        return None
    read = usage.input_tokens * prices["input"] + usage.cache_read_tokens * prices["cache_read"]
    return (read + usage.output_tokens * prices["output"]) / 1e6


CODEX = Program(
    command=_command,
    read=_read,
    variables=("OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY", "CODEX_HOME"),
    constants=lambda options: {},
    keeps_cost=False,
    install="npm install -g @openai/codex",
    login="codex login, or CODEX_API_KEY",
)
