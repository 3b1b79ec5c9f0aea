"""Checks notes: every line is a record, no record occurs twice or was changed, and none that a ref once held is lost."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pygit2

from autoqec.counted_words import counted
from autoqec.errors import AutoQECError
from autoqec.history.fsck.examination import Finding, Survey
from autoqec.history.fsck.fsck_trust import check_trust
from autoqec.history.reading.snapshot import ARTIFACTS
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.history.rounds.note_trees import changed_notes, lines_of, union_lines, walk_notes
from autoqec.history.rounds.notes import NOTES
from autoqec.history.rounds.seen_heads import heads_file
from autoqec.history.store.json_records import record_id
from autoqec.history.store.objects import TooLargeError, get_blob, get_commit, is_commit, size_of
from autoqec.history.store.refs import target
from autoqec.history.store.repository import Ledger
from autoqec.results.chain import Break, Chain, missing_text
from autoqec.results.statistics import shares_spent
from autoqec.size_limits import BLOB_BYTES, NOTE_BYTES

_MOVE = re.compile(b"([0-9a-f]{40}) ([0-9a-f]{40})(?= )")
_RESTORE = "restore them beside the present records"


@dataclass(frozen=True)
class Lost:
    """A record that a notes ref once held on a commit but no longer holds.

    Attributes:
        commit: The commit that it is about.
        line: The original record.
        rewritten: Whether the note now has a record with its id and other contents.
    """

    commit: str
    line: bytes
    rewritten: bool


def check_notes(survey: Survey) -> Iterator[Finding]:
    """Find problems of the notes of a lab, and of the weights that they name."""
    for ref in sorted(ref for ref in survey.refs if ref.startswith(NOTES)):
        try:
            yield from _lines(survey.ledger, ref)
            yield from _lost(survey.ledger, ref)
        except (AutoQECError, KeyError, pygit2.GitError) as error:
            yield Finding("notes-damaged", "error", ref, f"the notes are unreadable: {error}", "git fsck; git fetch")
    yield from _weights(survey)
    for run in sorted({found.run for found in survey.rounds.values()}):
        yield from _attempts(survey, run)
    yield from check_trust(survey)


def spelled_twice(ledger: Ledger, ref: str) -> list[str]:
    """Return the commits whose notes are stored at more than one path of the tree."""
    tip = target(ledger, ref)
    names = [commit for commit, _ in walk_notes(ledger, get_commit(ledger, tip).tree)] if tip is not None else []
    return sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []


def lost_records(ledger: Ledger, ref: str) -> list[Lost]:
    """Return records that an earlier tip held and the present tip does not.

    Earlier tips are those in the reflog, and the ancestors of the present tip. Git's own tools force a notes ref and so lose what
    another writer added in between; the reflog keeps each tip. A commit that drops a line on purpose keeps it in its history,
    also in a fresh clone, which has no reflog.
    """
    tip = target(ledger, ref)
    if tip is None:
        return []
    suspects: dict[str, dict[bytes, None]] = {}
    for before, after in dict.fromkeys([*pairwise(_tips(ledger, ref, tip)), *_generations(ledger, tip)]):
        for commit, line in _dropped(ledger, before, after) if before != after else ():
            suspects.setdefault(commit, {})[line] = None
    lost: list[Lost] = []
    for commit, lines in suspects.items():
        present = lines_of(ledger, get_commit(ledger, tip).tree, commit, ref)
        ids = {record_id(line) for line in present}
        lost += [
            Lost(commit, line, record_id(line) in ids) for line in lines if line not in present and record_id(line)
        ]
    return lost


def _generations(ledger: Ledger, tip: str) -> Iterator[tuple[str, str]]:
    """Yield each parent and child in the history of a notes ref, as far as it is here."""
    seen, waiting = {tip}, [tip]
    while waiting:
        child = waiting.pop()
        try:
            parents = [str(oid) for oid in get_commit(ledger, child).parent_ids]
        except AutoQECError:
            continue  # the history is incomplete; git fsck says so
        yield from ((parent, child) for parent in parents)
        waiting += [parent for parent in parents if parent not in seen]
        seen.update(parents)


def _tips(ledger: Ledger, ref: str, tip: str) -> list[str]:
    """Return every oid that a ref has held according to its reflog, oldest first.

    Git writes the reflog a moment before it moves the ref. A writer killed in between leaves an entry for a move that never
    happened: the next entry, or the ref itself, then starts at the same oid. After a power cut a line can be incomplete, and
    git appends the next one to it. libgit2 rejects such a log, so this function reads it.
    """
    log = ledger.git_dir / "logs" / ref
    lines = log.read_bytes().split(b"\n") if log.is_file() else []
    moves = [(m[1].decode(), m[2].decode()) for line in lines for m in _MOVE.finditer(line.partition(b"\t")[0])]
    tips: list[str] = []
    for (old, new), following in zip(moves, [*(move[0] for move in moves[1:]), tip], strict=False):
        tips += [old] if following == old else [old, new]
    return [*tips, tip]


def _dropped(ledger: Ledger, before: str, after: str) -> Iterator[tuple[str, bytes]]:
    """Yield the commit and line of each record that is in the notes at one tip and not at its path at a later one."""
    try:
        old, new = get_commit(ledger, before).tree, get_commit(ledger, after).tree
    except AutoQECError:
        return  # the reflog's first entry, or a tip that git has deleted since
    for commit in sorted(set(changed_notes(ledger, old, new))):
        had, has = (lines_of(ledger, tree, commit, "a note") for tree in (old, new))
        there = set(has)
        yield from ((commit, line) for line in had if line not in there)


def _lines(ledger: Ledger, ref: str) -> Iterator[Finding]:
    blobs: dict[str, list[str]] = {}
    large: list[str] = []
    for commit, blob in walk_notes(ledger, get_commit(ledger, str(target(ledger, ref))).tree, large):
        blobs.setdefault(commit, []).append(blob)
    twice = [commit for commit, found in blobs.items() if len(found) > 1]
    if twice:
        several = counted(len(twice), "note has", "notes have")
        problem = f"{several} two paths, of which git shows one; the first is on {twice[0][:10]}"
        yield Finding("spelled-twice", "warning", ref, problem, "merge each into a single path", repairable=True)
    seen: dict[str, tuple[str, bytes]] = {}
    for commit, found in blobs.items():
        if not is_commit(ledger, commit):
            problem = f"it has a note on {commit[:10]}, which is not a commit in this repository"
            yield Finding("unknown-commit", "warning", ref, problem, "git fetch <remote>, from a clone that has it")
        lines: list[bytes] = []
        for blob in found:
            try:
                name = f"the note {ref} on {commit[:10]}"
                lines = union_lines(lines, get_blob(ledger, blob, name=name, limit=NOTE_BYTES))
            except TooLargeError as error:
                large.append(error.problem)
        for number, line in enumerate(lines, 1):
            where = f"line {number} of the note on {commit[:10]}"
            ident = record_id(line)
            show = f"git notes --ref={ref} show {commit[:10]}"
            if ident is None:
                yield Finding("not-a-record", "error", ref, f"{where} is not a JSON record with an id", show)
            elif seen.setdefault(ident, (commit, line)) != (commit, line):
                problem = f"{where} has the same id, {ident}, as another record with different contents"
                yield Finding("two-records", "error", ref, problem, show)
    for problem in large:
        yield Finding("too-large", "error", ref, problem, "docs/records.md, Limits, says what to do")


def _lost(ledger: Ledger, ref: str) -> Iterator[Finding]:
    lost = lost_records(ledger, ref)
    gone = [record for record in lost if not record.rewritten]
    if gone:
        where = ", ".join(sorted({record.commit[:10] for record in gone})[:5])
        problem = f"it has lost {counted(len(gone), 'record')}, on {where}; its history or its reflog still has them"
        yield Finding("lost-records", "error", ref, problem, _RESTORE, repairable=True)
    for record in lost:
        if record.rewritten:
            which = f"the record {record_id(record.line)} on {record.commit[:10]}"
            problem = f"{which} was rewritten; the history or the reflog has the original"
            yield Finding("rewritten", "error", ref, problem, f"git log -p {ref}; git reflog {ref}")


def _weights(survey: Survey) -> Iterator[Finding]:
    absent: dict[str, list[int]] = {}
    for found in survey.rounds.values():
        metrics = survey.trusted(found).metrics
        promised = (metrics or {}).get("weights_sha256")
        if not isinstance(promised, str):
            continue
        blob = survey.file(found.refs.get(ARTIFACTS), WEIGHTS_FILE)
        if blob is None:
            absent.setdefault(found.run, []).append(found.number)
        elif size_of(survey.ledger, blob.id) > BLOB_BYTES or hashlib.sha256(blob.data).hexdigest() != promised:
            problem = f"the weights do not have the hash in its metrics, {promised[:10]}"
            hint = (
                f"git log -p {ARTIFACTS}{found.name}; until it is resolved, trust neither its metrics nor its verdict"
            )
            yield Finding("weights-differ", "error", ARTIFACTS + found.name, problem, hint)
    for run, numbers in absent.items():
        ref = f"{ARTIFACTS}{run}/"
        problem = f"the weights of {counted(len(numbers), 'round')} were pruned or not fetched; the first is round {numbers[0]}"
        yield Finding("weights-absent", "info", ref, problem, f"git fetch <remote> '{ref}*:{ref}*', if it has them")


def _attempts(survey: Survey, run: str) -> Iterator[Finding]:
    """Find verifications that clones began without knowing of each other, an overspent error budget, and a broken chain."""
    ref = f"{NOTES}{run}/verdict"
    lines = {line.digest: line for found in survey.lines(run, "verdict").values() for line in found}
    chain = survey.trust(run).chain
    writers: dict[int, list[str]] = {}
    for digest, begun in chain.intents.items():
        writers.setdefault(begun.attempt, []).append(str(lines[digest].record.get("writer")))
    for attempt, who in sorted(writers.items()):
        if len(who) > 1:
            problem = (
                f"clones that did not know of each other began verification {attempt} of the run {len(who)} times"
                f" ({', '.join(sorted(set(who)))}); each has spent its share of the error budget, and each counts"
            )
            hint = "nothing to do; to avoid it, run autoqec pull before autoqec verify"
            yield Finding("attempt-twice", "info", ref, problem, hint)
    spent = shares_spent(begun.attempt for begun in chain.intents.values())
    if spent > 1:
        problem = (
            f"clones that did not know of each other have spent {spent:.2f} times the run's error budget: the probability"
            f" of a false verdict in it is at most {spent:.2f} times what the environment allows"
        )
        hint = "do not rely on the run as a whole; start a new one: autoqec round --new"
        yield Finding("overspent", "error", ref, problem, hint)
    yield from _broken(survey.ledger, ref, run, chain)


def _broken(ledger: Ledger, ref: str, run: str, chain: Chain) -> Iterator[Finding]:
    """Find lines that the chain of verifications has lost."""
    if not chain.breaks:
        return
    lost = {hashlib.sha256(record.line).hexdigest() for record in lost_records(ledger, ref)}

    def hint(breaks: list[Break], otherwise: str) -> str:
        here = all(each.digest in lost for each in breaks)
        return (
            "autoqec fsck --repair, which restores it"
            if here
            else f"autoqec pull <remote>, from a lab that has it; {otherwise}"
        )

    named = [each for each in chain.breaks if each.named_by]
    cut = [each for each in chain.breaks if not each.named_by]
    if named:
        do = hint(named, "otherwise start a new run: autoqec round --new")
        yield Finding("chain-broken", "error", ref, str(missing_text(run, named)), do)
    if cut:
        do = hint(cut, f"if it is gone for good: rm {heads_file(ledger, run)}")
        yield Finding("chain-cut", "error", ref, str(missing_text(run, cut)), do)
