"""Where failures are: bands that are fixed beforehand, add up to the counts, and are made of development shots alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, Choice, environment_from_files
from autoqec.problem.sampling import sample_chunk
from autoqec.results.counts import PairedCounts
from autoqec.results.failure_bands import FIRED, OFF_CENTRE, TIME, FailureBand, added, bands_of
from autoqec.results.metrics_parts import Measured
from autoqec.results.note_form import read_record, write_record
from autoqec.scoring import shard
from autoqec.scoring.failure_table import GAP_ENDS, Measure, by_confidence, measures_of
from autoqec.scoring.score_stream import ScoreStream
from autoqec.scoring.scoring_requests import ScoringTask
from autoqec.scoring.shard import ChunkScore, score_chunks
from autoqec.testing import TINY_ENVIRONMENT, untrained

FILES = {ENVIRONMENT_FILE: TINY_ENVIRONMENT.encode()}
LOADED = environment_from_files(FILES, origin="e")
PROBLEM = build_problem(LOADED, load_plugins().maker("code"), None)
STAGE = {"stages/bp/stage.yaml": b"kind: neural_bp\niterations: 4\n"}
GATE = {"gate.yaml": b"kind: gap\nthreshold: 3.0\nevents: 0\nshort_bp: 0\n"}
SEEDS = (5, 6)


@pytest.fixture(scope="module", autouse=True)
def _decoder_set():
    yield
    shard._forget_decoder_set()


def scored(files, **fields):
    message = ScoringTask(environment=FILES, sealed=untrained(files, PROBLEM), seeds=SEEDS, **fields).to_message()
    return [ChunkScore.from_dict(each) for each in score_chunks(message).fields["chunks"]]


def sums(bands, by):
    kind = [each for each in bands if each.by == by]
    return tuple(sum(getattr(each, name) for each in kind) for name in ("shots", "baseline", "candidate"))


def whole(counts):
    return counts.shots, counts.both + counts.baseline_only, counts.both + counts.candidate_only


@pytest.mark.parametrize("gate", [{}, GATE])
def test_the_table_is_what_the_shots_say_and_changes_no_count(gate):
    told, silent = scored(STAGE | gate, tabulate=True), scored(STAGE | gate)
    for one, other in zip(told, silent, strict=True):
        assert (one.counts, one.digest, one.answers, one.sent) == (
            other.counts,
            other.digest,
            other.answers,
            other.sent,
        )
        assert other.bands == ()
        for by in (FIRED, TIME, OFF_CENTRE, "gap"):
            assert sums(one.bands, by) == whole(one.counts)
    decoder = compile_decoder(Choice(kind="mwpm"), PROBLEM, load_plugins())
    for seed, one in zip(SEEDS, told, strict=True):
        shots = sample_chunk(PROBLEM, seed)
        gaps = decoder.confidence(shots.syndromes)
        plain = decoder.decode(shots.syndromes).failures(shots.observables)
        own = np.unpackbits(np.frombuffer(bytes.fromhex(one.failed), np.uint8), count=len(shots)).astype(bool)
        fired = np.unpackbits(shots.syndromes, axis=1).sum(axis=1)
        low = -1.0
        for band in (each for each in one.bands if each.by == "gap"):
            inside = (gaps > low) & (gaps <= (band.up_to if band.up_to is not None else np.inf))
            assert (band.shots, band.baseline, band.candidate) == (
                inside.sum(), (inside & plain).sum(), (inside & own).sum()
            )  # fmt: skip
            low = band.up_to
        first = next(each for each in one.bands if each.by == FIRED)
        inside = fired <= first.up_to
        assert (first.shots, first.baseline, first.candidate) == (
            inside.sum(), (inside & plain).sum(), (inside & own).sum()
        )  # fmt: skip


def test_a_table_is_small_and_its_ends_come_from_the_problem_alone():
    (one, other) = scored(STAGE, tabulate=True)
    assert [(each.by, each.up_to) for each in one.bands] == [(each.by, each.up_to) for each in other.bands]
    measures = measures_of(PROBLEM)
    assert [each.by for each in measures] == [FIRED, TIME, OFF_CENTRE]
    for first, again in zip(measures, measures_of(PROBLEM), strict=True):
        assert first.ends == again.ends == tuple(sorted(set(first.ends)))
        assert len(first.ends) in (1, 2)
    ends = [end for each in measures for end in (*each.ends, None)]
    assert [each.up_to for each in one.bands] == [*ends, *GAP_ENDS, None]


def test_a_place_is_the_mean_of_the_fired_detectors_coordinates():
    shots = sample_chunk(PROBLEM, 9).syndromes
    fired = np.unpackbits(shots, axis=1, count=PROBLEM.num_detectors, bitorder="little").astype(bool)
    places = PROBLEM.dem.get_detector_coordinates()
    space = np.array([places[each][:2] for each in range(PROBLEM.num_detectors)])
    time = np.array([places[each][2] for each in range(PROBLEM.num_detectors)])
    off_centre = np.linalg.norm(space - (space.min(axis=0) + space.max(axis=0)) / 2, axis=1)
    for measure in measures_of(PROBLEM)[1:]:
        of_each = {TIME: time, OFF_CENTRE: off_centre}[measure.by]
        expected = [of_each[row].mean() if row.any() else of_each.mean() for row in fired]
        assert measure.of(shots) == pytest.approx(expected, abs=1e-3)


def test_without_coordinates_there_is_no_place():
    bare = replace(PROBLEM, dem=PROBLEM.dem.flattened().copy())
    plain = type(PROBLEM.dem)("\n".join(line for line in str(bare.dem).splitlines() if "detector" not in line))
    assert [each.by for each in measures_of(replace(PROBLEM, dem=plain))] == [FIRED]


def test_no_table_is_made_of_holdout_shots():
    """Agents see tables, and no agent sees the holdout. A stream of another purpose refuses before a shot is drawn."""
    stream = ScoreStream(None, LOADED, untrained(STAGE, PROBLEM), bytes(32), "dev")
    for domain in ("holdout", "harm", ""):
        with pytest.raises(ValueError, match="no table of failures"):
            replace(stream, domain=domain).score(0, 1, tabulate=True)


SHOTS = st.lists(st.tuples(st.integers(0, 255), st.booleans(), st.booleans(), st.floats(0, 9) | st.just(float("inf"))))


@given(SHOTS, st.sampled_from(["gap", "converged"]))
def test_every_shot_is_in_one_band(shots, kind):
    syndromes = np.array([[each[0]] for each in shots], np.uint8).reshape(-1, 1)
    base, own = (np.array([each[place] for each in shots], bool) for place in (1, 2))
    confidence = np.array([each[3] for each in shots], np.float32)
    fired = Measure(FIRED, None, (2.0, 5.0)).bands(syndromes, base, own)
    place = Measure(TIME, np.arange(8) * 1024, (2.0, 5.0)).bands(syndromes, base, own)
    for bands in (fired, place, by_confidence(kind, confidence, base, own)):
        assert sums(bands, bands[0].by) == (len(shots), base.sum(), own.sum())
        assert bands[-1].up_to is None


def test_bands_that_do_not_add_up_to_the_counts_of_a_note_are_left_out():
    counts = PairedCounts(100, 5, 3, 1)
    true = (FailureBand("gap", 2.0, 40, 6, 6), FailureBand("gap", None, 60, 2, 0))
    forged = (FailureBand(FIRED, 9.0, 90, 8, 0), FailureBand(FIRED, None, 10, 0, 0))
    assert bands_of(true + forged, counts) == true
    assert bands_of(true, None) == bands_of((), counts) == ()


def test_a_table_adds_and_is_in_the_note():
    one = (FailureBand("gap", 2.0, 40, 6, 6), FailureBand("gap", None, 60, 2, 0))
    both = added(added((), one), added(one, ()))
    assert both == (FailureBand("gap", 2.0, 80, 12, 12), FailureBand("gap", None, 120, 4, 0))
    assert read_record(Measured, write_record(Measured(failure_bands=both))).failure_bands == both
    assert "failure_bands" not in write_record(Measured()), "old notes stay as they are"
