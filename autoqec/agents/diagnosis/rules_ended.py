"""Rules for rounds that ended before they were scored, by status and code: training, processes, people; agents and merges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from autoqec.agents.agent_contract import ROLES
from autoqec.agents.diagnosis.cases import Case, Changes, Diagnosis, figure, found, number, text
from autoqec.agents.diagnosis.patches import TRAINING, calmer, scaled_batch, smaller_stages, value_of
from autoqec.agents.diagnosis.rules_compile import compile_causes, refused_value
from autoqec.results.rungs import SCREENED_OUT

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}/[1-9][0-9]{0,8}")
#: Breaches of contract on scored shots: reasons of a candidate's fault, and causes by the same name.
_FAULTS = ("crash", "timeout", "bad_output", "bad_weights", "hostile_syscall")

#: Codes of weights that belong to another problem or to a stage of another shape.
_UNFIT = ("weights_do_not_fit", "weights_of_another_problem", "weights_of_another_family")

#: The statuses that are about a candidate's work, and not about agents or people.
_FAILED = ("train_error", "compile_error", "killed_by_safety")


def ended_causes(case: Case) -> Iterator[Diagnosis]:
    """Why a round ended without a result, the gravest cause first."""
    status, reason = case.past.status, case.reason
    said = f"{status}: {reason}"
    if case.problems:
        yield found(case, "damaged", *map(str, case.problems))
    if status in _FAILED:
        yield _work(case, said)
    elif status == "agent_error":
        yield _agent(case, said)
    elif status == "compose_conflict":
        yield _conflict(case, said)
    elif status == "waiting":
        role = case.waiting if case.waiting in ROLES else "ROLE"
        yield found(case, "waiting", f"it waits for the {role}", role=role)
    elif status == "interrupted":
        yield found(case, "interrupted", "its claim is open and its process is gone")
    elif status == "abandoned":
        yield found(case, "abandoned", reason or "its claim is closed as abandoned")
    elif status == "open":
        yield found(case, "at_work", "its claim is open and its process lives")
    elif status == SCREENED_OUT:
        rung = case.past.metrics.rung if case.past.metrics else None
        yield found(case, "screen_only" if rung is not None and rung.by_request else "screened_out", reason)
    elif status != "ok":
        yield found(case, "no_claim", f"status {status}")


def fault_cause(case: Case, reason: str, code: str, said: str) -> Diagnosis | None:
    """A breach of contract on scored shots.

    Args:
        case: The round.
        reason: Of the fault; for what is none there is no cause.
        code: Its code, which says more of weights.
        said: The evidence.
    """
    if reason not in _FAULTS:
        return None
    if reason == "bad_weights" and code in _UNFIT:
        return found(case, "weights_do_not_fit", said)
    return found(case, reason, said, changes=smaller_stages(case.files) if reason == "timeout" else {})


def _work(case: Case, said: str) -> Diagnosis:
    code, _ = case.error
    if (known := fault_cause(case, case.said("reason"), code, said)) is not None:
        return known
    signal = case.said("signal") if code == "process_ended" else ""
    if code == "hostile_syscall" or signal == "SIGSYS":
        return found(case, "hostile_syscall", said)
    if code == "untrained_not_finite":
        return found(case, code, said)
    if code == "diverged":
        return found(case, code, said, _setting(case, "learning_rate"), changes=calmer(case.files))
    if code == "out_of_memory" or signal == "SIGKILL":
        return _out_of_memory(case, said)
    if code == "training_time":
        return found(case, code, said, _setting(case, "batch_size"), changes=_quicker(case))
    if code == "weights_too_large":
        return found(case, "too_large", said, changes=smaller_stages(case.files))
    if code in _UNFIT:
        return found(case, "weights_do_not_fit", said)
    if code == "wrong_shape":
        return found(case, "bad_output", said)
    if case.past.status == "compile_error":
        return compile_causes(case, said)
    if code == "process_ended":
        return found(case, "process_died", said)
    if case.custom:
        return found(case, "custom_crashed", said)
    return found(case, "stage_crashed" if code in ("raised", "plugin_failed") else "train_error", said)


def _out_of_memory(case: Case, said: str) -> Diagnosis:
    limit = number(case.profile, "memory_gib")
    limit_said = f"memory_gib is {figure(limit)}" if limit is not None else ""
    changes = scaled_batch(case.files, 1 / 2) or smaller_stages(case.files)
    return found(case, "out_of_memory", said, limit_said, _setting(case, "batch_size"), changes=changes)


def _quicker(case: Case) -> Changes:
    # Shots and epochs would not help: training ends in time by itself, unless a single step takes too long.
    return smaller_stages(case.files) or scaled_batch(case.files, 1 / 2)


def _setting(case: Case, name: str) -> str:
    value = value_of(case.files, TRAINING, name)
    return f"{TRAINING}: {name}: {figure(value)}" if value is not None else ""


def _agent(case: Case, said: str) -> Diagnosis:
    code, role = case.error[0], case.said("role")
    role = role if role in ROLES else "agent"
    if code == "agent_failed":
        return found(case, code, said, role=role)
    if code in ("same_candidate", "same_idea"):
        return found(case, code, said)
    named = refused_value(case, said) if role == "coder" else None
    return named or found(case, "reply_unusable", said, role=role)


def _conflict(case: Case, said: str) -> Diagnosis:
    evidence, takes = [said], []
    for row in case.conflicts:
        place = f"{text(row.get('path'))}: {text(row.get('field')) or 'the whole file'}"
        sides = {side: _shown(row.get(side)) for side in ("base", "ours", "theirs")}
        evidence.append(f"{place} was {sides['base']}, became {sides['ours']} and {sides['theirs']}")
        better = _better_side(case, row)
        if better and text(row.get("field")):
            takes.append(f"{place}: {sides[better]}")
    take = f", and take from the round that gains more: {'; '.join(takes)}" if takes else ""
    # They become part of a command that a person may run: only what is a round's name does.
    parents = " ".join(name for name in case.past.fork_from if _NAME.fullmatch(name)) or "ROUND ROUND"
    return found(case, "compose_conflict", *evidence, parents=parents, take=take)


def _better_side(case: Case, row: object) -> str | None:
    """The side whose round gained more where both are known."""
    between = row.get("between") if isinstance(row, dict) else None
    if not isinstance(between, list | tuple) or len(between) != 2:
        return None
    ours, theirs = (case.gains.get(str(oid)) for oid in between)
    if ours is None or theirs is None:
        return None
    return "ours" if ours >= theirs else "theirs"


def _shown(value: object) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False, default=str)[:80]
