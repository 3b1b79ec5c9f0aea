"""A verdict as text that can be checked by hand: each figure stands beside the formula it comes from, with the numbers put in.

The formulas are the verifier's own; `autoqec verify --audit` works them all out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.statistics import BETS, PLANNED_ATTEMPTS, attempt_share, best_bet
from autoqec.views.console import out, plain
from autoqec.views.figures_text import figures_text, interval_text, ratio_text

_COMPOSITIONS = {
    "adds_up": "the parents' gains add up",
    "partial": "the parents' gains add up in part",
    "interferes": "the parents interfere",
    "unknown": "the parents could not be scored",
}


def print_verdict(verdict: Mapping[str, Any]) -> None:
    """A verdict, so that it can be checked by hand from its counts."""
    out().print(plain(verdict_lines(verdict)))


def verdict_lines(verdict: Mapping[str, Any]) -> str:
    """A verdict note as text. A part of it that has not the form such parts have is said to have not."""
    level = verdict.get("alpha_attempt")
    at = f", at level {level:.2g}" if isinstance(level, int | float) else ""
    lines = [
        f"{verdict['verdict']} ({verdict['reason']}), attempt {verdict.get('attempt')} of the run{at},"
        f" by {verdict.get('verifier')}"
    ]
    for name, part in _PARTS.items():
        if name in verdict and verdict[name] is not None:
            try:
                lines += part(verdict)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError):
                lines.append(f"{name}: not of the form that verdicts have")
    beacon = f"; beacon {verdict['beacon']}" if verdict.get("beacon") else ""
    layers = (
        "trusted code, not locked" if verdict.get("trusted_code") else f"sandbox level {verdict.get('sandbox_level')}"
    )
    lines.append(
        f"{layers}; holdout key {verdict.get('seed_key')}{beacon}; took {verdict.get('seconds')} s{_parts_text(verdict)}"
    )
    return "\n".join(lines)


def _parts_text(verdict: Mapping[str, Any]) -> str:
    parts = verdict.get("seconds_by_part")
    if not isinstance(parts, Mapping) or not parts:
        return ""
    return ": " + ", ".join(f"{name.replace('_', ' ')} {seconds}" for name, seconds in parts.items())


def _out_of_time(verdict: Mapping[str, Any]) -> Iterator[str]:
    stop = verdict["out_of_time"]
    where = f"at {stop['cell']}" if stop["cell"] else "at the target"
    yield (
        f"out of time: the budget of {stop['seconds']:g} s was spent while the test {where} was undecided,"
        f" after {stop['shots']:,} shots"
    )


def _cell(verdict: Mapping[str, Any]) -> Iterator[str]:
    places = [verdict["cell"], *(cell["cell"] for cell in verdict.get("cells", ()))]
    labels = [", ".join(f"{name} = {value}" for name, value in place.items()) for place in places]
    yield f"judged at {labels[0] or 'the noise of the file'}" + "".join(f"; and at {label}" for label in labels[1:])


def _level(verdict: Mapping[str, Any]) -> Iterator[str]:
    share = attempt_share(verdict["attempt"])
    yield (
        f"level: α · share · (verified before + 1) = {verdict['alpha']:g} · 1/{1 / share:g} ·"
        f" {verdict['verified_before'] + 1} = {verdict['alpha_attempt']:.3g} (the first {PLANNED_ATTEMPTS} attempts of a run"
        f" share half of α)"
    )


def _test(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield from _evidence(verdict)
    yield from _headline(verdict)


def _evidence(cell: Mapping[str, Any]) -> Iterator[str]:
    c = PairedCounts.from_dict(cell["test"])
    yield (
        f"test: {c.shots:,} shots: both fail a = {c.both:,}, plain only b = {c.baseline_only:,},"
        f" candidate only c = {c.candidate_only:,}"
    )
    bet, log_e = best_bet(c)
    yield (
        f"log evidence {cell['log_e_better']:.2f}, needed log(1/α) = {cell['log_e_needed']:.2f}; it is the log of the mean over"
        f" {len(BETS)} bets L of (1 + L)^b (1 - L)^c"
    )
    yield (
        f"  the largest term, L = {bet:.4f}: {c.baseline_only:,} · log {1 + bet:.4f} + {c.candidate_only:,} · log {1 - bet:.4f}"
        f" = {log_e:.2f}, so the mean is between that less log {len(BETS)} = 3.18 and that"
    )


def _headline(cell: Mapping[str, Any]) -> Iterator[str]:
    if "extension" not in cell:
        return
    c = PairedCounts.from_dict(cell["extension"])
    plain_failures, failures = c.both + c.baseline_only, c.both + c.candidate_only
    yield (
        f"headline, on {c.shots:,} further shots: both a = {c.both:,}, plain only b = {c.baseline_only:,},"
        f" candidate only c = {c.candidate_only:,}"
    )
    yield (
        f"  LER (a + c)/n = {failures:,}/{c.shots:,}, plain (a + b)/n = {plain_failures:,}/{c.shots:,},"
        f" ΔLER (b - c)/n = {c.baseline_only - c.candidate_only:,}/{c.shots:,},"
        f" ratio (a + c)/(a + b) = {failures:,}/{plain_failures:,}"
    )


def _figures(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield figures_text(verdict)


def _cells(verdict: Mapping[str, Any]) -> Iterator[str]:
    for cell in verdict["cells"]:
        carried = ", with the target's weights" if cell["weights"] == "carried_over" else ""
        yield f"at {cell['label']}{carried}: {cell['word']}" + (f": {cell['fault']}" if "fault" in cell else "")
        if "test" in cell:
            lines = [*_evidence(cell), *_headline(cell), *figures_text(cell).split("\n")]
            yield from (f"  {line}" for line in lines)


def _harm(verdict: Mapping[str, Any]) -> Iterator[str]:
    for row in verdict["harm"]:
        said = f"beside the target, {row['label']}: {row['word'].replace('_', ' ')}"
        if "counts" in row:
            c = PairedCounts.from_dict(row["counts"])
            said += (
                f": ratio ({c.both:,} + {c.candidate_only:,})/({c.both:,} + {c.baseline_only:,}) ="
                f" {ratio_text(row['ler_ratio'], 3)} {interval_text(row['ler_ratio_ci'], 3)} over {c.shots:,} shots"
            )
        yield said + (f": {row['why']}" if "why" in row else "")


def _certificate(verdict: Mapping[str, Any]) -> Iterator[str]:
    found = verdict["certificate"]
    if "rows" not in found:
        yield f"few faults: not examined: {found['why']}"
        return
    yield (
        f"few faults, of which distance {found['distance']} ({found['found']}) can have {(found['distance'] - 1) // 2}:"
        + (f" {found['word']}")
    )
    for row in found["rows"]:
        c = PairedCounts.from_dict(row["counts"])
        how = f"all {row['of']:,}" if row["how"] == "listed" else f"{c.shots:,} drawn of {row['of']:,}"
        yield (
            f"  weight {row['weight']}, {how}: both fail {c.both:,}, plain only {c.baseline_only:,}, candidate only"
            f" {c.candidate_only:,}; of all shots plain fails {row['failing'][0]:.2g} so, the candidate {row['failing'][1]:.2g}"
        )
    for each in found["regressions"]:
        flipped = " and ".join(f"L{number}" for number in each["observables"]) or "no observable"
        yield (
            f"  the candidate alone fails mechanisms {', '.join(map(str, each['mechanisms']))} together (detectors"
            f" {' '.join(f'D{number}' for number in each['detectors'])}, {flipped}), probability {each['probability']:.2g}"
        )
    if found["break_even"] is not None:
        yield f"  to leading order they outweigh the gain below {found['break_even']:.2g} of the target's error rates"


def _ablation(verdict: Mapping[str, Any]) -> Iterator[str]:
    found = verdict["ablation"]
    earner = f"stage {found['earner']} earns most" if found["earner"] else "no stage is shown to earn anything alone"
    yield f"ablation, on {found['shots']:,} of the headline shots: {earner}"
    for row in found["variants"]:
        if "fault" in row:
            yield f"  {row['name']}: {row['fault']}"
            continue
        c = PairedCounts.from_dict(row["against_whole"])
        yield (
            f"  {row['name']}: ΔLER {row['delta_ler']:+.6f}, so that is worth ({c.baseline_only:,} - {c.candidate_only:,})/"
            f"{c.shots:,} = {row['earned']:+.6f} {interval_text(row['earned_ci'], 6)}"
        )


def _share(verdict: Mapping[str, Any]) -> Iterator[str]:
    found = verdict["share_of_gap"]
    rates = ", ".join(
        f"{name} {found[key]['ler']:.6f} {interval_text(found[key]['ler_ci'], 6)}"
        for name, key in (("plain", "baseline"), ("candidate", "candidate"), (found["reference"], "strong"))
    )
    share = "none" if found["share"] is None else f"{found['share']:.0%}"
    yield f"share of the gap to {found['reference']} closed: {share}, on the same {found['shots']:,} shots: {rates}"


def _composition(verdict: Mapping[str, Any]) -> Iterator[str]:
    compose = verdict["compose"]
    text = f"compose: {_COMPOSITIONS.get(compose['composition'], compose['composition'])}"
    if "over_best" not in compose:
        yield f"{text}: {compose.get('fault')}"
        return
    gains = ", ".join(f"{name} {gain:+.6f}" for name, gain in sorted(compose["parents"].items()))
    yield (
        f"{text}: on the same shots {gains}; over {compose['best_parent']}"
        f" {compose['over_best']:+.6f} {interval_text(compose['over_best_ci'], 6)}"
    )


def _checks(verdict: Mapping[str, Any]) -> Iterator[str]:
    for row in verdict["checks"]:
        yield f"check {row['check']}, {row['result'].replace('_', ' ')}: {row['says']}"


def _over(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield "; ".join(map(str, verdict["over"]))


def _bound(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield f"LER at most {verdict['ler_candidate_bound']:.6f} at the level of the attempt; the target is {verdict['target_ler']}"


def _fault(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield str(verdict["fault"])


def _replay(verdict: Mapping[str, Any]) -> Iterator[str]:
    agrees = (
        "drew the same shots and counted the same" if verdict["replay_agrees"] else "DIFFERS from the verdict noted"
    )
    yield f"replay: {agrees}"


#: What stands in a note, in the order in which it is read.
_PARTS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "cell": _cell,
    "alpha_attempt": _level,
    "over": _over,
    "test": _test,
    "ler_candidate": _figures,
    "ler_candidate_bound": _bound,
    "cells": _cells,
    "out_of_time": _out_of_time,
    "compose": _composition,
    "share_of_gap": _share,
    "harm": _harm,
    "certificate": _certificate,
    "ablation": _ablation,
    "checks": _checks,
    "fault": _fault,
    "replay_agrees": _replay,
}
