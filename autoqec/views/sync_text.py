"""Prints pushes, pulls and bundles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from autoqec.counted_words import counted, some_of
from autoqec.history import Dropped, Ledger, SyncReport, Unpushed, unpushed
from autoqec.json_values import JsonObject
from autoqec.views.console import out, plain, print_json, say

if TYPE_CHECKING:
    from autoqec.printed_rows import ExportRow


def moved(refs: Iterable[str]) -> str:
    """A summary of refs: `1 run, 3 rounds, notes on 1 run, weights of 2 rounds`."""
    refs = list(refs)
    found = [match.groups() for ref in refs if (match := re.fullmatch(r"refs/(?:autoqec/)?([^/]+)/(.+)", ref))]
    runs = {name for kind, name in found if kind == "runs"}
    weights = {name for kind, name in found if kind == "artifacts"}
    notes = {name.split("/")[1] for kind, name in found if kind == "notes"}
    rounds = {name.removeprefix("exp/") for kind, name in found if kind not in ("runs", "artifacts", "notes")}
    parts = [
        counted(len(runs), "run") if runs else "",
        counted(len(rounds), "round") if rounds else "",
        f"notes on {counted(len(notes), 'run')}" if notes else "",
        f"weights of {counted(len(weights), 'round')}" if weights else "",
    ]
    return ", ".join(part for part in parts if part) or "nothing new"


def unpushed_text(remote: str, lacks: Unpushed) -> str | None:
    """What a remote lacks, and the command that pushes it; None if it lacks nothing."""
    if not lacks.rounds and not lacks.notes:
        return None
    parts = [counted(count, word) for count, word in ((lacks.rounds, "round"), (lacks.notes, "note")) if count]
    return f"{', '.join(parts)} not pushed: autoqec push {remote}"


def unpushed_hints(ledger: Ledger) -> list[str]:
    """What each remote lacks, a line each; remotes that were never contacted are left out."""
    lacks = unpushed(ledger, looked_at=True)
    return [f"{name}: {text}" for name, found in lacks.items() if (text := unpushed_text(name, found))]


def _dropped(found: Dropped) -> str:
    """What a remote did to records: `has dropped 2 lines of depol-abcd/3 (refs/notes/autoqec/depol-abcd/verdict)`."""
    if found.what == "ref":
        return f"has deleted {found.ref}"
    if found.what == "claim":
        return f"has changed the closed claim of {found.round}"
    thing = {"lines": "record", "files": "file"}[found.what]
    parts = (
        f"{verb} {counted(count, thing)}"
        for verb, count in (("dropped", found.dropped), ("changed", found.changed))
        if count
    )
    return f"has {' and '.join(parts)} of {found.round} ({found.ref})"


def warn_of_dropped(report: SyncReport) -> None:
    """Name the records that a remote had and no longer has as they were."""
    kept = "this lab keeps what it has" + ("" if report.sent else f", and autoqec push {report.remote} sends it again")
    for found in report.dropped:
        say(f"warning: {report.remote} {_dropped(found)}; {kept}")


def print_sync(report: SyncReport, *, as_json: bool) -> None:
    """What a push or pull transferred, in both directions."""
    for branch, why in report.left.items():
        say(f"{branch} stays, though its round is archived: {why}")
    warn_of_dropped(report)
    if report.dropped_here:
        say(f"{some_of(list(report.dropped_here))} of {report.remote} stays dropped here: autoqec log --dropped")
    if as_json:
        moves = {name: list(getattr(report, name)) for name in ("received", "sent", "archived")}
        names = {"left": dict(report.left), "renumbered": dict(report.renumbered)}
        dropped = {"dropped": [asdict(found) for found in report.dropped], "dropped_here": list(report.dropped_here)}
        print_json([{"schema": "autoqec.sync/1", "remote": report.remote, **moves, **names, **dropped}])
        return
    for old, new in report.renumbered.items():
        out().print(plain(f"renumbered: {old} is {new} now"), soft_wrap=True)
    if report.sent:
        out().print(plain(f"sent to {report.remote}: {moved(report.sent)}"), soft_wrap=True)
    if report.received or not report.sent:
        out().print(plain(f"received from {report.remote}: {moved(report.received)}"), soft_wrap=True)
    if report.archived:
        went = counted(len(report.archived), "branch", "branches")
        out().print(plain(f"archived here and on {report.remote}: {went} of rounds removed"), soft_wrap=True)


def print_bundle(
    run: str, path: Path, refs: Sequence[str], weights: Sequence[int], *, rounds: int, as_json: bool
) -> None:
    """What a bundle holds, and how to use it."""
    size = path.stat().st_size
    if as_json:
        fields = {"run": run, "path": str(path), "bytes": size, "refs": list(refs), "weights": list(weights)}
        print_json([{"schema": "autoqec.bundle/1", **fields}])
        return
    text = f"{path}: {counted(rounds, 'round')} of {run}, weights of {len(weights)}, {size:,} bytes"
    out().print(plain(text), soft_wrap=True)
    out().print("to look into it:")
    out().print_whole(plain(f"  git clone {path} lab\n  cd lab && autoqec log"))


def print_export(folder: Path, manifest: ExportRow, *, as_json: bool) -> None:
    """What an exported folder holds, and how to use it."""
    if as_json:
        print_json([{**manifest, "path": str(folder)}])
        return
    text = f"{folder}: {manifest['round']} ({manifest['verdict'] or 'not judged'}), digest {manifest['digest'][:12]}"
    use = f"cd {folder} && PYTHONPATH=. sinter collect --custom_decoders_module_function predecoder:decoders"
    line = f"{use} --decoders autoqec:{manifest['round']} ..." if "circuit.stim" in manifest["files"] else use
    out().print(plain(text), soft_wrap=True)
    out().print_whole(plain(line))


def print_published(told: JsonObject) -> None:
    """Print what `autoqec publish` did; `told` is what it prints as JSON."""
    commit, remote = str(told["commit"])[:10], told["remote"]
    lines = [f"{told['branch']}: {counted(told['rounds'], 'round')}, {'now' if told['new'] else 'still'} at {commit}"]
    if remote is not None:
        lines.append(f"{remote}: {'sent' if told['sent'] else 'has it already'}")
    if told["notes"] is not None:
        changed = f"refs/notes/commits: {counted(told['notes'], 'note')} changed"
        lines.append(f"{changed}; to send them: git push REMOTE refs/notes/commits" if told["notes"] else changed)
    if told["statuses"] is not None:
        found = told["statuses"]
        left = f", {found['left']:,} left" if found["left"] else ""
        lines.append(f"statuses: {found['new']:,} set, {found['known']:,} set before{left}")
    for line in lines:
        out().print(plain(line), soft_wrap=True)
