"""A verdict in the few rows that a reader needs first. `verdict_text` has all of it, with its formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from autoqec.results.reasons import REASONS, verdict_words
from autoqec.results.reference_ratio import ReferenceRatio
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_parts import Check, Evidence, Tested
from autoqec.views.figures_text import figures_rows, gated_text, interval_text, ratio_text
from autoqec.views.verdict_text import (
    attempt_words,
    bound_lines,
    cell_lines,
    composition_lines,
    earners_words,
    out_of_time_lines,
    share_lines,
)

#: A name, and what is said of it.
Row = tuple[str, str]


def brief_rows(verdict: Verdict, reference: ReferenceRatio | None) -> list[Row]:
    """The word and what it means, the figures, the evidence, and what each check came to; no formulas.

    Args:
        verdict: The verdict.
        reference: The ratio to the best reference on the shots behind its figures.
    """
    evidence, known = verdict.evidence, REASONS.get(verdict.reason)
    target = evidence.target
    rows = [("verdict", verdict_words(verdict.verdict, verdict.reason) + (f": {known.says}" if known else ""))]
    rows += [("", line) for line in (*evidence.over, evidence.fault) if line]
    if verdict.figures is not None:
        missing = target.references_missing if target is not None else {}
        rows += figures_rows(verdict.figures, verdict.references, missing, reference)
    for part in _PARTS:
        rows += part(evidence)
    return rows + [("problem", f"{place}: does not match the schema of a verdict") for place in verdict.malformed]


def _target(evidence: Evidence) -> Iterator[Row]:
    tested = evidence.target
    if tested is not None:
        yield from (("reference", gated_text(name, gated)) for name, gated in sorted(tested.gated.items()))
        yield "evidence", _evidence(tested)
    if words := attempt_words(evidence):
        yield "level", words
    yield from (("cells", line) for line in cell_lines(evidence))
    yield from (("bound", line) for line in bound_lines(evidence))


def _evidence(tested: Tested) -> str:
    if tested.finite is not None:
        p = tested.mcnemar_p_fixed_n
        found = "" if p is None else f"McNemar's exact p = {p:.3g}, on "
        return f"{found}all {tested.test.shots:,} shots of the holdout"
    return (
        f"{tested.log_e_better:.2f}, needed {tested.log_e_needed:.2f} (natural logarithms), after"
        f" {tested.test.shots:,} shots of the test"
    )


def _cells(evidence: Evidence) -> Iterator[Row]:
    for cell in evidence.cells:
        said = cell.word.replace("_", " ")
        if cell.tested is not None:
            figures = cell.tested.figures
            ratio = f"{ratio_text(figures.ler_ratio, 3)} {interval_text(figures.ratio_interval, 3)} (95 %)"
            said += f", ratio {ratio} over {figures.shots:,} shots"
        yield "cell", f"at {cell.label}: {said}" + ("" if cell.fault is None else f": {cell.fault}")


def _beside(evidence: Evidence) -> Iterator[Row]:
    yield from (("stopped", line) for line in out_of_time_lines(evidence))
    yield from (("compose", line.removeprefix("compose: ")) for line in composition_lines(evidence))
    yield from (("gap", line.strip()) for line in share_lines(evidence))
    rows = [f"{row.label} {row.word.replace('_', ' ')}" for row in evidence.harm or ()]
    if rows:
        yield "harm", f"next to the target: {'; '.join(rows)}"
    found = evidence.certificate
    if found is not None and found.sets is not None:
        lost = sum(row.counts.candidate_only for row in found.sets.rows)
        seen = sum(row.counts.shots for row in found.sets.rows)
        fails = f"the candidate alone fails {lost:,} of {seen:,} sets of up to {found.correctable}"
        below = found.sets.break_even
        cost = "" if below is None else f"; they outweigh the gain below {below:.2g} of the target's error rates"
        yield "few faults", f"{found.word}: {fails}, which distance {found.distance} can correct{cost}"
    if evidence.ablation is not None:
        yield "ablation", earners_words(evidence.ablation)


def _costs(evidence: Evidence) -> Iterator[Row]:
    counted = (
        (evidence.flops_per_shot, "FLOPs per shot"),
        (evidence.params, "parameters"),
        (evidence.bytes, "bytes of files and weights"),
    )
    known = [f"{number:,} {what}" for number, what in counted if number is not None]
    if known:
        yield "costs", ", ".join(known)
    if evidence.us_per_shot is not None:
        yield "time", f"{evidence.us_per_shot.whole:.1f} µs per shot"


def _checks(evidence: Evidence) -> Iterator[Row]:
    """Checks that passed by name, the others with what they say; failed ones first."""
    rows = evidence.checks or ()
    order = ("failed", "warned", "passed", "by_construction")
    results = sorted({row.result for row in rows}, key=lambda each: order.index(each) if each in order else len(order))
    for result in results:
        yield from _same_checks(result, [row for row in rows if row.result == result])


def _same_checks(result: str, rows: Sequence[Check]) -> Iterator[Row]:
    said = result.replace("_", " ")
    if result in ("passed", "by_construction"):
        yield "checks", f"{said}: {', '.join(row.check for row in rows)}"
        return
    for row in rows:
        yield "check", f"{row.check}, {said}: {row.says}"


#: In the order in which a reader asks.
_PARTS: tuple[Callable[[Evidence], Iterator[Row]], ...] = (_target, _cells, _beside, _costs, _checks)
