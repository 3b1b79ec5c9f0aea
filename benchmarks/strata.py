"""Plain shots beside shots by strata: the same decoders, the same intervals, by processor time.

Correlated matching stands in the candidate's place, plain matching in the baseline's. Each sampling gets the same processor time
for drawing and decoding; the figures are the rates, and the interval of the difference and of the ratio by the bets.
"""

from __future__ import annotations

from time import process_time

from _common import arguments, one_thread, show

one_thread()

from autoqec.decoding.compile_decoder import compile_decoder  # noqa: E402
from autoqec.plugins import load_plugins  # noqa: E402
from autoqec.problem.environment import Choice  # noqa: E402
from autoqec.problem.problem import Problem  # noqa: E402
from autoqec.problem.sampling import Shots, sample_chunk  # noqa: E402
from autoqec.problem.streams import derive_seed  # noqa: E402
from autoqec.results.counts import PairedCounts  # noqa: E402
from autoqec.results.figures import Figures  # noqa: E402
from autoqec.results.statistics import log_e_better, log_e_worse  # noqa: E402
from autoqec.results.stratified_counts import Counts, DrawnStrata, shares_for  # noqa: E402
from autoqec.scoring.fault_strata import sets_to_list, strata_chunk, strata_of  # noqa: E402
from autoqec.scoring.score_stream import StrataDraw  # noqa: E402
from autoqec.scoring.strata_tally import StrataTally, tally, together  # noqa: E402
from autoqec.testing import surface_problem  # noqa: E402

KEY = bytes(32)

#: Shares are decided again after four times the shots of the last time, as in a verdict.
_AGAIN_AT = 4
_FIRST_CHUNKS = 12


class Sides:
    """Both decoders of a problem, compiled, and the processor time they took."""

    def __init__(self, problem: Problem):
        registry = load_plugins()
        self.decoders = [compile_decoder(Choice(kind=kind), problem, registry) for kind in ("mwpm", "mwpm_correlated")]

    def failures(self, shots: Shots) -> list:
        """Which shots each side fails."""
        return [decoder.decode(shots.syndromes).failures(shots.observables) for decoder in self.decoders]


def plain(problem: Problem, sides: Sides, seconds: float) -> tuple[Counts, float]:
    """Counts of plain shots."""
    began, counts, chunk = process_time(), PairedCounts(), 0
    while process_time() - began < seconds:
        base, own = sides.failures(sample_chunk(problem, derive_seed(KEY, "plain", chunk)))
        both, alone, mine = (int(each.sum()) for each in (base & own, base & ~own, own & ~base))
        counts += PairedCounts(len(base), both, alone, mine)
        chunk += 1
    return counts, process_time() - began


def stratified(problem: Problem, sides: Sides, seconds: float, most_listed: int) -> tuple[Counts, float]:
    """Counts by strata; tables, lists and the first shares are on the clock."""
    began = process_time()
    strata = strata_of(problem)
    sets = sets_to_list(problem, most_listed)
    first, chances = len(sets), tuple(strata.probabilities[len(sets) :].tolist())
    drawn = DrawnStrata(tuple(range(first, strata.most + 1)), chances, strata.beyond)
    listed = strata.probabilities[:first].tolist()
    phases: list[tuple[tuple[float, ...], StrataTally]] = []
    draw, chunk, again = StrataDraw(shares_for(chances, ()), sets, 0), 0, _FIRST_CHUNKS
    again = max(again, draw.chunks)
    while process_time() - began < seconds or chunk < draw.chunks:
        (rank,) = draw.fields([chunk])["first_listed"]
        made = strata_chunk(problem, strata, derive_seed(KEY, "strata", chunk), draw.shares, rank, sets)
        found = tally(made, first, len(chances), *sides.failures(made.shots))
        if phases and phases[-1][0] == draw.shares:
            phases[-1] = (draw.shares, phases[-1][1] + found)
        else:
            phases.append((draw.shares, found))
        chunk += 1
        if chunk == again:
            again *= _AGAIN_AT
            draw = StrataDraw(shares_for(chances, together(phases, drawn, listed).phases), sets, 0)
    return together(phases, drawn, listed), process_time() - began


def row(name: str, sampling: str, counts: Counts, seconds: float) -> dict[str, object]:
    """A line of the table."""
    figures = Figures.of(counts)
    lower, upper = figures.ratio_interval
    return {
        "problem": name,
        "sampling": sampling,
        "processor s": round(seconds, 1),
        "shots": counts.shots,
        "ler mwpm": figures.ler_baseline,
        "ler correlated": figures.ler_candidate,
        "difference, low": figures.gain_interval[0],
        "difference, high": figures.gain_interval[1],
        "ratio": figures.ler_ratio or 0.0,
        "ratio, low": lower,
        "ratio, high": upper if upper is not None else float("inf"),
        "log E better": round(log_e_better(counts), 1),
        "log E worse": round(log_e_worse(counts), 1),
    }


def main() -> None:
    """Measure and print."""
    options = arguments(
        __doc__, seconds=(60, "processor seconds of each sampling"), listed=(2_000_000, "sets to list, at most")
    )
    rows = []
    for distance, p in ((5, 1e-3), (7, 1e-3), (5, 1e-4)):
        problem, name = surface_problem(distance, p), f"d{distance}, p = {p:g}"
        sides = Sides(problem)
        sides.failures(sample_chunk(problem, 1))  # compiles off the clock
        rows.append(row(name, "plain", *plain(problem, sides, options.seconds)))
        rows.append(row(name, "stratified", *stratified(problem, sides, options.seconds, options.listed)))
    show("strata", rows, {"seconds": options.seconds, "listed": options.listed}, as_json=options.json)


if __name__ == "__main__":
    main()
