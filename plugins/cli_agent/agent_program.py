"""What a program has to be to play a role: how it is called, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoqec.agents.agent_contract import Usage
from autoqec.agents.prompt import Prompt


class Failed(Exception):
    """There is no answer.

    Args:
        why: What the program says, in words for people: it is not logged in, out of its limits and the like.
        unread: Whether `why` is merely all it printed, which is not of the form that it should be.
    """

    def __init__(self, why: str, *, unread: bool = False):
        super().__init__(why)
        self.unread = unread


@dataclass(frozen=True)
class Options:
    """What a call may take; see `autoqec_plugins.cli_agent.program_agent.CliAgent`. `prices` are those of `model`."""

    model: str
    seconds: float
    max_tokens: int
    max_turns: int
    max_cost: float | None
    prices: Mapping[str, float] | None


@dataclass(frozen=True)
class Answer:
    """What a program said.

    Attributes:
        message: The JSON object; None if there is none.
        text: The words it was in.
        problem: Why there is no message, for another try.
        model: Which model spoke, if it says.
        usage: Tokens, if it says.
        cost: In US dollars; None if nobody knows.
    """

    message: Any
    text: str
    problem: str = ""
    model: str = ""
    usage: Usage | None = None
    cost: float | None = None


@dataclass(frozen=True)
class Program:
    """A program.

    Attributes:
        command: From prompt, options and a folder for files to arguments and standard input.
        read: From standard output and options to the answer; raises `Failed`.
        variables: Of our environment, what it is told beside the common ones: its own keys and settings.
        constants: What else is in its environment.
        keeps_cost: Whether it takes a limit in dollars.
        install, login: What to do if it is not there, or not ready.
    """

    command: Callable[[Prompt, Options, Path], tuple[list[str], str]]
    read: Callable[[str, Options], Answer]
    variables: tuple[str, ...]
    constants: Callable[[Options], dict[str, str]]
    keeps_cost: bool
    install: str
    login: str
