"""Describes an environment before any research: the size of its graphs, and how often its own decoders fail."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from autoqec.decoding.compile_decoder import compile_decoder, compile_references
from autoqec.decoding.decoder_contract import not_a_number
from autoqec.plugins import Registry
from autoqec.printed_rows import EnvironmentRow
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import DRAFT, ENVIRONMENT_FILE, LoadedEnvironment
from autoqec.problem.locating import line_of
from autoqec.problem.problem import Problem
from autoqec.problem.recording import is_recorded, recording_of
from autoqec.results.measured_decoder import MeasuredDecoder
from autoqec.results.resolvable_gain import ResolvableGain, resolvable_gain
from autoqec.results.round_time import PartTimes, RoundTime, round_time
from autoqec.results.statistics import rate_interval
from autoqec.scoring.problem_findings import components, degrees, findings
from autoqec.scoring.recorded_parts import checked_shots, recorded_gain, recorded_parts
from autoqec.scoring.sampling_advice import sampling_advice
from autoqec.scoring.split_pairs import split_pairs_finding
from autoqec.scoring.timed_decoding import Report, TimedDecoding, seconds_with_beliefs
from autoqec.settings_schema import BUILTIN_PROFILES, Profile

#: Shots of the baseline where nobody and no protocol says how many.
SHOTS = 65_536

#: A gain that trained rounds often reach.
_USUAL_RATIO = 0.8

#: Processor seconds of a reference decoder where nobody says how many shots: a slow one then decodes fewer.
_REFERENCE_SECONDS = 20.0


#: Why no sampling pays where nothing is drawn.
_GIVEN = "the shots are recorded, so none are drawn"


@dataclass(frozen=True)
class CheckRequest:
    """What a check of an environment is to measure.

    Attributes:
        shots: Exactly so many for each decoder; None for what the environment's protocol and the time allow.
        profile: How much a round may spend; the protocol may say less.
    """

    shots: int | None = None
    profile: Profile = BUILTIN_PROFILES["dev"]

    def wanted(self, loaded: LoadedEnvironment) -> int:
        """Shots of the baseline."""
        return self.shots or min(SHOTS, loaded.environment.protocol.score_shots or SHOTS)

    def verdict_shots(self, loaded: LoadedEnvironment) -> int:
        """The most shots of a verdict."""
        protocol = loaded.environment.protocol
        return min(protocol.max_shots, protocol.scaled(self.profile.verify_shots))

    def score_shots(self, loaded: LoadedEnvironment) -> int:
        """Shots of a round's metrics."""
        protocol = loaded.environment.protocol
        wanted = protocol.scaled(self.profile.score_shots)
        return min(wanted, protocol.score_shots or wanted)


def _quiet(label: str, done: int, total: int) -> None:
    """Report nothing."""


def describe_environment(
    loaded: LoadedEnvironment, registry: Registry, request: CheckRequest, report: Report = _quiet
) -> EnvironmentRow:
    """Compile an environment and measure its decoders on fresh shots.

    Args:
        loaded: The environment.
        registry: Installed plugins.
        request: How many shots.
        report: Told what is done: a decoder's label, and how many of how many shots it has decoded.

    Returns:
        Name, identity, sizes (`matching_edges` is None for an error model that is not graph-like), degrees, fingerprint, per
        decoder its logical error rate with an exact 95 % interval and its time, which sampling pays, which gain can be shown, and
        findings with the field and line they come from. After an interrupt, what was counted until then. `recorded` says how
        recorded shots are shared out; decoders are measured on those for development and training.

    Raises:
        KeyboardInterrupt: Interrupted before a shot was counted.
    """
    problem = build_problem(loaded, registry.maker("code"))
    environment, wanted = loaded.environment, request.wanted(loaded)
    references, missing = compile_references(environment.references, problem, registry)
    baseline = environment.decoder.label
    decoders = {baseline: compile_decoder(environment.decoder, problem, registry)} | references
    limit = None if request.shots else _REFERENCE_SECONDS
    recording = recording_of(loaded, problem) if is_recorded(loaded) else None
    recorded = None if recording is None else checked_shots(recording, wanted)
    wanted = wanted if recorded is None else len(recorded)
    decoding = TimedDecoding(problem, decoders, os.urandom(32), wanted, limit, report, recorded)
    complete = decoding.run()
    plain = decoding.measured[baseline]
    if not plain.shots:
        raise KeyboardInterrupt
    sampling: dict[str, Any] = {
        "pays": "plain",
        "why": "interrupted before this was measured" if recording is None else _GIVEN,
    }
    shots = request.score_shots(loaded), request.verdict_shots(loaded)
    if recording is not None:
        shots = min(shots[0], len(recording.development)), len(recording.holdout)
    time: RoundTime | None = None
    split: list[dict[str, str]] = []
    try:
        if complete:
            rate, seconds = plain.failures / plain.shots, decoding.drawing_seconds + plain.seconds
            if recording is None:
                split = split_pairs_finding(problem, environment.decoder, decoders[baseline], registry)
                sampling = sampling_advice(
                    problem, decoders[baseline], decoding.key, decoding.chunks, rate, seconds / plain.shots
                )
            time = _round_time(decoding, baseline, loaded, registry, request, shots)
    except KeyboardInterrupt:
        complete = False
    alpha = environment.protocol.alpha
    gain = _gain(plain, shots[1], alpha) if recording is None else recorded_gain(recording, plain, alpha)
    found = [*findings(problem, plain), *split, *_about_gain(gain, sampling)]
    found += _about_references(decoding, baseline, missing)
    text = loaded.files[ENVIRONMENT_FILE]
    row: dict[str, Any] = {
        "name": environment.name,
        "identity": loaded.identity,
        **_sizes(problem),
        "decoders": {label: measured.to_row() for label, measured in decoding.measured.items() if measured.shots},
        "requested_shots": wanted,
        "interrupted": not complete,
        "drawing_us_per_shot": round(1e6 * decoding.drawing_seconds / plain.shots, 3),
        "sampling": sampling,
        "gain": gain.to_row(),
        "round": None if time is None else time.to_row(),
        "findings": [
            each | {"line": None if loaded.origin == DRAFT else line_of(text, each["field"])} for each in found
        ],
    }
    if recording is not None:
        row["recorded"] = recorded_parts(recording, plain.failures / plain.shots, alpha)
    return cast(EnvironmentRow, row)


def _gain(plain: MeasuredDecoder, verdict_shots: int, alpha: float) -> ResolvableGain:
    """The gain that a verdict's shots can show."""
    upper = rate_interval(plain.failures, plain.shots)[1]
    return resolvable_gain(plain.failures, plain.shots, upper, verdict_shots, alpha)


def _round_time(
    decoding: TimedDecoding,
    baseline: str,
    loaded: LoadedEnvironment,
    registry: Registry,
    request: CheckRequest,
    shots: tuple[int, int],
) -> RoundTime:
    """What a round would take, as far as that does not depend on its candidate; `shots` of its metrics and its verdict."""
    decoder = loaded.environment.decoder
    takes = registry.get("decoder", decoder.kind).capabilities.get("takes_beliefs")
    if takes:
        decoding.report(f"{baseline} with beliefs", 0, decoding.wanted)
    compiled = decoding.decoders[baseline]
    with_beliefs = seconds_with_beliefs(decoding.problem, compiled, decoding.shots_of(0)) if takes else None
    plain = decoding.measured[baseline]
    references = [each for label, each in decoding.measured.items() if label != baseline and each.shots]
    parts = PartTimes(
        decoding.drawing_seconds / plain.shots,
        plain.seconds / plain.shots,
        with_beliefs,
        sum(each.seconds / each.shots for each in references),
    )
    return round_time(
        parts,
        train_seconds=request.profile.train_seconds,
        score_shots=shots[0],
        verdict_shots=shots[1],
    )


def _sizes(problem: Problem) -> dict[str, Any]:
    """The size of a problem's graphs."""
    graph_like = int((np.diff(problem.mechanisms.start) <= 2).sum())
    return {
        "detectors": problem.num_detectors,
        "observables": problem.num_observables,
        "mechanisms": len(problem.mechanisms),
        "graph_like": graph_like,
        "graph_like_share": round(graph_like / len(problem.mechanisms), 4),
        "incidences": len(problem.mechanisms.detector),
        "matching_edges": len(problem.edges) if problem.edges is not None else None,
        "matchable": problem.edges is not None,
        "components": components(problem),
        **degrees(problem),
        "fingerprint": problem.fingerprint,
    }


def _about_gain(gain: ResolvableGain, sampling: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A finding where the shots of a verdict show no usual gain."""
    if gain.ratio is not None and gain.ratio >= _USUAL_RATIO:
        return []
    told = "no gain" if gain.ratio is None else f"only a ratio of LERs below {gain.ratio:.2g}"
    hint = "protocol.sampling: stratified" if sampling["pays"] == "stratified" else "protocol.shots_factor"
    text = f"the {gain.shots:,} shots of a verdict can show {told} at this LER; {hint} helps"
    return [{"field": "protocol.max_shots", "finding": text}]


def _about_references(decoding: TimedDecoding, baseline: str, missing: Mapping[str, str]) -> list[dict[str, Any]]:
    """Findings about decoders: worse than the baseline, on fewer shots, not installed, or NaN inside."""
    found = []
    for label, measured in decoding.measured.items():
        if label != baseline and measured.is_worse:
            found.append(_worse(measured, baseline))
        if 0 < measured.shots < decoding.measured[baseline].shots:
            found.append(f"{label} is slow: it decoded {measured.shots:,} of these shots; --shots sets how many")
    found += [f"{label} is left out because it is not installed: {line}" for label, line in missing.items()]
    mended = {label: not_a_number(decoder) for label, decoder in decoding.decoders.items()}
    return [{"field": "references", "finding": text} for text in found] + [
        {
            "field": "decoder" if label == baseline else "references",
            "finding": f"{label}: belief propagation of its library became NaN; shots decoded in another way: {shots:,}",
        }
        for label, shots in mended.items()
        if shots
    ]


def _worse(measured: MeasuredDecoder, baseline: str) -> str:
    counts = measured.counts
    return (
        f"{measured.label} is worse than {baseline} on the same {counts.shots:,} shots: it fails on"
        f" {counts.candidate_only:,} where {baseline} does not, and the other way round on {counts.baseline_only:,}"
    )
