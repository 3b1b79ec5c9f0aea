"""Auditing a verdict from its own note: everything that follows from its counts is worked out again and held beside what it says.

No shot is drawn. What an audit cannot see is whether the counts are true; a replay of the shots from the revealed key can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

from autoqec.results.counts import PairedCounts
from autoqec.results.decision import decide, evidence, rate_surely_below, test_word
from autoqec.results.distance import break_even, certificate_row, certificate_word
from autoqec.results.harm import harm_fields, slope_of
from autoqec.results.statistics import attempt_alpha, delta_interval, figures, mcnemar_p, ratio_interval
from autoqec.results.verdict_checks import run_checks

#: Two computations of one number may differ by so much, of its size.
_CLOSE = 1e-9


def audit(note: Mapping[str, Any]) -> list[str]:
    """What a verdict's note says that does not follow from its counts.

    Args:
        note: As it stands in git. Verdicts of earlier versions hold less, and of these what they hold is examined.

    Returns:
        A sentence for each figure that disagrees, `field: …`; none if all agree.
    """
    try:
        return list(_differences(note))
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        return [f"the note is not whole: {type(error).__name__}: {error}"]


def _differences(note: Mapping[str, Any]) -> Iterator[str]:
    alpha = attempt_alpha(note["alpha"], note["attempt"], note["verified_before"])
    yield from _beside("alpha_attempt", note["alpha_attempt"], alpha)
    if "fault" in note or "over" in note:
        if note["verdict"] != "FAILED":
            yield f"verdict: {note['verdict']}, and a candidate that broke its contract or its limits is FAILED"
        return
    cells = note.get("cells", [])
    for where, cell in [("", note), *((f"cells.{place}.", cell) for place, cell in enumerate(cells))]:
        if "test" in cell:
            yield from _cell(where, cell, alpha, note["chunk_shots"])
    if "out_of_time" in note:
        yield from _out_of_time(note)
    for place, row in enumerate(note.get("harm", [])):
        if "counts" in row:
            yield from _beside(f"harm.{place}", row, harm_fields(PairedCounts.from_dict(row["counts"])))
    if "rows" in note.get("certificate", {}):
        yield from _certificate(note["certificate"], note["delta_ler"])
    for place, row in enumerate(note.get("ablation", {}).get("variants", [])):
        if "counts" in row:
            whole = PairedCounts.from_dict(row["against_whole"])
            again = {"delta_ler": PairedCounts.from_dict(row["counts"]).delta_ler, "earned": whole.delta_ler}
            yield from _beside(f"ablation.variants.{place}", row, again | {"earned_ci": list(delta_interval(whole))})
    yield from _word(note, alpha)


def _cell(where: str, cell: Mapping[str, Any], alpha: float, chunk_shots: int) -> Iterator[str]:
    """One cell: its evidence from the test's counts, its figures from the extension's."""
    test = PairedCounts.from_dict(cell["test"])
    extension = PairedCounts.from_dict(cell["extension"]) if "extension" in cell else PairedCounts()
    everything, headline = test + extension, extension if extension.shots else test
    again = evidence(test, alpha) | figures(headline) | {
        "shots_in_all": everything.shots,
        "ler_ratio_ci_all_shots": list(ratio_interval(everything)),
        "mcnemar_p_fixed_n": mcnemar_p(headline),
    }  # fmt: skip
    if "word" in cell:
        again["word"] = test_word(test, alpha)
    for name, value in again.items():
        yield from _beside(where + name, cell[name], value)
    yield from _beside(
        f"{where}digests, times {chunk_shots} shots", len(cell["digests"]) * chunk_shots, everything.shots
    )


def _out_of_time(note: Mapping[str, Any]) -> Iterator[str]:
    """Only a test that was undecided can have been broken off, and where the note says."""
    stop = note["out_of_time"]
    cells = (
        [note] if stop["cell"] is None else [cell for cell in note.get("cells", []) if cell["label"] == stop["cell"]]
    )
    yield from _beside("out_of_time.cell", [cell.get("word") for cell in cells], ["undecided"])
    yield from _beside("out_of_time.shots", [stop["shots"]], [cell["test"]["shots"] for cell in cells])


def _certificate(certificate: Mapping[str, Any], delta_ler: float) -> Iterator[str]:
    none = certificate["no_fault"]
    for place, row in enumerate(certificate["rows"]):
        # Of sets that were listed the note has the probabilities that were summed; of drawn ones they follow from counts.
        sums = tuple(failing / none for failing in row["failing"]) if row["how"] == "listed" else None
        counts = PairedCounts.from_dict(row["counts"])
        again = certificate_row(row["weight"], row["of"], row["probability"], none, counts, sums)
        yield from _beside(f"certificate.rows.{place}", row, again)
    yield from _beside("certificate.word", certificate["word"], certificate_word(certificate, delta_ler))
    yield from _beside("certificate.break_even", certificate["break_even"], break_even(certificate, delta_ler))


def _word(note: Mapping[str, Any], alpha: float) -> Iterator[str]:
    if "word" not in note:  # version 0.1: checks were made and not noted, so of the word only the test is known
        better = test_word(PairedCounts.from_dict(note["test"]), alpha) == "better"
        if better != (note["verdict"] != "FAILED" or note["reason"] in ("target_missed", "constraint")):
            yield f"verdict: {note['verdict']} ({note['reason']}) does not follow from the counts of the test"
        return
    if note.get("target_ler") is not None and "extension" in note:
        bound = rate_surely_below(PairedCounts.from_dict(note["extension"]), alpha)
        yield from _beside("ler_candidate_bound", note["ler_candidate_bound"], bound)
    again = dict(note)
    if "checks" in note:
        yield from _beside("two_p_slope", note["two_p_slope"], slope_of(note))
        again["checks"] = run_checks(note)
        yield from _beside("checks", note["checks"], again["checks"])
    yield from _beside("verdict and reason", [note["verdict"], note["reason"]], list(decide(again)))


def _beside(name: str, noted: Any, again: Any) -> Iterator[str]:
    """Where a noted value is not what was worked out again; of mappings only what was worked out is looked at."""
    if isinstance(again, Mapping) and isinstance(noted, Mapping):
        for key, value in again.items():
            yield from _beside(f"{name}.{key}", noted.get(key), value)
    elif isinstance(again, list | tuple) and isinstance(noted, list | tuple) and len(again) == len(noted):
        for place, (one, other) in enumerate(zip(noted, again, strict=True)):
            yield from _beside(f"{name}.{place}", one, other)
    elif not _same(noted, again):
        yield f"{name}: the note says {noted}, its counts say {again}"


def _same(noted: Any, again: Any) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (noted, again))
    return isclose(noted, again, rel_tol=_CLOSE, abs_tol=_CLOSE) if numbers else bool(noted == again)
