"""The steps of a round. Each is idempotent: it reads the state from git, does its work, and writes the result to git.

ideate → code → train → score → analyse → verify → close          (claim comes before, in `rounds.py`)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import stim

from autoqec import candidate_paths
from autoqec.agents.context_parts import HypothesisMessage
from autoqec.agents.role_messages import Analysis, Hypothesis, Proposal
from autoqec.canonical import told_fields
from autoqec.compiled_once import Told
from autoqec.errors import AutoQECError, UsageError
from autoqec.history import (
    RoundIdentity,
    attach,
    close_claim,
    commit_round,
)
from autoqec.history.rounds.attachments import WEIGHTS_FILE
from autoqec.json_values import JsonObject
from autoqec.loop.agent_contexts import round_key
from autoqec.loop.candidate_files import canonical_files, require_fits, sources_of, teacher_of, training_of
from autoqec.loop.judging import Asked, judge
from autoqec.loop.measuring import measure, measure_screened
from autoqec.loop.own_records import note_own
from autoqec.loop.parents import ComposeConflict, find_start, parent_weights
from autoqec.loop.role_questions import (
    ask_analyst,
    ask_coder,
    ask_ideator,
    check_hypothesis,
    detail,
    hypothesis_of,
    put,
)
from autoqec.loop.round_state import TRAINING_FILE, RoundState, TrainingRecord, save_message
from autoqec.loop.round_view import round_view
from autoqec.loop.screening import passed_rung, read_rung, screening_of
from autoqec.loop.session import Session, profile_from
from autoqec.loop.training_task import TrainingTask, numbered, train_here, train_on
from autoqec.problem.problem import problem_from_dem
from autoqec.problem.recording import without_shots
from autoqec.problem.streams import derive_key
from autoqec.results.metrics import Metrics
from autoqec.results.note_form import write_record
from autoqec.results.rungs import SCREENED_OUT
from autoqec.runner.reading import canonical_candidate
from autoqec.runner.train import ScreenAt, TrainingFailed, TrainingResult
from autoqec.runner.training import plan_steps
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.sandbox.stage_files import needs_lock, stages_to_warm_up
from autoqec.scoring.first_start import FirstStart
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.scoring_requests import ScoringTask

#: The notes that a step wrote, by kind.
Written = Mapping[str, dict[str, Any]]


class RoundEnded(Exception):
    """Ends the round with a status other than `ok`. The status is an outcome, not an error of the program.

    Args:
        status: The round's status.
        error: The cause; its code is kept in the claim.
        reason: The cause in words; by default the error's message.
        report: More fields of the attempt's report.
    """

    def __init__(self, status: str, error: AutoQECError, reason: str = "", report: JsonObject | None = None):
        super().__init__(reason or error.problem)
        self.status = status
        self.reason = reason or error.problem
        self.code = error.code
        self.about = error.about
        self.report = report


def ideate(session: Session, state: RoundState) -> None:
    """Ask the Ideator for a hypothesis."""
    if state.hypothesis is not None or state.commit is not None:
        return
    given = state.claim.details.get("hypothesis")
    if given is not None:
        message = Hypothesis.model_validate(given)
        check_hypothesis(session, round_view(session, state.claim.number), message)
    else:
        message = put(session, state, ask_ideator(session, state))
    save_message(session.ledger, state.claim, "ideator", message)


def code(session: Session, state: RoundState) -> None:
    """Turn the hypothesis into a candidate — by merge, by the Coder, or both — and commit it on its branch."""
    if state.commit is not None:
        return
    hypothesis = hypothesis_of(state)
    try:
        start = find_start(session.ledger, session.run, hypothesis)
    except ComposeConflict as error:
        raise RoundEnded("compose_conflict", error, report={"conflicts": error.conflicts}) from error
    if hypothesis.compose == "pure":
        files, body = dict(start.files), hypothesis.rationale
        try:
            files = canonical_candidate(files, session.registry)
            require_fits(session, files)
        except AutoQECError as error:
            reason = f"the merged candidate is not valid: {error.problem}"
            raise RoundEnded("compile_error", error, reason) from error
    else:
        given = state.claim.details.get("proposal")
        if state.proposal is None and given is not None:
            proposal = Proposal.model_validate(given)
            save_message(session.ledger, state.claim, "coder", proposal)
        elif state.proposal is None:
            proposal = put(session, state, ask_coder(session, state, start.files))
            save_message(session.ledger, state.claim, "coder", proposal)
        else:
            proposal = Proposal.model_validate(state.proposal)
        files, body = canonical_files(session, sources_of(proposal, start.files)), proposal.message
    agents = detail(state, "agents")
    identity = RoundIdentity(
        run=session.run.name,
        round=state.claim.number,
        attempt=state.claim.attempt,
        env=f"{session.run.env_name}@sha256:{session.run.env_id}",
        fork_from=start.parents if hypothesis.fork_from else (),
        compose=hypothesis.compose,
        agent=f"{agents['ideator']}+{agents['coder']}",
        hypothesis=hypothesis.text,
    )
    commit_round(
        session.ledger,
        identity,
        base=session.run.base,
        parents=start.parents,
        files=files,
        subject=hypothesis.text,
        body=body,
    )


def trains_locked(session: Session, files: Mapping[str, bytes]) -> bool:
    """Whether training runs behind a lock: for code of others in the candidate, or in a decoder that training asks."""
    told = told_fields(files, candidate_paths.TRAINING_FILE)
    asks = told.get("loss") == "logical_gap" or told.get("sampling") == "gated"
    asked = [session.environment.environment.decoder.kind] if asks else []
    teacher = teacher_of(session, files)
    asked += [teacher.kind] if teacher else []
    own = all(session.registry.get("decoder", each).is_own for each in asked)
    return needs_lock(files, session.registry) or not own


def train(session: Session, state: RoundState) -> Written:
    """Train the candidate in a limited process, screen it on the way, and keep its weights under the artifacts ref.

    A round that its screen ends has its metrics from there.
    """
    if state.weights is not None:
        return {}
    profile = profile_from(detail(state, "profile"))
    fingerprint = problem_from_dem(stim.DetectorErrorModel(session.dems[0]), name="the environment").fingerprint
    task = ScoringTask(environment=without_shots(session.environment).files, sealed=SealedCandidate(state.files, b""))
    try:
        teacher_of(session, state.files)
    except UsageError as error:
        # Of a commit that somebody else made; the training process finds what is wrong elsewhere.
        if error.code == "missing_package":
            raise  # the candidate may be right: the round waits for the package
        raise RoundEnded("compile_error", error) from error
    screening = screening_of(session, state, profile)
    parents = _parents(session, state, fingerprint)
    try:
        with FirstStart(task) as first:

            def compiling(what: str, seconds: float) -> None:
                session.event("compiling", what=what, seconds=seconds)
                first.begin()  # what is compiled here for the first time is missing in the decoders' processes too

            result = _trained(session, state, screening.at() if screening else None, parents, compiling)
    except TrainingFailed as error:
        raise RoundEnded(error.status, error) from error
    screened = screening.found if screening else None
    if screening is not None and screening.error is not None:
        raise _ended_by(screening.error)
    training: TrainingRecord = {
        "telemetry": dict(result.telemetry),
        "cost": dict(result.cost),
        "fingerprint": fingerprint,
    }
    if result.lock is not None:
        training["lock"] = result.lock.to_dict()
    rung = screened.rung if screened else passed_rung(session.ledger, state.claim)
    if rung is not None:
        training["rung"] = write_record(rung)
    attach(
        session.ledger,
        "artifacts",
        state.claim.run,
        state.claim.number,
        {WEIGHTS_FILE: result.weights, TRAINING_FILE: json.dumps(training, indent=1, sort_keys=True).encode() + b"\n"},
    )
    if screened is None or not screened.rung.out:
        return {}
    trained = replace(state, weights=result.weights, training=training)
    return _note_metrics(session, trained, measure_screened(session, trained, profile, screened))


def _trained(
    session: Session, state: RoundState, screen: ScreenAt | None, parents: bytes, compiling: Told
) -> TrainingResult:
    """Train, here or on the executor, as the settings say."""
    profile, teacher = profile_from(detail(state, "profile")), teacher_of(session, state.files)
    task = TrainingTask(
        sealed=SealedCandidate(state.files, parents),
        dems=numbered(session.dems),
        decoder=session.environment.environment.decoder.model_dump(),
        teacher=teacher.model_dump() if teacher else {},
        stages=stages_to_warm_up(state.files, session.registry),
        seed=derive_key(round_key(session, state.claim.number), "train"),
        max_shots=profile.train_shots,
        inherit=hypothesis_of(state).compose != "none",
        locked=trains_locked(session, state.files),
        seconds=profile.train_seconds,
        memory_bytes=session.training_memory(profile),
    ).with_recorded(session.training_shots)
    if session.settings["train_on"] == "here":
        return train_here(
            task, report=lambda fields: session.event("train", **fields), compiling=compiling, screen=screen
        )
    training = training_of(state.files)
    steps = plan_steps(training, profile.train_shots)[1]

    def progress(part: float) -> None:
        step = round(part * steps)
        session.event("train", step=step, steps=steps, shots=step * training.batch_size, planned=steps)

    return train_on(session.executor, task, progress=progress, screen=screen)


def _parents(session: Session, state: RoundState, fingerprint: str) -> bytes:
    """The weights that training may start from.

    Raises:
        RoundEnded: They belong to another problem.
    """
    idea = hypothesis_of(state)
    wanted = idea.compose != "none" or training_of(state.files).init == "parents"
    try:
        return parent_weights(
            session.ledger,
            session.run,
            idea.fork_from,
            fingerprint=fingerprint,
            wanted=wanted,
            remote=session.settings["claim_remote"],
        )
    except AutoQECError as error:
        if error.code != "weights_of_another_problem":
            raise
        raise RoundEnded("train_error", error) from error


def score(session: Session, state: RoundState) -> Written:
    """Score candidate and baseline on the same development shots and note the metrics."""
    if state.metrics is not None:
        return {}
    profile, key = profile_from(detail(state, "profile")), derive_key(round_key(session, state.claim.number), "score")
    rung = read_rung(state.training.get("rung")) if state.training else None
    try:
        out = rung is not None and rung.out
        metrics = measure_screened(session, state, profile) if out else measure(session, state, profile, key)
    except CandidateFault as fault:
        raise _ended_by(fault) from fault
    return _note_metrics(session, state, metrics)


def _ended_by(error: AutoQECError) -> AutoQECError | RoundEnded:
    """What ends a round after an error in scoring: an outcome if it is the candidate's fault, else the error itself."""
    if not isinstance(error, CandidateFault):
        return error
    return RoundEnded("killed_by_safety" if error.reason == "timeout" else "train_error", error)


def _note_metrics(session: Session, state: RoundState, metrics: Metrics) -> Written:
    record = {"id": state.claim.attempt, **metrics.to_note()}
    return {"metrics": note_own(session, state, "metrics", record).record}


def analyse(session: Session, state: RoundState) -> Written:
    """Ask the Analyst whether the round is worth a verifier's shots."""
    if state.analysis is not None:
        return {}
    message: Analysis = put(session, state, ask_analyst(session, state))
    record = {"id": state.claim.attempt, **message.model_dump(mode="json")}
    return {"analysis": note_own(session, state, "analysis", record).record}


def verify(session: Session, state: RoundState) -> Written:
    """Have the verifier judge the candidate, if the Analyst asks for it and its training was not ended by its screen."""
    if state.verdict is not None or state.analysis is None or state.analysis.decision != "candidate":
        return {}
    if state.metrics is not None and state.metrics.screened_out:
        return {}
    profile = profile_from(detail(state, "profile"))
    shots = session.environment.environment.protocol.scaled(profile.verify_shots)
    asked = Asked(max_shots=shots, max_seconds=profile.verify_seconds)
    return {"verdict": judge(session, state, asked).to_note()}


def close(session: Session, state: RoundState) -> None:
    """Close the claim: the round is complete."""
    rung = state.metrics.rung if state.metrics else None
    if rung is not None and rung.out:
        close_claim(session.ledger, state.claim, status=SCREENED_OUT, reason=rung.in_words(), commit=state.commit)
    else:
        close_claim(session.ledger, state.claim, status="ok", commit=state.commit)


def end(session: Session, state: RoundState, ended: RoundEnded) -> None:
    """Close an incomplete round, and keep its parts and the reason."""
    if state.commit is None:
        idea: HypothesisMessage = state.hypothesis or {"text": ""}
        report = {
            "status": ended.status,
            "reason": ended.reason,
            "code": ended.code,
            "about": ended.about,
            "fork_from": list(idea.get("fork_from", [])),
            "compose": idea.get("compose", "none"),
            "hypothesis": idea.get("text", ""),
            **(ended.report or {}),
        }
        data = json.dumps(report, indent=1, sort_keys=True, default=str).encode() + b"\n"
        attach(session.ledger, "attempts", state.claim.run, state.claim.number, {"report.json": data})
    close_claim(
        session.ledger,
        state.claim,
        status=ended.status,
        reason=ended.reason,
        commit=state.commit,
        code=ended.code,
        about=ended.about,
    )


#: The steps in order, by the name the display shows; steps that write notes return them.
STEPS: tuple[tuple[str, Callable[[Session, RoundState], Written | None]], ...] = (
    ("ideate", ideate),
    ("code", code),
    ("train", train),
    ("score", score),
    ("analyse", analyse),
    ("verify", verify),
    ("close", close),
)
