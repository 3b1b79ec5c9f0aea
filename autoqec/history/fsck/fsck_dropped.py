"""Checks what `autoqec drop` has put away: drops that a kill cut off, and refs that no mark accounts for."""

from __future__ import annotations

from collections.abc import Iterator

from autoqec.counted_words import counted
from autoqec.history.fsck.examination import Finding, Survey
from autoqec.history.store.dropped_refs import DROPPED, Marks, live_name, mark_of
from autoqec.history.sync.dropping import half_dropped


def check_dropped(survey: Survey) -> Iterator[Finding]:
    """Find drops that did not finish, and kept refs of which no mark says that they are dropped."""
    for (run, number), refs in half_dropped(survey.ledger).items():
        many = counted(len(refs), "ref has", "refs have")
        problem = f"it is dropped, but {many} not moved: autoqec drop was interrupted; the first is {refs[0]}"
        yield Finding("half-dropped", "info", mark_of(run, number), problem, "move the rest", repairable=True)
    marks = Marks.among(survey.refs)
    for kept, oid in sorted(survey.refs.items()):
        live = live_name(kept) if kept.startswith(DROPPED) else None
        if live is not None and not marks.hide(live):
            problem = f"it keeps {live} as dropped, but no mark below {DROPPED}marks/ says so"
            yield Finding(
                "unmarked", "warning", kept, problem, f"git update-ref {live} {oid}; git update-ref -d {kept}"
            )
