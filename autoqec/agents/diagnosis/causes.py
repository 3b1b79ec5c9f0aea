"""All causes of a diagnosis by their stable codes; this module defines those of whole runs."""

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
        "try something different: fork the best round, or the baseline, with what was not tried{untried}",
    ),
    "stopped_climbing": Cause(
        "warning",
        "Rounds still become cheaper, but none has had a smaller ratio to plain decoding for a while.",
        "aim at the ratio again: fork {best}, the best round, with what was not tried{untried}",
    ),
    "patience_reached": Cause(
        "warning",
        "The number of consecutive rounds without VERIFIED has reached the patience.",
        "fix the cause below, then autoqec round --run {run}; or use --patience 0",
    ),
    "repeated_failure": Cause(
        "warning", "Several rounds failed for the same cause.", "fix it in all following rounds: {step}"
    ),
    "repeated_hypotheses": Cause(
        "warning",
        "Rounds repeat the hypotheses of earlier rounds in nearly the same words.",
        "write in .autoqec/steering.md what not to try again, and commit it",
    ),
    "one_parent": Cause(
        "info",
        "Every recent round forks the same parent.",
        "compose two rounds of the front (autoqec compose), or fork another one; autoqec pareto lists them",
    ),
    "error_budget": Cause(
        "warning",
        "Most of the run's error budget is spent; each further verdict needs more shots.",
        "start a new run, which has its own budget: autoqec round --new",
    ),
    "tokens_spent": Cause(
        "info", "The usage of the run's agents.", "autoqec round --dry-run; set limits: --max-tokens, --max-cost"
    ),
}

#: Every cause by its code.
CAUSES: Mapping[str, Cause] = {**ENDED, **SCORED, **JUDGED, **_RUNS}
