"""What `autoqec verify` prints beside a verdict: audits, a front that is judged again, pairs head to head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.views.console import out, plain
from autoqec.views.figures_text import interval_text


def print_audit(round_name: str, verdict: Mapping[str, Any], disagreements: Sequence[str]) -> None:
    """What an audit found of a verdict: that all follows from its counts, or what does not."""
    said = f"{round_name}: {verdict.get('verdict')} ({verdict.get('reason')})"
    if not disagreements:
        out().print(plain(f"{said} follows from its counts: evidence, level, figures, checks and word agree"))
        return
    out().print(
        plain("\n".join([f"{said} does not agree with its own note:", *(f"  {each}" for each in disagreements)]))
    )


def print_refuted(row: Mapping[str, Any]) -> None:
    """What became of a member of the front on new shots, on one line."""
    gain = f", now {row['delta_ler']:+.6f} {interval_text(row['delta_ler_ci'], 6)}" if "delta_ler" in row else ""
    said = f"{row['run']}/{row['round']}: {row['verdict'] or 'not judged'} ({row['reason']}): ΔLER was {row['before']:+.6f}{gain}"
    out().print(plain(said), soft_wrap=True)


def print_head_to_head(note: Mapping[str, Any]) -> None:
    """What two rounds on the same shots were, on two lines."""
    first, second = note["pair"]
    said = {
        "dominates": f"{first} dominates {second}",
        "stays": f"{second} gains more than {first}, and stays",
        "undecided": f"{first} and {second} are too close to tell",
    }[note["word"]]
    c = PairedCounts.from_dict(note["counts"])
    out().print(plain(said))
    out().print(
        plain(
            f"  {first} less {second}: ΔLER {note['delta_ler']:+.6f} {interval_text(note['delta_ler_ci'], 6)} over {c.shots:,}"
            f" shots: both fail {c.both:,}, {first} only {c.candidate_only:,}, {second} only {c.baseline_only:,}"
        ),
        soft_wrap=True,
    )
