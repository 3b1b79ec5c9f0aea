"""Checks a whole lab and repairs what it can without losing data.

`check` only reads. `repair` removes stale locks of dead writers, restores records that a forced notes ref dropped, merges a
note that is stored at two paths, closes rounds that died before they wrote anything, and finishes drops.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autoqec.errors import AutoQECError
from autoqec.history.fsck.examination import Finding, survey_lab
from autoqec.history.fsck.fsck_dropped import check_dropped
from autoqec.history.fsck.fsck_git import check_git
from autoqec.history.fsck.fsck_notes import check_notes, lost_records, spelled_twice
from autoqec.history.fsck.fsck_remotes import check_remotes
from autoqec.history.fsck.fsck_rounds import check_rounds, is_abandoned
from autoqec.history.fsck.fsck_store import check_store, stale_locks
from autoqec.history.rounds.claims import CLAIMS, close_claim, take_over_claim
from autoqec.history.rounds.notes import add_lines
from autoqec.history.store.refs import write_lock
from autoqec.history.store.repository import Ledger, require_writable
from autoqec.history.sync.dropping import finish_drops

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Repaired:
    """One repair: the finding's code and ref, and a description of the repair."""

    code: str
    ref: str
    what: str


def check(ledger: Ledger) -> list[Finding]:
    """Check a lab and return the findings, errors first. You can run it while rounds are at work."""
    survey = survey_lab(ledger)
    examinations = (check_rounds, check_dropped, check_notes, check_git, check_remotes)
    findings = [*check_store(ledger), *(finding for examine in examinations for finding in examine(survey))]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def repair(ledger: Ledger, findings: Iterable[Finding]) -> list[Repaired]:
    """Repair the repairable findings, checking each again first, and return the repairs.

    Raises:
        AutoQECError: The lab is not writable.
    """
    require_writable(ledger)
    actions = {
        "stale-lock": _remove_lock,
        "lost-records": _restore_records,
        "spelled-twice": _spell_once,
        "interrupted": _close_abandoned,
        "half-dropped": _finish_drop,
    }
    done: list[Repaired] = []
    for finding in findings:
        what = actions[finding.code](ledger, finding.ref) if finding.repairable else None
        if what is not None:
            done.append(Repaired(finding.code, finding.ref, what))
    return done


def _remove_lock(ledger: Ledger, ref: str) -> str | None:
    lock = ledger.git_dir / f"{ref}.lock"
    if not lock.exists():
        return None
    with write_lock(ledger):  # now no autoqec writer holds a ref lock; taking the write lock may itself remove this one
        if ref in stale_locks(ledger):
            lock.unlink(missing_ok=True)
    return f"removed {ref}.lock" if not lock.exists() else None


def _restore_records(ledger: Ledger, ref: str) -> str | None:
    with write_lock(ledger):
        lines: dict[str, list[bytes]] = {}
        for record in lost_records(ledger, ref):
            if not record.rewritten:
                lines.setdefault(record.commit, []).append(record.line)
        count = sum(map(len, lines.values()))
        changed = add_lines(ledger, ref, lines, "put back lost records")
    return f"records restored: {count}" if changed else None


def _spell_once(ledger: Ledger, ref: str) -> str | None:
    with write_lock(ledger):
        twice = spelled_twice(ledger, ref)
        changed = add_lines(ledger, ref, dict.fromkeys(twice, ()), "one path for each note")
    return f"notes moved to a single path: {len(twice)}" if changed else None


def _finish_drop(ledger: Ledger, ref: str) -> str | None:
    done = finish_drops(ledger)  # the first finding of several finishes all
    return f"moved the rest of {', '.join(done)}" if done else None


def _close_abandoned(ledger: Ledger, ref: str) -> str | None:
    run, _, number = ref.removeprefix(CLAIMS).partition("/")
    with write_lock(ledger):
        survey = survey_lab(ledger)
        found = survey.rounds.get((run, int(number)))
        if found is None or found.claim is None or not is_abandoned(survey, found):
            return None
        try:
            mine = take_over_claim(ledger, found.claim)
            close_claim(ledger, mine, status="abandoned", reason="its process died before it left anything")
        except AutoQECError:
            return None  # another process has resumed the round
    return "closed as abandoned"
