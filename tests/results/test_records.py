"""Records and notes: any JSON is read without an exception, what we write is read back whole, and unknown keys stay."""

import json
from dataclasses import fields, is_dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoqec.results.analysis import parse_analysis
from autoqec.results.audit import audit
from autoqec.results.certificate_parts import Regression
from autoqec.results.counts import PairedCounts
from autoqec.results.decision import cell_result
from autoqec.results.distance import certificate_row, certified
from autoqec.results.figures import Figures, Gain
from autoqec.results.gate_costs import UsPerShot
from autoqec.results.harm import harm_counted
from autoqec.results.head_to_head import HeadToHead, parse_head_to_head
from autoqec.results.lab_front import entrant, front_of
from autoqec.results.limits import Limits
from autoqec.results.metrics import Metrics, parse_metrics
from autoqec.results.metrics_parts import Measured
from autoqec.results.note_form import keys_of, read_record, write_record
from autoqec.results.round_results import read_results
from autoqec.results.verdict import Verdict, parse_verdict
from autoqec.results.verdict_parts import (
    Ablation,
    AnsweredAgain,
    Attempt,
    Check,
    Composition,
    Evidence,
    ExactRate,
    HarmCell,
    OtherCell,
    OutOfTime,
    ParentsScored,
    Recorded,
    ShareOfGap,
    Slope,
    Variant,
    VariantCounted,
)
from autoqec.results.verification_events import Begun, parse_begun
from autoqec.testing.sample_notes import metrics_note, verdict_note
from autoqec.views.figures_text import metrics_rows
from autoqec.views.verdict_text import verdict_lines

COUNTS = PairedCounts(4096, 20, 30, 10)
TESTED = cell_result(
    COUNTS, 0.05, ("a", "b"), extension=COUNTS, neutral=COUNTS, references={"ml": 0.01}, sent=900, gate_flops=1
)
ROWS = (
    certificate_row(1, 9, 0.1, 0.5, PairedCounts(9), (0.0, 0.0)),
    certificate_row(2, 99, 0.1, 0.5, PairedCounts(50, 0, 1, 2), None),
)

#: Evidence that has every part.
WHOLE = Evidence(
    attempt=Attempt(1, 0, 0.05, 4e-4, "00", 10**6, 60.0, "beacon", True),
    id="i", verifier="holdout", run="r", round=1, intent="a" * 64,
    commit="c" * 40, environment="e", candidate="d", weights_sha256="w", metrics="m",
    cell={"p": 0.006, "rounds": 3}, target_ler=0.1, constraints=Limits(None, 8, 0.1), chunk_shots=4096, machine="x86_64",
    versions={"stim": "1.15"}, simd="avx2", fingerprint="f", flops_per_shot=1000, params=8, bytes=99,
    flops_per_sent_shot=9102,
    constants=3, loading_cpu_ms=40, over=("a limit",),
    target=TESTED, trusted_code=False, sandbox={"level": 3}, sandbox_level=3,
    cells=(OtherCell({"p": 0.01}, "p = 0.01", "better", "carried_over", True, tested=TESTED),
           OtherCell({"p": 0.02}, "p = 0.02", "crash", fault="it broke")),
    ler_candidate_bound=0.02,
    share_of_gap=ShareOfGap("ml", 99, {"strong": 1}, ExactRate(0.3, (0.2, 0.4)), ExactRate(0.2, (0.1, 0.3)),
                            ExactRate(0.1, (0.0, 0.2)), 0.5),
    compose=Composition("partial", scored=ParentsScored({"r/1": 0.1}, 0.1, "r/1", 0.0, (-0.1, 0.1), COUNTS)),
    cpu_us_per_shot=3.5, us_per_shot=UsPerShot(3.0, 8.5, 9.0, 1.25), answered_again=AnsweredAgain((0, 1), (1,)),
    recorded=Recorded((0, 1), (1,), 1010, 3, 2.5), near_ml=("ml",),
    harm=(HarmCell({"p": 0.005}, "p = 0.005", "no_harm", "carried_over", True, counted=harm_counted(COUNTS)),
          HarmCell({"rounds": 2}, "rounds = 2", "not_applicable", why="there is none")),
    certificate=certified(5, "graphlike", 0.5, ROWS, 0.004, (Regression(2, 0.1, (1, 2), (3, 4), (0,)),)),
    ablation=Ablation(4096, (Variant("shuffled", counted=VariantCounted(COUNTS, 0.1, COUNTS, 0.1, (0.0, 0.2))),
                             Variant("without bp", "bad_weights")), "bp"),
    two_p_slope=Slope((0.005, 0.006), 1.0, 2.0, 1.0, (0.5, 1.5), "kept"),
    checks=(Check("batches", "failed", "so many", "batch_dependent"), Check("harm", "passed", "none")),
    fault="a fault", fault_code="crash", out_of_time=OutOfTime(None, 4096, 60.0), seconds=1.5, seconds_by_part={"test": 1.0},
)  # fmt: skip


def test_evidence_here_has_every_part():
    """So that the tests below look at all of it."""
    empty = Evidence()
    assert not [each.name for each in fields(WHOLE) if getattr(WHOLE, each.name) == getattr(empty, each.name)]


def test_what_is_written_is_read_back_whole():
    verdict = Verdict.on("VERIFIED", "better", WHOLE)
    again = Verdict.from_dict(json.loads(json.dumps(verdict.to_note())))
    assert again.evidence == WHOLE
    assert again.malformed == ()
    assert (again.figures, again.extension, again.cost("params")) == (TESTED.figures, COUNTS, 8)
    found = HeadToHead("r" * 40, COUNTS, 0.01, "i", gain=Gain.of(COUNTS), word="stays", digests=("a",))
    assert parse_head_to_head(json.loads(json.dumps(found.to_note()))) == found
    begun = Begun(3, "i", verifier="holdout", run="r", round=2, metrics="m", chain=("d" * 64,))
    assert parse_begun(json.loads(json.dumps(begun.to_note()))) == begun


def test_keys_that_are_not_known_stay_in_a_note():
    note = verdict_note(own={"of": ["a", "plugin"]}, attempt=1)
    assert parse_verdict(note).record.to_note() == note
    note = metrics_note(own=1, training={"own": 2})
    assert parse_metrics(note).record.to_note() == note


def test_no_two_parts_of_a_verdict_have_one_key():
    keys = keys_of(Evidence)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 10**400, 2**63, [1], {}])
@pytest.mark.parametrize("name", ["shots", "delta_ler", "ler_candidate"])
def test_a_figure_is_a_finite_number_of_ordinary_size(name, value):
    parsed = parse_verdict(verdict_note(**{name: value}))
    assert parsed.record is None
    assert "does not match the schema" in parsed.problem
    assert parse_metrics(metrics_note(**{name: value})).record is None


@pytest.mark.parametrize("ends", [None, [], [0], [0, 1, 2], [None, 1], ["0", 1], "01", {"0": 1}])
def test_an_interval_has_two_ends(ends):
    assert parse_metrics(metrics_note(delta_ler_ci=ends)).record is None
    assert parse_metrics(metrics_note(ler_ratio_ci=ends)).record is None
    assert parse_metrics(metrics_note(ler_ratio_ci=[0.5, None])).record.figures.ratio_interval == (0.5, None)


def test_a_part_that_is_malformed_is_named_and_the_others_are_read():
    note = Verdict.on("FAILED", "not_better", WHOLE).to_note()
    note["certificate"]["rows"][1]["counts"]["both"] = -1
    note["cells"] = [7]
    note["over"] = "a limit"
    found = Verdict.from_dict(note)
    assert set(found.malformed) == {"certificate.rows.1.counts", "cells.0", "over"}
    assert (found.evidence.certificate.sets, found.evidence.cells, found.evidence.over) == (None, (), ())
    assert found.evidence.harm == WHOLE.harm
    assert "cells.0: does not match the schema" in verdict_lines(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value, way=()):
    """The way to everything in a note."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield (*way, name)
        yield from places(each, (*way, name))


NOTES = {
    "verdict": Verdict.on("VERIFIED", "better", WHOLE).to_note(),
    "metrics": Metrics.of(
        Figures.of(COUNTS), parse_metrics(metrics_note()).record.costs, Measured(counts=COUNTS),
        {"steps": 3, "validation": [{"step": 0, "loss": 0.1}], "device": "cpu"},
    ).to_note(),
    "analysis": {"decision": "candidate", "summary": "a gain", "next_seed": "more"},
    "head_to_head": HeadToHead("r" * 40, COUNTS, 0.01, gain=Gain.of(COUNTS)).to_note(),
    "begun": Begun(1, "i", share=1 / 128, verifier="v", chain=("d" * 64,)).to_note(),
}  # fmt: skip
PLACES = [(kind, way) for kind, note in NOTES.items() for way in places(json.loads(json.dumps(note)))]


class Round:
    """The notes of a round, all of one form."""

    def __init__(self, note):
        self.metrics = self.analysis = self.verdict = note


def read_all(note):
    """Everything that reads notes, and all that reads what it reads."""
    results = read_results(Round(note))
    for found in (results.verdict, results.metrics):
        if found is not None:
            assert json.loads(json.dumps(found.to_note())) is not None
    if results.verdict is not None:
        verdict_lines(results.verdict)
        audit(results.verdict)
        assert is_dataclass(results.verdict.evidence)
        standing = entrant("r/1", "c", results.verdict, results.metrics)
        front_of([standing] if standing else [], lambda commits: {})
    if results.metrics is not None:
        metrics_rows(results.metrics, None)
        assert results.metrics.training is not None
    parse_analysis(note)
    parse_begun(note)
    parse_head_to_head(note)
    return results


@given(JSON)
def test_any_json_is_read(note):
    read_all(note)


@given(st.sampled_from(PLACES), JSON, st.booleans())
@settings(max_examples=400, deadline=None)
def test_a_note_of_ours_is_read_with_anything_anywhere(place, value, gone):
    kind, way = place
    note = json.loads(json.dumps(NOTES[kind]))
    inner = note
    for step in way[:-1]:
        inner = inner[step]
    if gone:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    results = read_all(note)
    for problem in results.problems:
        assert "does not match the schema" in problem


@pytest.mark.parametrize("attempt", [True, 0, -1, 1.5, "1", None, 2**63])
def test_begun_attempts_are_whole_numbers_from_one(attempt):
    assert parse_begun({"event": "begun", "attempt": attempt}) is None


def test_begun_notes_of_earlier_versions_have_no_chain():
    old = parse_begun({"event": "begun", "attempt": 2, "share": 1 / 128})
    assert (old.attempt, old.chain) == (2, None)
    first = Begun(1, run="r", round=1, chain=())
    assert parse_begun(first.to_note()) == first


def test_a_record_is_written_as_it_is_read():
    for note in (NOTES["verdict"], NOTES["metrics"]):
        form = Evidence if "attempt" in note else Measured
        record = read_record(form, note)
        written = json.loads(json.dumps(write_record(record)))
        assert {name: note[name] for name in written} == written


@pytest.mark.parametrize("told", [{"plain": "x", "gate": 1, "predict": 1, "decode": 1}, {}, [], "x", None])
def test_times_of_a_shot_that_are_no_numbers_are_none(told):
    assert Verdict("VERIFIED", "better", {"us_per_shot": told}).us_per_shot is None
