"""The lab's record in git: runs, claims, rounds, notes, weights and merges. No other room imports pygit2.

The interface uses plain values: frozen dataclasses, oids as hex strings, bytes. Nothing here interprets a candidate
or a metric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoqec.lazy_names import lazy_names

if TYPE_CHECKING:
    from autoqec.history.compose.merge import Conflict, Merge, merge_candidates
    from autoqec.history.fsck.examination import Finding
    from autoqec.history.fsck.fsck_lab import Repaired, check, repair
    from autoqec.history.reading.candidate_diff import candidate_diff
    from autoqec.history.reading.chain_state import missing_from_chain
    from autoqec.history.reading.history_reader import (
        RunRecords,
        chosen_runs,
        find_record,
        read_history,
        read_run,
        trusted_events,
    )
    from autoqec.history.reading.recording_looks import looks_at
    from autoqec.history.reading.round_record import RoundRecord, read_committed
    from autoqec.history.reading.run_chain import read_chain, remember_heads
    from autoqec.history.reading.snapshot import Snapshot, dropped_snapshot, take_snapshot
    from autoqec.history.reading.trust_policy import Trusted, trusted
    from autoqec.history.rounds.attachments import attach, attached_numbers, has_attachment, read_attachment
    from autoqec.history.rounds.claims import (
        Claim,
        begun_here,
        claim_round,
        close_claim,
        left_behind,
        list_claims,
        owner_alive,
        read_claim,
        take_over_claim,
        update_claim,
    )
    from autoqec.history.rounds.commit_words import write_commit_words
    from autoqec.history.rounds.notes import (
        NOTE_KINDS,
        NoteLine,
        RecordConflictError,
        append_line,
        append_note,
        complete_note,
        read_lines,
        read_notes,
    )
    from autoqec.history.rounds.round_commits import (
        CANDIDATE_DIR,
        author_of,
        branch_name,
        commit_round,
        find_round,
        parse_round_name,
        read_candidate,
        require_reachable,
    )
    from autoqec.history.rounds.run_refs import (
        Run,
        check_run_name,
        describe_run,
        list_runs,
        load_run,
        new_run_name,
        record_run,
        start_run,
    )
    from autoqec.history.rounds.trailers import RoundIdentity, build_message, parse_message
    from autoqec.history.store.cache import read_cache, write_cache
    from autoqec.history.store.git_program import checked_out_branch, remote_address
    from autoqec.history.store.json_records import utc_now
    from autoqec.history.store.objects import check_files, graft, has_objects, read_files
    from autoqec.history.store.refs import compare_and_swap, list_refs, write_lock
    from autoqec.history.store.repository import Ledger, initialise, open_ledger, require_writable, resolve_commit
    from autoqec.history.store.upkeep import tidy
    from autoqec.history.sync.archiving import Archived, archive_run, prune_weights
    from autoqec.history.sync.dropped import Dropped
    from autoqec.history.sync.dropping import DroppedRounds, children_of, drop, list_dropped, restore
    from autoqec.history.sync.outgoing import Unpushed, unpushed
    from autoqec.history.sync.pages_branch import PAGES_BRANCH, Pages, publish_pages
    from autoqec.history.sync.push_pull import SyncReport, fetch_bundle, pull, push, runs_elsewhere
    from autoqec.history.sync.run_bundle import write_bundle
    from autoqec.history.sync.shared_budgets import attempts_of, looks_of, take_shared_number
    from autoqec.history.sync.shared_claims import claim_shared_round
    from autoqec.history.sync.shared_runs import pull_shared_run, record_shared_run
    from autoqec.history.sync.shared_weights import fetch_weights

__all__ = [
    "CANDIDATE_DIR",
    "NOTE_KINDS",
    "PAGES_BRANCH",
    "Archived",
    "Claim",
    "Conflict",
    "Dropped",
    "DroppedRounds",
    "Finding",
    "Ledger",
    "Merge",
    "NoteLine",
    "Pages",
    "RecordConflictError",
    "Repaired",
    "RoundIdentity",
    "RoundRecord",
    "Run",
    "RunRecords",
    "Snapshot",
    "SyncReport",
    "Trusted",
    "Unpushed",
    "append_line",
    "append_note",
    "archive_run",
    "attach",
    "attached_numbers",
    "attempts_of",
    "author_of",
    "begun_here",
    "branch_name",
    "build_message",
    "candidate_diff",
    "check",
    "check_files",
    "check_run_name",
    "checked_out_branch",
    "children_of",
    "chosen_runs",
    "claim_round",
    "claim_shared_round",
    "close_claim",
    "commit_round",
    "compare_and_swap",
    "complete_note",
    "describe_run",
    "drop",
    "dropped_snapshot",
    "fetch_bundle",
    "fetch_weights",
    "find_record",
    "find_round",
    "graft",
    "has_attachment",
    "has_objects",
    "initialise",
    "left_behind",
    "list_claims",
    "list_dropped",
    "list_refs",
    "list_runs",
    "load_run",
    "looks_at",
    "looks_of",
    "merge_candidates",
    "missing_from_chain",
    "new_run_name",
    "open_ledger",
    "owner_alive",
    "parse_message",
    "parse_round_name",
    "prune_weights",
    "publish_pages",
    "pull",
    "pull_shared_run",
    "push",
    "read_attachment",
    "read_cache",
    "read_candidate",
    "read_chain",
    "read_claim",
    "read_committed",
    "read_files",
    "read_history",
    "read_lines",
    "read_notes",
    "read_run",
    "record_run",
    "record_shared_run",
    "remember_heads",
    "remote_address",
    "repair",
    "require_reachable",
    "require_writable",
    "resolve_commit",
    "restore",
    "runs_elsewhere",
    "start_run",
    "take_over_claim",
    "take_shared_number",
    "take_snapshot",
    "tidy",
    "trusted",
    "trusted_events",
    "unpushed",
    "update_claim",
    "utc_now",
    "write_bundle",
    "write_cache",
    "write_commit_words",
    "write_lock",
]

__getattr__ = lazy_names(
    __name__,
    {
        "compose.merge": ("Conflict", "Merge", "merge_candidates"),
        "fsck.examination": ("Finding",),
        "fsck.fsck_lab": ("Repaired", "check", "repair"),
        "reading.candidate_diff": ("candidate_diff",),
        "reading.chain_state": ("missing_from_chain",),
        "reading.history_reader": (
            "RunRecords",
            "chosen_runs",
            "find_record",
            "read_history",
            "read_run",
            "trusted_events",
        ),
        "reading.round_record": ("RoundRecord", "read_committed"),
        "reading.recording_looks": ("looks_at",),
        "reading.run_chain": ("read_chain", "remember_heads"),
        "reading.snapshot": ("Snapshot", "dropped_snapshot", "take_snapshot"),
        "reading.trust_policy": ("Trusted", "trusted"),
        "rounds.attachments": ("attach", "attached_numbers", "has_attachment", "read_attachment"),
        "rounds.claims": (
            "Claim",
            "begun_here",
            "claim_round",
            "close_claim",
            "left_behind",
            "list_claims",
            "owner_alive",
            "read_claim",
            "take_over_claim",
            "update_claim",
        ),
        "rounds.commit_words": ("write_commit_words",),
        "rounds.notes": (
            "NOTE_KINDS",
            "NoteLine",
            "RecordConflictError",
            "append_line",
            "append_note",
            "complete_note",
            "read_lines",
            "read_notes",
        ),
        "rounds.round_commits": (
            "CANDIDATE_DIR",
            "author_of",
            "branch_name",
            "commit_round",
            "find_round",
            "parse_round_name",
            "read_candidate",
            "require_reachable",
        ),
        "rounds.run_refs": (
            "Run",
            "check_run_name",
            "describe_run",
            "record_run",
            "list_runs",
            "load_run",
            "new_run_name",
            "start_run",
        ),
        "rounds.trailers": ("RoundIdentity", "build_message", "parse_message"),
        "store.cache": ("read_cache", "write_cache"),
        "store.git_program": ("checked_out_branch", "remote_address"),
        "store.json_records": ("utc_now",),
        "store.objects": ("check_files", "graft", "has_objects", "read_files"),
        "store.refs": ("compare_and_swap", "list_refs", "write_lock"),
        "store.repository": ("Ledger", "initialise", "open_ledger", "require_writable", "resolve_commit"),
        "store.upkeep": ("tidy",),
        "sync.archiving": ("Archived", "archive_run", "prune_weights"),
        "sync.dropped": ("Dropped",),
        "sync.dropping": ("DroppedRounds", "children_of", "drop", "list_dropped", "restore"),
        "sync.outgoing": ("Unpushed", "unpushed"),
        "sync.pages_branch": ("PAGES_BRANCH", "Pages", "publish_pages"),
        "sync.push_pull": ("SyncReport", "fetch_bundle", "pull", "push", "runs_elsewhere"),
        "sync.run_bundle": ("write_bundle",),
        "sync.shared_budgets": ("attempts_of", "looks_of", "take_shared_number"),
        "sync.shared_claims": ("claim_shared_round",),
        "sync.shared_runs": ("pull_shared_run", "record_shared_run"),
        "sync.shared_weights": ("fetch_weights",),
    },
)
