"""The test of a candidate on recorded shots: all of the holdout at once, so its number was fixed before anybody looked."""

from __future__ import annotations

from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.recording import is_recorded, recording_of, without_shots
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.decision import cell_result
from autoqec.scoring.score_stream import Scored, ScoreStream
from autoqec.scoring.verifier_contract import Report, VerificationRequest

from .sequential import CellScored, Plan, progress, with_costs
from .spending import Spending


def recording_in(request: VerificationRequest) -> str | None:
    """The digest of a request's recording; None if its shots are drawn.

    Raises:
        UsageError: The request does not say which look at the recording it is, or says so though shots are drawn.
    """
    recorded = is_recorded(request.environment)
    if recorded != (request.look is not None):
        said = "no look at its recording" if recorded else "a look at a recording, but its shots are drawn"
        raise UsageError(f"the verification of {request.environment.name} names {said}", code="recorded_shots")
    if not recorded:
        return None
    problem = build_problem(without_shots(request.environment), load_plugins().maker("code"))
    return recording_of(request.environment, problem).digest


def test_recorded(stream: ScoreStream, plan: Plan, spending: Spending, report: Report) -> CellScored:
    """Test a candidate on all shots of the holdout, with the references on the same shots.

    No clock breaks it off: a test on a part of the shots that depends on a clock would be no test on a fixed number.

    Args:
        stream: The holdout's.
        plan: The level.
        spending: Told what the test took.
        report: Told of progress.

    Raises:
        CandidateFault: The candidate broke its contract.
    """
    assert stream.recorded is not None
    shots = len(stream.recorded)
    chunks = stream.chunks_for(shots)
    counted = progress(report, "test", total=chunks * CHUNK_SHOTS)
    with spending.part("test"):
        test: Scored = stream.score(0, chunks, references=True, progress=counted)
    told = max(1, test.reference_shots)
    result = cell_result(
        test.counts,
        plan.alpha,
        test.digests,
        neutral=test.neutral,
        invalid=test.invalid,
        references={name: failures / told for name, failures in test.references.items()},
        references_missing=dict(test.missing),
        sent=test.sent,
        gate_flops=test.gate_flops,
        passes=test.passes,
        finite=True,
    )
    tested = with_costs(result, test)
    return CellScored(tested, test, test if tested.word == "better" else None, stream, test)
