"""The causes for which rounds that were scored or judged came to less than they could."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.agents.diagnosis.cause import CODE, FORK, Cause

#: Rounds that were scored: what their development metrics say.
SCORED: Mapping[str, Cause] = {
    "invalid_shots": Cause(
        "warning",
        "Answers that are not finite: each such shot counts as a failure of the candidate.",
        "mend what overflows or divides by zero; learning_rate lower, or {round}'s own code",
    ),
    "beliefs_change_nothing": Cause(
        "warning",
        "The decoder answers every shot as it does without the candidate: the beliefs are as good as the priors.",
        "more for the stages to do or to learn: autoqec show {round}",
    ),
    "flips_nothing": Cause(
        "warning", "No belief gets over the threshold, so nothing is flipped.", f"a lower threshold: {FORK}"
    ),
    "flips_too_much": Cause(
        "warning",
        "Mechanisms are flipped that did not fire: the threshold is too low for beliefs like these.",
        f"a higher threshold: {FORK}",
    ),
    "saturated_beliefs": Cause(
        "warning",
        "The candidate makes the decoder much worse: its beliefs are overconfident, as after too"
        " many iterations on a graph with loops.",
        f"fewer iterations or layers: {FORK}",
    ),
    "worse_than_plain": Cause(
        "warning",
        "The candidate is surely worse than the plain decoder on development shots.",
        f"another loss: {FORK}; or leave this idea",
    ),
    "no_training": Cause(
        "warning", "No step was trained, so the weights are those it started with.", f"shots and epochs: {FORK}"
    ),
    "loss_did_not_fall": Cause(
        "warning", "The validation loss did not fall: training had no effect.", f"another learning_rate: {FORK}"
    ),
    "out_of_time": Cause(
        "warning",
        "Training stopped for want of time, before the learning rate had come down.",
        f"fewer shots, so that the schedule ends in time: {FORK}; or --profile prod",
    ),
    "not_finite_steps": Cause(
        "warning",
        "Some steps had a loss or gradient that is not finite, and were left out.",
        f"a lower learning_rate: {FORK}",
    ),
    "overfitting": Cause(
        "warning",
        "The validation loss rose again after its best, while the same shots were seen anew.",
        f"fresh shots in place of epochs: {FORK}",
    ),
    "stopped_early": Cause(
        "info",
        "Training stopped before its end, for the validation loss no longer fell: more shots would not have helped.",
        "another stage or loss rather than more training",
    ),
    "gain_not_sure": Cause(
        "info",
        "A gain on development shots whose interval holds zero, so no verdict was asked for.",
        "autoqec verify {round}, or more scored shots: autoqec round --profile prod",
    ),
    "sure_gain_ignored": Cause(
        "warning",
        "The Analyst asked for no verdict although the gain on development shots is sure.",
        "autoqec verify {round}",
    ),
    "no_gain": Cause(
        "info",
        "No gain on development shots; the Analyst asked for no verdict.",
        "another idea: autoqec diagnose {run} says what was not tried",
    ),
}

#: Rounds that were judged.
JUDGED: Mapping[str, Cause] = {
    "winners_curse": Cause(
        "warning",
        "The gain on development shots did not show on shots that nobody had seen: of many rounds"
        " the luckiest look best.",
        "believe the holdout; more scored shots before a verdict: --profile prod",
    ),
    "not_better": Cause(
        "warning", "Shown not to gain 3 % or more.", "another idea: autoqec diagnose {run} says what was not tried"
    ),
    "undecided": Cause("warning", "The shots, or the time, ran out before anything was shown.", "{step}"),
    "over_budget": Cause("error", "A limit of the environment's constraints is exceeded.", f"smaller stages: {FORK}"),
    "target_missed": Cause(
        "warning",
        "Better than the plain decoder, and not surely below the environment's target_ler.",
        "a stronger candidate, composed of the front's: autoqec pareto; or more headline_shots in the environment",
    ),
    "weights_do_not_fit": Cause(
        "error",
        "The weights have another shape than the problem or cell where they are used.",
        "a stage whose weights do not depend on the problem's shape; or train again: fork {round}",
    ),
    "crash": Cause(
        "error",
        "The candidate raised, or its process ended, on shots that were scored.",
        f"{CODE}, or leave the stage kind; autoqec show {{round}}",
    ),
    "timeout": Cause("error", "The candidate gave no answer in time.", f"fewer iterations, layers or channels: {FORK}"),
    "bad_output": Cause(
        "error",
        "The candidate's answers have another size or form than float32 [shots, mechanisms].",
        f"{CODE}: forward must keep the shape of beliefs",
    ),
    "bad_weights": Cause(
        "error",
        "The weights cannot be loaded: they are no weights, not finite, or of another problem.",
        "train again, with a lower learning_rate: fork {round}",
    ),
    "hostile_syscall": Cause(
        "error",
        "The candidate's own code made a system call that nothing honest makes, and was ended.",
        "read module.py before anything else: autoqec show {round}; never merge it",
    ),
    "batch_dependent": Cause(
        "warning",
        "Answers change with the batch: the candidate has memory, a clock, dice, or looks across shots.",
        f"{CODE}: no batch norm, no state, no randomness in evaluation mode",
    ),
    "decoder_gain": Cause(
        "warning",
        "Beliefs that say nothing decode as well: the gain is the decoder's, not the candidate's.",
        "a candidate that beats the priors themselves: train more, or another stage",
    ),
    "distance_regression": Cause(
        "warning",
        "Sets of few faults that the plain decoder corrects fail with the candidate, and at low noise they decide.",
        "less overconfident beliefs (fewer iterations, lower p in noise.p); then"
        " autoqec verify {round} --certificate full",
    ),
    "harm": Cause(
        "warning",
        "At a little other p the candidate is worse than the plain decoder.",
        "train at several rates: list them in the environment's noise.p",
    ),
    "cost_mismatch": Cause(
        "warning",
        "The code counts fewer operations than the processor time it took allows.",
        f"{CODE}: work in torch operations that are counted, no loops in Python",
    ),
    "beats_reference_ml": Cause(
        "warning",
        "It fails less often than a decoder near maximum likelihood can: too good to be true.",
        "autoqec verify {round} --audit --replay, and read its code; then a wider reference, tesseract",
    ),
    "unsandboxed_custom_code": Cause(
        "warning",
        "Its own code ran where nothing could be locked, so it could have done anything.",
        "autoqec doctor; then autoqec verify {round} on a machine whose kernel can lock it",
    ),
    "other_reason": Cause(
        "warning", "The verifier gave a reason that is not known here.", "autoqec show {round}; autoqec plugins"
    ),
}
