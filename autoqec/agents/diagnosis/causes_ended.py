"""The causes for which rounds end before they are scored."""

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
        "The loss is not finite before the first step, so no learning rate can mend it.",
        "edit what the stages start from, their initial scales or module.py, not training.yaml",
    ),
    "out_of_memory": Cause(
        "error",
        "Training needed more memory than the profile's memory_gib.",
        f"smaller batches or stages: {FORK}; or raise memory_gib in [profiles.{{profile}}] of .autoqec/config.toml",
    ),
    "training_time": Cause(
        "error",
        "Training gave nothing back within the profile's train_seconds: since no step is begun in the"
        " last quarter, one step or loading takes longer than that, or the code hangs.",
        f"smaller steps: {FORK}; or raise train_seconds in [profiles.{{profile}}] of .autoqec/config.toml",
    ),
    "custom_refused": Cause(
        "error",
        "The candidate's own code was refused before it trained.",
        f"{CODE} as the evidence says; docs/candidates.md, custom, has the rules",
    ),
    "custom_crashed": Cause("error", "The candidate's own code raised.", f"{CODE}: mend what raised"),
    "stage_crashed": Cause(
        "error",
        "A stage of an installed kind raised: that is the plugin's fault, or a value it cannot take.",
        "autoqec plugins check; then another value, or another kind",
    ),
    "process_died": Cause(
        "error",
        "The candidate's process ended by itself, without a word: a crash in native code, or the kernel"
        " ran out of memory.",
        "autoqec doctor; then smaller batches or stages",
    ),
    "unknown_field": Cause(
        "error", "A candidate file has a field that its kind does not know.", "edit {file}: {field}{nearest}"
    ),
    "unknown_kind": Cause(
        "error", "A stage is of a kind that is not installed.", "edit the stage's kind{nearest}; autoqec plugins"
    ),
    "bad_value": Cause("error", "A field has a value that is not allowed.", "edit {file}: {field}: {problem}{nearest}"),
    "bad_yaml": Cause(
        "error", "A candidate file is not YAML as it is read here.", "edit {file} at the line the evidence names"
    ),
    "loss_needs_teacher": Cause(
        "error",
        "The loss logical_gap asks the decoder for a gap, and this environment's knows none.",
        f"loss: bce: {FORK}",
    ),
    "compile_error": Cause("error", "The candidate could not be made of its files.", "edit what the evidence names"),
    "train_error": Cause(
        "error", "Training ended without weights.", "autoqec show {round}; edit what the evidence names"
    ),
    "too_large": Cause("error", "The weights are larger than a repository should hold.", f"narrower stages: {FORK}"),
    "same_candidate": Cause(
        "error",
        "The Coder wrote, twice, a candidate that was tried before.",
        "autoqec show {round} --trace; have the Ideator name another change",
    ),
    "reply_unusable": Cause(
        "error",
        "An agent's reply could not be used, nor its one repair.",
        "autoqec show {round} --trace shows what the {role} was asked and said",
    ),
    "agent_failed": Cause(
        "error",
        "An agent's own program failed.",
        "autoqec show {round} --trace; then autoqec round --{role} with another agent, or mend its settings",
    ),
    "compose_conflict": Cause(
        "error",
        "The parents changed one field in different ways, and nothing is resolved by itself.",
        "autoqec compose {parents} --edit{take}",
    ),
    "abandoned": Cause("info", "A person gave the round up.", "autoqec round --run {run}"),
    "interrupted": Cause(
        "warning",
        "The process that worked on the round is gone; nothing is lost.",
        "autoqec resume {run}, or autoqec resume --abandon {round}",
    ),
    "waiting": Cause(
        "info",
        "The round waits for a reply from outside.",
        "autoqec agents reply {role} < reply.json, or autoqec resume --abandon {round}",
    ),
    "at_work": Cause("info", "The round is at work now.", "wait; autoqec log {run}"),
    "no_claim": Cause(
        "warning",
        "No claim says how the round ended: this clone has not got it, or it is damaged.",
        "autoqec pull; autoqec fsck",
    ),
    "damaged": Cause("warning", "Part of the round's record is damaged, and is not believed.", "autoqec fsck"),
}
