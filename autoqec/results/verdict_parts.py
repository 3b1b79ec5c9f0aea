"""The parts of a verdict as records: the test of its target, the other cells, the certificate, the checks and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoqec.results.certificate_parts import Certificate
from autoqec.results.counts import PairedCounts
from autoqec.results.figures import Figures
from autoqec.results.finite_holdout import FiniteHoldout
from autoqec.results.gate_costs import UsPerShot, noted_mean_flops, share_sent
from autoqec.results.limits import Limits
from autoqec.results.note_form import always, flat, mapping
from autoqec.results.reference_gates import GatedReference
from autoqec.results.statistics import attempt_alpha, look_alpha
from autoqec.results.strata_parts import ByStrata
from autoqec.results.stratified_counts import Counts

#: The coordinates of a cell by name: error rate, rounds or distance.
Place = Mapping[str, float]

Interval = tuple[float, float]
OpenInterval = tuple[float, float | None]


@dataclass(frozen=True)
class Attempt:
    """The number and level of a verification.

    Attributes:
        attempt: Its number within the run, from 1.
        verified_before: How many earlier ones ended VERIFIED; 0 in new verdicts, whose level it does not raise.
        alpha, alpha_attempt: The run's error budget, and this attempt's level.
        seed_key: The holdout's key, revealed.
        max_shots, max_seconds: Limits at which an undecided test stops.
        beacon: Public randomness in the key.
        full_certificate: Whether to list all pairs of faults.
        look: Where the holdout is finite, the number of this verification among all that looked at the recording, from 1.
        recording: SHA-256 of what was recorded.
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
    look: int | None = None
    recording: str | None = None

    @property
    def level(self) -> float:
        """The level that follows from these numbers."""
        if self.look is not None:
            return look_alpha(self.alpha, self.look)
        return attempt_alpha(self.alpha, self.attempt, self.verified_before)


@dataclass(frozen=True)
class Tested:
    """The result of one cell's test.

    Attributes:
        test: The shots that decide the word.
        log_e_better, log_e_futile, log_e_needed: Evidence; see `autoqec.results.decision.evidence`.
        digests: SHA-256 of each chunk of shots, those of the figures included.
        figures: Figures of the extension, or of the test if there is no extension.
        shots_in_all: Shots of test and extension.
        ler_ratio_ci_all_shots: The interval of the ratio over all of these.
        mcnemar_p_fixed_n: McNemar's exact p-value on the shots behind the figures.
        word: `better`, `not_better` or `undecided`; verdicts of version 0.1 have none.
        invalid: Shots of the figures without a valid answer.
        references: Rates of reference decoders on these shots.
        references_missing: References that were left out, and the commands that install them.
        extension: The shots behind the figures of a "better" candidate.
        neutral: On these, the decoder with uninformative beliefs in the baseline's place.
        gated: The references that ran behind a gate, by label.
        reference_us, neutral_us: Microseconds that each reference took for a shot, and the decoder on uninformative beliefs.
        sent: Of a gated candidate: how many of the `shots_in_all` its gate sent on.
        gate_flops: FLOPs of the gate's own steps on all of these.
        passes: Of an ensemble: how many times its pipeline was asked about the shots that were sent on.
        strata: Where shots are drawn by strata, the counts by these; figures and evidence follow from them.
        finite: Where shots are recorded, the exact intervals. The test is exact then, and the figures are of its shots.
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
    gated: Mapping[str, GatedReference] = mapping()
    reference_us: Mapping[str, float] = mapping()
    neutral_us: float | None = None
    sent: int | None = None
    gate_flops: int = 0
    passes: int | None = None
    strata: ByStrata | None = None
    finite: FiniteHoldout | None = None

    @property
    def shown(self) -> PairedCounts | None:
        """The shots behind the figures of a "better" candidate; None if it is not."""
        return self.test if self.finite is not None and self.word == "better" else self.extension

    @property
    def headline(self) -> PairedCounts:
        """The shots behind the figures, without weights."""
        return self.extension or self.test

    @property
    def test_counts(self) -> Counts:
        """The shots that decide the word.

        Raises:
            ValueError: Their strata cannot be.
        """
        return self.test if self.strata is None else self.strata.counts(self.strata.test)

    @property
    def headline_counts(self) -> Counts:
        """The shots behind the figures.

        Raises:
            ValueError: Their strata cannot be.
        """
        strata = self.strata
        return self.headline if strata is None else strata.counts(strata.extension or strata.test)

    @property
    def cost_shots(self) -> int:
        """The shots that the costs are means over."""
        return self.shots_in_all if self.strata is None else self.strata.cost_shots


@dataclass(frozen=True)
class OtherCell:
    """A cell other than the target that a verdict covers.

    Attributes:
        cell, label: The cell.
        word: The word of its test; or `weights_do_not_fit`, or the reason of another fault.
        weights: `trained_here`, or `carried_over` from the target.
        same_shape: Whether its problem has the target's shape.
        fault: Why there was no test.
        tested: The result of the test.
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
    """The evidence of a do-no-harm cell: `log_e_worse`, that the candidate fails more often than the baseline, and
    `log_e_harmless`, that it fails less than 1.1 times as often. Both are natural logarithms.
    """

    counts: PairedCounts
    log_e_worse: float
    log_e_harmless: float
    figures: Figures = flat()


@dataclass(frozen=True)
class HarmCell:
    """A do-no-harm cell next to the target.

    Attributes:
        cell, label: The cell.
        word: `harm`, `no_harm`, `unknown`, or `not_applicable`.
        weights, same_shape: As in `OtherCell`; None where there is no such cell. At another p `weights` is `untold`: candidate
            and decoders were told the target's error model. Verdicts of 0.1 told them the cell's.
        why: Why there are no counts.
        counted: The counts and their evidence.
    """

    cell: Place
    label: str
    word: str
    weights: str | None = None
    same_shape: bool | None = None
    why: str | None = None
    counted: HarmCounted | None = flat(None)


@dataclass(frozen=True)
class VariantCounted:
    """The counts of an ablated candidate.

    Attributes:
        counts: Against the baseline.
        delta_ler: Its gain.
        against_whole: The whole candidate against it.
        earned: The gain of the whole candidate over it.
        earned_ci: The interval of that gain.
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
    """The gain left without a part: `variants` on so many `shots`; `earner`, the stage shown to earn most, if any."""

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
    """The share of the gap between the baseline and a stronger decoder that the candidate closes.

    Attributes:
        reference: The stronger decoder.
        shots: How many shots were compared.
        failures: Failures of `baseline`, `candidate` and `strong`.
        baseline, candidate, strong: Their rates.
        share: The share; None if the reference fails at least as often as the baseline.
        gated: What the reference was run on, if it ran behind a gate.
    """

    reference: str
    shots: int
    failures: Mapping[str, int]
    baseline: ExactRate
    candidate: ExactRate
    strong: ExactRate
    share: float | None = always()
    gated: GatedReference | None = None


@dataclass(frozen=True)
class ParentsScored:
    """A composed candidate beside its parents, on the same shots.

    Attributes:
        parents: Their gains over the baseline, by name.
        sum: The sum of these gains.
        best_parent: The parent that gains most.
        over_best: The child's gain over that parent.
        over_best_ci: The interval of that gain.
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
    """The chunks that fresh processes decoded again, and those with a different answer."""

    chunks: tuple[int, ...]
    differing: tuple[int, ...]


@dataclass(frozen=True)
class Recorded:
    """Scored chunks that a process without the candidate's code answered by the candidate's recorded operations.

    Attributes:
        chunks: Which chunks.
        differing: Those with another answer than when they were scored.
        flops_per_shot: FLOPs of these operations, the most of any of the chunks; behind a gate, for each shot that is sent on.
        constants: Numbers that they hold besides the weights.
        cpu_us_per_shot: Processor time that they took.
    """

    chunks: tuple[int, ...]
    differing: tuple[int, ...]
    flops_per_shot: int
    constants: int
    cpu_us_per_shot: float


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
        result: `passed`; `failed`, which makes the verdict SUSPICIOUS; `warned`, which only informs the reader; `not_made`;
            `by_construction`: it cannot fail because of the way the verifier is built.
        says: The observation, in a sentence. It is part of the note, and the audit compares it.
        reason: The reason code of a failed check.
    """

    check: str
    result: str
    says: str
    reason: str | None = None


@dataclass(frozen=True)
class OutOfTime:
    """Where a test stopped early: the `cell`'s label (None for the target), after how many `shots`, the limit in `seconds`."""

    cell: str | None
    shots: int
    seconds: float | None = always()


@dataclass(frozen=True)
class Evidence:
    """All evidence of a verdict, as far as its note matches the schema.

    Attributes:
        attempt: The number and level of the verification.
        id: The note's identifier.
        verifier: The verifier's name.
        run, round, commit, environment, candidate, weights_sha256: The subject of the verdict.
        intent: Digest of the note on the start of the verification; verdicts of earlier versions have none.
        metrics: The metrics note that counted at that time.
        cell: The target's coordinates.
        target_ler: The logical error rate that the environment asks for.
        constraints: The environment's limits.
        chunk_shots: Shots per chunk.
        machine, versions, simd: The machine and software that drew the shots.
        fingerprint: The problem's fingerprint.
        flops_per_shot, params, bytes: The candidate's costs. Behind a gate the FLOPs are the mean over the target's shots.
        flops_per_sent_shot: Of a gated candidate: FLOPs of a shot that is sent on.
        constants: Numbers among `params` that its recorded stages hold besides its weights.
        loading_cpu_ms: Processor time that its process took to load it, in milliseconds.
        over: Limits that it exceeds; nothing is then tested.
        target: The result of the target's test.
        trusted_code: Whether the candidate has no code of its own.
        sandbox, sandbox_level: The layers of the sandbox around its process.
        cells: The results of the environment's other cells.
        ler_candidate_bound: Upper bound of the candidate's rate, at the level of the attempt.
        share_of_gap: See `ShareOfGap`.
        compose: For a composed candidate, whether the parents' gains add up.
        cpu_us_per_shot: Processor time of its process in microseconds per shot, as the kernel counts it.
        us_per_shot: Wall-clock time of a shot by what takes it.
        answered_again, recorded, harm, certificate, ablation, two_p_slope: The evidence behind the checks.
        near_ml: References near maximum likelihood.
        checks: The results of the checks.
        fault, fault_code: Why the candidate broke its contract, and the code of that; see `autoqec.error_codes`.
        out_of_time: Where a test stopped early.
        seconds, seconds_by_part: Wall-clock seconds.
    """

    attempt: Attempt | None = flat(None)
    id: str = ""
    verifier: str = ""
    run: str = ""
    round: int = 0
    intent: str = ""
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
    flops_per_sent_shot: int | None = None
    constants: int | None = None
    loading_cpu_ms: int | None = None
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
    us_per_shot: UsPerShot | None = None
    answered_again: AnsweredAgain | None = None
    recorded: Recorded | None = None
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
    def sent_on(self) -> float | None:
        """The share of the target's shots that a gate sent on; None without one."""
        return share_sent(self.target.sent, self.target.cost_shots) if self.target is not None else None

    @property
    def mean_flops(self) -> int | None:
        """The mean cost that follows from the counts of a gated candidate; None without a gate, or before it is tested."""
        target = self.target
        if target is None:
            return None
        noted = (target.sent, target.passes, target.cost_shots, target.gate_flops)
        return noted_mean_flops(self.flops_per_sent_shot, *noted)

    @property
    def places(self) -> tuple[Tested | OtherCell, ...]:
        """The target, if it was tested, and the other cells."""
        return ((self.target,) if self.target is not None else ()) + self.cells
