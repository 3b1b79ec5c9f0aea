"""The reason codes of verdicts and the word of each. Verifier, audit and readers all use this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoqec.results.verdict import Word


@dataclass(frozen=True)
class Reason:
    """Why a verdict is what it is.

    Attributes:
        word: The verdict's word.
        says: What it means, in a sentence.
        fault: Whether the candidate broke its contract, which stops the counting.
    """

    word: Word
    says: str
    fault: bool = False


#: Every reason that the verifier `holdout` gives, or gave in earlier versions.
REASONS: Mapping[str, Reason] = {
    "better": Reason("VERIFIED", "A gain is shown in every cell, and every check passed."),
    "not_better": Reason("FAILED", "The evidence shows no worthwhile gain."),
    "undecided": Reason("FAILED", "The limit on shots or time was reached before the evidence decided."),
    "over_budget": Reason("FAILED", "The candidate costs more than the environment allows."),
    "target_missed": Reason("FAILED", "The logical error rate is not shown to meet the environment's target."),
    "constraint": Reason("FAILED", "A limit is exceeded or the target is missed; version 0.1 did not record which."),
    "weights_do_not_fit": Reason("FAILED", "The target's weights do not fit another cell's problem."),
    "crash": Reason("FAILED", "The candidate ended with an error.", fault=True),
    "timeout": Reason("FAILED", "The candidate gave no answer in time.", fault=True),
    "bad_output": Reason("FAILED", "The candidate's answer has the wrong size or format.", fault=True),
    "bad_weights": Reason("FAILED", "The candidate's weights cannot be loaded.", fault=True),
    "hostile_syscall": Reason("SUSPICIOUS", "The code made a system call that its sandbox forbids.", fault=True),
    "batch_dependent": Reason("SUSPICIOUS", "The answer to a shot depends on the other shots of its batch."),
    "decoder_gain": Reason("SUSPICIOUS", "The gain is the decoder's: uninformative beliefs do as well."),
    "unsandboxed_custom_code": Reason("SUSPICIOUS", "The candidate's own code ran without a sandbox."),
    "cost_mismatch": Reason(
        "SUSPICIOUS", "The candidate's answers are not those of the operations that are counted as its cost."
    ),
    "beats_reference_ml": Reason(
        "SUSPICIOUS", "The candidate fails less often than a decoder near maximum likelihood can."
    ),
    "distance_regression": Reason("SUSPICIOUS", "The candidate fails on few faults that the baseline corrects."),
    "harm": Reason("SUSPICIOUS", "The candidate is worse than the baseline near the target."),
}

#: The reasons that do not depend on which shots a verifier drew: whoever goes by them alone does the same for the same seed.
FOUND_OUT = ("batch_dependent", "cost_mismatch", "hostile_syscall", "unsandboxed_custom_code", "beats_reference_ml")


#: Reasons whose words are not their code with blanks.
_SPELLED = {"beats_reference_ml": "beats reference ML"}


def reason_words(reason: str) -> str:
    """A reason's code in words, which stand behind the verdict's word: `not better`. A note can hold any text: it is one line."""
    return _SPELLED.get(reason, " ".join(reason.replace("_", " ").split()))


def verdict_words(word: str, reason: str) -> str:
    """A verdict's word with its reason, where the word does not say it: `VERIFIED`, `FAILED (not better)`."""
    told = bool(reason) and (word, reason) != ("VERIFIED", "better")
    return f"{word} ({reason_words(reason)})" if told else word


def unverified_words(decision: str | None, gain: tuple[float, float] | None) -> str:
    """Why a round that ended well has no verdict.

    Args:
        decision: The Analyst's, `candidate` or `ignore`; None if it said nothing.
        gain: The interval of the gain on development shots, if there is one.
    """
    if decision == "ignore":
        return (
            "the Analyst saw no sure gain" if gain is None or gain[0] <= 0 else "the Analyst asked for no verification"
        )
    return "the Analyst was not asked" if decision is None else "its verification has noted no verdict"


def word_for(reason: str) -> Word:
    """The word of a reason; an unknown reason shows no gain."""
    known = REASONS.get(reason)
    return known.word if known is not None else "FAILED"
