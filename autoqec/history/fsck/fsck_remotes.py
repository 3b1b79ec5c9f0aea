"""Compares the lab with its remotes, by their refs as last fetched; it does not contact them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pygit2

from autoqec.counted_words import counted
from autoqec.errors import AutoQECError
from autoqec.history.fsck.examination import Finding, Survey
from autoqec.history.store.dropped_refs import Marks, whole_record
from autoqec.history.store.git_program import TRACKING
from autoqec.history.store.refs import every_ref
from autoqec.history.sync.joining import SHARED, join, run_of, shared_kinds
from autoqec.history.sync.outgoing import changed_notes, pushable

_GROWING = ("notes", "traces", "attempts")  # kinds that merge by union
_ROUND = re.compile("refs/.+/([^/]+/[0-9]+)")


def check_remotes(survey: Survey) -> Iterator[Finding]:
    """Find what each remote lacks, has in addition, or holds differently, as last fetched."""
    for name in pushable(survey.ledger):
        tracking = f"{TRACKING}{name}/"
        theirs = {ref.removeprefix(tracking): oid for ref, oid in survey.refs.items() if ref.startswith(tracking)}
        if theirs:
            yield from _compare(survey, name, theirs)


def _compare(survey: Survey, remote: str, theirs: dict[str, str]) -> Iterator[Finding]:
    found: dict[str, list[tuple[str, str | None, str | None]]] = {}
    every = every_ref(survey.ledger, "refs/")
    marks, record = Marks.among(every), whole_record(every)
    for ref, place in _refs(survey, theirs):
        here, there = survey.refs.get(ref), theirs.get(place)
        if marks.hide(ref):
            here = record.get(ref)  # what is dropped here grows where it is kept
        found.setdefault(_relation(survey, place, ref, here, there), []).append((ref, here, there))
    about = TRACKING + remote
    if more := found.get("ahead"):
        problem = f"not pushed to {remote}, as last fetched: {_counted(survey, more)}"
        yield Finding("not-pushed", "info", about, problem, f"autoqec push {remote}")
    if less := found.get("behind"):
        problem = f"not pulled from {remote}, as last fetched: {_counted(survey, [(ref, b, a) for ref, a, b in less])}"
        yield Finding("not-pulled", "info", about, problem, f"autoqec pull {remote}")
    if both := found.get("diverged"):
        problem = f"{counted(len(both), 'ref has', 'refs have')} new entries on both sides; the first is {both[0][0]}"
        yield Finding("diverged", "info", about, problem, f"autoqec pull {remote}, which merges them")
    for ref, here, there in found.get("contradicted", ()):
        problem = f"it is {str(here)[:10]} here but {str(there)[:10]} on {remote}, and such a ref never changes"
        hint = f"git show {str(here)[:10]} {str(there)[:10]} shows both; autoqec keeps the local one until you move it"
        yield Finding("contradicted", "warning", ref, problem, hint)


def _refs(survey: Survey, theirs: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield every shared ref that exists on either side, with its path below the tracking namespace."""
    for kind in shared_kinds(artifacts=False):
        prefix = SHARED[kind]
        names = {ref.removeprefix(prefix) for ref in survey.refs if ref.startswith(prefix)}
        names |= {place.removeprefix(f"{kind}/") for place in theirs if place.startswith(f"{kind}/")}
        yield from ((prefix + name, f"{kind}/{name}") for name in sorted(names) if run_of(kind, name))


def _relation(survey: Survey, place: str, ref: str, here: str | None, there: str | None) -> str:
    kind = place.partition("/")[0]
    archived = survey.refs.get(ref.replace(SHARED["exp"], SHARED["rounds"], 1)) if kind == "exp" else None
    if here == there or (here is None and archived == there):
        return "same"
    if here is None or there is None:
        return "ahead" if there is None else "behind"
    if kind not in (*_GROWING, "claims"):
        return "contradicted"
    try:
        if kind == "claims":  # blobs: joining them writes nothing and tells which of the two is newer
            return "ahead" if join(survey.ledger, kind, ref, here, there, None) == here else "behind"
        if survey.ledger.repo.descendant_of(here, there):
            return "ahead"
        return "behind" if survey.ledger.repo.descendant_of(there, here) else "diverged"
    except AutoQECError:
        return "contradicted"
    except (KeyError, ValueError, pygit2.GitError):
        return "diverged"  # one version is not fetched yet; a pull fetches it


def _counted(survey: Survey, refs: list[tuple[str, str | None, str | None]]) -> str:
    rounds = {match[1] for ref, _, _ in refs if (match := _ROUND.fullmatch(ref))}
    notes = sum(changed_notes(survey.ledger, a, b) for ref, a, b in refs if a and ref.startswith(SHARED["notes"]))
    return f"{counted(len(rounds), 'round')}, {counted(notes, 'note')}"
