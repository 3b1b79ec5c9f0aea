"""Baseline and candidate on the same fresh shots: what is done to a candidate, in which order, until there is a verdict.

The key of the stream is drawn here, after the commit is fixed, kept in this process, and revealed in the verdict. Costs are
counted before a shot is scored. The target is tested, then the environment's other cells; what passes is given further shots
for its figures, and is checked. What the counts mean is `autoqec.results.decision`'s to say.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from autoqec.candidate_paths import ENSEMBLE_FILE, GATE_FILE
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.neighbours import environment_cell, neighbours, rates_beside
from autoqec.problem.protocol import Constraints
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_key, derive_seed
from autoqec.results.decision import decide, rate_surely_below
from autoqec.results.harm import slope_of
from autoqec.results.limits import Limits, exceeded
from autoqec.results.reasons import word_for
from autoqec.results.verdict_checks import run_checks, ungated_wanted
from autoqec.results.verdict_parts import AnsweredAgain, Attempt, Composition, Evidence, Recorded, ShareOfGap
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import survey
from autoqec.scoring.composition import judge_composition, share_of_gap
from autoqec.scoring.executor_contract import Executor
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.score_stream import ScoreStream, chunks_for
from autoqec.scoring.shard import AGAIN, BY_RECORD
from autoqec.scoring.verifier_contract import Report, Verdict, VerificationRequest

from .ablation import ablate
from .distance_certificate import certify
from .finite_test import recording_in, test_recorded
from .sequential import CellScored, Plan, plan_for, progress, test_cell
from .spending import Spending
from .verdict_cells import harm_cells, test_cells

#: Headline shots on which a strong reference is run too; it may take milliseconds for each.
STRONG_REFERENCE_SHOTS = 16_384

#: Part of the tested chunks that fresh processes answer again.
_ANSWERED_AGAIN = 1 / 64

#: Part of the tested chunks that recorded operations answer, and at least how many. Four chunks find operations that give another
#: answer to one shot in 10,000 with a probability of 96 %.
_BY_RECORD = 1 / 32
_LEAST_BY_RECORD = 4

#: No candidate: decoders alone.
_NOBODY = SealedCandidate({}, b"")

_VERSIONS = ("autoqec", "stim", "pymatching", "fusion-blossom", "numpy", "numba")


class HoldoutVerifier:
    """See the module."""

    def verify(self, request: VerificationRequest, executor: Executor, report: Report) -> Verdict:
        """See `autoqec.scoring.verifier_contract.Verifier.verify`."""
        spending = Spending(request.max_seconds, request.stop)
        secret = request.seed_key or os.urandom(32)
        environment = request.environment.environment
        budget = request.alpha or environment.protocol.alpha
        parts = (request.environment.identity, request.commit, request.sealed.digest, request.attempt)
        beacon = (request.beacon,) if request.beacon else ()
        key = derive_key(secret, "autoqec/holdout/v1", *parts, *beacon)
        stream = ScoreStream(executor, request.environment, request.sealed, key, "holdout", ungated=request.ungated)
        attempt = Attempt(
            attempt=request.attempt,
            verified_before=request.verified_before,
            alpha=budget,
            alpha_attempt=0.0,
            seed_key=secret.hex(),
            max_shots=request.max_shots if stream.recorded is None else len(stream.recorded),
            max_seconds=request.max_seconds if stream.recorded is None else None,
            beacon=request.beacon,
            full_certificate=request.full_certificate,
            look=request.look,
            recording=recording_in(request),
        )
        attempt = replace(attempt, alpha_attempt=attempt.level)
        collected = _Collected(
            Evidence(
                attempt=attempt,
                candidate=request.sealed.digest,
                weights_sha256=request.sealed.weights_sha256,
                environment=request.environment.identity,
                cell=environment_cell(environment).said,
                target_ler=environment.constraints.target_ler,
                chunk_shots=CHUNK_SHOTS,
                machine=platform.machine(),
                versions={name: version(name) for name in _VERSIONS},
            )
        )
        plan = plan_for(request, attempt.level)
        if plan.by_strata and request.strong_reference:
            raise UsageError(
                f"the strong reference {request.strong_reference} is compared on plain shots alone",
                hint="set strong_reference to none, or leave out protocol.sampling; then autoqec env check ENV",
                code="no_strata",
            )
        try:
            _judge(request, stream, plan, spending, report, collected)
            word, reason = decide(collected.evidence)
        except CandidateFault as fault:
            word, reason = word_for(fault.reason), fault.reason
            collected.add(fault=fault.problem, fault_code=fault.code)
        collected.add(
            out_of_time=spending.out_of_time, seconds=round(spending.seconds, 2), seconds_by_part=spending.parts
        )
        return Verdict.on(word, reason, collected.evidence)


class _Collected:
    """The evidence so far: what was collected before a candidate broke its contract stays."""

    def __init__(self, evidence: Evidence):
        self.evidence = evidence

    def add(self, **parts: Any) -> None:
        """Add parts to the evidence."""
        self.evidence = replace(self.evidence, **parts)

    def over(self, constraints: Constraints) -> bool:
        """Whether the costs so far exceed a limit; then the evidence says which."""
        limits, evidence = Limits(**constraints.model_dump()), self.evidence
        self.add(over=exceeded(limits, flops=evidence.flops_per_shot, params=evidence.params))
        return bool(self.evidence.over)


def _judge(
    request: VerificationRequest,
    stream: ScoreStream,
    plan: Plan,
    spending: Spending,
    report: Report,
    collected: _Collected,
) -> None:
    """Everything that needs the candidate, in order, into the verdict's evidence; stops where the word is settled.

    When the time is spent, a test that is undecided is broken off. What follows a decided one is always done, for it decides the
    word: a candidate must not escape a check by being slow.

    Raises:
        CandidateFault: The candidate broke its contract.
    """
    environment = request.environment.environment
    with spending.part("loading"):
        drawn = stream.run(survey.FUNCTION)
        seen = stream.run("autoqec.scoring.shard:cost", [0])
    told = {name: seen[name] for name in ("params", "constants", "loading_cpu_ms") if name in seen}
    # What a candidate with a gate or an ensemble costs on average is known only of shots that were scored.
    part_only = {GATE_FILE, ENSEMBLE_FILE} & set(request.sealed.files)
    told["flops_per_sent_shot" if part_only else "flops_per_shot"] = seen["flops_per_shot"]
    collected.add(fingerprint=drawn["fingerprint"], simd=drawn["simd"], bytes=request.sealed.size, **told)
    if collected.over(environment.constraints):
        return
    if stream.recorded is None:
        target = test_cell(stream, plan, spending, report, references=True, cell=None)
    else:
        target = test_recorded(stream, plan, spending, report)
    lock = target.everything.lock
    collected.add(
        target=target.tested,
        trusted_code=lock is None,
        sandbox=lock.to_dict() if lock else None,
        sandbox_level=lock.level if lock else 0,
    )
    if part_only:
        collected.add(flops_per_shot=target.costs.mean_flops(seen["flops_per_shot"]))
        if collected.over(environment.constraints):
            return
    if environment.protocol.cells and not spending.out_of_time:
        cells = test_cells(stream, drawn["structure"], environment.protocol.cells, plan, spending, report)
        collected.add(cells=cells)
    if target.extension is None:
        return
    if environment.constraints.target_ler is not None:
        collected.add(ler_candidate_bound=rate_surely_below(target.tested.headline_counts, plan.alpha))
    if request.strong_reference:
        with spending.part("strong_reference"):
            shots = request.strong_shots or plan.few(STRONG_REFERENCE_SHOTS)
            collected.add(share_of_gap=_share_of_gap(request.strong_reference, stream, target, shots, report))
    if request.parents:
        with spending.part("parents"):
            collected.add(compose=_compose(request, stream, target, report))
    if any(cell.word != "better" for cell in collected.evidence.cells):
        return
    timed = target.extension if target.tested.strata is None else target.costs
    collected.add(cpu_us_per_shot=round(timed.cpu_us, 3), us_per_shot=timed.us_per_shot)
    with spending.part("answered_again"):
        collected.add(answered_again=_answer_again(target))
    if lock is not None:
        with spending.part("recorded"):
            collected.add(recorded=_answer_by_record(target))
    collected.add(near_ml=_near_ml(environment.references))
    with spending.part("harm"):
        collected.add(harm=harm_cells(stream, drawn["structure"], neighbours(environment), plan, report))
    with spending.part("certificate"):
        delta_ler = target.tested.figures.delta_ler
        collected.add(certificate=certify(stream, plan, delta_ler, report, full=request.full_certificate))
    if target.tested.strata is None:
        with spending.part("ablation"):
            collected.add(ablation=ablate(stream, target, plan, report))
    if ungated_wanted(collected.evidence):
        with spending.part("ungated_references"):
            _hold_against_ungated(stream, target, report, collected)
    collected.add(two_p_slope=slope_of(collected.evidence))
    collected.add(checks=run_checks(collected.evidence))


def _some_of(target: CellScored, purpose: str, count: int) -> list[int]:
    """Which of the scored chunks are looked at again: `count` of them, drawn with the stream's key.

    By strata they are among those of the figures, which were all drawn in one way.
    """
    assert target.extension is not None
    first = 0 if target.behind.strata is None else target.first
    chunks = range(first, target.everything.chunks)
    return sorted(sorted(chunks, key=lambda chunk: derive_seed(target.behind.key, purpose, chunk))[:count])


def _answer_again(target: CellScored) -> AnsweredAgain:
    """Which chunks were given to fresh processes in the company of noisier and less noisy shots, and which came out otherwise.

    The chunks are drawn with the stream's key, so that nobody could know which; see `autoqec.scoring.shard.answer_again`.
    """
    stream, tested = target.behind, target.everything
    chosen = _some_of(target, "answered again", max(1, round(tested.chunks * _ANSWERED_AGAIN)))
    rates = rates_beside(stream.environment.environment)
    answers = stream.run(AGAIN, chosen, rates=rates)["answers"]
    differing = [chunk for chunk, answer in zip(chosen, answers, strict=True) if answer != tested.answers[chunk]]
    return AnsweredAgain(tuple(chosen), tuple(differing))


def _answer_by_record(target: CellScored) -> Recorded:
    """What the candidate's recorded operations answer to some of the scored chunks, and what they cost.

    As for `_answer_again`, the key draws the chunks; see `autoqec.scoring.shard.answer_by_record`.
    """
    stream, tested = target.behind, target.everything
    chosen = _some_of(target, "answered by record", max(_LEAST_BY_RECORD, round(tested.chunks * _BY_RECORD)))
    found = stream.run(BY_RECORD, chosen)
    differing = [
        chunk for chunk, answer in zip(chosen, found["answers"], strict=True) if answer != tested.answers[chunk]
    ]
    cpu = round(1e6 * found["cpu_seconds"] / stream.shots_in(chosen), 3)
    return Recorded(tuple(chosen), tuple(differing), int(found["flops_per_shot"]), int(found["constants"]), cpu)


def _near_ml(references: Sequence[Choice]) -> tuple[str, ...]:
    """The labels of the environment's references that their plugins call near maximum likelihood."""
    registry = load_plugins()
    return tuple(each.label for each in references if registry.get("decoder", each.kind).capabilities.get("near_ml"))


def _share_of_gap(kind: str, stream: ScoreStream, target: CellScored, shots: int, report: Report) -> ShareOfGap:
    """The strong reference on the first of the shots that the figures rest on; the candidate was scored on them before."""
    assert target.extension is not None
    few = min(chunks_for(shots), target.extension.chunks)
    counted = progress(report, "strong reference", total=few * CHUNK_SHOTS)
    alone = replace(stream, strong=kind, sealed=_NOBODY)
    strong = alone.score(target.first, few, references=True, progress=counted)
    return share_of_gap(kind, strong, target.extension)


def _hold_against_ungated(stream: ScoreStream, target: CellScored, report: Report, collected: _Collected) -> None:
    """Run references that a candidate is surely better than without their gates, on the same shots, and note their failures."""
    evidence, extension = collected.evidence, target.extension
    wanted = ungated_wanted(evidence)
    assert extension is not None
    share = evidence.share_of_gap
    if share is not None and share.gated is not None and share.reference in wanted:
        whole = _share_of_gap(share.reference, replace(stream, ungated=True), target, share.shots, report)
        gated = replace(share.gated, ungated=whole.failures["strong"])
        collected.add(share_of_gap=replace(share, gated=gated))
    tested = target.tested
    if any(name in wanted for name in tested.gated):
        counted = progress(report, "references without gates", total=extension.chunks * CHUNK_SHOTS)
        alone = replace(stream, sealed=_NOBODY, ungated=True)
        whole_of = alone.score(target.first, extension.chunks, references=True, progress=counted).references
        known = {
            name: replace(gated, ungated=whole_of[name]) if name in wanted else gated
            for name, gated in tested.gated.items()
        }
        collected.add(target=replace(tested, gated=known))


def _compose(request: VerificationRequest, stream: ScoreStream, target: CellScored, report: Report) -> Composition:
    """The parents on the shots the child's figures rest on; a parent that fails its contract says so."""
    child = target.extension
    assert child is not None
    if target.behind.strata is not None:
        return Composition("unknown", "parents are not compared on shots by strata")
    counted = progress(report, "parents", total=child.chunks * CHUNK_SHOTS)
    try:
        scored = {
            name: replace(stream, sealed=parent).score(target.first, child.chunks, progress=counted)
            for name, parent in request.parents.items()
        }
    except CandidateFault as fault:
        return Composition("unknown", fault.problem)
    return judge_composition(child, scored)
