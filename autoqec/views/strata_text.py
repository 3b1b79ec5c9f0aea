"""Prints the counts of a test whose shots are drawn by strata: a line for each stratum that can be checked by hand."""

from __future__ import annotations

from collections.abc import Iterator

from autoqec.results.strata_parts import ByStrata
from autoqec.results.verdict_parts import Tested
from autoqec.results.workings import StratumWorkings, strata_workings


def strata_lines(tested: Tested, strata: ByStrata) -> Iterator[str]:
    """The test and the figures of a cell."""
    found = strata_workings(tested, strata)
    if isinstance(found, str):
        yield f"strata: do not match the schema of a verdict: {found}"
        return
    terms = found.terms
    yield f"stratified sampling: shots are drawn by how many mechanisms fire; test: {_kinds(found.tested)}"
    yield (
        f"log evidence {tested.log_e_better:.2f}, needed log(1/level) = {tested.log_e_needed:.2f}; it is the log of the mean over"
        f" {terms.bets} bets, the largest term is {terms.log_e:.2f} at L = {terms.bet:.4f}"
    )
    further = ", further shots" if strata.extension is not None else ""
    alike = "" if strata.effective_shots is None else f", worth {strata.effective_shots:.3g} plain shots"
    yield f"headline, on {_kinds(found.behind)}{further}{alike}:"
    yield from map(_row, found.rows)
    yield f"  more faults than {strata.drawn.faults[-1]}: probability at most {strata.drawn.beyond:.1g}, against the claim"


def _kinds(shots: tuple[int, int]) -> str:
    listed, drawn = shots
    return f"{listed:,} sets listed and {drawn:,} drawn"


def _row(row: StratumWorkings) -> str:
    c, how = row.counts, "all sets" if row.listed else "drawn"
    return (
        f"  {row.faults} faults, probability {row.probability:.3g}, {how}: {c.shots:,}, both fail {c.both:,},"
        f" plain only {c.baseline_only:,}, candidate only {c.candidate_only:,};"
        f" adds {row.plain:.3g} to plain, {row.candidate:.3g} to candidate"
    )
