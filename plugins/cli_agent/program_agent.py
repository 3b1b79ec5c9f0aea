"""A program as an agent: the prompt goes to its standard input, its answer is read from what it prints.

A lab's settings come with its repository and are not trusted: they choose among the programs here and name none.
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

#: What every program is told of our environment: where things are, how to write, and how to get out of here.
_KEPT = (
    "PATH", "HOME", "LANG", "TERM",
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip

#: Of a model: nothing that a program could take for a flag.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,99}")

#: Bytes of output that are read.
_MOST_BYTES = 8_000_000


class CliAgent:
    """Plays any role by running a program.

    Args:
        member: `claude` or `codex`, and after a colon the model, if it is not to be the program's own choice.
        prices: Dollars per million tokens of models, for those of which the program does not say what they cost.
        seconds: How long a call may take.
        max_tokens: Of a reply, thinking included.
        max_turns: Of `claude`: how often it may try to give an answer that fits.
        max_cost: Of `claude`: dollars that a call may take at most.

    Raises:
        UsageError: There is no such program here, or an option is wrong.
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
            raise UsageError(f"agent cli:{name}: {plain(model)!r} is no name of a model", hint=f"cli:{name}:MODEL")
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
                f"agent cli:{name}: max_cost cannot be kept, for {name} takes no such limit",
                hint=f'leave it out, and give the model\'s prices: [prices."{model or "<model>"}"]',
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
        path = shutil.which(self._name, path=_search_path())
        if path is None:
            raise AgentUnavailable(f"there is no program {self._name} on PATH", hint=self._program.install)
        prompt = render(role, context)
        with tempfile.TemporaryDirectory(prefix="autoqec-", ignore_cleanup_errors=True) as name:
            # The program runs in an empty folder, not in the lab; what it is told by file lies beside it.
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
                raise AgentUnavailable(f"{path} cannot be run: {error.strerror}", hint=self._program.install) from error
        return self._read(done, prompt.text)

    def _environment(self) -> dict[str, str]:
        names = (*_KEPT, *self._program.variables)
        found = {name: os.environ[name] for name in names if name in os.environ}
        return found | {"PATH": _search_path()} | self._program.constants(self._options)

    def _read(self, done: Finished, prompt: str) -> Reply:
        name, out = self._name, done.out.decode("utf-8", "replace")
        if done.ended == "timeout":
            raise AgentUnavailable(
                f"{name} did not answer within {self._options.seconds:g} seconds",
                hint="autoqec resume, or a larger `seconds` in [agents.<role>] of .autoqec/config.toml",
            )
        if done.ended == "flood":
            return Reply(None, f"{name} wrote more than {_MOST_BYTES:,} bytes", prompt=prompt, cost=None)
        try:
            answer: Answer = self._program.read(out, self._options)
        except Failed as failed:
            if failed.unread and done.status == 0:
                return Reply(None, f"{name} printed nothing that can be read", prompt=prompt, text=out, cost=None)
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
    """PATH without the places that depend on the current folder, which may be a repository of somebody else's."""
    return os.pathsep.join(p for p in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(p))


def _first_line(data: bytes) -> str:
    return next((line for line in data.decode("utf-8", "replace").splitlines() if line.strip()), "")


def _number(name: str, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UsageError(f"agent cli: {name} must be a number from {least:g} to {most:g}, not {value!r}")
    return value
