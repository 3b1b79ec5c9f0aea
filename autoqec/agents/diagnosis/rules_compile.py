"""Rules for candidates that could not be made of their files: which file and field, and what a misspelling may have meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from autoqec.agents.diagnosis.cases import Case, Changes, Diagnosis, found, text
from autoqec.agents.diagnosis.patches import TRAINING, fields_of, stage_files

_FILE = r"(output\.yaml|training\.yaml|stages/[a-z0-9_-]+/stage\.yaml)"
_FIELD = re.compile(rf"{_FILE}: ([A-Za-z0-9_.]+): ([^;]+)")
_YAML = re.compile(rf"{_FILE}(?:, line \d+: | is not UTF-8| is nested| is not a mapping)")
_KIND = re.compile(r"there is no stage named '([^']*)'")
_BOUND = re.compile(r"should be (greater|less) than (or equal to )?(-?[0-9.e+-]+)")
_WORD = re.compile(r"'([^']+)'")


def compile_causes(case: Case, said: str) -> Diagnosis:
    """Why a candidate could not be compiled."""
    reason = case.reason
    if "logical_gap asks the decoder" in reason:
        return found(case, "loss_needs_teacher", said, changes={TRAINING: {"loss": "bce"}})
    if (named := refused_value(case, said)) is not None:
        return named
    return found(case, "custom_refused" if "module.py" in reason else "compile_error", said)


def refused_value(case: Case, said: str) -> Diagnosis | None:
    """A field, value, kind or file that was refused, if the reason names one."""
    reason = case.reason
    if "module.py" in reason:
        return found(case, "custom_refused", said)
    if (kind := _KIND.search(reason)) is not None:
        return _unknown_kind(case, said, kind[1])
    if (named := _FIELD.search(reason)) is not None:
        file, name, problem = named[1], named[2], named[3].strip()
        if "Extra inputs" in problem:
            return _unknown_field(case, said, file, name)
        return _bad_value(case, said, file, name, problem)
    if (broken := _YAML.search(reason)) is not None:
        return found(case, "bad_yaml", said, file=broken[1])
    return None


def _nearest(word: str, known: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.5)), None)


def _unknown_kind(case: Case, said: str, kind: str) -> Diagnosis:
    kinds = case.known.get("kind", ())
    near = _nearest(kind, kinds)
    changes = {
        p: {"kind": near} for p in stage_files(case.files) if near and fields_of(case.files, p).get("kind") == kind
    }
    nearest = f": {near} is nearest" if near else f", one of {', '.join(kinds)}" if kinds else ""
    return found(case, "unknown_kind", said, changes=changes, nearest=nearest)


def _unknown_field(case: Case, said: str, file: str, name: str) -> Diagnosis:
    fields = fields_of(case.files, file)
    known = case.known.get(file) or case.known.get(text(fields.get("kind")), ())
    near = _nearest(name, known)
    changes: dict[str, dict[str, Any]] = {}
    if name in fields:
        changes = {file: {name: None} | ({near: fields[name]} if near and near not in fields else {})}
    nearest = f" is {near}, perhaps" if near else f" is none; there are {', '.join(known)}" if known else ""
    return found(case, "unknown_field", said, changes=changes, file=file, field=name, nearest=nearest)


def _bad_value(case: Case, said: str, file: str, name: str, problem: str) -> Diagnosis:
    fields = fields_of(case.files, file)
    value = fields.get(name)
    near = _allowed(value, problem)
    changes: Changes = {file: {name: near}} if near is not None and name in fields else {}
    nearest = f"; {near} is nearest" if near is not None else ""
    now = f"{file}: {name}: {value}" if name in fields else ""
    return found(case, "bad_value", said, now, changes=changes, file=file, field=name, problem=problem, nearest=nearest)


def _allowed(value: Any, problem: str) -> Any:
    """The allowed value nearest to one that is not; None if the words do not say."""
    bound = _BOUND.search(problem)
    if bound is not None and bound[2]:  # an open bound has no nearest value
        try:
            limit = float(bound[3])
        except ValueError:
            return None
        return int(limit) if limit.is_integer() and not isinstance(value, float) else limit
    words = _WORD.findall(problem)
    return _nearest(str(value), words) if words and isinstance(value, str) else None
