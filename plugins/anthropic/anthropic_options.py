"""Options of the agent from `[agents.<role>]` in the settings, and the endpoint and key of its requests."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from autoqec.agents.agent_contract import AgentUnavailable
from autoqec.errors import UsageError
from autoqec.json_values import JsonObject

EFFORTS = ("low", "medium", "high", "xhigh", "max")

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "max_tokens": (256, 1_000_000),
    "timeout": (1, 3600),
    "patience_seconds": (0, 1_000_000),
}

# A full match, so that no two parsers can disagree about the host.
_LOOPBACK = re.compile(
    r"https?://(?:localhost|127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}|\[::1\])(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
)

#: A placeholder for a missing key, because the SDK requires one.
NO_KEY = "none"


@dataclass(frozen=True)
class Options:
    """The options in `[agents.<role>]`.

    Attributes:
        max_tokens: Maximum number of tokens in a reply, including thinking.
        effort: One of `EFFORTS`; empty for the model's own choice.
        base_url: A server on this machine; empty for the service.
        timeout: Seconds without data after which a connection counts as lost.
        patience_seconds: Maximum time to wait out rate limits, overload and lost connections.
    """

    max_tokens: int = 32_000
    effort: str = ""
    base_url: str = ""
    timeout: float = 300.0
    patience_seconds: float = 900.0


def parsed(options: JsonObject) -> Options:
    """Parse options from the settings.

    Raises:
        UsageError: An option is unknown or invalid; the error names it.
    """
    known = {field.name: field.default for field in fields(Options)}
    for key, value in options.items():
        if key not in known:
            raise UsageError(
                f"agents.<role>.{key}: agent anthropic has no such option", hint=f"known: {', '.join(known)}"
            )
        if key in _BOUNDS:
            _check_number(key, value, known[key])
    if options.get("effort", "low") not in EFFORTS:
        raise UsageError(
            f"agents.<role>.effort must be one of {', '.join(EFFORTS)}, not {options['effort']!r}",
            hint='effort = "high", or remove it for the model\'s own choice',
        )
    url = options.get("base_url")
    if url is not None and not (isinstance(url, str) and _LOOPBACK.fullmatch(url)):
        raise UsageError(
            f"agents.<role>.base_url must be a server on this machine, such as http://127.0.0.1:8080, not {url!r};"
            " a repository must not decide where your prompts and your key go",
            hint="remove it and set the environment variable instead: export ANTHROPIC_BASE_URL=…",
        )
    return Options(**options)


def _check_number(key: str, value: Any, default: Any) -> None:
    least, most = _BOUNDS[key]
    whole = isinstance(default, int)
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not fits or not least <= value <= most:
        what = "a whole number" if whole else "a number"
        raise UsageError(
            f"agents.<role>.{key} must be {what} between {least:g} and {most:g}, not {value!r}",
            hint=f"{key} = {default:g}, or remove it",
        )


@dataclass(frozen=True)
class Endpoint:
    """The address and key of requests.

    Attributes:
        base_url: None for the service's own address.
        key: The key from the environment, or `NO_KEY`.
    """

    base_url: str | None
    key: str

    @property
    def name(self) -> str:
        """The name for messages."""
        return self.base_url or "the Anthropic API"

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"  # never print the key


def endpoint(options: Options) -> Endpoint:
    """Choose the endpoint; environment variables take precedence over settings.

    A server from the settings never gets the key, because settings come with a repository and any user of this machine may
    listen on one of its ports.

    Raises:
        AgentUnavailable: The key is missing or malformed.
        UsageError: The settings name a server, while the environment has headers that are meant for another.
    """
    chosen = os.environ.get("ANTHROPIC_BASE_URL", "").strip()
    if options.base_url and not chosen:
        if os.environ.get("ANTHROPIC_CUSTOM_HEADERS"):
            raise UsageError(
                "agents.<role>.base_url: ANTHROPIC_CUSTOM_HEADERS is set, but must not go to a server from the settings",
                hint=f"export ANTHROPIC_BASE_URL={options.base_url}, or unset ANTHROPIC_CUSTOM_HEADERS",
            )
        return Endpoint(options.base_url, NO_KEY)
    key = os.environ.get("ANTHROPIC_API_KEY", "").strip()
    if not key and chosen and _LOOPBACK.fullmatch(chosen):
        key = NO_KEY
    if not key:
        raise AgentUnavailable("there is no key for the Anthropic API", hint="export ANTHROPIC_API_KEY=…")
    if not re.fullmatch(r"[!-~]+", key):
        # Checked here, because an HTTP library that rejects the header would quote the key.
        raise AgentUnavailable("ANTHROPIC_API_KEY contains invalid characters", hint="export ANTHROPIC_API_KEY=…")
    return Endpoint(chosen or None, key)
