"""The causes that a diagnosis knows, by codes that never change; here those of whole runs, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping

from autoqec.agents.diagnosis.cause import Cause
from autoqec.agents.diagnosis.causes_ended import ENDED
from autoqec.agents.diagnosis.causes_scored import JUDGED, SCORED

#: Whole runs.
_RUNS: Mapping[str, Cause] = {
    "plateau": Cause(
        "warning",
        "No VERIFIED round has improved the front for a while.",
        "leave the neighbourhood: fork the baseline with a stage kind or loss that was not tried{untried}",
    ),
    "patience_reached": Cause(
        "warning",
        "As many rounds in a row as patience allows were not VERIFIED.",
        "mend the cause below, then autoqec round --run {run}; or --patience 0",
    ),
    "repeated_failure": Cause(
        "warning", "Rounds keep failing for one cause.", "mend it once, in every round to come: {step}"
    ),
    "repeated_hypotheses": Cause(
        "warning",
        "Rounds try what others tried, in nearly the same words.",
        "say in .autoqec/steering.md what not to try again, and commit it",
    ),
    "one_parent": Cause(
        "info",
        "Every recent round forks the same parent.",
        "autoqec compose two of the front's rounds, or fork another: autoqec pareto",
    ),
    "error_budget": Cause(
        "warning",
        "Most of the error budget of the run's verdicts is spent; what is left asks for ever more shots.",
        "a new run has a budget of its own: autoqec round --new",
    ),
    "tokens_spent": Cause(
        "info", "What the run's agents took.", "autoqec round --dry-run; limit it: --max-tokens, --max-cost"
    ),
}

#: Every cause by its code.
CAUSES: Mapping[str, Cause] = {**ENDED, **SCORED, **JUDGED, **_RUNS}
