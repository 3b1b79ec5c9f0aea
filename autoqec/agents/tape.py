"""Tapes: files with the replies of agents in a run; replaying a tape replaces the agents and needs no key or network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from autoqec.agents.agent_contract import AgentUnavailable, Context, Reply, Report, Role
from autoqec.agents.calls import Call
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.json_values import JsonObject

_HEAD, _CALL = "autoqec.tape/1", "autoqec.call/1"


def request_digest(role: Role, context: Context) -> str:
    """Return the SHA-256 (64 hex digits) that identifies a question, without figures and times, which differ by machine."""
    asked = [
        role, context.run, context.round, context.seed, context.environment, context.hypothesis, context.parent_files,
        context.repair,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


class Recorder:
    """Appends answered calls to a file, one per line.

    Args:
        path: The file; it is created, or must be a tape of this run.
        head: The run: `run`, `seed`, `env`, `env_id`.

    Raises:
        UsageError: The file is not a tape, or is the tape of another run.
    """

    def __init__(self, path: Path, head: Mapping[str, str]):
        self._path = path
        if path.exists() and path.stat().st_size:
            found = Tape(path).head
            if found != dict(head):
                raise UsageError(
                    f"--record {path}: the file is the tape of run {found['run']}", hint="choose a new file"
                )
        else:
            self._write({"schema": _HEAD, **head})

    def add(self, call: Call, context: Context) -> None:
        """Append a call."""
        assert call.reply is not None
        texts = {"prompt": call.reply.prompt, "text": call.reply.text}
        self._write({"schema": _CALL, "request": request_digest(call.role, context), **call.to_dict(), **texts})

    def _write(self, fields: JsonObject) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(fields, ensure_ascii=False, sort_keys=True, default=str) + "\n")
        except OSError as error:
            raise UsageError(f"--record {self._path}: {error.strerror}") from error


class Tape:
    """A file that a `Recorder` wrote.

    Args:
        path: The file.

    Attributes:
        head: The run: `run`, `seed`, `env`, `env_id`.

    Raises:
        NotFoundError: There is no such file.
        UsageError: The file is not a tape; the error names the line.
    """

    def __init__(self, path: Path):
        self._path = path
        self._calls: dict[tuple[int, str, int], tuple[str, Call]] = {}
        head: dict[str, str] = {}
        number = 0
        try:
            text = path.read_text("utf-8")
            # Not `splitlines`, because JSON text may contain other line separators.
            for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
                fields = dict(json.loads(line))
                schema = fields.pop("schema")
                if number == 1 and schema == _HEAD:
                    head = {name: str(fields[name]) for name in ("run", "seed", "env", "env_id")}
                elif number > 1 and schema == _CALL:
                    request, prompt, text = (str(fields.pop(name)) for name in ("request", "prompt", "text"))
                    call = Call.from_dict(fields, prompt=prompt, text=text)
                    self._calls[call.round, call.role, call.attempt] = request, call
                else:
                    raise ValueError(f"schema {schema!r}")
        except FileNotFoundError as error:
            raise NotFoundError(f"--replay {path}: there is no such file") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}, line {number}: not an AutoQEC tape ({error})", hint="autoqec round --record FILE makes one"
            ) from error
        if not head:
            raise UsageError(
                f"{path}: not an AutoQEC tape, because it is empty", hint="autoqec round --record FILE makes one"
            )
        self.head = head

    @property
    def rounds(self) -> int:
        """The number of the last round on the tape."""
        return max((number for number, _, _ in self._calls), default=0)

    def play(self, role: Role, context: Context) -> Reply:
        """Return the recorded reply to this question.

        Raises:
            AgentUnavailable: The tape has no reply for this round and role.
            AutoQECError: The recorded question was a different one.
        """
        attempt = 1 if context.repair is None else 2
        request, call = self._calls.get((context.round, role, attempt), ("", None))
        if call is None or call.reply is None:
            raise AgentUnavailable(
                f"{self._path} has no reply of the {role} for round {context.round}", hint="continue without --replay"
            )
        if request != request_digest(role, context):
            raise AutoQECError(
                f"{self._path}: the recorded question to the {role} of round {context.round} was a different one",
                hint="replay with the same plugins, environment and seed, in a separate lab",
            )
        return call.reply


class TapedAgent:
    """An agent that replays a tape.

    Args:
        tape: The tape.
    """

    def __init__(self, tape: Tape):
        self._tape = tape

    def reply(self, role: Role, context: Context, report: Report) -> Reply:
        """See `autoqec.agents.agent_contract.Agent.reply`."""
        return self._tape.play(role, context)
