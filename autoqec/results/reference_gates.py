"""What a slow reference decoder behind a gate was run on, and how much of what it would have found may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autoqec.results.note_form import write_record
from autoqec.results.statistics import rate_interval


@dataclass(frozen=True)
class GatedReference:
    """A reference that decoded the shots which the plain decoder was least sure of. The others kept the plain answer.

    Attributes:
        shots: All shots.
        sent: Those that it decoded.
        sampled: Of the others, those that it decoded too, drawn at random, to see what is missed.
        differing: Of these, those to which it gives another answer than the plain decoder.
        share: The share that it decoded, without the sample.
        missed_at_most: The share of all shots that keep the plain answer and to which it may give another one: the upper end
            of an exact 95 % interval.
        ungated: Its failures on all of these shots, where a candidate was so good that it was run on them.
    """

    shots: int
    sent: int
    sampled: int
    differing: int
    share: float
    missed_at_most: float
    ungated: int | None = None


def behind_gate(shots: int, sent: int, sampled: int, differing: int, ungated: int | None = None) -> GatedReference:
    """The record of a gated reference, from its counts."""
    others = shots - sent
    missed = rate_interval(differing, sampled)[1] if sampled else 1.0
    missed_at_most = missed * others / shots if others else 0.0
    return GatedReference(shots, sent, sampled, differing, sent / shots, missed_at_most, ungated)


def gate_faults(where: str, noted: GatedReference, shots: int) -> Iterator[str]:
    """What does not follow from the counts of a gated reference.

    Args:
        where: Its place in the note.
        noted: The record.
        shots: All shots that references decoded there.
    """
    counts = (noted.differing, noted.sampled, noted.shots - noted.sent)
    if noted.shots != shots or not 0 <= counts[0] <= counts[1] <= counts[2] <= noted.shots or shots < 1:
        yield f"{where}: no shots can be counted so"
        return
    if noted.ungated is not None and not 0 <= noted.ungated <= shots:
        yield f"{where}.ungated: {noted.ungated} failures of {shots} shots"
        return
    again = write_record(behind_gate(noted.shots, noted.sent, noted.sampled, noted.differing, noted.ungated))
    for name, value in write_record(noted).items():
        if value != again[name]:
            yield f"{where}.{name}: the note says {value}, its counts give {again[name]}"
