"""Claude Code: `claude -p` with a schema for the reply; all tools, and all settings except the login, are off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autoqec.agents.agent_contract import Usage
from autoqec.agents.prompt import Prompt
from autoqec.json_values import JsonObject

from .agent_program import Answer, Failed, Options, Program
from .reply_reading import amount, find_object, whole

#: Also disabled one by one: releases of early 2026 ignored `--tools ""`.
_TOOLS = (
    "Bash,BashOutput,KillShell,Edit,Write,Read,Glob,Grep,LS,NotebookEdit,WebFetch,WebSearch,Task,Agent,Skill,TodoWrite"
)

#: Error types after which another try may succeed; all others concern the account or the network.
_TRY_AGAIN = ("error_max_turns", "error_max_structured_output_retries")


def _command(prompt: Prompt, options: Options, folder: Path) -> tuple[list[str], str]:
    argv = ["-p", "--output-format", "json", "--json-schema", json.dumps(prompt.schema)]
    argv += ["--tools", "", "--disallowedTools", _TOOLS, "--max-turns", str(options.max_turns)]
    # Hooks, plugins and servers in the user's settings run commands, so they are off. The session is not stored.
    argv += ["--setting-sources", "", "--strict-mcp-config", "--disable-slash-commands", "--no-session-persistence"]
    argv += ["--system-prompt", prompt.system]
    argv += ["--model", options.model] if options.model else []
    argv += ["--max-budget-usd", f"{options.max_cost:g}"] if options.max_cost is not None else []
    return argv, f"{prompt.stable}\n\n{prompt.volatile}\n"


def _read(out: str, options: Options) -> Answer:
    result = _result(out)
    if result is None:
        raise Failed(out, unread=True)
    said, subtype = result.get("result"), str(result.get("subtype", ""))
    text = said if isinstance(said, str) else ""
    if (result.get("is_error") or subtype.startswith("error")) and subtype not in _TRY_AGAIN:
        errors = result.get("errors")
        words = [text, *(errors if isinstance(errors, list) else []), subtype]
        raise Failed(
            next((str(word) for word in words if word and word != "success"), "it failed without giving a reason")
        )
    message = result.get("structured_output")
    if not isinstance(message, dict):
        message = None if subtype in _TRY_AGAIN else find_object(text)
    problem = f"claude ended with {subtype}" if subtype in _TRY_AGAIN else "the reply contains no JSON object"
    return Answer(
        message,
        text=text or (json.dumps(message) if message is not None else ""),
        problem=problem,
        model=_model(result.get("modelUsage")),
        usage=_usage(result.get("usage")),
        cost=amount(result.get("total_cost_usd")),
    )


def _result(out: str) -> JsonObject | None:
    """Find the object of type `result`: the whole output, the last item of a list, or the last line of that type."""
    for text in (out, *reversed(out.splitlines())):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        for each in reversed(found if isinstance(found, list) else [found]):
            if isinstance(each, dict) and each.get("type") == "result":
                return each
    return None


def _usage(said: Any) -> Usage | None:
    if not isinstance(said, dict):
        return None
    return Usage(
        input_tokens=whole(said.get("input_tokens")),
        output_tokens=whole(said.get("output_tokens")),
        cache_read_tokens=whole(said.get("cache_read_input_tokens")),
        cache_write_tokens=whole(said.get("cache_creation_input_tokens")),
    )


def _model(said: Any) -> str:
    """Return the model that wrote the most output."""
    if not isinstance(said, dict) or not said:
        return ""
    return str(max(said, key=lambda name: whole(said[name].get("outputTokens")) if isinstance(said[name], dict) else 0))


def _constants(options: Options) -> dict[str, str]:
    return {
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(options.max_tokens),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


CLAUDE = Program(
    command=_command,
    read=_read,
    variables=(
        "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR",
    ),
    constants=_constants,
    keeps_cost=True,
    install="npm install -g @anthropic-ai/claude-code",
    login="claude, then /login; or ANTHROPIC_API_KEY",
)  # fmt: skip
