"""The interface of a program that acts as an agent: how to call it, and how to read its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoqec.agents.agent_contract import Usage
from autoqec.agents.prompt import Prompt


class Failed(Exception):
    """The program gave no answer.

    Args:
        why: The program's reason in words, such as not logged in or out of its limits.
        unread: Whether `why` is the program's whole output, which does not have the expected format.
    """

    def __init__(self, why: str, *, unread: bool = False):
        super().__init__(why)
        self.unread = unread


@dataclass(frozen=True)
class Options:
    """Limits of a call; see `autoqec_plugins.cli_agent.program_agent.CliAgent`. `prices` are those of `model`."""

    model: str
    seconds: float
    max_tokens: int
    max_turns: int
    max_cost: float | None
    prices: Mapping[str, float] | None


@dataclass(frozen=True)
class Answer:
    """A program's answer.

    Attributes:
        message: The JSON object; None if there is none.
        text: The whole text of the answer.
        problem: Why there is no message, for the next try.
        model: The model, if the program names it.
        usage: Tokens, if the program reports them.
        cost: Cost in US dollars; None if unknown.
    """

    message: Any
    text: str
    problem: str = ""
    model: str = ""
    usage: Usage | None = None
    cost: float | None = None


@dataclass(frozen=True)
class Program:
    """A program that acts as an agent.

    Attributes:
        command: Maps prompt, options and a folder for files to arguments and standard input.
        read: Maps standard output and options to the answer; raises `Failed`.
        variables: Environment variables to pass on in addition to the common ones: its own keys and settings.
        constants: Further environment variables with fixed values.
        keeps_cost: Whether it accepts a limit in dollars.
        install, login: What to do if it is not installed, or not logged in.
    """

    command: Callable[[Prompt, Options, Path], tuple[list[str], str]]
    read: Callable[[str, Options], Answer]
    variables: tuple[str, ...]
    constants: Callable[[Options], dict[str, str]]
    keeps_cost: bool
    install: str
    login: str
