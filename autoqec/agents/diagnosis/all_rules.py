"""Diagnosing rounds and runs: all rules on one case, what they found in order of gravity. Reads records, runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autoqec.agents.agent_contract import PastRound
from autoqec.agents.diagnosis.cases import Case, Diagnosis
from autoqec.agents.diagnosis.cause import SEVERITIES
from autoqec.agents.diagnosis.rules_ended import ended_causes
from autoqec.agents.diagnosis.rules_judged import judged_causes
from autoqec.agents.diagnosis.rules_run import RunCase, run_causes
from autoqec.agents.diagnosis.rules_scored import scored_causes


def _by_gravity(findings: Iterable[Diagnosis]) -> list[Diagnosis]:
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def diagnose_round(case: Case) -> list[Diagnosis]:
    """Why a round came to nothing, or to less than it could, the gravest cause first; nothing if all is well."""
    return _by_gravity([*ended_causes(case), *scored_causes(case), *judged_causes(case)])


def diagnose_run(case: RunCase, rounds: Mapping[str, list[Diagnosis]]) -> list[Diagnosis]:
    """What is wrong with a run as a whole, the gravest first.

    Args:
        case: The run.
        rounds: What was found of its rounds, by name.
    """
    return _by_gravity(run_causes(case, {name: found[0] for name, found in rounds.items() if found}))


def root_cause(past: PastRound) -> Diagnosis | None:
    """The gravest finding about a round, from what agents see of it."""
    return next(iter(diagnose_round(Case(past))), None)


def findings_of(
    run: str, history: Iterable[PastRound], kinds: Iterable[str] = (), files: Iterable[str] = ()
) -> list[Diagnosis]:
    """What is wrong with a run as a whole, from what agents see of it.

    Args:
        run: The run.
        history: Closed rounds.
        kinds, files: Stage kinds and files that a candidate may have: what may not have been tried.
    """
    past = tuple(each for each in history if each.name.startswith(f"{run}/"))
    found = {each.name: diagnose_round(Case(each)) for each in past}
    return diagnose_run(RunCase(run, past, options={"kinds": tuple(kinds), "files": tuple(files)}), found)
