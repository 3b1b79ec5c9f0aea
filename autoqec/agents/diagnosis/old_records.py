"""Records from before errors had codes: the code that the words of a reason stand for. New records are not read so."""

from __future__ import annotations

import re

from autoqec.agents.agent_contract import ROLES
from autoqec.json_values import JsonObject

_FAULT = re.compile(r"(crash|timeout|bad_output|bad_weights|hostile_syscall): ")
_UNFIT = re.compile(r"the weights do not fit|were trained for problem")
_ENDED = re.compile(r"the process ended with (?:signal (\w+)|exit)")
_ROLE = re.compile(rf"the ({'|'.join(ROLES)})(?:'s reply could not be used: | failed: )")
_FILE = r"(output\.yaml|training\.yaml|stages/[a-z0-9_-]+/stage\.yaml)"
_FIELD = re.compile(rf"{_FILE}: ([A-Za-z0-9_.]+): ([^;]+)")
_YAML = re.compile(rf"{_FILE}(?:, line \d+: | is not UTF-8| is nested| is not a mapping)")
_KIND = re.compile(r"there is no stage named '([^']*)'")
_BOUND = re.compile(r"should be (greater|less) than (or equal to )?(-?[0-9.e+-]+)")
_WORD = re.compile(r"'([^']+)'")

#: What a reason of training or of a process says, and its code; the first that matches counts.
_WORK = (
    ("hostile_syscall", re.compile("SIGSYS")),
    ("untrained_not_finite", re.compile("untrained candidate is not finite")),
    ("diverged", re.compile(r"\d+ of \d+ steps had a loss or gradient that is not finite")),
    ("out_of_memory", re.compile("out of memory|allocate memory|MemoryError|signal SIGKILL")),
    ("training_time", re.compile("training took longer than")),
    ("weights_too_large", re.compile("at most.*kept in git|kept in git.*at most")),
    ("weights_do_not_fit", _UNFIT),
    ("wrong_shape", re.compile("answered beliefs of shape")),
)


def code_in_words(status: str, reason: str) -> tuple[str, JsonObject]:
    """The code, and what the error was about, of a round that ended before errors had codes.

    Args:
        status: How it ended.
        reason: Why, in words.
    """
    if status == "agent_error":
        return _agent(reason)
    if (fault := _FAULT.match(reason)) is not None:
        return fault_in_words(fault[1], reason), {"reason": fault[1]}
    for code, pattern in _WORK:
        if pattern.search(reason):
            return code, {}
    if status == "compile_error":
        return _refused(reason) or ("usage", {})
    if _ENDED.search(reason):
        return "process_ended", {}
    return ("raised" if re.search(r"\b[A-Z]\w*Error: ", reason) else "failed"), {}


def fault_in_words(reason: str, words: str) -> str:
    """The code of a fault on scored shots."""
    return "weights_do_not_fit" if reason == "bad_weights" and _UNFIT.search(words) else reason


def _agent(reason: str) -> tuple[str, JsonObject]:
    match = _ROLE.match(reason)
    role = {"role": match[1]} if match else {}
    if match and "failed" in match[0]:
        return "agent_failed", role
    if "this candidate is the same as" in reason:
        return "same_candidate", role
    code, about = _refused(reason) or ("reply_unusable", {})
    return code, {**about, **role}


def _refused(reason: str) -> tuple[str, JsonObject] | None:
    """A field, value, kind or file that was refused, if the reason names one."""
    if "logical_gap asks the decoder" in reason:
        return "loss_needs_teacher", {}
    if "module.py" in reason:
        return "custom_refused", {}
    if (kind := _KIND.search(reason)) is not None:
        return "not_installed", {"kind": "stage", "name": kind[1]}
    if (named := _FIELD.search(reason)) is not None:
        about = {"file": named[1], "field": named[2], "problem": named[3].strip()}
        return ("unknown_field" if "Extra inputs" in named[3] else "bad_value"), {**about, **_allowed(named[3])}
    if (broken := _YAML.search(reason)) is not None:
        return "bad_yaml", {"file": broken[1]}
    return None


def _allowed(problem: str) -> JsonObject:
    bound = _BOUND.search(problem)
    if bound is not None and bound[2]:  # an open bound has no nearest value
        try:
            return {"least" if bound[1] == "greater" else "most": float(bound[3])}
        except ValueError:
            return {}
    words = _WORD.findall(problem)
    return {"choices": words} if words else {}
