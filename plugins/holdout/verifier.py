"""Baseline and candidate on the same fresh shots, looked at as they come, stopped when the evidence is in.

The key of the stream is drawn here, after the commit is fixed, kept in this process, and revealed in the verdict. After a
"better" stop a further fixed number of shots gives the headline figures: the estimate at a stop is optimistic.

The environment's constraints are part of what VERIFIED says. Costs are counted before a shot is scored. A target error rate
must be shown to be met, at the confidence of the attempt: a candidate that merely may be below it is not VERIFIED.
"""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from math import ceil, log
from typing import Any

from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.problem.streams import derive_key
from autoqec.sandbox.child import ChildFailed
from autoqec.scoring.composition import judge_composition, share_of_gap
from autoqec.scoring.counts import PairedCounts
from autoqec.scoring.executor import Executor
from autoqec.scoring.limits import exceeded
from autoqec.scoring.predictor import CandidateFault, fault_from
from autoqec.scoring.statistics import (
    attempt_alpha,
    figures,
    finite,
    log_e_better,
    log_e_worse,
    mcnemar_p,
    rate_interval,
    ratio_interval,
)
from autoqec.scoring.stream import Scored, ScoreStream, ShotProgress, chunks_for
from autoqec.scoring.verdict import Report, Verdict, VerificationRequest

#: No decision before this many shots, and this many more for the headline figures after a "better" stop (or as many as the
#: request's `max_shots`, if that is less); an environment's protocol may say otherwise.
MIN_SHOTS = 50_000
EXTENSION_SHOTS = 200_000

#: Failures that a candidate right at a target error rate would have in the extension: enough that one a fifth below the target
#: is almost surely shown to be below, at the strictest level of a run's first attempts (4e-4).
TARGET_FAILURES = 800

#: Headline shots on which a strong reference is run too; it may take milliseconds for each.
STRONG_REFERENCE_SHOTS = 16_384

#: "No worthwhile gain": the candidate is shown, at this level, not to be below this ratio of the baseline.
FUTILE_RATIO = 0.97
FUTILE_ALPHA = 0.05

#: Part of the tested chunks that fresh processes answer again.
_ANSWERED_AGAIN = 1 / 64

#: Code that we did not write counts its own operations, in a process of its own. If by that count it does fewer than this per
#: microsecond of processor time that the kernel saw, the count is not to be believed: slow stages of ours do a hundred times.
LEAST_FLOPS_PER_US = 10.0

#: Looks are free; this only keeps processes busy between them.
_LOOK_GROWTH = 1.25

_VERSIONS = ("autoqec", "stim", "pymatching", "fusion-blossom", "numpy", "numba")


class HoldoutVerifier:
    """See the module."""

    def verify(self, request: VerificationRequest, executor: Executor, report: Report) -> Verdict:
        """See `autoqec.scoring.verdict.Verifier.verify`."""
        start = time.monotonic()
        secret = request.seed_key or os.urandom(32)
        environment = request.environment.environment
        alpha = attempt_alpha(environment.protocol.alpha, request.attempt, request.verified_before)
        key = derive_key(
            secret,
            "autoqec/holdout/v1",
            request.environment.identity,
            request.commit,
            request.sealed.digest,
            request.attempt,
        )
        stream = ScoreStream(executor, request.environment, request.sealed, key, "holdout")
        details: dict[str, Any] = {
            "attempt": request.attempt,
            "verified_before": request.verified_before,
            "max_shots": request.max_shots,
            "alpha": environment.protocol.alpha,
            "alpha_attempt": alpha,
            "seed_key": secret.hex(),
            "candidate": request.sealed.digest,
            "weights_sha256": request.sealed.weights_sha256,
            "environment": request.environment.identity,
            "chunk_shots": CHUNK_SHOTS,
            "machine": platform.machine(),
            "versions": {name: version(name) for name in _VERSIONS},
        }
        try:
            word, reason = self._judge(request, stream, alpha, report, details)
        except CandidateFault as fault:
            word, reason = ("SUSPICIOUS" if fault.reason == "hostile_syscall" else "FAILED"), fault.reason
            details["fault"] = fault.problem
        details["seconds"] = round(time.monotonic() - start, 2)
        return Verdict.from_dict({"verdict": word, "reason": reason, **details})

    def _judge(
        self, request: VerificationRequest, stream: ScoreStream, alpha: float, report: Report, details: dict[str, Any]
    ) -> tuple[str, str]:
        environment = request.environment.environment
        protocol = environment.protocol
        max_shots = request.max_shots or protocol.max_shots
        min_shots = protocol.min_shots or MIN_SHOTS
        seen = self._cost(stream)
        bytes_kept = len(request.sealed.weights) + sum(map(len, request.sealed.files.values()))
        details |= {"flops_per_shot": seen["flops_per_shot"], "params": seen["params"], "bytes": bytes_kept}
        over = exceeded(environment.constraints.model_dump(), seen)
        if over:
            details["over"] = over
            return "FAILED", "over_budget"
        tested = Scored()
        for first, chunks in _looks(max_shots, min_shots):
            block = stream.score(first, chunks, progress=_progress(report, tested.counts.shots, max_shots))
            tested = _joined(tested, block)
            better, futile = log_e_better(tested.counts), log_e_worse(tested.counts, FUTILE_RATIO)
            report({"shots": tested.counts.shots, "max_shots": max_shots, "log_e_better": round(better, 2)})
            if tested.counts.shots >= min_shots and (better >= log(1 / alpha) or futile >= log(1 / FUTILE_ALPHA)):
                break
        details |= {
            "test": tested.counts.to_dict(),
            "log_e_better": round(finite(better), 6),
            "log_e_futile": round(finite(futile), 6),
            "log_e_needed": round(log(1 / alpha), 6),
            "digests": list(tested.digests),
            "trusted_code": tested.lock is None,
            "sandbox": tested.lock,
            "sandbox_level": tested.lock["level"] if tested.lock else 0,
        }
        if better < log(1 / alpha):
            details |= _figures(tested, tested)
            return "FAILED", "not_better" if futile >= log(1 / FUTILE_ALPHA) else "undecided"
        target = environment.constraints.target_ler
        wanted = protocol.headline_shots or EXTENSION_SHOTS
        if target is not None:
            wanted = max(wanted, ceil(TARGET_FAILURES / target))
        more = chunks_for(min(wanted, max_shots))
        progress = _progress(report, 0, more * CHUNK_SHOTS, stage="extension")
        extension = stream.score(tested.chunks, more, references=True, progress=progress)
        details |= {"extension": extension.counts.to_dict()} | _figures(extension, _joined(tested, extension))
        details["digests"] += extension.digests
        if request.strong_reference:
            few = min(chunks_for(STRONG_REFERENCE_SHOTS), more)
            strong = replace(stream, strong=request.strong_reference)
            details["share_of_gap"] = share_of_gap(
                request.strong_reference, strong.score(tested.chunks, few, references=True, progress=progress)
            )
        if request.parents:
            details["compose"] = self._compose(request, stream, extension, tested.chunks, more, progress)
        details["cpu_us_per_shot"] = round(extension.cpu_us, 3)
        again = self._answer_again(stream, tested)
        details["answered_again"] = again
        if again["differing"]:
            return "SUSPICIOUS", "batch_dependent"
        if tested.lock is not None and tested.lock["level"] == 0:
            # Code of its own could have done more than answer: what it was kept from is what it can be believed about.
            return "SUSPICIOUS", "unsandboxed_custom_code"
        if tested.lock is not None and seen["flops_per_shot"] < extension.cpu_us * LEAST_FLOPS_PER_US:
            return "SUSPICIOUS", "cost_mismatch"
        if target is not None:
            details["ler_candidate_bound"] = bound = _rate_surely_below(extension.counts, alpha)
            if bound > target:
                return "FAILED", "target_missed"
        return "VERIFIED", "better"

    def _compose(
        self,
        request: VerificationRequest,
        stream: ScoreStream,
        child: Scored,
        first: int,
        chunks: int,
        progress: ShotProgress,
    ) -> dict[str, Any]:
        """The parents on the shots the child's headline figures come from; a parent that fails its contract says so."""
        try:
            scored = {
                name: replace(stream, sealed=parent).score(first, chunks, progress=progress)
                for name, parent in request.parents.items()
            }
        except CandidateFault as fault:
            return {"composition": "unknown", "fault": fault.problem}
        return judge_composition(child, scored)

    def _cost(self, stream: ScoreStream) -> dict[str, Any]:
        """What the candidate costs."""
        return self._asked(stream, "autoqec.scoring.shard:cost", [0])

    def _answer_again(self, stream: ScoreStream, tested: Scored) -> dict[str, Any]:
        """Whether fresh processes answer the same to shots that were scored, in other company.

        The chunks are drawn with the stream's key, so that nobody could know which; see `autoqec.scoring.shard.answer_again`.
        """
        draw = random.Random(derive_key(stream.key, "answered again"))  # noqa: S311 - keyed, and not for secrets
        chosen = sorted(draw.sample(range(tested.chunks), max(1, round(tested.chunks * _ANSWERED_AGAIN))))
        answers = self._asked(stream, "autoqec.scoring.shard:answer_again", chosen)["answers"]
        differing = [chunk for chunk, answer in zip(chosen, answers, strict=True) if answer != tested.answers[chunk]]
        return {"chunks": chosen, "differing": differing}

    def _asked(self, stream: ScoreStream, function: str, chunks: Sequence[int]) -> dict[str, Any]:
        try:
            return dict(stream.executor.submit(stream.task(function, chunks)).result().fields)
        except ChildFailed as error:
            raise fault_from(error) from error


def _looks(max_shots: int, min_shots: int) -> Iterator[tuple[int, int]]:
    """First chunk and number of chunks between looks: the minimum first, then growing by a quarter, up to the maximum."""
    done, last = 0, chunks_for(max_shots)
    target = min(chunks_for(min_shots), last)
    while done < last:
        yield done, target - done
        done, target = target, min(last, max(target + 2, int(target * _LOOK_GROWTH)))


def _rate_surely_below(extension: PairedCounts, alpha: float) -> float:
    """Exact upper bound of the candidate's rate, wrong with probability at most alpha.

    The extension's size is fixed before it is drawn, and its shots are not those that decided to stop, so that Clopper and
    Pearson's bound holds. With alpha the level of the attempt, "better and on target" is a false discovery of a run as
    seldom as "better" alone: whichever of the two is false, its test errs with probability at most alpha, given the past.
    """
    return rate_interval(extension.both + extension.candidate_only, extension.shots, 2 * alpha)[1]


def _joined(first: Scored, second: Scored) -> Scored:
    """Counts and digests of two stretches of one stream."""
    return Scored(
        counts=first.counts + second.counts,
        invalid=first.invalid + second.invalid,
        chunks=first.chunks + second.chunks,
        digests=first.digests + second.digests,
        answers=first.answers + second.answers,
        lock=first.lock or second.lock,
    )


def _figures(headline: Scored, everything: Scored) -> dict[str, Any]:
    """Headline rates from the extension; intervals from it too, and the anytime interval over all shots beside them."""
    counts = headline.counts
    shots = max(1, headline.reference_shots)
    return {
        **figures(counts),
        "shots_in_all": everything.counts.shots,
        "invalid": everything.invalid,
        "ler_ratio_ci_all_shots": list(ratio_interval(everything.counts)),
        "mcnemar_p_fixed_n": mcnemar_p(counts),
        "references": {name: failures / shots for name, failures in headline.references.items()},
        **({"references_missing": dict(headline.missing)} if headline.missing else {}),
    }


def _progress(report: Report, before: int, total: int, stage: str = "test") -> Any:
    return lambda done, _: report({"shots": before + done, "max_shots": total, "stage": stage})
