"""Every error code: what it means, and what to do. `docs/errors.md` is generated from here.

A code is part of the record: it crosses process boundaries and is kept in claims and notes. So a code never changes its meaning
and is never removed. Messages are prose for people and may be reworded at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class ErrorCode(NamedTuple):
    """What a code means, a sentence, and what to do about it."""

    means: str
    do: str


#: Groups of codes, in the order of the page.
GROUPS: Mapping[str, Mapping[str, ErrorCode]] = {
    "General": {
        "failed": ErrorCode("The work failed; the message says why.", "Follow the hint, if there is one."),
        "usage": ErrorCode(
            "A flag, a setting or a file cannot be used as it is (exit code 2).",
            "Edit what the message names; `autoqec COMMAND --help` lists the options.",
        ),
        "not_found": ErrorCode(
            "A run, round, environment, plugin or file does not exist (exit code 3).",
            "Choose one of those that the hint lists.",
        ),
        "not_written": ErrorCode(
            "Output or a file cannot be written: most often the disk is full.",
            "Free some disk space, then `autoqec resume`.",
        ),
        "missing_package": ErrorCode(
            "A plugin is installed, but a package it needs is not.", "Run the `pip install` line of the hint."
        ),
        "budget_spent": ErrorCode(
            "A limit on time, rounds, tokens or cost is reached (exit code 4).",
            "`autoqec resume` continues with a larger limit.",
        ),
        "too_little_memory": ErrorCode(
            "Rounds at once have too little memory each for any training.",
            "Run fewer rounds at once.",
        ),
        "order_not_repeated": ErrorCode(
            "`autoqec round --like` cannot go on: a round that the next one shall see closed is open.",
            "`autoqec resume` finishes the open round; then repeat the run from its beginning in another run.",
        ),
        "sandbox_unavailable": ErrorCode(
            "This machine cannot lock a process that runs a candidate's own code.",
            "`autoqec doctor` shows the layers of the sandbox; use Linux with seccomp filters.",
        ),
        "bad_comparison": ErrorCode(
            "A file is no saved comparison, or says something that no comparison can have counted.",
            "Name a file that `autoqec compare … --save` wrote.",
        ),
        "other_comparison": ErrorCode(
            "A file holds a comparison of other decoders, of other versions of them, or of another circuit.",
            "Name another file, or give what the file names.",
        ),
        "host_refused": ErrorCode(
            "A host of git repositories refuses a request, or leads to another server; `host` and `status` say more.",
            "Push what it is about, and check the address: `--host`, `--api-url`; [on a host](how-to/on-a-host.md).",
        ),
        "host_busy": ErrorCode(
            "A host limits how often it is asked, fails for the moment, or does not answer.",
            "Run the command again later; what was sent is not sent twice.",
        ),
        "host_token": ErrorCode(
            "There is no token for a host, it is not valid, or it may not do what is asked.",
            "Make a token with the rights that the hint names, and export it as `AUTOQEC_HOST_TOKEN`.",
        ),
        "foreign_branch": ErrorCode(
            "There is a branch `autoqec-log` that `autoqec publish` did not write.",
            "Rename that branch, here or on the remote, and publish again.",
        ),
        "no_round_branch": ErrorCode(
            "A pull request is not from the branch of a round, so there is nothing to judge (exit code 3).",
            "Open pull requests from branches `exp/<run>/<N>`; skip others in the workflow.",
        ),
        "unfounded_figure": ErrorCode(
            "A report or review would have quoted a figure that the record does not say; nothing was written.",
            "Try again, in case the lab changed meanwhile; else report it.",
        ),
        "plugin_failed": ErrorCode(
            "A plugin cannot be loaded, or raised.", "`autoqec plugins check`; `--traceback` shows where."
        ),
        "recorded_shots": ErrorCode(
            "The environment's shots are recorded, and what is asked for needs shots that nobody has seen, or another p.",
            "Use the parts that the recording has; [recorded shots](how-to/recorded-shots.md) says what they serve for.",
        ),
        "bad_shots": ErrorCode(
            "A file of recorded shots does not fit its format, its error model or the file beside it; `file` names it.",
            "Use the error model of these shots, and export both files of the same shots in one of stim's formats.",
        ),
    },
    "Processes": {
        "raised": ErrorCode(
            "Code in another process raised an exception that is not one of AutoQEC's.",
            "The message starts with the exception's name; correct the code that raised it.",
        ),
        "out_of_memory": ErrorCode(
            "A process needed more memory than it may have.",
            "Use smaller batches or stages, or raise `memory_gib` of the profile.",
        ),
        "process_ended": ErrorCode(
            "A process ended without reporting an error; `signal` or `exit_status` says how.",
            "`autoqec doctor`; a SIGKILL that nobody sent is the kernel running out of memory.",
        ),
        "no_answer": ErrorCode("A process did not answer in time.", "Run again; if it repeats, report it."),
        "decoder_time": ErrorCode(
            "A decoder made no progress within its limit, in its process's own time; `doing` says which, and how far it was.",
            "Use a faster decoder, fewer iterations of it, or fewer `references`, in a new run: `autoqec round --new`.",
        ),
        "bad_answer": ErrorCode(
            "A decoder returned something that is no answer: a wrong type, shape or number of bytes.",
            "Correct the decoder; the message says what it must return.",
        ),
        "bad_message": ErrorCode(
            "A message between processes lacks a field, has an unknown one, or one of the wrong type; `field` names it.",
            "The two processes run different versions of AutoQEC: reinstall it.",
        ),
        "worker_lost": ErrorCode(
            "A worker on another machine ended or no longer answers, and so did those that its task was asked of after it.",
            "Look at the memory and the log of the workers, then `autoqec resume`.",
        ),
        "no_workers": ErrorCode(
            "Tasks wait for a worker on another machine, and none is there; the message says why the last ones are not.",
            "Correct what the message names, then `autoqec resume`.",
        ),
        "foreign_worker": ErrorCode(
            "What answers on another machine is no worker of this version of AutoQEC.",
            "Install the same AutoQEC there as here, and check the command or the address.",
        ),
        "workers_disagree": ErrorCode(
            "Workers answered the same task otherwise, and answers of the one that is wrong may be among those given out.",
            "Leave out the workers that the message names, then `autoqec resume`; nothing of it was noted.",
        ),
        "scheduler_unreachable": ErrorCode(
            "No Dask scheduler answers at the address of the executor `dask`, or what answers is something else.",
            "Check `address` or `scheduler_file` of `[executors.dask]`, and its certificates; [dask](how-to/dask.md).",
        ),
        "scheduler_lost": ErrorCode(
            "The Dask scheduler ended, or can no longer be reached.", "Start it again, then `autoqec resume`."
        ),
        "fork_server_failed": ErrorCode(
            "The process that locked candidates are forked from ended, or cannot fork.",
            "Nothing: a fresh process takes its place.",
        ),
    },
    "Candidate files": {
        "unknown_field": ErrorCode(
            "A candidate file has a field that its kind does not have; `file` and `field` name it.", "Edit the file."
        ),
        "bad_value": ErrorCode(
            "A field has a value that is not allowed; `file`, `field`, `least`, `most` or `choices` say what is.",
            "Edit the file.",
        ),
        "no_strata": ErrorCode(
            "`protocol.sampling: stratified` does not fit an environment, or what is asked of it; the message says why.",
            "Leave out `protocol.sampling`; `autoqec env check ENV` says which sampling pays.",
        ),
        "bad_yaml": ErrorCode("A file is not YAML as AutoQEC reads it.", "Edit the line that the message names."),
        "not_installed": ErrorCode(
            "No installed plugin offers a stage, decoder, agent, … of this name; `kind` and `name` say which.",
            "`autoqec plugins` lists what is installed.",
        ),
        "loss_needs_teacher": ErrorCode(
            "The loss `logical_gap` needs a decoder that computes a gap, and this environment's does not.",
            "Set `loss: bce`, or use an environment whose decoder is `mwpm`.",
        ),
        "ensemble_not_offered": ErrorCode(
            "The candidate has an `ensemble.yaml`, and the environment's decoder offers no solutions to choose among.",
            "Remove `ensemble.yaml`, or use an environment whose decoder is `mwpm` or `osd`.",
        ),
        "gate_not_offered": ErrorCode(
            "`gate.yaml` asks for a confidence that the environment's decoder does not offer.",
            "Set `kind` to what it offers, which the message names, or to `none`.",
        ),
        "uncounted_operation": ErrorCode(
            "A stage uses an operation whose FLOPs cannot be counted, or does other operations on other shots.",
            "Use operations of [FLOPs](candidates.md#flops), and `torch.where` instead of `if`.",
        ),
        "custom_refused": ErrorCode(
            "A stage's own `module.py` is refused before it trains.",
            "Edit it; docs/candidates.md, custom, has the rules.",
        ),
    },
    "Training": {
        "training_failed": ErrorCode("Training ended without weights.", "Correct what the message names."),
        "diverged": ErrorCode(
            "Too many steps had a loss or gradient that is not finite.", "Lower `learning_rate`, or raise `batch_size`."
        ),
        "untrained_not_finite": ErrorCode(
            "The loss is not finite before the first step.", "Edit what the stages start from."
        ),
        "training_time": ErrorCode(
            "Training gave no answer within the profile's `train_seconds`.",
            "Use smaller steps, or raise `train_seconds`.",
        ),
        "no_gpu": ErrorCode(
            "`cuda` is asked for, and torch sees no GPU on the machine that trains or scores.",
            "Choose `device: auto` for training and `--device cpu` for metrics, or install a build of torch for your GPU.",
        ),
        "labels_too_slow": ErrorCode(
            "The labels that training asks for would take more time than training has.",
            "Choose a faster `teacher`, a smaller `sampled_share`, or `labels: sampled`.",
        ),
        "wrong_shape": ErrorCode(
            "A stage returned beliefs of another shape than it was given.", "`forward` must keep the shape."
        ),
    },
    "Weights": {
        "weights_too_large": ErrorCode("The weights are larger than git should hold.", "Use narrower stages."),
        "weights_unreadable": ErrorCode("The weights are not a safetensors file.", "Train again."),
        "weights_not_finite": ErrorCode(
            "The weights hold a number that is not finite.", "Train again with a lower `learning_rate`."
        ),
        "weights_of_another_problem": ErrorCode(
            "The weights were trained for another problem.", "Train again: fork the round."
        ),
        "another_family": ErrorCode(
            "A round was to start from one of an environment that is of another family.",
            "Name a round of the same kind of code and noise, at any size and strength.",
        ),
        "weights_of_another_family": ErrorCode(
            "The weights fit a family of codes with one local structure, and this problem is none of them.",
            "Train on this environment: `init: fresh`.",
        ),
        "weights_do_not_fit": ErrorCode(
            "The weights have another shape than the stage needs here.", "Train again: fork the round."
        ),
    },
    "Candidates on scored shots": {
        "crash": ErrorCode(
            "The candidate raised, or its process ended.", "Edit the stage that raised, or use another kind."
        ),
        "timeout": ErrorCode("The candidate did not answer in time.", "Use fewer iterations, layers or channels."),
        "bad_output": ErrorCode(
            "The candidate's answer is not float32 [shots, mechanisms].", "`forward` must keep the shape of beliefs."
        ),
        "bad_weights": ErrorCode("The candidate's weights cannot be loaded.", "Train again."),
        "hostile_syscall": ErrorCode(
            "The candidate made a system call that no honest code makes; the sandbox ended it.",
            "Read its `module.py`; do not merge it.",
        ),
    },
    "Agents": {
        "reply_unusable": ErrorCode(
            "An agent's reply cannot be used, nor its one repair; `role` names it.",
            "`autoqec show ROUND --trace` shows what was asked and said.",
        ),
        "agent_failed": ErrorCode(
            "An agent's own program failed; `role` names it.", "Use another agent, or correct its settings."
        ),
        "agent_unavailable": ErrorCode(
            "An agent cannot be asked now: no key, no network, or no such program.",
            "Follow the hint, then `autoqec resume`.",
        ),
        "reply_awaited": ErrorCode("A round waits for a reply from outside.", "`autoqec agents reply ROLE`."),
        "same_candidate": ErrorCode(
            "The Coder proposed a candidate that was tried before, or is tried now by an open round; `round` names it.",
            "Propose another change.",
        ),
        "same_idea": ErrorCode(
            "The Ideator proposed the idea of an open round; `round` names it.",
            "Propose another idea, or wait until that round is closed.",
        ),
        "parent_open": ErrorCode(
            "The Ideator proposed to start from a round that is open; `round` names it.", "Start from a closed round."
        ),
    },
    "History": {
        "compose_conflict": ErrorCode(
            "Two parents changed the same field in different ways.", "`autoqec compose ROUND ROUND --edit`."
        ),
        "number_taken": ErrorCode("Two clones gave one number to two rounds.", "Follow the hint of `autoqec pull`."),
        "missing_object": ErrorCode(
            "An object that a ref or a commit names is not in the repository: a partial clone leaves it out, a repository that it"
            " borrows from is gone, or it was lost.",
            "Follow the hint, which says what brings it back here.",
        ),
        "record_conflict": ErrorCode(
            "Another record stands where this process writes its own: under the same id, or about the same intent.",
            "`autoqec fsck` names both; `git log -p refs/notes/autoqec/RUN/verdict` shows who wrote the other one.",
        ),
        "identity_mismatch": ErrorCode(
            "The weights, candidate, environment or commit of a round are not those that its metrics and run name.",
            "`autoqec fsck`; restore the weights, or run a new round. Nothing was judged, and no attempt was spent.",
        ),
        "linked_file": ErrorCode(
            "A file that a repository names is a link that leads out of it, or no plain file, so it was not read.",
            "Put a copy of the file in its place.",
        ),
        "over_limit": ErrorCode(
            "Something is larger than anything that AutoQEC writes, so it was not read.",
            "[Limits](records.md#limits) says what to do.",
        ),
        "not_attested": ErrorCode(
            "The verdict that counts does not follow from its note, or is about something else, so nothing is attested.",
            "`autoqec verify ROUND --audit` lists what disagrees; `autoqec verify ROUND` judges the round again.",
        ),
        "transport_refused": ErrorCode(
            "The address of a remote uses a transport that is not allowed (exit code 2).",
            "Use https, ssh, git or a path; [Share a lab](how-to/share-a-lab.md) says how to allow http.",
        ),
        "network_timeout": ErrorCode(
            "A fetch or push made no progress and was stopped.",
            "Try again; for a slow remote, raise the setting `network_seconds`.",
        ),
        "lost_race": ErrorCode("Somebody else pushed in the meantime.", "Push again."),
        "remote_unreachable": ErrorCode(
            "A fetch or push failed before the remote took or refused anything: it is away, or git may not contact it.",
            "Run the command of the hint, which shows what git says; then push or pull again. Nothing was lost.",
        ),
        "remote_refuses": ErrorCode(
            "The remote does not take a ref: a hook, a quota, a protected name, or a host that takes branches and tags only.",
            "Allow `refs/autoqec/*`, `refs/notes/*` and `exp/*` there, or ask its owner; then push again. Nothing was lost.",
        ),
    },
}

#: Every code.
CODES: Mapping[str, ErrorCode] = {code: said for group in GROUPS.values() for code, said in group.items()}


def page() -> str:
    """The page `docs/errors.md`."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "<!-- Generated by `python -m autoqec.error_codes > docs/errors.md`: do not edit. -->"
    yield "# Errors"
    yield ""
    yield "Every error has a code that never changes its meaning. A code that says more than the exit code stands in brackets"
    yield "after the message. The code of a round that failed is in its claim, and in `code` of `autoqec show ROUND --json`; that"
    yield "of a candidate that failed on the holdout is `fault_code` of its verdict note. Messages may be reworded at any time:"
    yield "decide by codes, as `autoqec diagnose` does."
    for title, codes in GROUPS.items():
        yield from ("", f"## {title}", "", "| code | meaning | what to do |", "|---|---|---|")
        yield from (f"| `{code}` | {said.means} | {said.do} |" for code, said in codes.items())


if __name__ == "__main__":
    print(page(), end="")
