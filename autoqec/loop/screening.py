"""The screen of a round: after a tenth of its training, is the candidate clearly worse than the best round that costs no more?

Both decode the same development shots, which are drawn for this screen and used for nothing else: not for the round's metrics, so
that those of a round that passes are of shots that did not select it, and never for a verdict. `autoqec.results.rungs` decides.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from autoqec.errors import AutoQECError
from autoqec.history import Claim, Ledger, RoundRecord, attach, fetch_weights, read_attachment
from autoqec.json_values import JsonObject
from autoqec.loop.agent_contexts import round_key
from autoqec.loop.candidate_files import training_of
from autoqec.loop.identity import identity_faults
from autoqec.loop.round_state import PERSON, RoundState, read_state
from autoqec.loop.round_view import round_view
from autoqec.loop.session import Session
from autoqec.problem.recording import is_recorded
from autoqec.problem.streams import derive_key
from autoqec.results.counts import PairedCounts
from autoqec.results.metrics import Metrics
from autoqec.results.note_form import Malformed, read_record, write_record
from autoqec.results.reasons import FOUND_OUT
from autoqec.results.round_results import read_results
from autoqec.results.rungs import Rung, rung_after
from autoqec.runner.train import ScreenAt, TrainingResult
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.composition import paired
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.score_stream import Scored, ScoreStream, chunks_for
from autoqec.settings_schema import Profile

#: The share of the steps before the screen.
SHARE = 0.1

#: A training must be able to save the computation of so many shots for each of a screen. Candidate and rival both decode these,
#: but a gate sends on about a tenth of them, and training computes a shot three times as long as scoring.
_WORTH = 0.25

#: The record of a screen that was passed, among the round's artifacts: a resumed round does not ask again.
RUNG_FILE = "rung.json"


@dataclass(frozen=True)
class Screened:
    """What a screen scored.

    Attributes:
        rung: Where it leads.
        scored: The candidate's shots.
        seconds: How long it took.
    """

    rung: Rung
    scored: Scored
    seconds: float


@dataclass
class Screening:
    """The screen of one round, while it is trained.

    Attributes:
        session: Where.
        state: The round; it is committed and not trained.
        profile: Its profile.
        alone: Whether the round ends at its screen in any case.
        found: What the screen found; None before it, and if training ended earlier.
        error: Why it could not be carried out.
    """

    session: Session
    state: RoundState
    profile: Profile
    alone: bool = False
    found: Screened | None = field(default=None, init=False)
    error: AutoQECError | None = field(default=None, init=False)

    def at(self) -> ScreenAt:
        """Where training is screened, and by what."""
        return ScreenAt(SHARE, self._passes)

    def _passes(self, result: TrainingResult) -> bool:
        try:
            self.found = self._look(result)
        except AutoQECError as error:  # raised here, it would be taken for an error of training
            self.error = error
            return False
        rung = self.found.rung
        if not rung.out:  # the rest is noted with the weights
            keep_rung(self.session.ledger, self.state.claim, rung)
        return not rung.out

    def _look(self, result: TrainingResult) -> Screened:
        began, sealed = time.monotonic(), SealedCandidate(self.state.files, result.weights)
        told = result.telemetry.get("shots")
        trained = int(told) if isinstance(told, int | float) else 0, planned_shots(self.state, self.profile)
        with screen_stream(self.session, self.state.claim.number, sealed) as stream:
            scored = _score(self.session, stream, self.profile)
            rival, counts = self._beside_rival(stream, result, scored)
        rung = Rung(
            rung_after(counts, alone=self.alone),
            *trained,
            rival=f"{rival.claim.run}/{rival.claim.number}" if rival else "",
            rival_commit=str(rival.commit) if rival else "",
            counts=counts,
            alone=self.alone,
        )
        return Screened(rung, scored, time.monotonic() - began)

    def _beside_rival(
        self, stream: ScoreStream, result: TrainingResult, scored: Scored
    ) -> tuple[RoundState, PairedCounts] | tuple[None, None]:
        """The best rival that keeps its contract on the same shots, and the counts of both."""
        flops, params = result.cost.get("flops_per_shot"), result.cost.get("params")
        if flops is None or params is None:
            return None, None
        remote = self.session.settings["claim_remote"]
        costs = scored.mean_flops(flops), params
        for rival in find_rivals(self.session, self.state.claim.number, *costs, remote=remote):
            try:
                theirs = _score(self.session, replace(stream, sealed=rival.sealed), self.profile)
            except CandidateFault:  # of the rival; it must not end this round
                continue
            return rival, paired(theirs, scored)
        return None, None


def screening_of(session: Session, state: RoundState, profile: Profile) -> Screening | None:
    """The screen of a round that is about to be trained.

    None if it was passed already or saves too little, and of what a person asked for; but a hypothesis may ask for one.
    """
    shots, alone = screen_shots(session, profile), asks_for_screen(state)
    if not shots or passed_rung(session.ledger, state.claim) is not None:
        return None
    by_person = state.claim.details.get("agents", {}).get("ideator") == PERSON
    if not alone and (by_person or (1 - SHARE) * _computed_shots(state, profile) < _WORTH * shots):
        return None
    return Screening(session, state, profile, alone)


def asks_for_screen(state: RoundState) -> bool:
    """Whether a round's hypothesis asks for the screen alone."""
    return state.hypothesis is not None and state.hypothesis.get("screen") == "only"


def planned_shots(state: RoundState, profile: Profile) -> int:
    """Training shots that a round's candidate asks for and may have."""
    training = training_of(state.files)
    return min(training.shots * training.epochs, profile.train_shots)


def _computed_shots(state: RoundState, profile: Profile) -> float:
    """How many of them training computes."""
    training = training_of(state.files)
    return planned_shots(state, profile) * (training.sampled_share if training.sampling == "gated" else 1.0)


def screen_shots(session: Session, profile: Profile) -> int:
    """Shots of a screen: those of the profile, or the multiple that the environment's protocol asks for.

    None where shots are recorded: a screen needs shots that the round's metrics are not of.
    """
    if is_recorded(session.environment):
        return 0
    return session.environment.environment.protocol.scaled(profile.screen_shots) if profile.screen_shots else 0


def score_screen(session: Session, number: int, sealed: SealedCandidate, profile: Profile) -> Scored:
    """Score a candidate on the shots of a round's screen.

    Raises:
        CandidateFault: It broke its contract.
    """
    with screen_stream(session, number, sealed) as stream:
        return _score(session, stream, profile)


@contextmanager
def screen_stream(session: Session, number: int, sealed: SealedCandidate) -> Iterator[ScoreStream]:
    """The development shots of a round's screen, and what decodes them."""
    key = derive_key(round_key(session, number), "screen")
    with session.executor() as executor:
        yield ScoreStream(executor, session.environment, sealed, key, "dev", device=session.device.kind)


def _score(session: Session, stream: ScoreStream, profile: Profile) -> Scored:
    def progress(done: int, total: int) -> None:
        session.event("screen", shots=done, total=total)

    return stream.score(0, chunks_for(screen_shots(session, profile)), progress=progress)


def find_rivals(session: Session, number: int, flops: int, params: int, *, remote: str = "") -> Iterator[RoundState]:
    """The rounds of the run before this one that cost no more, the least ratio to plain decoding first.

    They must be fully trained and scored, by their development metrics: verdicts depend on shots that no seed gives again.
    Rounds that a verifier found out, or whose parts are not what was scored, are no rivals.

    Args:
        session: Where.
        number: This round's.
        flops, params: What it costs.
        remote: The remote on which clones share the run; empty for none. Weights that are not here are fetched from it.
    """
    found: list[tuple[float, RoundRecord]] = []
    for record in round_view(session, number).closed:
        metrics = _scored_in_full(record) if record.number < number else None
        ratio = metrics.figures.ler_ratio if metrics else None
        if metrics is None or ratio is None:
            continue
        if metrics.costs.flops_per_shot <= flops and metrics.costs.params <= params:
            found.append((ratio, record))
    for _, record in sorted(found, key=lambda each: (each[0], each[1].number)):
        if remote:
            with suppress(
                AutoQECError
            ):  # the next best will do: a screen in the middle of training is no place to stop
                fetch_weights(session.ledger, remote, record.run, record.number)
        state = read_state(session.ledger, record.run, record.number)
        if state.weights is not None and not [*identity_faults(session.ledger, session.run, state)]:
            yield state


def _scored_in_full(record: RoundRecord) -> Metrics | None:
    """The metrics of a round that can be a rival."""
    results = read_results(record)
    metrics, verdict = results.metrics, results.verdict
    if record.status != "ok" or metrics is None or metrics.screened_out:
        return None
    return None if verdict is not None and verdict.reason in FOUND_OUT else metrics


def keep_rung(ledger: Ledger, claim: Claim, rung: Rung) -> None:
    """Note that a round has passed its screen; a damaged record of it is replaced."""
    data = json.dumps(write_record(rung), indent=1, sort_keys=True).encode() + b"\n"
    attach(ledger, "artifacts", claim.run, claim.number, {RUNG_FILE: data}, replace=True)


def passed_rung(ledger: Ledger, claim: Claim) -> Rung | None:
    """The screen that a round has passed; None if it has not, or its record is damaged or says otherwise."""
    data = read_attachment(ledger, "artifacts", claim.run, claim.number).get(RUNG_FILE)
    try:
        rung = None if data is None else read_rung(json.loads(data))
    except (ValueError, RecursionError):
        return None
    return None if rung is None or rung.out else rung


def read_rung(told: JsonObject | None) -> Rung | None:
    """A rung from a record; None if there is none, or one that does not follow from its counts."""
    try:
        rung = read_record(Rung, told) if isinstance(told, dict) else None
    except Malformed:
        return None
    return rung if rung is not None and rung.follows else None
