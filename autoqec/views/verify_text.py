"""Prints the other results of `autoqec verify`: audits, a front that is judged again, head-to-heads."""

from __future__ import annotations

from collections.abc import Sequence

from autoqec.results.head_to_head import HeadToHead
from autoqec.results.reasons import reason_words, verdict_words
from autoqec.results.verdict import Rejudged, Verdict
from autoqec.views.console import out, plain
from autoqec.views.figures_text import interval_text, rate_text


def print_attested(name: str, file: str, *, signed: bool) -> None:
    """Print where the attestation of a round's verdict was written."""
    what = "in a signed DSSE envelope" if signed else "unsigned; set signing_key to sign it"
    out().print(plain(f"{name}: the verdict is an in-toto statement in {file}, {what}"), soft_wrap=True)


def print_audit(round_name: str, verdict: Verdict, disagreements: Sequence[str]) -> None:
    """The result of an audit: everything follows from the counts, or what does not."""
    said = f"{round_name}: {verdict_words(verdict.verdict, verdict.reason)}"
    if not disagreements:
        out().print(plain(f"{said} follows from its counts: evidence, level, figures, checks and word agree"))
        return
    out().print(
        plain("\n".join([f"{said} does not agree with its own note:", *(f"  {each}" for each in disagreements)]))
    )


def print_refuted(row: Rejudged) -> None:
    """The result of a member of the front on new shots, on one line."""
    figures = row.verdict.figures if row.verdict else None
    gain = f", now {rate_text(figures.delta_ler, 6, '+')} {interval_text(figures.gain_interval, 6)}" if figures else ""
    word = verdict_words(row.verdict.verdict, row.reason) if row.verdict else f"not judged ({reason_words(row.reason)})"
    out().print(plain(f"{row.name}: {word}: ΔLER was {rate_text(row.before, 6, '+')}{gain}"), soft_wrap=True)


def print_head_to_head(found: HeadToHead, second: str) -> None:
    """The result of a head-to-head, on two lines.

    Args:
        found: The head-to-head.
        second: The costlier round, `run/number`.
    """
    first = found.rival_name
    said = {
        "dominates": f"{first} dominates {second}",
        "stays": f"{second} gains more than {first}, and stays",
        "undecided": f"{first} and {second} are too close to tell",
    }[found.word]
    c, gain = found.counts, found.gain
    out().print(plain(said))
    if gain is not None:
        out().print(
            plain(
                f"  {first} less {second}: ΔLER {rate_text(gain.delta_ler, 6, '+')} {interval_text(gain.gain_interval, 6)}"
                f" over {c.shots:,} shots: both fail {c.both:,},"
                f" {first} only {c.candidate_only:,}, {second} only {c.baseline_only:,}"
            ),
            soft_wrap=True,
        )
