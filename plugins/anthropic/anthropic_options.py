"""The options of the agent, as `[agents.<role>]` of the settings gives them, and where its requests go with which key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from autoqec.agents.agent_contract import AgentUnavailable
from autoqec.errors import UsageError

EFFORTS = ("low", "medium", "high", "xhigh", "max")

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "max_tokens": (256, 1_000_000),
    "timeout": (1, 3600),
    "patience_seconds": (0, 1_000_000),
}

# Matched whole, so that no two parsers can differ about the host of what passes.
_LOOPBACK = re.compile(
    r"https?://(?:localhost|127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}|\[::1\])(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
)

#: Sent where there is no key to send: the SDK insists on one.
NO_KEY = "none"


@dataclass(frozen=True)
class Options:
    """What `[agents.<role>]` may say.

    Attributes:
        max_tokens: Of a reply, thinking included.
        effort: One of `EFFORTS`; empty for the model's own choice.
        base_url: A server on this machine; empty for the service.
        timeout: Seconds without a byte after which a connection counts as lost.
        patience_seconds: For how long trouble — rate limits, overload, lost connections — is waited out.
    """

    max_tokens: int = 32_000
    effort: str = ""
    base_url: str = ""
    timeout: float = 300.0
    patience_seconds: float = 900.0


def parsed(options: Mapping[str, Any]) -> Options:
    """Options from the settings.

    Raises:
        UsageError: One is unknown or wrong; names it.
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
            hint='effort = "high", or leave it out for the model\'s own choice',
        )
    url = options.get("base_url")
    if url is not None and not (isinstance(url, str) and _LOOPBACK.fullmatch(url)):
        raise UsageError(
            f"agents.<role>.base_url must be a server on this machine, such as http://127.0.0.1:8080, not {url!r}:"
            " a repository does not decide where your prompts and your key go",
            hint="leave it out, and set the environment variable: export ANTHROPIC_BASE_URL=…",
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
            hint=f"{key} = {default:g}, or leave it out",
        )


@dataclass(frozen=True)
class Endpoint:
    """Where requests go, and what opens the door.

    Attributes:
        base_url: None for the service's own.
        key: Of the environment, or `NO_KEY`.
    """

    base_url: str | None
    key: str

    @property
    def name(self) -> str:
        """As messages to the user name it."""
        return self.base_url or "the Anthropic API"

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"  # without the key, wherever this is printed


def endpoint(options: Options) -> Endpoint:
    """Where to, by the environment before the settings.

    A server that the settings name never sees the key: they come with a repository, and any user of this machine may listen
    on one of its ports.

    Raises:
        AgentUnavailable: There is no key, and one is needed, or it cannot be one.
        UsageError: The settings name a server, and the environment has headers that are meant for another.
    """
    chosen = os.environ.get("ANTHROPIC_BASE_URL", "").strip()
    if options.base_url and not chosen:
        if os.environ.get("ANTHROPIC_CUSTOM_HEADERS"):
            raise UsageError(
                "agents.<role>.base_url: ANTHROPIC_CUSTOM_HEADERS is set, and would go to a server that the repository chose",
                hint=f"export ANTHROPIC_BASE_URL={options.base_url}, or unset ANTHROPIC_CUSTOM_HEADERS",
            )
        return Endpoint(options.base_url, NO_KEY)
    key = os.environ.get("ANTHROPIC_API_KEY", "").strip()
    if not key and chosen and _LOOPBACK.fullmatch(chosen):
        key = NO_KEY
    if not key:
        raise AgentUnavailable("there is no key for the Anthropic API", hint="export ANTHROPIC_API_KEY=…")
    if not re.fullmatch(r"[!-~]+", key):
        # Checked here, because a header that cannot be sent would be quoted by whoever refuses it.
        raise AgentUnavailable("ANTHROPIC_API_KEY holds characters that no key has", hint="export ANTHROPIC_API_KEY=…")
    return Endpoint(chosen or None, key)
