"""Causes of poor results of rounds that were scored or judged."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.agents.diagnosis.cause import CODE, FORK, Cause

#: Rounds that were scored, by their development metrics.
SCORED: Mapping[str, Cause] = {
    "invalid_shots": Cause(
        "warning",
        "Some beliefs are not finite; each such shot counts as a failure of the candidate.",
        "remove overflows and divisions by zero: a lower learning_rate, or a correction of {round}'s own code",
    ),
    "beliefs_change_nothing": Cause(
        "warning",
        "The decoder's result is the same with and without the candidate on every shot: the beliefs are as good as the priors.",
        "larger stages or more training: autoqec show {round}",
    ),
    "flips_nothing": Cause(
        "warning", "No belief exceeds the threshold, so nothing is flipped.", f"a lower threshold: {FORK}"
    ),
    "flips_too_much": Cause(
        "warning",
        "The candidate flips mechanisms that did not fire: the threshold is too low for these beliefs.",
        f"a higher threshold: {FORK}",
    ),
    "saturated_beliefs": Cause(
        "warning",
        "The candidate makes the decoder much worse: its beliefs are overconfident, for example after too"
        " many iterations on a graph with loops.",
        f"fewer iterations or layers: {FORK}",
    ),
    "worse_than_plain": Cause(
        "warning",
        "The candidate is significantly worse than the plain decoder on development shots.",
        f"another loss: {FORK}; or drop this idea",
    ),
    "no_training": Cause(
        "warning", "Training made no step, so the weights are the initial ones.", f"set shots and epochs: {FORK}"
    ),
    "loss_did_not_fall": Cause(
        "warning", "The validation loss did not fall: training had no effect.", f"another learning_rate: {FORK}"
    ),
    "out_of_time": Cause(
        "warning",
        "The time limit cut training short.",
        f"sampling: gated, or a smaller stage, so that more steps fit: {FORK}; or --profile prod",
    ),
    "not_finite_steps": Cause(
        "warning",
        "Some steps had a loss or gradient that is not finite, and were skipped.",
        f"a lower learning_rate: {FORK}",
    ),
    "overfitting": Cause(
        "warning",
        "The validation loss rose again after its minimum while epochs repeated the same shots.",
        f"more shots instead of epochs: {FORK}",
    ),
    "loss_rose": Cause(
        "warning",
        "The validation loss rose again after its minimum although training saw each shot once: its last steps were too large.",
        f"a lower learning_rate: {FORK}",
    ),
    "stopped_early": Cause(
        "info",
        "Training stopped early because the validation loss no longer fell: more shots would not have helped.",
        "try another stage or loss instead of more training",
    ),
    "gain_not_sure": Cause(
        "info",
        "The interval of the gain on development shots contains zero, so the Analyst did not request a verdict.",
        "autoqec verify {round}, or more scored shots: autoqec round --profile prod",
    ),
    "sure_gain_ignored": Cause(
        "warning",
        "The Analyst did not request a verdict although the gain on development shots is significant.",
        "autoqec verify {round}",
    ),
    "no_gain": Cause(
        "info",
        "There is no gain on development shots, so the Analyst did not request a verdict.",
        "try another idea: autoqec diagnose {run} lists what was not tried",
    ),
}

#: Rounds that were judged.
JUDGED: Mapping[str, Cause] = {
    "winners_curse": Cause(
        "warning",
        "The gain on development shots did not repeat on fresh shots: among many rounds, the luckiest look best.",
        "trust the holdout; use more scored shots before a verdict: --profile prod",
    ),
    "not_better": Cause(
        "warning",
        "The verifier showed that the gain is less than 3 %.",
        "try another idea: autoqec diagnose {run} lists what was not tried",
    ),
    "undecided": Cause("warning", "The shots or the time ran out before the test was decided.", "{step}"),
    "over_budget": Cause("error", "A limit of the environment's constraints is exceeded.", f"smaller stages: {FORK}"),
    "target_missed": Cause(
        "warning",
        "The candidate is better than the plain decoder, but not significantly below the environment's target_ler.",
        "compose a stronger candidate from the front (autoqec pareto), or set more headline_shots in the environment",
    ),
    "weights_do_not_fit": Cause(
        "error",
        "The shape of the weights does not fit the problem or cell.",
        "use a stage whose weights do not depend on the problem's shape; or train again: fork {round}",
    ),
    "crash": Cause(
        "error",
        "The candidate raised an error, or its process ended, during scoring.",
        f"{CODE}, or use another stage kind; autoqec show {{round}}",
    ),
    "timeout": Cause("error", "The candidate gave no result in time.", f"fewer iterations, layers or channels: {FORK}"),
    "bad_output": Cause(
        "error",
        "The candidate's beliefs are not float32 [shots, mechanisms].",
        f"{CODE}: forward must keep the shape of beliefs",
    ),
    "bad_weights": Cause(
        "error",
        "The weights do not load: they are not safetensors, not finite, or belong to another problem.",
        "train again, with a lower learning_rate: fork {round}",
    ),
    "hostile_syscall": Cause(
        "error",
        "The candidate's own code made a forbidden system call that no honest code makes, and was stopped.",
        "read module.py before anything else: autoqec show {round}; never merge it",
    ),
    "batch_dependent": Cause(
        "warning",
        "Beliefs change with the batch: the candidate keeps state, reads a clock, is random, or mixes shots.",
        f"{CODE}: no batch norm, no state, no randomness in evaluation mode",
    ),
    "decoder_gain": Cause(
        "warning",
        "Uninformative beliefs decode as well: the gain comes from the decoder, not from the candidate.",
        "find a candidate that beats the priors: train more, or use another stage",
    ),
    "distance_regression": Cause(
        "warning",
        "The candidate fails on sets of few faults that the plain decoder corrects; these dominate at low noise.",
        "less overconfident beliefs (fewer iterations, lower p in noise.p); then"
        " autoqec verify {round} --certificate full",
    ),
    "harm": Cause(
        "warning",
        "At a slightly different p the candidate is worse than the plain decoder.",
        "train at several rates: list them in the environment's noise.p",
    ),
    "cost_mismatch": Cause(
        "warning",
        "The operations that are counted as the candidate's cost do not give its answers.",
        f"{CODE}: use torch operations alone, and torch.where instead of if",
    ),
    "beats_reference_ml": Cause(
        "warning",
        "Its error rate is below that of a decoder near maximum likelihood: too good to be true.",
        "autoqec verify {round} --audit --replay, and read its code; then add the reference tesseract",
    ),
    "unsandboxed_custom_code": Cause(
        "warning",
        "Its own code ran without a sandbox, so it could have done anything.",
        "autoqec doctor; then autoqec verify {round} on a machine with a sandbox",
    ),
    "other_reason": Cause("warning", "The verifier gave an unknown reason.", "autoqec show {round}; autoqec plugins"),
}
