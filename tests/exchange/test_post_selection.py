"""Post-selection by confidence, in sinter itself: what is discarded, and what the counts by confidence add up to."""

import pickle

import numpy as np
import pytest
import sinter

from autoqec.errors import UsageError
from autoqec.exchange.deploy import Deployed
from autoqec.exchange.folder import open_folder, write_folder
from autoqec.exchange.sinter_rounds import PlainDecoder, RoundDecoder, round_decoders
from autoqec.plugins import load_plugins
from autoqec.problem.sampling import sample_chunk
from autoqec.sinter import ConfidenceSampler, Kept, PostSelected, post_selection
from autoqec.testing import surface_problem


@pytest.fixture(scope="module")
def problem():
    return surface_problem(3, 0.02)


def collected(problem, decoder, **fields):
    (stats,) = sinter.collect(
        tasks=[sinter.Task(circuit=problem.circuit, decoder="ours", **fields)],
        custom_decoders={"ours": decoder},
        max_shots=3000,
        num_workers=1,
    )
    return stats


def test_unsure_shots_have_one_more_byte(problem):
    shots = sample_chunk(problem, 1)
    compiled = PostSelected("mwpm", above=3.0).compile_decoder_for_dem(dem=problem.dem)
    flagged = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=shots.syndromes)
    plain = PlainDecoder("mwpm").compile_decoder_for_dem(dem=problem.dem)
    assert (flagged[:, :1] == plain.decode_shots_bit_packed(bit_packed_detection_event_data=shots.syndromes)).all()
    confidence = plain.with_confidence(shots.syndromes, np.inf)[1]
    assert (flagged[:, 1] == (confidence <= 3.0)).all()
    wrong = (flagged[:, :1] != shots.observables).any(axis=1)
    kept = flagged[:, 1] == 0
    assert 0 < wrong[kept].mean() < 0.5 * wrong.mean()


def test_sinter_discards_them(problem):
    stats = collected(problem, PostSelected("mwpm", above=3.0))
    assert 0.3 < stats.discards / stats.shots < 0.9
    everything = collected(problem, PostSelected(PlainDecoder("mwpm"), above=-1.0))
    assert everything.discards == 0
    assert everything.errors > 0
    nothing = collected(problem, PostSelected("mwpm", above=np.inf))
    assert (nothing.discards, nothing.errors) == (nothing.shots, 0)


def test_one_run_says_what_each_threshold_keeps(problem):
    stats = collected(problem, ConfidenceSampler("mwpm", step=2.0, most=6.0))
    rows = post_selection(stats.custom_counts)
    assert [row.at_least for row in rows] == [0.0, 2.0, 4.0, 6.0]
    assert (rows[0].shots, rows[0].errors) == (stats.shots, stats.errors)
    assert stats.discards == 0
    shares = [row.errors / row.shots for row in rows]
    assert shares[0] > 2 * shares[-1]
    assert [row.shots for row in rows] == sorted((row.shots for row in rows), reverse=True)


def test_counts_of_others_are_ignored():
    counts = {"right@0": 5, "wrong@0": 1, "wrong@2.5": 2, "right@4": 3, "detection_events": 77, "wrong@x": 1}
    assert post_selection(counts) == [Kept(0.0, 11, 3), Kept(2.5, 5, 2), Kept(4.0, 3, 0)]


def test_infinite_confidence_counts_as_the_most():
    sampler = ConfidenceSampler("mwpm", step=1.0, most=8.0)
    closed = "R 0 1 2\nX_ERROR(0.2) 0 1\nCX 0 2 1 2\nM 2 0\nDETECTOR rec[-2]\nOBSERVABLE_INCLUDE(0) rec[-2]"
    import stim

    task = sinter.Task(circuit=stim.Circuit(closed))
    counts = sampler.compiled_sampler_for_task(task).sample(100).custom_counts
    assert counts == {"right@8": 100}


def test_a_decoder_without_confidence_is_named(problem):
    with pytest.raises(UsageError, match="autoqec:mwpm_correlated> does not say how sure it is"):
        PostSelected("mwpm_correlated", above=1.0).compile_decoder_for_dem(dem=problem.dem)
    with pytest.raises(UsageError, match="autoqec:mwpm_correlated> does not say how sure it is"):
        ConfidenceSampler("mwpm_correlated").compiled_sampler_for_task(sinter.Task(circuit=problem.circuit))


def test_a_sampler_refuses_what_it_would_ignore(problem):
    mask = np.zeros(problem.syndrome_bytes, np.uint8)
    mask[0] = 1
    with pytest.raises(UsageError, match="post-selection of its task"):
        ConfidenceSampler("mwpm").compiled_sampler_for_task(
            sinter.Task(circuit=problem.circuit, postselection_mask=mask)
        )
    with pytest.raises(UsageError, match="step"):
        ConfidenceSampler("mwpm", step=0.0)


def test_a_round_is_post_selected_by_the_confidence_of_its_classical_decoder(package, tmp_path):
    deployed = Deployed(package, load_plugins())
    problem = deployed.problem
    shots = sample_chunk(problem, 2).syndromes[:300]
    plain = PlainDecoder("mwpm").compile_decoder_for_dem(dem=problem.dem)
    expected = plain.with_confidence(shots, np.inf)[1]
    assert (deployed.confidence(shots) == expected).all()
    write_folder(package, load_plugins(), tmp_path / "round")
    assert (open_folder(tmp_path / "round").confidence(shots) == expected).all()
    selected = PostSelected(round_decoders(package)["autoqec:exp/here/1"], above=4.0)
    compiled = pickle.loads(pickle.dumps(selected)).compile_decoder_for_dem(dem=problem.dem)
    flagged = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=shots)
    assert (flagged[:, :-1] == deployed.decode(shots).observables).all()
    assert (flagged[:, -1] == (expected <= 4.0)).all()
    stats = collected(problem, selected)
    assert 0 < stats.discards < stats.shots


def test_a_round_whose_decoder_has_no_confidence_is_named(make_package):
    from autoqec.testing import TINY_ENVIRONMENT

    other = make_package(TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: mwpm_correlated"))
    deployed = Deployed(other, load_plugins())
    with pytest.raises(UsageError, match="mwpm_correlated, does not say how sure"):
        deployed.confidence(np.zeros((1, deployed.problem.syndrome_bytes), np.uint8))
    with pytest.raises(UsageError, match="mwpm_correlated, does not say how sure"):
        PostSelected(RoundDecoder(other), above=1.0).compile_decoder_for_dem(dem=deployed.problem.dem)
