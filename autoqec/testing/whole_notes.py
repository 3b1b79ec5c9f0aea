"""Whole notes for tests: metrics and verdicts whose figures follow from their own counts, so that readers believe them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.decision import evidence
from autoqec.results.figures import Figures, read_figures
from autoqec.results.reasons import REASONS
from autoqec.results.statistics import attempt_alpha, mcnemar_p, ratio_interval

#: The error budget of the run.
ALPHA = 0.05

#: Reasons of a FAILED verdict whose test was passed.
_TEST_PASSED = ("target_missed", "constraint")

_COSTS: Mapping[str, Any] = {
    "flops_per_shot": 2_100_111, "params": 969, "latency_us_per_shot": 79.4, "train_seconds": 33.0, "score_seconds": 16.0,
}  # fmt: skip


def counts_of(gain: float, shots: int = 200_704, baseline: float = 0.0141) -> PairedCounts:
    """Counts that come near to a gain and to a rate of the baseline."""
    plain = round(baseline * shots)
    failed = min(shots, max(0, plain - round(gain * shots)))
    own = failed // 4
    return PairedCounts(shots, min(failed - own, plain), max(plain - (failed - own), 0), own)


@cache
def _figures(counts: PairedCounts) -> Figures:
    return Figures.of(counts)


def whole_metrics(
    gain: float = 0.00415, *, shots: int = 200_704, baseline: float = 0.0141, **more: Any
) -> dict[str, Any]:
    """A metrics note with counts and figures.

    Args:
        gain, shots, baseline: What the counts come near to.
        more: Other fields.
    """
    counts = counts_of(gain, shots, baseline)
    return {**_figures(counts).to_note(), "counts": counts.to_dict(), **_COSTS, **more}


#: With fewer shots the intervals of rounds that differ would overlap.
_LEAST_SHOTS = 200_000

_FIGURES = ("shots", "ler_baseline", "ler_candidate", "delta_ler", "delta_ler_ci", "ler_ratio", "ler_ratio_ci")


def completed_metrics(note: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics with counts, if a note has figures without counts; its figures are then those of counts that come near to them."""
    figures = read_figures(note)
    if figures is None or "counts" in note:
        return dict(note)
    rest = {name: value for name, value in note.items() if name not in _FIGURES}
    shots = max(figures.shots, _LEAST_SHOTS)
    return whole_metrics(figures.delta_ler, shots=shots, baseline=figures.ler_baseline, **rest)


def completed_verdict(note: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict that passes its audit, if a note has a word and a reason only, or figures without counts."""
    word, reason, figures = note.get("verdict"), note.get("reason"), read_figures(note)
    bare = not set(_FIGURES) & set(note)
    if "attempt" in note or not isinstance(word, str) or not isinstance(reason, str) or not (figures or bare):
        return dict(note)
    rest = {name: value for name, value in note.items() if name not in (*_FIGURES, "verdict", "reason", "extension")}
    if figures is None:
        return whole_verdict(word, reason, about=about, **rest)
    shots = max(figures.shots, _LEAST_SHOTS)
    gain, baseline = figures.delta_ler, figures.ler_baseline
    return whole_verdict(word, reason, gain=gain, shots=shots, baseline=baseline, about=about, **rest)


def whole_verdict(
    word: str = "VERIFIED",
    reason: str = "better",
    *,
    gain: float = 0.00415,
    shots: int = 200_704,
    baseline: float = 0.0141,
    attempt: int = 1,
    about: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A verdict note that passes its audit.

    It has the fields that verdicts of version 0.1 have, whose checks cannot be audited; so it may have any reason.

    Args:
        word, reason: The verdict. A test that fails stands behind one whose reason is that nothing was shown.
        gain, shots, baseline: What the counts behind the figures come near to, if the test is passed.
        attempt: The number of the verification.
        about: What the verdict is about: commit, environment, candidate, weights and so on.
        more: Other fields.
    """
    known = REASONS.get(reason)
    level = attempt_alpha(ALPHA, attempt, 0)
    note: dict[str, Any] = {
        "verdict": word, "reason": reason, "attempt": attempt, "verified_before": 0, "alpha": ALPHA, "alpha_attempt": level,
        "flops_per_shot": _COSTS["flops_per_shot"], "params": _COSTS["params"], **(about or {}),
    }  # fmt: skip
    if known is not None and known.fault:
        return {**note, "fault": "it broke its contract", **more}
    passed = word != "FAILED" or reason in _TEST_PASSED
    counts = counts_of(gain if passed else 0.0, shots, baseline)
    # The test shows any gain beyond doubt; the figures are those of the shots after it.
    test = counts_of(max(gain, 0.8 * baseline), shots, baseline) if passed else counts
    whole = test + counts if passed else counts
    note |= {"test": test.to_dict(), **evidence(test, level), **_figures(counts).to_note(), "chunk_shots": shots}
    note |= {"digests": ["0" * 64] * (2 if passed else 1), "shots_in_all": whole.shots, "invalid": 0, "references": {}}
    note |= {"ler_ratio_ci_all_shots": list(ratio_interval(whole)), "mcnemar_p_fixed_n": mcnemar_p(counts)}
    return note | ({"extension": counts.to_dict()} if passed else {}) | more


def notes_of_round(
    attempt: str, commit: str, environment: str, number: int = 1, *, weights_sha256: str = "", **more: Any
) -> dict[str, dict[str, Any]]:
    """The three notes of a round, all of which count, by kind.

    Args:
        attempt: The round's attempt, which is the id of its metrics and its analysis.
        commit, environment: The round's commit, and the identity of its run's environment.
        number: The number of its verification.
        weights_sha256: The hash of its weights; empty for metrics that do not say it.
        more: Other fields of each note.
    """
    own = {"id": attempt, **more}
    sealed = {"candidate": "a" * 64, "weights_sha256": weights_sha256 or "b" * 64}
    about = {"commit": commit, "environment": environment, **sealed}
    return {
        "metrics": whole_metrics(shots=65_536) | (sealed if weights_sha256 else {}) | own,
        "verdict": whole_verdict(shots=65_536, attempt=number, about=about) | own,
        "analysis": {"decision": "candidate", "summary": "fine"} | own,
    }
