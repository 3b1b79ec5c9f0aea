"""Other cells than the target: those that a verdict covers, and those where a candidate is only to do no harm.

Each is an environment of its own with a keyed stream of its own; the weights are the target's, if they fit there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoqec.candidate.weights import bound_to, carried_over
from autoqec.errors import AutoQECError
from autoqec.problem.cell import Cell
from autoqec.problem.neighbours import at_cell
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_key
from autoqec.results.harm import harm_counted, harm_word
from autoqec.results.verdict_parts import HarmCell, OtherCell
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

#: Of a do-no-harm cell at another p: candidate and decoders are told the target's error model.
UNTOLD = "untold"


@dataclass(frozen=True)
class CellStream:
    """A cell's stream, with the candidate's weights bound to its problem; how it comes by them, and whether its problem has the
    target's shape.
    """

    stream: ScoreStream
    weights: str
    same_shape: bool


def stream_at(stream: ScoreStream, structure: str, cell: Cell, purpose: str) -> CellStream:
    """The stream of a cell.

    Args:
        stream: The target's.
        structure: That of the target's problem.
        cell: Where.
        purpose: `cell` or `harm`: the two share no shot even where they are one place.

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
    same_shape = found["structure"] == structure
    try:
        if found["fingerprint"] in bound_to(stream.sealed.weights):
            return CellStream(there, TRAINED_HERE, same_shape)
        weights = carried_over(stream.sealed.weights, found["fingerprint"])
    except AutoQECError as error:
        raise CandidateFault("bad_weights", error.problem) from error
    bound = replace(there, sealed=SealedCandidate(stream.sealed.files, weights))
    return CellStream(bound, CARRIED_OVER, same_shape)


def test_cells(
    stream: ScoreStream, structure: str, cells: Sequence[Cell], plan: Plan, spending: Spending, report: Report
) -> tuple[OtherCell, ...]:
    """Test a candidate at each cell that the environment lists, all of them, each at the level of the attempt.

    Where one is broken off because the time is spent, those after it are not begun: the word is settled.

    "Better at every cell" is wrong only if it is wrong at one, so each test may err as often as the whole: no correction.
    Counts of two cells are never added.
    """
    found: list[OtherCell] = []
    for cell in cells:
        there = stream_at(stream, structure, cell, "cell")
        row = OtherCell(cell.said, cell.label, "", there.weights, there.same_shape)
        try:
            tested = test_cell(there.stream, plan, spending, report, references=False, cell=cell.label).tested
            found.append(replace(row, word=tested.word, tested=tested))
        except CandidateFault as fault:
            unfit = fault.reason == "bad_weights" and there.weights == CARRIED_OVER
            found.append(replace(row, word="weights_do_not_fit" if unfit else fault.reason, fault=fault.problem))
        if spending.out_of_time:
            break
    return tuple(found)


def harm_cells(
    stream: ScoreStream, structure: str, cells: Sequence[Cell], plan: Plan, report: Report
) -> tuple[HarmCell, ...]:
    """Score a candidate with a fixed number of shots at each cell next to the target.

    Where only the noise's strength differs, candidate and decoders are told the target's error model, as on a device whose
    rates have drifted: in the same processes, and the candidate has nothing but the shots to tell the cell by. Another number
    of rounds is another circuit, which both must know.

    Returns:
        A row for each cell. Beside the words of `harm_word` there is `not_applicable`: the code or its weights do not exist
        there, `why` says which.
    """
    rows: list[HarmCell] = []
    streams: dict[int, ScoreStream] = {}
    for place, cell in enumerate(cells):
        try:
            there = stream_at(stream, structure, cell, "harm")
        except AutoQECError as error:
            rows.append(HarmCell(cell.said, cell.label, "not_applicable", why=error.problem))
        else:
            untold = list(cell.said) in (["p"], ["factor"]) and there.same_shape
            drift = cell.p if cell.factor is None else cell.factor
            streams[place] = replace(stream, key=there.stream.key, drift=drift) if untold else there.stream
            weights = UNTOLD if untold else there.weights
            rows.append(HarmCell(cell.said, cell.label, "unknown", weights, there.same_shape))
    chunks = chunks_for(plan.rare(HARM_SHOTS, stream.sealed))
    each = chunks * CHUNK_SHOTS
    counted = progress(report, "do-no-harm cells", total=len(streams) * each)
    found = score_each(list(streams.values()), 0, chunks, lambda done: counted(int(done * each), len(streams) * each))
    for place, outcome in zip(streams, found, strict=True):
        rows[place] = _harm(rows[place], outcome)
    return tuple(rows)


def _harm(row: HarmCell, outcome: Scored | AutoQECError) -> HarmCell:
    if isinstance(outcome, Scored):
        return replace(row, word=harm_word(outcome.counts), counted=harm_counted(outcome.counts))
    if not isinstance(outcome, CandidateFault):
        return replace(row, word="not_applicable", why=outcome.problem)
    if row.same_shape:
        # No answer at all where the rates of errors alone are others is worse than a wrong one.
        return replace(row, word="harm", why=f"the candidate broke its contract there: {outcome.problem}")
    if outcome.reason == "bad_weights":
        why = f"the weights have the shape of the target and do not fit: {outcome.problem}"
        return replace(row, word="not_applicable", why=why)
    return replace(row, word="unknown", why=outcome.problem)
