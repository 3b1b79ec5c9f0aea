"""Rules for candidates that could not be made of their files: which file and field, and what a misspelling may have meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from autoqec.agents.diagnosis.cases import Case, Changes, Diagnosis, found, number, text
from autoqec.agents.diagnosis.patches import TRAINING, fields_of, stage_files


def compile_causes(case: Case, said: str) -> Diagnosis:
    """Why a candidate could not be compiled."""
    return refused_value(case, said) or found(case, "compile_error", said)


def refused_value(case: Case, said: str) -> Diagnosis | None:
    """A field, value, kind or file that was refused, if the error is about one."""
    code, about = case.error
    file, name = case.said("file"), case.said("field")
    if code == "loss_needs_teacher":
        return found(case, code, said, changes={TRAINING: {"loss": "bce"}})
    if code in ("custom_refused", "ensemble_not_offered"):
        return found(case, code, said)
    if code == "not_installed" and case.said("kind") == "stage":
        return _unknown_kind(case, said, case.said("name"))
    if code == "unknown_field" and file and name:
        return _unknown_field(case, said, file, name)
    if code in ("bad_value", "gate_not_offered") and file and name:
        return _bad_value(case, said, file, name, about)
    if code == "bad_yaml" and file:
        return found(case, code, said, file=file)
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


def _bad_value(case: Case, said: str, file: str, name: str, about: Mapping[str, Any]) -> Diagnosis:
    fields, problem = fields_of(case.files, file), text(about.get("problem"))
    near = _allowed(fields.get(name), about)
    changes: Changes = {file: {name: near}} if near is not None and name in fields else {}
    nearest = f"; {near} is nearest" if near is not None else ""
    now = f"{file}: {name}: {fields[name]}" if name in fields else ""
    return found(case, "bad_value", said, now, changes=changes, file=file, field=name, problem=problem, nearest=nearest)


def _allowed(value: Any, about: Mapping[str, Any]) -> Any:
    """The allowed value nearest to one that is not; None if that is not known."""
    for end in ("least", "most"):
        limit = number(about, end)
        if limit is not None:
            return int(limit) if limit.is_integer() and not isinstance(value, float) else limit
    choices = about.get("choices")
    words = [word for word in choices if isinstance(word, str)] if isinstance(choices, list) else []
    return _nearest(str(value), words) if words and isinstance(value, str) else None
