"""Verdicts from seeded random counts, made with the program's own functions and without a process, for tests of the checker."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

from autoqec.results.certificate_parts import Certificate
from autoqec.results.counts import PairedCounts
from autoqec.results.decision import cell_result, decide, rate_surely_below
from autoqec.results.distance import certificate_row, certified
from autoqec.results.harm import harm_counted, harm_word, slope_of
from autoqec.results.limits import Limits, exceeded
from autoqec.results.reasons import word_for
from autoqec.results.statistics import attempt_alpha, delta_interval
from autoqec.results.verdict import Verdict
from autoqec.results.verdict_checks import run_checks
from autoqec.results.verdict_parts import (
    Ablation,
    AnsweredAgain,
    Attempt,
    Evidence,
    HarmCell,
    OtherCell,
    Tested,
    Variant,
    VariantCounted,
)

CHUNK = 4096
FAULTS = ("crash", "timeout", "bad_output", "bad_weights", "hostile_syscall")


def some_counts(rng: Random, chunks: int, ratio: float, rate: float = 0.014) -> PairedCounts:
    """Counts of two decoders of which the second fails about so many times as often."""
    shots = chunks * CHUNK
    plain = rate * rng.uniform(0.5, 1.5)
    shared = min(plain, plain * ratio) * rng.uniform(0.5, 0.9)

    def drawn(mean: float) -> int:
        return max(0, round(rng.gauss(mean, max(mean, 0.1) ** 0.5)))

    return PairedCounts(
        shots, *(drawn(shots * max(0.0, part)) for part in (shared, plain - shared, plain * ratio - shared))
    )


def some_test(rng: Random, level: float, ratio: float) -> Tested:
    """The result of a test, with further shots for the figures if it is "better"."""
    test = some_counts(rng, rng.randint(4, 40), ratio)
    digests = tuple(f"{rng.getrandbits(256):064x}" for _ in range(test.shots // CHUNK + 12))
    if cell_result(test, level, ()).word != "better":
        return cell_result(test, level, digests[: test.shots // CHUNK])
    extension = some_counts(rng, 12, ratio)
    neutral = some_counts(rng, 12, rng.choice([ratio, 0.8, 0.99]))
    # A rate is that of a number of failures.
    references = {"ml": round(rng.choice([0.001, 0.01, 0.03]) * extension.shots) / extension.shots}
    return cell_result(test, level, digests, extension=extension, neutral=neutral, references=references)


def some_harm(rng: Random, p: float) -> HarmCell:
    """A cell near the target."""
    counts = some_counts(rng, 2, rng.choice([0.6, 0.8, 0.9, 1.0, 1.0, 1.6]), 0.02)
    return HarmCell(
        {"p": p}, f"p = {p}", harm_word(counts), "carried_over", rng.random() < 0.8, counted=harm_counted(counts)
    )


def some_certificate(rng: Random, delta_ler: float) -> Certificate:
    """A certificate of all single faults and of some pairs; now and then with a regression."""
    alone = rng.choice([0, 0, 0, 1]) if rng.random() < 0.3 else 0
    odds = rng.uniform(0, 2e-5), rng.uniform(0, 2e-5)
    pairs = PairedCounts(9999, 2, rng.randint(0, 4), rng.choice([0, 0, 3, 600]))
    rows = (
        certificate_row(1, 99, 0.06, 0.014, PairedCounts(99, 0, 0, alone), odds),
        certificate_row(2, 4851, 0.12, 0.014, pairs, None),
    )
    return certified(5, "graphlike", 0.014, rows, delta_ler)


def some_verdict(rng: Random, number: int | None = None, **about: Any) -> dict[str, Any]:
    """A verdict's note as JSON values, true to its counts: of any attempt, or of the one with this number as today.

    `about` are further fields of the note.
    """
    attempt = number or rng.choice([1, 2, 64, 65, 192, 193, rng.randint(1, 9000)])
    before = 0 if number else rng.choice([0, 0, 0, rng.randrange(attempt)])
    return _noted(some_judgement(rng, attempt, before), about)


def some_judgement(rng: Random, attempt: int, before: int = 0, limits: Limits | None = None) -> Verdict:
    """What a verifier answers, true to its counts.

    Args:
        rng: Draws the counts.
        attempt, before: The attempt's number, and how many successes came before it in an old verdict.
        limits: The environment's; by default some.
    """
    level = attempt_alpha(0.05, attempt, before)
    flops, params = rng.randint(1, 10**6), rng.randint(0, 10**5)
    limits = limits or Limits(
        rng.choice([None, None, 900_000]), rng.choice([None, None, 90_000]), rng.choice([None, 0.004, 0.02])
    )
    evidence = Evidence(
        attempt=Attempt(attempt, before, 0.05, level, f"{rng.getrandbits(256):064x}", 10**6),
        candidate="d" * 64, weights_sha256="a" * 64, environment="e" * 64, cell={"p": 0.005}, target_ler=limits.target_ler,
        constraints=limits, chunk_shots=CHUNK, params=params, bytes=99,
    )  # fmt: skip
    gated = flops % 3 == 0  # then what a candidate costs on average is known after the test
    evidence = replace(evidence, **{"flops_per_sent_shot" if gated else "flops_per_shot": flops})
    evidence = replace(evidence, over=exceeded(limits, flops=evidence.flops_per_shot, params=params))
    if not evidence.over and rng.random() < 0.1:
        reason = rng.choice(FAULTS)
        return Verdict.on(word_for(reason), reason, replace(evidence, fault="it broke its contract"))
    if not evidence.over:
        evidence = _tested(rng, evidence, level)
    return Verdict.on(*decide(evidence), evidence)


def _tested(rng: Random, evidence: Evidence, level: float) -> Evidence:
    ratio = rng.choice([0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0, 1.3])
    target = some_test(rng, level, ratio)
    trusted = rng.random() < 0.6
    evidence = replace(
        evidence, target=target, trusted_code=trusted, sandbox_level=0 if trusted else rng.choice([0, 3, 3, 3])
    )
    if rng.random() < 0.2:
        there = some_test(rng, level, ratio)
        evidence = replace(
            evidence, cells=(OtherCell({"p": 0.01}, "p = 0.01", there.word, "carried_over", True, tested=there),)
        )
    each = evidence.flops_per_sent_shot
    if each is not None:
        target = replace(
            target, sent=target.shots_in_all * (each % 97) // 97, gate_flops=each % 5 * target.shots_in_all
        )
        if each % 2:  # an ensemble, with one to seven passes about each of these
            target = replace(target, passes=target.sent * (1 + each % 7))
        evidence = replace(evidence, target=target)
        evidence = replace(evidence, flops_per_shot=evidence.mean_flops)
        over = exceeded(evidence.constraints, flops=evidence.flops_per_shot, params=evidence.params)
        if over:
            return replace(evidence, over=over)
    if target.extension is None:
        return evidence
    if evidence.target_ler is not None:
        evidence = replace(evidence, ler_candidate_bound=rate_surely_below(target.extension, level))
    if any(cell.word != "better" for cell in evidence.cells):
        return evidence
    part = some_counts(rng, 4, ratio)
    earned = VariantCounted(part, part.delta_ler, part, part.delta_ler, delta_interval(part))
    evidence = replace(
        evidence,
        cpu_us_per_shot=round(rng.uniform(0, 3e4), 3),
        answered_again=AnsweredAgain((3,), (3,) if rng.random() < 0.05 else ()),
        near_ml=("ml",) if rng.random() < 0.3 else (),
        harm=(some_harm(rng, 0.004), HarmCell({"rounds": 2}, "rounds = 2", "not_applicable", why="there is none")),
        certificate=some_certificate(rng, target.figures.delta_ler),
        ablation=Ablation(part.shots, (Variant("shuffled", counted=earned),), None),
    )
    evidence = replace(evidence, two_p_slope=slope_of(evidence))
    return replace(evidence, checks=run_checks(evidence))


def _noted(verdict: Verdict, about: dict[str, Any]) -> dict[str, Any]:
    whole = {"id": "i", "verifier": "holdout", "commit": "c" * 40, "metrics": "m", **about}
    attempt = verdict.evidence.attempt
    if attempt is not None and attempt.verified_before == 0:  # verdicts of today, which name their intent, earn nothing
        whole = {"intent": "f" * 64, **whole}
    found: dict[str, Any] = json.loads(json.dumps(verdict.noted(**whole).to_note()))
    return found
