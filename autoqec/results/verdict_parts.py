"""The parts of a verdict as records, from the test of its target to its checks: what a verifier collects and readers see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures
from autoqec.results.limits import Limits
from autoqec.results.note_form import always, flat, mapping

#: A point of error rate, rounds or distance, by name.
Place = Mapping[str, float]

Interval = tuple[float, float]
OpenInterval = tuple[float, float | None]


@dataclass(frozen=True)
class Attempt:
    """Which verification it was, and at which level.

    Attributes:
        attempt: Its number within the run, from 1.
        verified_before: How many before it ended VERIFIED.
        alpha, alpha_attempt: The run's error budget, and the level that is this attempt's.
        seed_key: The holdout's key, revealed.
        max_shots, max_seconds: Where an undecided test is broken off.
        beacon: Public randomness in the key.
        full_certificate: Whether all pairs of faults were to be listed.
    """

    attempt: int
    verified_before: int
    alpha: float
    alpha_attempt: float
    seed_key: str = always("")
    max_shots: int | None = always()
    max_seconds: float | None = always()
    beacon: str = always("")
    full_certificate: bool = always(False)


@dataclass(frozen=True)
class Tested:
    """What the test of one cell came to.

    Attributes:
        test: The shots that the word rests on.
        log_e_better, log_e_futile, log_e_needed: Evidence; see `autoqec.results.decision.evidence`.
        digests: SHA-256 of each chunk of shots, those of the figures included.
        figures: Of the extension, or of the test where there is none.
        shots_in_all: Of both.
        ler_ratio_ci_all_shots: The interval of the ratio over both.
        mcnemar_p_fixed_n: Exact, of the shots that the figures rest on.
        word: `better`, `not_better` or `undecided`; verdicts of version 0.1 have none.
        invalid: Shots of the figures without a valid answer.
        references: Rates of reference decoders on these shots.
        references_missing: Those left out, and the lines that install what they need.
        extension: The shots that the figures of a "better" candidate rest on.
        neutral: On these, the decoder on beliefs that say nothing, in the baseline's place.
    """

    test: PairedCounts
    log_e_better: float
    log_e_futile: float
    log_e_needed: float
    digests: tuple[str, ...]
    figures: Figures = flat()
    shots_in_all: int = always(0)
    ler_ratio_ci_all_shots: OpenInterval | None = always()
    mcnemar_p_fixed_n: float | None = always()
    word: str = ""
    invalid: int = always(0)
    references: Mapping[str, float] = mapping(always=True)
    references_missing: Mapping[str, str] = mapping()
    extension: PairedCounts | None = None
    neutral: PairedCounts | None = None

    @property
    def headline(self) -> PairedCounts:
        """The shots that the figures rest on."""
        return self.extension or self.test


@dataclass(frozen=True)
class OtherCell:
    """Another cell than the target that a verdict covers.

    Attributes:
        cell, label: Where.
        word: Its test's; or `weights_do_not_fit`, or another fault's reason.
        weights: `trained_here`, or `carried_over` from the target.
        same_shape: Whether its problem has the target's shape.
        fault: Why there was no test.
        tested: What the test came to.
    """

    cell: Place
    label: str
    word: str
    weights: str = always("")
    same_shape: bool = always(False)
    fault: str | None = None
    tested: Tested | None = flat(None)


@dataclass(frozen=True)
class HarmCounted:
    """What a do-no-harm cell's shots say: `log_e_worse`, evidence that the candidate fails more often than the baseline, and
    `log_e_harmless`, that it fails less than 1.1 times as often.
    """

    counts: PairedCounts
    log_e_worse: float
    log_e_harmless: float
    figures: Figures = flat()


@dataclass(frozen=True)
class HarmCell:
    """A cell next to the target.

    Attributes:
        cell, label: Where.
        word: `harm`, `no_harm`, `unknown`, or `not_applicable`.
        weights, same_shape: As of `OtherCell`; None where there is no such cell.
        why: Why there are no counts.
        counted: What was counted.
    """

    cell: Place
    label: str
    word: str
    weights: str | None = None
    same_shape: bool | None = None
    why: str | None = None
    counted: HarmCounted | None = flat(None)


@dataclass(frozen=True)
class CertificateRow:
    """The fault sets of one weight.

    Attributes:
        weight: Faults in each.
        of: Sets of this weight that there are.
        how: Whether they were `listed` or `drawn`.
        counts: Those that were examined.
        probability: That exactly so many mechanisms fire.
        failing: The probability that a shot is a set of this weight that baseline and candidate fail.
        excess: The candidate's less the baseline's.
        excess_ci: Its interval; no wider than a point if they were listed.
    """

    weight: int
    of: int
    how: Literal["listed", "drawn"]
    counts: PairedCounts
    probability: float
    failing: tuple[float, float]
    excess: float
    excess_ci: Interval


@dataclass(frozen=True)
class Regression:
    """A fault set that the candidate alone fails: its mechanisms, and the detectors and observables that they flip."""

    weight: int
    probability: float
    mechanisms: tuple[int, ...]
    detectors: tuple[int, ...]
    observables: tuple[int, ...]


@dataclass(frozen=True)
class FaultSets:
    """What was found of the fault sets of low weight.

    Attributes:
        rows: One for each weight.
        no_fault: The probability that nothing fires.
        regressions: Some sets that the candidate alone fails, the likeliest first.
        break_even: The share of the target's error rates below which such sets would outweigh the gain.
    """

    rows: tuple[CertificateRow, ...]
    no_fault: float
    regressions: tuple[Regression, ...] = always(())
    break_even: float | None = always()


@dataclass(frozen=True)
class Certificate:
    """The distance certificate.

    Attributes:
        word: `kept`, `traded`, `regression`, or `not_enumerable`.
        distance: The code's, if it is known.
        found: How it is known, or why not.
        why: Why nothing was examined.
        sets: What was examined.
    """

    word: str
    distance: int | None = always()
    found: str = always("")
    why: str | None = None
    sets: FaultSets | None = flat(None)

    @property
    def correctable(self) -> int | None:
        """Faults that a code of this distance can correct."""
        return None if self.distance is None else (self.distance - 1) // 2


@dataclass(frozen=True)
class VariantCounted:
    """What an ablated candidate's shots say.

    Attributes:
        counts: Against the baseline.
        delta_ler: Its gain.
        against_whole: The whole candidate against it.
        earned: What the whole gains over it.
        earned_ci: The interval of that.
    """

    counts: PairedCounts
    delta_ler: float
    against_whole: PairedCounts
    earned: float
    earned_ci: Interval


@dataclass(frozen=True)
class Variant:
    """An ablated candidate: `shuffled`, or `without` a stage; its counts, or the `fault` for which it has none."""

    name: str
    fault: str | None = None
    counted: VariantCounted | None = flat(None)


@dataclass(frozen=True)
class Ablation:
    """What is left without a part: `variants` on so many `shots`; `earner`, the stage that earns most, if one is shown to."""

    shots: int
    variants: tuple[Variant, ...]
    earner: str | None = always()


@dataclass(frozen=True)
class ExactRate:
    """A failure rate with its exact interval."""

    ler: float
    ler_ci: Interval


@dataclass(frozen=True)
class ShareOfGap:
    """Which part of the way from the baseline to a stronger decoder the candidate has come.

    Attributes:
        reference: The stronger decoder.
        shots: On how many.
        failures: Of `baseline`, `candidate` and `strong`.
        baseline, candidate, strong: Their rates.
        share: None where the reference fails no less often than the baseline.
    """

    reference: str
    shots: int
    failures: Mapping[str, int]
    baseline: ExactRate
    candidate: ExactRate
    strong: ExactRate
    share: float | None = always()


@dataclass(frozen=True)
class ParentsScored:
    """A composed candidate beside its parents, on the same shots.

    Attributes:
        parents: Their gains over the baseline, by name.
        sum: Of these.
        best_parent: Who gains most.
        over_best: What the child gains over it.
        over_best_ci: The interval of that.
        counts: The best parent in the baseline's place.
    """

    parents: Mapping[str, float]
    sum: float
    best_parent: str
    over_best: float
    over_best_ci: Interval
    counts: PairedCounts


@dataclass(frozen=True)
class Composition:
    """Whether the parents' gains add up: `adds_up`, `partial`, `interferes`, or `unknown` for a `fault`."""

    composition: str
    fault: str | None = None
    scored: ParentsScored | None = flat(None)


@dataclass(frozen=True)
class AnsweredAgain:
    """Chunks that fresh processes answered again, and those of them that came out otherwise."""

    chunks: tuple[int, ...]
    differing: tuple[int, ...]


@dataclass(frozen=True)
class Slope:
    """How steeply the rates fall with p: `d log LER / d log p` of both sides between two `p`, their `difference` and its
    interval `ci`; `word`: `flatter` where the candidate's is shown to be lower, else `kept`.
    """

    p: tuple[float, float]
    baseline: float
    candidate: float
    difference: float
    ci: Interval
    word: str


@dataclass(frozen=True)
class Check:
    """One line of a verdict's checks.

    Attributes:
        check: Its name.
        result: `passed`; `failed`, and the verdict is SUSPICIOUS; `warned`, and the reader is told; `not_made`;
            `by_construction`: it cannot fail, for the way the verifier is built.
        says: What was seen.
        reason: The code of one that failed.
    """

    check: str
    result: str
    says: str
    reason: str | None = None


@dataclass(frozen=True)
class OutOfTime:
    """Where a test was broken off: the `cell`'s label, None for the target; after how many `shots`; the budget's `seconds`."""

    cell: str | None
    shots: int
    seconds: float | None = always()


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on, as far as its note has it in the form that verdicts have.

    Attributes:
        attempt: Which verification it was.
        id: The note's.
        verifier: Who judged.
        commit, environment, candidate, weights_sha256: What was judged.
        metrics: The metrics note that stood when it was judged.
        cell: Where the target is.
        target_ler: The rate that the environment asks for.
        constraints: The environment's limits.
        chunk_shots: Shots of a chunk.
        machine, versions, simd: What drew the shots.
        fingerprint: The problem's.
        flops_per_shot, params, bytes: What the candidate costs.
        over: Limits that it is above; nothing was then tested.
        target: What the test of the target came to.
        trusted_code: Whether the candidate has no code of its own.
        sandbox, sandbox_level: The walls around its process.
        cells: What the tests of the environment's other cells came to.
        ler_candidate_bound: The candidate's rate is surely below this, at the level of the attempt.
        share_of_gap: See there.
        compose: Of a composed candidate.
        cpu_us_per_shot: Processor time of its process, as the kernel counts it.
        answered_again, harm, certificate, ablation, two_p_slope: What the checks look at.
        near_ml: References near maximum likelihood.
        checks: What they say.
        fault, fault_code: Why the candidate broke its contract, and the code of that; see `autoqec.error_codes`.
        out_of_time: Where a test was broken off.
        seconds, seconds_by_part: Wall clock.
    """

    attempt: Attempt | None = flat(None)
    id: str = ""
    verifier: str = ""
    commit: str = ""
    environment: str = ""
    candidate: str = ""
    weights_sha256: str = ""
    metrics: str | None = None
    cell: Place | None = None
    target_ler: float | None = None
    constraints: Limits | None = None
    chunk_shots: int = 0
    machine: str = ""
    versions: Mapping[str, str] = mapping()
    simd: str | None = None
    fingerprint: str = ""
    flops_per_shot: float | None = None
    params: float | None = None
    bytes: int | None = None
    over: tuple[str, ...] = ()
    target: Tested | None = flat(None)
    trusted_code: bool | None = None
    sandbox: Mapping[str, Any] | None = None
    sandbox_level: int | None = None
    cells: tuple[OtherCell, ...] = ()
    ler_candidate_bound: float | None = None
    share_of_gap: ShareOfGap | None = None
    compose: Composition | None = None
    cpu_us_per_shot: float | None = None
    answered_again: AnsweredAgain | None = None
    near_ml: tuple[str, ...] | None = None
    harm: tuple[HarmCell, ...] | None = None
    certificate: Certificate | None = None
    ablation: Ablation | None = None
    two_p_slope: Slope | None = None
    checks: tuple[Check, ...] | None = None
    fault: str | None = None
    fault_code: str | None = None
    out_of_time: OutOfTime | None = None
    seconds: float | None = None
    seconds_by_part: Mapping[str, float] = mapping()

    @property
    def places(self) -> tuple[Tested | OtherCell, ...]:
        """The target, if it was tested, and the other cells."""
        return ((self.target,) if self.target is not None else ()) + self.cells
