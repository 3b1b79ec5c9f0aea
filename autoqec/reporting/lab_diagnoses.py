"""What is wrong with the rounds and runs of a report, and why: the diagnosis that `autoqec diagnose` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autoqec.errors import AutoQECError
from autoqec.reporting.recorded_lab import RecordedLab
from autoqec.results.diagnosis_finding import DiagnosisFinding

if TYPE_CHECKING:
    from autoqec.config import Settings
    from autoqec.plugins import Registry


@dataclass(frozen=True)
class Diagnoses:
    """The findings of a lab.

    Attributes:
        by_name: Findings by round, `run/number`, and by run.
        failures: Why the rounds of a run could not be diagnosed, by run.
    """

    by_name: Mapping[str, tuple[DiagnosisFinding, ...]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> tuple[DiagnosisFinding, ...]:
        """The findings about a round or a run."""
        return self.by_name.get(name, ())


#: Where nothing was diagnosed.
NO_DIAGNOSES = Diagnoses()


def read_diagnoses(lab: RecordedLab, registry: Registry, settings: Settings) -> Diagnoses:
    """Diagnose the runs of a lab, each as a whole and round by round.

    Args:
        lab: The lab.
        registry: Names the stage kinds.
        settings: Theirs is the patience.
    """
    from autoqec.loop.diagnosis_input import findings

    by_name: dict[str, list[DiagnosisFinding]] = {}
    failures: dict[str, str] = {}
    for run in dict.fromkeys(each.row.run for each in lab.rounds):
        try:
            found = findings(lab.ledger, registry, settings, run)
        except AutoQECError as error:
            failures[run] = error.problem
            continue
        for each in found:
            by_name.setdefault(each.name, []).append(each)
    return Diagnoses({name: tuple(each) for name, each in by_name.items()}, failures)
