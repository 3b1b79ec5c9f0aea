"""The checks of a verdict: what must hold beside the statistics, each by name, each a function of the verdict's note.

A candidate is suspected by what was counted and by nothing it says. Some guards of a fair comparison cannot fail here, for the
way shots are drawn and decoders made; they are listed too, so that nobody looks for them in vain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.harm import slope_of
from autoqec.results.statistics import mcnemar_p, rate_interval

#: Of a check: it held; it did not, and the verdict is SUSPICIOUS; it did not, and the reader is told; it was not made; it cannot
#: fail, for the way the verifier is built.
RESULTS = ("passed", "failed", "warned", "not_made", "by_construction")

#: A candidate that is shown to fail less than this many times as often as a decoder near maximum likelihood is too good to be
#: true: such a decoder may be a little off, on hyperedges or by its beam, but not by that much.
TOO_GOOD_RATIO = 0.9

#: Code that we did not write counts its own operations, in a process of its own. If by that count it does fewer than this per
#: microsecond of processor time that the kernel saw, the count is not to be believed: slow stages of ours do a hundred times.
LEAST_FLOPS_PER_US = 10.0

Check = dict[str, Any]


def check(name: str, result: str, says: str, reason: str | None = None) -> Check:
    """One line of a verdict's `checks`; `reason` is the code of a check that failed."""
    return {"check": name, "result": result, "says": says} | ({"reason": reason} if result == "failed" else {})


def run_checks(details: Mapping[str, Any]) -> list[Check]:
    """All checks of a verdict whose tests passed, the gravest first.

    Args:
        details: What the verdict's note holds by then.
    """
    return [
        _batches(details),
        _neutral(details),
        _own_code(details),
        _cost(details),
        _reference_ml(details),
        _distance(details),
        _harm(details),
        _slope(details),
        check(
            "error_model",
            "by_construction",
            "priors and matching weights are computed from the environment's circuit; no shot, least of all one that is scored,"
            " has a part in them",
        ),
        check(
            "extrapolation",
            "by_construction",
            "every rate is counted on shots of its own cell; none is fitted, scaled or continued to other p or more rounds",
        ),
    ]


def _batches(details: Mapping[str, Any]) -> Check:
    again = details["answered_again"]
    says = (
        f"of {len(again['chunks'])} chunks that fresh processes answered again, mixed and in other batches,"
        f" {len(again['differing'])} came out otherwise"
    )
    return check("batches", "failed" if again["differing"] else "passed", says, "batch_dependent")


def _neutral(details: Mapping[str, Any]) -> Check:
    """The gain must be the candidate's, not its decoder's.

    An error model decomposes errors of one effect in several ways, of which a decoder of beliefs keeps one, where the plain
    decoder has them all: beliefs that say nothing then decode differently from none at all (on `surface_d5_depol` 2 % better).
    Exact test of McNemar on the shots of the figures, whose number was fixed in advance, at the level of the attempt.
    """
    counts = PairedCounts.from_dict(details["neutral"])
    p = mcnemar_p(counts)
    says = (
        f"of {counts.shots:,} shots the decoder fails {counts.baseline_only:,} with beliefs that say nothing and not with the"
        f" candidate's, and {counts.candidate_only:,} the other way round: p = {p:.2g}"
    )
    return check("neutral", "passed" if p <= details["alpha_attempt"] else "failed", says, "decoder_gain")


def _own_code(details: Mapping[str, Any]) -> Check:
    """Code of its own could have done more than answer: what it was kept from is what it can be believed about."""
    if details["trusted_code"]:
        return check(
            "own_code", "passed", "the candidate has no code of its own: it chooses among stages that are trusted"
        )
    level = details["sandbox_level"]
    says = f"the candidate's own code ran at sandbox level {level}"
    return check("own_code", "passed" if level else "failed", says, "unsandboxed_custom_code")


def _cost(details: Mapping[str, Any]) -> Check:
    """Trusted stages count their operations; other code counts its own, and only the kernel's clock is out of its reach."""
    flops, cpu = details["flops_per_shot"], details["cpu_us_per_shot"]
    if details["trusted_code"]:
        return check("cost", "passed", f"trusted stages counted {flops:,} FLOPs a shot")
    says = f"its process counted {flops:,} FLOPs a shot, and the kernel {cpu} µs of processor time"
    return check("cost", "failed" if flops < cpu * LEAST_FLOPS_PER_US else "passed", says, "cost_mismatch")


def _reference_ml(details: Mapping[str, Any]) -> Check:
    """Both ends are exact (Clopper and Pearson), at 2.5 % each; the two numbers of shots were fixed in advance."""
    extension = details["extension"]
    failures = extension["both"] + extension["candidate_only"]
    upper = rate_interval(failures, extension["shots"])[1]
    bounds = {
        name: upper / lower
        for name, shots, failed in _near_ml(details)
        if (lower := rate_interval(failed, shots)[0]) > 0
    }
    if not bounds:
        return check("reference_ml", "not_made", "no decoder near maximum likelihood ran, or it failed no shot")
    name = min(bounds, key=lambda each: bounds[each])
    says = f"the candidate fails at most {bounds[name]:.3f} times as often as {name}, at 95 %"
    too_good = bounds[name] < TOO_GOOD_RATIO
    return check("reference_ml", "failed" if too_good else "passed", says, "beats_reference_ml")


def _near_ml(details: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Name, shots and failures of each decoder near maximum likelihood that ran."""
    shots = details["extension"]["shots"]
    found = [(name, shots, round(details["references"][name] * shots)) for name in details.get("near_ml", ())]
    share = details.get("share_of_gap")
    return found + ([(share["reference"], share["shots"], share["failures"]["strong"])] if share else [])


def _distance(details: Mapping[str, Any]) -> Check:
    certificate = details["certificate"]
    word = certificate["word"]
    if word == "not_enumerable":
        return check("distance", "not_made", certificate["why"])
    alone = {row["weight"]: row["counts"]["candidate_only"] for row in certificate["rows"]}
    counted = ", ".join(f"{number} of weight {weight}" for weight, number in alone.items())
    says = f"fault sets that the candidate alone fails: {counted}"
    return check("distance", "failed" if word == "regression" else "passed", says, "distance_regression")


def _harm(details: Mapping[str, Any]) -> Check:
    """Harm at another p is damning, at another number of rounds it is told.

    A device's error rates drift, and nothing keeps a predecoder from shots at a little other p. Another number of rounds is
    another circuit, for which weights are refused wherever they are used, but here.
    """
    rows = [row for row in details["harm"] if row["word"] != "not_applicable"]
    if not rows:
        return check("harm", "not_made", "there is no other p or number of rounds to look at")
    at = {word: [row["label"] for row in rows if row["word"] == word] for word in ("harm", "unknown", "no_harm")}
    says = "; ".join(f"{word.replace('_', ' ')} at {', '.join(labels)}" for word, labels in at.items() if labels)
    damning = any(row["word"] == "harm" and row["same_shape"] for row in rows)
    return check("harm", "failed" if damning else "warned" if at["harm"] else "passed", says, "harm")


def _slope(details: Mapping[str, Any]) -> Check:
    slope = slope_of(details)
    if slope is None:
        return check("two_p_slope", "not_made", "there are no failures at two p to compare")
    says = (
        f"from p = {slope['p'][0]} to {slope['p'][1]} the plain decoder's rate grows like p^{slope['baseline']:.2f}, the"
        f" candidate's like p^{slope['candidate']:.2f}"
    )
    return check("two_p_slope", "warned" if slope["word"] == "flatter" else "passed", says)
