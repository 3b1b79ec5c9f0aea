"""The test of one cell: shots looked at as they come until the evidence is in, then a fixed number more for the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil, log
from typing import Any

from autoqec.candidate_paths import GATE_FILE
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.decision import FUTILE_ALPHA, FUTILE_RATIO, cell_result, test_word
from autoqec.results.statistics import log_e_better, log_e_worse
from autoqec.results.verdict_parts import Tested
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.score_stream import Scored, ScoreStream, ShotProgress, chunks_for
from autoqec.scoring.verifier_contract import Report, VerificationRequest

from .by_strata import COST_SHOTS, StrataTest, strata_at
from .spending import Spending

#: No decision before this many shots, and this many more for the headline figures after a "better" stop (or as many as the
#: request's `max_shots`, if that is less); an environment's protocol may say otherwise.
MIN_SHOTS = 49_152  # twelve chunks
EXTENSION_SHOTS = 200_000

#: Failures that a candidate right at a target error rate would have in the extension: enough that one a fifth below the target
#: is almost surely shown to be below, at the strictest level of a run's first attempts (4e-4).
TARGET_FAILURES = 800

#: The most shots of a do-no-harm cell or an ablation of a gated candidate: at a few microseconds a shot they take seconds.
RARE_SHOTS = 524_288

#: Looks are free; this only keeps processes busy between them.
_LOOK_GROWTH = 1.25


@dataclass(frozen=True)
class Plan:
    """How many shots a verdict may spend on each cell.

    Attributes:
        alpha: Level of the attempt.
        min_shots, max_shots: No decision before and after these.
        headline_shots: Shots of the figures.
        by_strata: Whether shots are drawn by strata.
        factor: How many times the usual shots there are beside the figures, where failures are rare.
    """

    alpha: float
    min_shots: int
    max_shots: int
    headline_shots: int
    by_strata: bool = False
    factor: int = 1

    def few(self, most: int) -> int:
        """Shots for something beside the figures: so many, or a quarter of what the figures have, where decoding is slow."""
        return min(most, max(self.headline_shots // 4, CHUNK_SHOTS))

    def rare(self, most: int, sealed: SealedCandidate) -> int:
        """The same for something that failures must be seen in: more shots where they are rare, but not without end.

        Only a gated candidate has more: behind its gate hardly one of them costs anything.
        """
        more = min(most * self.factor, RARE_SHOTS) if GATE_FILE in sealed.files else most
        return self.few(max(most, more))


def plan_for(request: VerificationRequest, alpha: float) -> Plan:
    """The shots that a request, its environment and its target error rate ask for."""
    environment = request.environment.environment
    protocol, target = environment.protocol, environment.constraints.target_ler
    max_shots = request.max_shots or protocol.max_shots
    headline = protocol.headline_shots or EXTENSION_SHOTS
    if target is not None:
        headline = max(headline, ceil(TARGET_FAILURES / target))
    least, factor = protocol.min_shots or MIN_SHOTS, protocol.shots_factor or 1
    return Plan(alpha, least, max_shots, min(headline, max_shots), protocol.by_strata, factor)


@dataclass(frozen=True)
class CellScored:
    """What the test of a cell came to.

    Attributes:
        tested: As a verdict has it.
        test: The shots that the word rests on.
        extension: The shots that the figures rest on, which are the test's own where they are recorded; None if not better.
        behind: The stream that the extension's shots were drawn from.
        costs: The shots that the costs are means over.
    """

    tested: Tested
    test: Scored
    extension: Scored | None
    behind: ScoreStream
    costs: Scored

    @property
    def everything(self) -> Scored:
        """All shots of the cell."""
        return self.test + self.extension if self.extension and not self._finite else self.test

    @property
    def first(self) -> int:
        """The first chunk of the shots that the figures rest on."""
        return 0 if self._finite else self.test.chunks

    @property
    def _finite(self) -> bool:
        """Whether the figures rest on the shots of the test: where these are recorded, there are no others."""
        return self.tested.finite is not None


def test_cell(
    stream: ScoreStream, plan: Plan, spending: Spending, report: Report, *, references: bool, cell: str | None
) -> CellScored:
    """Test a candidate on one stream.

    The clock is looked at between looks: a test has its first shots whatever they take, and one that is decided has all the
    shots of its figures.

    Args:
        stream: The cell's own.
        plan: Level and shots.
        spending: The time that there is.
        report: Told of progress.
        references: Whether to run the environment's references on the shots of the figures.
        cell: The label of another cell than the target; None there.

    Raises:
        CandidateFault: The candidate broke its contract.
    """
    by = StrataTest(strata_at(stream, plan.max_shots)) if plan.by_strata else None
    with spending.part("cells" if cell else "test"):
        test = _decided(stream, plan, spending, report, cell, by)
    behind, extension = stream, None
    more = chunks_for(plan.headline_shots)
    if by is not None:
        behind = replace(stream, strata=replace(by.draw, listing=test.chunks))
        more += by.draw.chunks
    if test_word(by.counts if by else test.counts, plan.alpha) == "better":
        counted = progress(report, "extension", total=more * CHUNK_SHOTS)
        with spending.part("cells" if cell else "figures"):
            # By strata the neutral decoder is looked at in the listed ones too, so the other sides decode all of these shots.
            extension = behind.score(test.chunks, more, references=references, progress=counted)
    costs = test + extension if extension else test
    if by is not None:
        with spending.part("costs"):
            costs = replace(stream, domain=f"{stream.domain}/costs").score(0, chunks_for(plan.few(COST_SHOTS)))
    return CellScored(_tested(test, extension, plan, costs, by), test, extension, behind, costs)


def _tested(test: Scored, extension: Scored | None, plan: Plan, costs: Scored, by: StrataTest | None) -> Tested:
    """Headline figures from the extension, if there is one; the anytime interval over all shots beside them."""
    headline = extension or test
    strata = by.noted(extension, by.draw.shares, costs) if by else None
    shots = max(1, headline.reference_shots)
    references = {name: failures / shots for name, failures in headline.references.items()}
    if strata is not None:
        references = {name: strata.counts(each).ler_baseline for name, each in strata.references.items()}
    result = cell_result(
        test.counts,
        plan.alpha,
        test.digests + (extension.digests if extension else ()),
        extension=extension.counts if extension else None,
        neutral=extension.neutral if extension else None,
        invalid=headline.invalid,
        references=references,
        references_missing=dict(headline.missing),
        sent=costs.sent,
        gate_flops=costs.gate_flops,
        passes=costs.passes,
        strata=strata,
    )
    return with_costs(result, headline)


def with_costs(result: Tested, headline: Scored) -> Tested:
    """The result with what references took on the shots of the figures, and behind which gates."""
    return replace(result, gated=headline.gates, reference_us=headline.reference_us, neutral_us=headline.neutral_us)


def _decided(
    stream: ScoreStream, plan: Plan, spending: Spending, report: Report, cell: str | None, by: StrataTest | None
) -> Scored:
    """Shots until the evidence is in, or shots or time are spent."""
    scored, last = Scored(), chunks_for(plan.max_shots)
    for first, chunks in looks(plan.max_shots, max(plan.min_shots, by.least if by else 0)):
        counted = progress(report, "test", before=scored.counts.shots, total=plan.max_shots)
        more = (replace(stream, strata=by.draw) if by else stream).score(first, chunks, progress=counted)
        scored = scored + more
        if by is not None:
            by.add(more)
        counts = by.counts if by else scored.counts
        better, futile = log_e_better(counts), log_e_worse(counts, FUTILE_RATIO)
        report({"shots": scored.counts.shots, "max_shots": plan.max_shots, "log_e_better": round(better, 2)})
        decided = better >= log(1 / plan.alpha) or futile >= log(1 / FUTILE_ALPHA)
        if scored.counts.shots >= plan.min_shots and decided:
            break
        if scored.chunks < last and spending.stops(cell, scored.counts.shots):
            break
    return scored


def looks(max_shots: int, min_shots: int) -> Iterator[tuple[int, int]]:
    """First chunk and number of chunks between looks: the minimum first, then growing by a quarter, up to the maximum."""
    done, last = 0, chunks_for(max_shots)
    target = min(chunks_for(min_shots), last)
    while done < last:
        yield done, target - done
        done, target = target, min(last, max(target + 2, int(target * _LOOK_GROWTH)))


def progress(report: Report, stage: str, *, total: int, before: int = 0) -> ShotProgress:
    """Progress of a stretch of shots, as a report."""
    send: Callable[[dict[str, Any]], None] = report
    return lambda done, _: send({"shots": before + done, "max_shots": total, "stage": stage})
