"""Runs a program as an agent: sends the prompt to its standard input and reads the answer from its output.

A lab's settings come with its repository and are not trusted, so they can choose only among the programs listed here.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoqec.agents.agent_contract import AgentUnavailable, Context, Estimate, Reply, Report, Role, ignore
from autoqec.agents.calls import redact
from autoqec.agents.prompt import render
from autoqec.errors import UsageError
from autoqec.sandbox.child import plain
from autoqec.sandbox.foreign_program import Finished, run_program

from . import claude, codex
from .agent_program import Answer, Failed, Options, Program

_PROGRAMS: Mapping[str, Program] = {"claude": claude.CLAUDE, "codex": codex.CODEX}

#: Environment variables for every program: paths, language, terminal, proxies and certificates.
_KEPT = (
    "PATH", "HOME", "LANG", "TERM",
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip

#: A model's name; it cannot look like a command-line flag.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,99}")

#: Maximum number of bytes to read from a program.
_MOST_BYTES = 8_000_000


class CliAgent:
    """Acts in any role by running a program.

    Args:
        member: `claude` or `codex`, optionally followed by a colon and the model; by default the program chooses it.
        prices: Dollars per million tokens by model, for programs that do not report costs.
        seconds: Time limit of a call.
        max_tokens: Maximum number of tokens in a reply, including thinking.
        max_turns: For `claude`: maximum number of tries for a valid answer.
        max_cost: For `claude`: maximum cost of a call in dollars.

    Raises:
        UsageError: The program is not supported, or an option is invalid.
    """

    def __init__(
        self,
        member: str,
        *,
        prices: Mapping[str, Mapping[str, float]] | None = None,
        seconds: float = 600.0,
        max_tokens: int = 32_000,
        max_turns: int = 8,
        max_cost: float | None = None,
    ):
        name, _, model = member.partition(":")
        if name not in _PROGRAMS:
            raise UsageError(f"agent cli:{plain(member)}: no such program", hint="choose cli:claude or cli:codex")
        if model and _MODEL.fullmatch(model) is None:
            raise UsageError(f"agent cli:{name}: {plain(model)!r} is not a model name", hint=f"cli:{name}:MODEL")
        self._name, self._program = name, _PROGRAMS[name]
        self._options = Options(
            model=model,
            seconds=_number("seconds", seconds, 1, 86_400),
            max_tokens=int(_number("max_tokens", max_tokens, 1, 1_000_000)),
            max_turns=int(_number("max_turns", max_turns, 1, 100)),
            max_cost=None if max_cost is None else _number("max_cost", max_cost, 0.0001, 10_000),
            prices=(prices or {}).get(model),
        )
        if max_cost is not None and not self._program.keeps_cost:
            raise UsageError(
                f"agent cli:{name}: max_cost has no effect, because {name} does not accept a cost limit",
                hint=f'remove it and set the model\'s prices: [prices."{model or "<model>"}"]',
            )

    def estimate(self, role: Role, context: Context) -> Estimate:
        """See `autoqec.agents.agent_contract.Estimating.estimate`."""
        tokens = render(role, context).tokens
        options = self._options
        cost = options.max_cost
        if cost is None and options.prices is not None:
            read = max(options.prices["input"], options.prices["cache_write"])
            cost = (tokens * read + options.max_tokens * options.prices["output"]) / 1e6
        return Estimate(prompt_tokens=tokens, tokens=tokens + options.max_tokens, cost=cost)

    def reply(self, role: Role, context: Context, report: Report = ignore) -> Reply:
        """See `autoqec.agents.agent_contract.Agent.reply`.

        Raises:
            AgentUnavailable: The program is not installed, not logged in, out of its limits or out of time.
        """
        path = self._path()
        prompt = render(role, context)
        report({"seconds_at_most": self._options.seconds})
        with tempfile.TemporaryDirectory(prefix="autoqec-", ignore_cleanup_errors=True) as name:
            # The program runs in an empty folder, not in the lab; its input files lie next to that folder.
            (folder := Path(name) / "empty").mkdir()
            argv, stdin = self._program.command(prompt, self._options, Path(name))
            try:
                done = run_program(
                    [path, *argv],
                    stdin=stdin.encode("utf-8", "replace"),
                    env=self._environment(),
                    folder=folder,
                    seconds=self._options.seconds,
                    most_bytes=_MOST_BYTES,
                )
            except OSError as error:
                raise AgentUnavailable(f"cannot run {path}: {error.strerror}", hint=self._program.install) from error
        return self._read(done, prompt.text)

    def require_ready(self) -> None:
        """See `autoqec.agents.agent_contract.CheckingAgent`: the program must be installed."""
        self._path()

    def _path(self) -> str:
        path = shutil.which(self._name, path=_search_path())
        if path is None:
            raise AgentUnavailable(f"the program {self._name} is not on PATH", hint=self._program.install)
        return path

    def _environment(self) -> dict[str, str]:
        names = (*_KEPT, *self._program.variables)
        found = {name: os.environ[name] for name in names if name in os.environ}
        return found | {"PATH": _search_path()} | self._program.constants(self._options)

    def _read(self, done: Finished, prompt: str) -> Reply:
        name, out = self._name, done.out.decode("utf-8", "replace")
        if done.ended == "timeout":
            raise AgentUnavailable(
                f"{name} did not answer within {self._options.seconds:g} seconds",
                hint="run autoqec resume, or set a larger `seconds` in [agents.<role>] of .autoqec/config.toml",
            )
        if done.ended == "flood":
            return Reply(None, f"{name} wrote more than {_MOST_BYTES:,} bytes", prompt=prompt, cost=None)
        try:
            answer: Answer = self._program.read(out, self._options)
        except Failed as failed:
            if failed.unread and done.status == 0:
                return Reply(None, f"{name} printed nothing readable", prompt=prompt, text=out, cost=None)
            raise self._unavailable(str(failed) or _first_line(done.err) or f"exit status {done.status}") from failed
        if done.status != 0 and answer.message is None:
            raise self._unavailable(_first_line(done.err) or f"exit status {done.status}")
        return Reply(
            answer.message,
            problem="" if answer.message is not None else answer.problem,
            model=answer.model or self._options.model,
            prompt=prompt,
            text=answer.text,
            usage=answer.usage,
            cost=answer.cost,
        )

    def _unavailable(self, why: str) -> AgentUnavailable:
        line = plain(redact(_first_line(why.encode("utf-8", "replace"))))
        return AgentUnavailable(f"{self._name}: {line}", hint=f"{self._program.login}; then autoqec resume")


def _search_path() -> str:
    """Return PATH without relative entries, because the current folder may be another person's repository."""
    return os.pathsep.join(p for p in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(p))


def _first_line(data: bytes) -> str:
    return next((line for line in data.decode("utf-8", "replace").splitlines() if line.strip()), "")


def _number(name: str, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UsageError(f"agent cli: {name} must be a number from {least:g} to {most:g}, not {value!r}")
    return value
