"""Causes of rounds that end before scoring."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.agents.diagnosis.cause import CODE, FORK, Cause

#: Rounds that ended before they were scored.
ENDED: Mapping[str, Cause] = {
    "diverged": Cause(
        "error",
        "Training diverged: too many steps had a loss or gradient that is not finite.",
        f"lower learning_rate, or raise batch_size: {FORK}",
    ),
    "untrained_not_finite": Cause(
        "error",
        "The loss is not finite before the first step, so another learning rate does not help.",
        "edit the initial values of the stages (their scales, or module.py), not training.yaml",
    ),
    "out_of_memory": Cause(
        "error",
        "Training needed more memory than the profile's memory_gib.",
        f"smaller batches or stages: {FORK}; or raise memory_gib in [profiles.{{profile}}] of .autoqec/config.toml",
    ),
    "training_time": Cause(
        "error",
        "Training did not end within the profile's train_seconds. No step starts in the last quarter of that time,"
        " so a single step or loading takes longer than a quarter, or the code hangs.",
        f"smaller steps: {FORK}; or raise train_seconds in [profiles.{{profile}}] of .autoqec/config.toml",
    ),
    "custom_refused": Cause(
        "error",
        "The candidate's own code was refused before training.",
        f"{CODE} according to the evidence; docs/candidates.md, section custom, has the rules",
    ),
    "custom_crashed": Cause(
        "error", "The candidate's own code raised an error.", f"{CODE}: correct the line that raised it"
    ),
    "stage_crashed": Cause(
        "error",
        "A stage of an installed kind raised an error: a bug of the plugin, or a value that it does not support.",
        "autoqec plugins check; then another value, or another kind",
    ),
    "process_died": Cause(
        "error",
        "The candidate's process ended without a message: a crash in native code, or the kernel ran out of memory.",
        "autoqec doctor; then smaller batches or stages",
    ),
    "unknown_field": Cause(
        "error", "A candidate file has a field that its kind does not have.", "edit {file}: {field}{nearest}"
    ),
    "unknown_kind": Cause(
        "error", "A stage has a kind that is not installed.", "edit the stage's kind{nearest}; autoqec plugins"
    ),
    "bad_value": Cause("error", "A field has a value that is not allowed.", "edit {file}: {field}: {problem}{nearest}"),
    "bad_yaml": Cause("error", "A candidate file is not valid YAML.", "edit {file} at the line in the evidence"),
    "loss_needs_teacher": Cause(
        "error",
        "The loss logical_gap needs a decoder that provides the gap, and this environment's decoder does not.",
        f"loss: bce: {FORK}",
    ),
    "ensemble_not_offered": Cause(
        "error",
        "The candidate has an ensemble, and this environment's decoder offers no solutions to choose among.",
        f"remove ensemble.yaml: {FORK}",
    ),
    "compile_error": Cause(
        "error", "The candidate's files do not compile to a candidate.", "edit the files in the evidence"
    ),
    "train_error": Cause(
        "error", "Training ended without weights.", "autoqec show {round}; edit the files in the evidence"
    ),
    "too_large": Cause("error", "The weights are too large for git.", f"narrower stages: {FORK}"),
    "same_candidate": Cause(
        "error",
        "The Coder twice wrote a candidate that was tried before, or that an open round tried.",
        "autoqec show {round} --trace; ask the Ideator for another change",
    ),
    "same_idea": Cause(
        "error",
        "The Ideator twice proposed what an open round tried.",
        "autoqec show {round} --trace; fewer rounds at once, or another Ideator",
    ),
    "reply_unusable": Cause(
        "error",
        "An agent's reply was invalid, and so was its repair.",
        "autoqec show {round} --trace shows the prompt and reply of the {role}",
    ),
    "agent_failed": Cause(
        "error",
        "An agent's own program failed.",
        "autoqec show {round} --trace; then autoqec round --{role} AGENT with another agent, or correct its settings",
    ),
    "compose_conflict": Cause(
        "error",
        "The parents changed one field differently, and a merge never chooses a side.",
        "autoqec compose {parents} --edit{take}",
    ),
    "screened_out": Cause(
        "info",
        "After a tenth of its training, the candidate was clearly worse than the best round that costs no more.",
        f"leave this idea, or train on from its weights with init: parents, {FORK}",
    ),
    "screen_only": Cause(
        "info",
        "The hypothesis asked for the screen alone, and no round that costs no more was clearly better there.",
        f"train on from its weights with init: parents, {FORK}",
    ),
    "abandoned": Cause("info", "A person abandoned the round.", "autoqec round --run {run}"),
    "interrupted": Cause(
        "warning",
        "The process that worked on the round has ended; nothing is lost.",
        "autoqec resume {run}, or autoqec resume --abandon {round}",
    ),
    "waiting": Cause(
        "info",
        "The round waits for a reply from outside.",
        "autoqec agents reply {role} < reply.json, or autoqec resume --abandon {round}",
    ),
    "at_work": Cause("info", "The round is at work now.", "wait; autoqec status"),
    "no_claim": Cause(
        "warning",
        "There is no claim that records how the round ended: it was not fetched, or it is damaged.",
        "autoqec pull; autoqec fsck",
    ),
    "damaged": Cause("warning", "Part of the round's record is damaged and is ignored.", "autoqec fsck"),
}
