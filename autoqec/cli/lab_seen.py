"""What a lab has when somebody comes to it, for the guide of `autoqec init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.errors import AutoQECError

if TYPE_CHECKING:
    from autoqec.history import Ledger
    from autoqec.views.guide_text import LabSeen


def lab_seen(ledger: Ledger) -> LabSeen:
    """Look at a lab's rounds; a lab that is damaged has a problem, and no error."""
    from autoqec.history import list_claims, owner_alive, runs_elsewhere
    from autoqec.views.guide_text import LabSeen
    from autoqec.views.log_lines import read_lines

    try:
        runs = [found for found in read_lines(ledger) if found.lines]
        lines = [line for found in runs for line in found.lines]
        elsewhere = next(iter(runs_elsewhere(ledger)), "")
        unclosed = [claim for claim in list_claims(ledger) if claim.state == "open" and not claim.waiting]
        unfinished = sum(not owner_alive(claim) for claim in unclosed)
    except (AutoQECError, OSError, ValueError, KeyError) as error:
        return LabSeen(ledger.workdir, problem=" ".join(str(error).split())[:80] or "its record cannot be read")
    latest = f"{runs[-1].run}/{runs[-1].lines[-1].number}" if runs else ""
    verified = sum(line.verified for line in lines)
    return LabSeen(ledger.workdir, len(runs), len(lines), verified, latest, unfinished, elsewhere)
