"""The lab's record, kept in git: runs, claims, rounds, notes, weights and merges. The only room that imports pygit2.

Values that go in and out are plain: frozen dataclasses, oids as hex strings, bytes. Nothing here knows what a
candidate means or what a metric is worth.
"""

from autoqec.history.archive import Archived, archive_run, prune_weights
from autoqec.history.attachments import attach, attached_numbers, has_attachment, read_attachment
from autoqec.history.bundle import write_bundle
from autoqec.history.cache import cached, keep
from autoqec.history.claims import (
    Claim,
    adopt_claim,
    claim_round,
    close_claim,
    list_claims,
    owner_alive,
    read_claim,
    update_claim,
)
from autoqec.history.findings import Finding
from autoqec.history.fsck import Repaired, check, repair
from autoqec.history.merge import Conflict, Merge, merge_candidates
from autoqec.history.notes import NOTE_KINDS, append_note, effective, read_notes
from autoqec.history.objects import check_files, graft, has_objects, read_files
from autoqec.history.outgoing import Unpushed, unpushed
from autoqec.history.reading import RunRecords, chosen_runs, find_record, read_history, read_run
from autoqec.history.record import RoundRecord, read_committed
from autoqec.history.records import utc_now
from autoqec.history.refs import compare_and_swap, list_refs, write_lock
from autoqec.history.repository import Ledger, initialise, open_ledger, require_writable, resolve_commit
from autoqec.history.rounds import (
    CANDIDATE_DIR,
    branch_name,
    commit_round,
    find_round,
    parse_round_name,
    read_candidate,
    require_kept,
)
from autoqec.history.runs import Run, check_run_name, list_runs, load_run, new_run_name, start_run, think_of_run
from autoqec.history.shared_claims import claim_shared_round
from autoqec.history.snapshot import Snapshot, take_snapshot
from autoqec.history.sync import SyncReport, adopt_bundle, pull, push, runs_elsewhere
from autoqec.history.trailers import RoundIdentity, build_message, parse_message, parse_text
from autoqec.history.upkeep import tidy

__all__ = [
    "CANDIDATE_DIR",
    "NOTE_KINDS",
    "Archived",
    "Claim",
    "Conflict",
    "Finding",
    "Ledger",
    "Merge",
    "Repaired",
    "RoundIdentity",
    "RoundRecord",
    "Run",
    "RunRecords",
    "Snapshot",
    "SyncReport",
    "Unpushed",
    "adopt_bundle",
    "adopt_claim",
    "append_note",
    "archive_run",
    "attach",
    "attached_numbers",
    "branch_name",
    "build_message",
    "cached",
    "check",
    "check_files",
    "check_run_name",
    "chosen_runs",
    "claim_round",
    "claim_shared_round",
    "close_claim",
    "commit_round",
    "compare_and_swap",
    "effective",
    "find_record",
    "find_round",
    "graft",
    "has_attachment",
    "has_objects",
    "initialise",
    "keep",
    "list_claims",
    "list_refs",
    "list_runs",
    "load_run",
    "merge_candidates",
    "new_run_name",
    "open_ledger",
    "owner_alive",
    "parse_message",
    "parse_round_name",
    "parse_text",
    "prune_weights",
    "pull",
    "push",
    "read_attachment",
    "read_candidate",
    "read_claim",
    "read_committed",
    "read_files",
    "read_history",
    "read_notes",
    "read_run",
    "repair",
    "require_kept",
    "require_writable",
    "resolve_commit",
    "runs_elsewhere",
    "start_run",
    "take_snapshot",
    "think_of_run",
    "tidy",
    "unpushed",
    "update_claim",
    "utc_now",
    "write_bundle",
    "write_lock",
]
