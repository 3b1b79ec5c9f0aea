"""Other cells than the target: those that a verdict covers, and those where a candidate is only to do no harm.

Each is an environment of its own with a keyed stream of its own; the weights are the target's, if they fit there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autoqec.candidate.weights import bound_to, carried_over
from autoqec.errors import AutoQECError
from autoqec.problem.cell import Cell
from autoqec.problem.neighbours import at_cell
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_key
from autoqec.results.harm import harm_fields
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import survey
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.score_stream import Scored, ScoreStream, chunks_for, score_each
from autoqec.scoring.verifier_contract import Report

from .sequential import Plan, progress, test_cell
from .spending import Spending

#: Shots of each do-no-harm cell: enough to see a third more failures at a rate of 7e-3, and no test of its own.
HARM_SHOTS = 32_768

#: How a candidate comes by its weights at a cell: it was trained there too, or they are the target's, which the judge binds to
#: the cell's problem. A cell can have another shape; stages whose weights do not have it then refuse to load them.
TRAINED_HERE, CARRIED_OVER = "trained_here", "carried_over"


def stream_at(stream: ScoreStream, structure: str, cell: Cell, purpose: str) -> tuple[ScoreStream, dict[str, Any]]:
    """The stream of a cell.

    Args:
        stream: The target's.
        structure: That of the target's problem.
        cell: Where.
        purpose: `cell` or `harm`: the two share no shot even where they are one place.

    Returns:
        The stream, with the candidate's weights bound to the cell's problem; and `cell`, `label`, `weights` and `same_shape`.

    Raises:
        CandidateFault: The weights are no weights.
        AutoQECError: There is no such cell: the code or its circuit cannot be made there.
    """
    there = replace(
        stream,
        environment=at_cell(stream.environment, cell),
        key=derive_key(stream.key, purpose, cell.label),
    )
    found = there.run(survey.FUNCTION)
    fields = {"cell": cell.said, "label": cell.label, "same_shape": found["structure"] == structure}
    try:
        if found["fingerprint"] in bound_to(stream.sealed.weights):
            return there, fields | {"weights": TRAINED_HERE}
        weights = carried_over(stream.sealed.weights, found["fingerprint"])
    except AutoQECError as error:
        raise CandidateFault("bad_weights", error.problem) from error
    return replace(there, sealed=SealedCandidate(stream.sealed.files, weights)), fields | {"weights": CARRIED_OVER}


def test_cells(
    stream: ScoreStream, structure: str, cells: Sequence[Cell], plan: Plan, spending: Spending, report: Report
) -> list[dict[str, Any]]:
    """Test a candidate at each cell that the environment lists, all of them, each at the level of the attempt.

    Where one is broken off because the time is spent, those after it are not begun: the word is settled.

    "Better at every cell" is wrong only if it is wrong at one, so each test may err as often as the whole: no correction.
    Counts of two cells are never added.

    Returns:
        Of each cell `cell`, `label`, `weights`, `same_shape`, `word` — that of its test, `weights_do_not_fit`, or the fault —
        and what the test came to.
    """
    found = []
    for cell in cells:
        there, fields = stream_at(stream, structure, cell, "cell")
        try:
            fields |= test_cell(there, plan, spending, report, references=False, cell=cell.label).fields
        except CandidateFault as fault:
            unfit = fault.reason == "bad_weights" and fields["weights"] == CARRIED_OVER
            fields |= {"word": "weights_do_not_fit" if unfit else fault.reason, "fault": fault.problem}
        found.append(fields)
        if spending.out_of_time:
            break
    return found


def harm_cells(
    stream: ScoreStream, structure: str, cells: Sequence[Cell], plan: Plan, report: Report
) -> list[dict[str, Any]]:
    """Score a candidate with a fixed number of shots at each cell next to the target.

    Returns:
        Of each cell `cell`, `label` and `word`, `weights` and `same_shape`, and what `harm_fields` says. Beside its words there
        is `not_applicable`: the code or its weights do not exist there, `why` says which.
    """
    rows: list[dict[str, Any]] = []
    streams: dict[int, ScoreStream] = {}
    for place, cell in enumerate(cells):
        try:
            streams[place], fields = stream_at(stream, structure, cell, "harm")
            rows.append(fields)
        except AutoQECError as error:
            rows.append({"cell": cell.said, "label": cell.label, "word": "not_applicable", "why": error.problem})
    chunks = chunks_for(plan.few(HARM_SHOTS))
    each = chunks * CHUNK_SHOTS
    counted = progress(report, "do-no-harm cells", total=len(streams) * each)
    found = score_each(list(streams.values()), 0, chunks, lambda done: counted(done * each, len(streams) * each))
    for place, outcome in zip(streams, found, strict=True):
        rows[place] |= _harm(rows[place], outcome)
    return rows


def _harm(fields: dict[str, Any], outcome: Scored | AutoQECError) -> dict[str, Any]:
    if isinstance(outcome, Scored):
        return harm_fields(outcome.counts)
    if not isinstance(outcome, CandidateFault):
        return {"word": "not_applicable", "why": outcome.problem}
    if fields["same_shape"]:
        # No answer at all where the rates of errors alone are others is worse than a wrong one.
        return {"word": "harm", "why": f"the candidate broke its contract there: {outcome.problem}"}
    if outcome.reason == "bad_weights":
        why = f"the weights have the shape of the target and do not fit: {outcome.problem}"
        return {"word": "not_applicable", "why": why}
    return {"word": "unknown", "why": outcome.problem}
