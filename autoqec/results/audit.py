"""Audits a verdict from its own note: recomputes everything that follows from the counts and compares it with what the note says.

An audit draws no shots, so it cannot tell whether the counts are true. A replay of the shots from the revealed key can.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isclose
from typing import Any, TypeVar

from autoqec.results.decision import cell_result, decide, rate_surely_below, test_word
from autoqec.results.distance import certificate_row, certified
from autoqec.results.harm import harm_counted, harm_word, slope_of
from autoqec.results.note_form import write_record
from autoqec.results.reasons import REASONS, word_for
from autoqec.results.statistics import attempt_alpha, delta_interval
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_checks import NotWhole, run_checks
from autoqec.results.verdict_parts import Certificate, Check, Evidence, FaultSets, Tested, Variant

#: Relative tolerance between two computations of one number.
_CLOSE = 1e-9

#: Fields of a test that are counted, so they do not follow from its other counts.
_COUNTED = ("test", "extension", "neutral", "digests", "invalid", "references", "references_missing")

#: A number in a sentence.
_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")

_T = TypeVar("_T")


def audit(verdict: Verdict) -> list[str]:
    """Find what a verdict's note says that does not follow from its counts.

    Args:
        verdict: As it stands in git. Verdicts of earlier versions hold fewer fields; the audit examines those they hold.

    Returns:
        One sentence per figure that disagrees, `field: …`; empty if all agree.
    """
    found = [f"the note is incomplete: {place} does not match the schema of a verdict" for place in verdict.malformed]
    try:
        found += _differences(verdict)
    except NotWhole as missing:
        found += [f"the note is incomplete: it has no {missing}"] if not found else []
    except (ArithmeticError, ValueError) as error:
        found.append(f"the note is incomplete: {type(error).__name__}: {error}")
    return found


def _differences(verdict: Verdict) -> Iterator[str]:
    evidence = verdict.evidence
    attempt = _needed(evidence.attempt, "attempt")
    faults = [*level_faults(evidence)]
    yield from faults
    if faults:  # no level, and so nothing else, follows from such numbers
        return
    alpha = attempt_alpha(attempt.alpha, attempt.attempt, attempt.verified_before)
    yield from _beside("alpha_attempt", attempt.alpha_attempt, alpha)
    if evidence.fault is not None or evidence.over:
        yield from _stopped(verdict)
        return
    target, chunk_shots = _needed(evidence.target, "test"), _needed(evidence.chunk_shots or None, "chunk_shots")
    yield from _tested("", target, alpha, chunk_shots)
    for place, cell in enumerate(evidence.cells):
        if cell.tested is not None:
            yield from _tested(f"cells.{place}.", cell.tested, alpha, chunk_shots)
    yield from _out_of_time(evidence)
    for place, row in enumerate(evidence.harm or ()):
        if row.counted is not None:
            counts = row.counted.counts
            noted = write_record(row.counted) | {"word": row.word}
            yield from _beside(f"harm.{place}", noted, write_record(harm_counted(counts)) | {"word": harm_word(counts)})
    if evidence.certificate is not None and evidence.certificate.sets is not None:
        delta_ler = target.figures.delta_ler
        yield from _certificate(evidence.certificate, evidence.certificate.sets, delta_ler)
    for place, variant in enumerate(evidence.ablation.variants if evidence.ablation else ()):
        yield from _variant(f"ablation.variants.{place}", variant)
    yield from _word(verdict, target, alpha)


def level_faults(evidence: Evidence) -> Iterator[str]:
    """Find numbers of an attempt from which no level follows: a level above the budget, or successes that it cannot have had."""
    attempt = evidence.attempt
    if attempt is None:
        return
    if attempt.attempt < 1:
        yield f"attempt: the note says {attempt.attempt}, but attempts are numbered from 1"
    elif not 0 <= attempt.verified_before < attempt.attempt:
        yield f"verified_before: the note says {attempt.verified_before}, but {attempt.attempt - 1} attempts came before"
    if evidence.intent and attempt.verified_before != 0:
        yield f"verified_before: the note says {attempt.verified_before}, but earlier verdicts do not raise a level: 0"
    if not 0 < attempt.alpha < 1:
        yield f"alpha: the note says {attempt.alpha:g}, which is no error budget"
    elif attempt.alpha_attempt > attempt.alpha:
        yield f"alpha_attempt: the note says {attempt.alpha_attempt:g}, above the error budget of the run, {attempt.alpha:g}"


def _needed(part: _T | None, name: str) -> _T:
    if part is None:
        raise NotWhole(name)
    return part


def _stopped(verdict: Verdict) -> Iterator[str]:
    """Check the word for a candidate that broke its contract or its limits, against the table of reasons."""
    evidence, known = verdict.evidence, REASONS.get(verdict.reason)
    if evidence.over:
        yield from _beside("verdict and reason", [verdict.verdict, verdict.reason], list(decide(evidence)))
    elif known is not None and not known.fault:
        yield f"verdict: {verdict.verdict} ({verdict.reason}), but the reason must say how the candidate broke its contract"
    elif verdict.verdict != word_for(verdict.reason):
        yield (
            f"verdict: {verdict.verdict}, but a candidate that broke its contract by {verdict.reason} is"
            f" {word_for(verdict.reason)}"
        )


def _tested(where: str, noted: Tested, alpha: float, chunk_shots: int) -> Iterator[str]:
    """Audit one cell: its evidence from the test's counts, its figures from the extension's counts."""
    again = write_record(
        cell_result(noted.test, alpha, noted.digests, extension=noted.extension, neutral=noted.neutral)
    )
    said = write_record(noted)
    for name, value in again.items():
        if name not in _COUNTED and (name != "word" or noted.word):
            yield from _beside(where + name, said.get(name), value)
    drawn = len(noted.digests) * chunk_shots
    yield from _beside(f"{where}digests, times {chunk_shots} shots", drawn, again["shots_in_all"])


def _out_of_time(evidence: Evidence) -> Iterator[str]:
    """Check that only an undecided test stopped early, and where the note says so."""
    stop = evidence.out_of_time
    if stop is None:
        return
    places = [evidence.target] if stop.cell is None else [c.tested for c in evidence.cells if c.label == stop.cell]
    yield from _beside("out_of_time.cell", [place.word if place else None for place in places], ["undecided"])
    yield from _beside("out_of_time.shots", [stop.shots], [place.test.shots for place in places if place])


def _certificate(noted: Certificate, sets: FaultSets, delta_ler: float) -> Iterator[str]:
    none = sets.no_fault
    for place, row in enumerate(sets.rows):
        # For listed sets the note holds the summed probabilities; for drawn sets they follow from counts.
        sums = (row.failing[0] / none, row.failing[1] / none) if row.how == "listed" else None
        again = certificate_row(row.weight, row.of, row.probability, none, row.counts, sums)
        yield from _beside(f"certificate.rows.{place}", write_record(row), write_record(again))
    whole = certified(_needed(noted.distance, "certificate.distance"), noted.found, none, sets.rows, delta_ler)
    yield from _beside("certificate.word", noted.word, whole.word)
    yield from _beside("certificate.break_even", sets.break_even, _needed(whole.sets, "certificate.rows").break_even)


def _variant(where: str, variant: Variant) -> Iterator[str]:
    counted = variant.counted
    if counted is not None:
        yield from _beside(f"{where}.delta_ler", counted.delta_ler, counted.counts.delta_ler)
        yield from _beside(f"{where}.earned", counted.earned, counted.against_whole.delta_ler)
        yield from _beside(f"{where}.earned_ci", counted.earned_ci, delta_interval(counted.against_whole))


def _word(verdict: Verdict, target: Tested, alpha: float) -> Iterator[str]:
    evidence = verdict.evidence
    if not target.word:  # version 0.1 made its checks but did not note them, so only the test can be audited
        better = test_word(target.test, alpha) == "better"
        if better != (verdict.verdict != "FAILED" or verdict.reason in ("target_missed", "constraint")):
            yield f"verdict: {verdict.verdict} ({verdict.reason}) does not follow from the counts of the test"
        return
    if evidence.target_ler is not None and target.extension is not None:
        bound = rate_surely_below(target.extension, alpha)
        yield from _beside("ler_candidate_bound", evidence.ler_candidate_bound, bound)
    if evidence.checks is not None:
        yield from _beside("two_p_slope", _json(evidence.two_p_slope), _json(slope_of(evidence)))
        checks = run_checks(evidence)
        yield from _beside("checks", [*map(_figures_of, evidence.checks)], [*map(_figures_of, checks)])
        evidence = replace(evidence, checks=checks)
    yield from _beside("verdict and reason", [verdict.verdict, verdict.reason], list(decide(evidence)))


def _figures_of(check: Check) -> dict[str, Any]:
    """A check with the figures of its sentence in place of the sentence: its words may change from version to version."""
    return {**write_record(check), "says": sorted(_FIGURE.findall(check.says))}


def _json(record: Any) -> Any:
    return None if record is None else write_record(record)


def _beside(name: str, noted: Any, again: Any) -> Iterator[str]:
    """Report where a noted value differs from the recomputed one; of a mapping, only recomputed keys are compared."""
    if isinstance(again, Mapping) and isinstance(noted, Mapping):
        for key, value in again.items():
            yield from _beside(f"{name}.{key}", noted.get(key), value)
    elif isinstance(again, list | tuple) and isinstance(noted, list | tuple) and len(again) == len(noted):
        for place, (one, other) in enumerate(zip(noted, again, strict=True)):
            yield from _beside(f"{name}.{place}", one, other)
    elif not _same(noted, again):
        yield f"{name}: the note says {noted}, its counts give {again}"


def _same(noted: Any, again: Any) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (noted, again))
    return isclose(noted, again, rel_tol=_CLOSE, abs_tol=_CLOSE) if numbers else bool(noted == again)
