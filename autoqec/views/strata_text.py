"""Prints the counts of a test whose shots are drawn by strata: a line for each stratum that can be checked by hand."""

from __future__ import annotations

from collections.abc import Iterator

from autoqec.results.counts import PairedCounts
from autoqec.results.stratified_counts import StratifiedCounts
from autoqec.results.verdict_parts import ByStrata, Tested
from autoqec.results.workings import evidence_workings


def strata_lines(tested: Tested, strata: ByStrata) -> Iterator[str]:
    """The test and the figures of a cell."""
    try:
        test, behind = tested.test_counts, tested.headline_counts
        terms = evidence_workings(tested)
    except (ArithmeticError, ValueError) as error:
        yield f"strata: do not match the schema of a verdict: {error}"
        return
    assert isinstance(test, StratifiedCounts)
    assert isinstance(behind, StratifiedCounts)
    yield f"stratified sampling: shots are drawn by how many mechanisms fire; test: {_kinds(test)}"
    yield (
        f"log evidence {tested.log_e_better:.2f}, needed log(1/α) = {tested.log_e_needed:.2f}; it is the log of the mean over"
        f" {terms.bets} bets, the largest term is {terms.log_e:.2f} at L = {terms.bet:.4f}"
    )
    further = " further" if strata.extension is not None else ""
    alike = "" if strata.effective_shots is None else f", worth {strata.effective_shots:.3g} plain shots"
    yield f"headline, on {_kinds(behind)} of {behind.shots:,}{further} shots{alike}:"
    for each in behind.listed:
        yield (
            f"  {each.faults} faults, probability {each.probability:.3g}, all sets: {_counts(each.counts)};"
            f" adds {each.failing[0]:.3g} to plain, {each.failing[1]:.3g} to candidate"
        )
    for place, faults in enumerate(behind.drawn.faults):
        counts, (plain, own) = behind.part(place)
        if counts.shots:
            yield (
                f"  {faults} faults, probability {behind.drawn.probabilities[place]:.3g}, drawn: {_counts(counts)};"
                f" adds {plain:.3g} to plain, {own:.3g} to candidate"
            )
    yield f"  more faults than {behind.drawn.faults[-1]}: probability at most {behind.drawn.beyond:.1g}, against the claim"


def _kinds(counts: StratifiedCounts) -> str:
    listed = sum(each.counts.shots for each in counts.listed)
    return f"{listed:,} sets listed and {counts.shots - listed:,} drawn"


def _counts(counts: PairedCounts) -> str:
    return (
        f"{counts.shots:,}, both fail {counts.both:,}, plain only {counts.baseline_only:,},"
        f" candidate only {counts.candidate_only:,}"
    )
