"""What of an answer must be the same wherever a task runs: all of it, but measured seconds and what a machine's lock is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from autoqec.sandbox.channel import Message

#: Fields that tell of the machine: the layers around the candidate's process, and the processor time of loading it.
_OF_THE_MACHINE = frozenset({"lock", "seconds", "cpu", "loading_cpu_ms"})
_SECONDS = "_seconds"

#: Of an error only what programs decide by: its words may name a path, a process or a time.
_OF_AN_ERROR = ("kind", "code")

#: Codes of errors that may be the machine's fault and not the task's: another worker may well answer.
MACHINE_CODES = frozenset(
    {
        *("raised", "out_of_memory", "process_ended", "no_answer", "not_written", "bad_message", "plugin_failed"),
        *("sandbox_unavailable", "missing_package", "not_installed", "fork_server_failed", "decoder_time"),
        *("no_gpu", "too_little_memory"),
        *("crash", "timeout"),  # of a candidate: killed for memory, or too slow
    }
)


def identity_of(answer: Message) -> bytes:
    """A digest of what counts of an answer: two workers that do the same task right have the same.

    Args:
        answer: A task's message, or an error as `report_of` makes it.
    """
    if is_error(answer):
        fields: Any = {name: answer.fields.get(name) for name in _OF_AN_ERROR}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()
    found = hashlib.sha256(json.dumps(_what_counts(answer.fields), sort_keys=True).encode())
    for name in sorted(answer.blobs):
        found.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(answer.blobs[name]).digest())
    return found.digest()


def is_error(answer: Message) -> bool:
    """Whether an answer is an error."""
    return "error" in answer.fields


def may_be_the_machine(answer: Message) -> bool:
    """Whether an answer is an error that another machine may not have."""
    code = answer.fields.get("code")
    return is_error(answer) and isinstance(code, str) and code in MACHINE_CODES


def _what_counts(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _what_counts(each)
            for name, each in value.items()
            if name not in _OF_THE_MACHINE and not name.endswith(_SECONDS)
        }
    return [_what_counts(each) for each in value] if isinstance(value, list | tuple) else value
