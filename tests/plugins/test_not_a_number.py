"""A library's NaN is noticed, the shot is decoded in another way, and it is counted."""

from types import SimpleNamespace

import numpy as np
import pytest
from autoqec_plugins.bivariate_bicycle.bb_code import BivariateBicycleFields, bicycle
from autoqec_plugins.osd.lsd import BpLsd
from autoqec_plugins.osd.osd_decoder import Osd
from autoqec_plugins.references.belief_matching import _Adapter

from autoqec.decoding.decoder_contract import not_a_number
from autoqec.problem.columns import model_of_columns
from autoqec.problem.problem import problem_from_dem
from autoqec.scoring.baseline import _about_references
from autoqec.testing import surface_problem

SHOTS = 3000


@pytest.fixture(scope="module")
def gross():
    """The gross code with errors on data alone, and errors of weight four, which a code of distance twelve corrects."""
    code, _ = bicycle(BivariateBicycleFields(l=12, m=6, a="x^3 + y + y^2", b="y^3 + x + x^2", rounds=1))
    fired = np.zeros((SHOTS, 144), dtype=np.uint8)
    rng = np.random.default_rng(1)
    for shot in fired:
        shot[rng.choice(144, 4, replace=False)] = 1
    problem = problem_from_dem(model_of_columns(code.hz, code.lz, np.full(144, 0.01)), name="gross")
    bits, flips = fired @ code.hz.T % 2, fired @ code.lz.T % 2
    packed = (np.packbits(each, axis=1, bitorder="little") for each in (bits, flips))
    return problem, code, bits, *packed


def test_correctable_errors_of_the_gross_code_are_not_lost_to_nan(gross):
    problem, code, bits, syndromes, observables = gross
    from ldpc.bposd_decoder import BpOsdDecoder

    theirs = BpOsdDecoder(code.hz, error_channel=[0.01] * 144, max_iter=30, bp_method="product_sum", osd_method="osd_0")
    nan, wrong = np.zeros(SHOTS, dtype=bool), np.zeros(SHOTS, dtype=bool)
    for shot, syndrome in enumerate(bits.astype(np.uint8)):
        flips = theirs.decode(syndrome) @ code.lz.T % 2
        nan[shot] = np.isnan(theirs.log_prob_ratios).any()
        wrong[shot] = (np.packbits(flips, bitorder="little") != observables[shot]).any()
    decoder = BpLsd().compile(problem)
    failures = decoder.decode(syndromes).failures(observables)
    assert not_a_number(decoder) == nan.sum()
    assert (failures & nan).sum() <= (wrong & nan).sum()
    # Shots that the library loses are decoded as `osd` does.
    other = Osd().compile(problem).decode(syndromes[nan]).failures(observables[nan])
    assert (failures[nan] == other).all()


def lost():
    """One of ldpc's decoders whose messages became NaN in every shot, and whose decision is empty."""
    empty = np.zeros(144, dtype=np.uint8)
    return SimpleNamespace(
        decode=lambda bits: empty,
        converge=True,
        log_prob_ratios=np.full(144, np.nan),
        update_channel_probs=lambda channel: None,
    )


def test_every_use_of_ldpc_notices(gross):
    problem, _, _, syndromes, observables = gross
    some, right = syndromes[:40], observables[:40]
    plain = Osd().compile(problem).decode_with_confidence(some)
    lsd = BpLsd().compile(problem)
    lsd.__dict__["_static"] = lsd.__dict__["_told"] = lost()
    decoded, confidence = lsd.decode_with_confidence(some)
    assert (decoded.observables == plain[0].observables).all()
    assert (confidence == plain[1]).all()
    beliefs = np.repeat(problem.priors_llr[None], len(some), axis=0)
    given = Osd().compile(problem).decode(some, beliefs)
    assert (lsd.decode(some, beliefs).observables == given.observables).all()
    assert lsd.solutions(some, beliefs).weights == pytest.approx(
        Osd().compile(problem).solutions(some, beliefs).weights
    )
    assert not_a_number(lsd) == 120

    osd = Osd(bp_method="minimum_sum").compile(problem)
    osd._propagation._ldpc = lost()
    decoded, confidence, left = osd.decode_and_share(some)
    assert (decoded.observables == plain[0].observables).all()
    assert (confidence == plain[1]).all()
    assert np.isfinite(left).all()
    assert not_a_number(osd) == 40
    assert decoded.failures(right).sum() == plain[0].failures(right).sum()


def test_belief_matching_falls_back_to_plain_matching():
    """Where weights are NaN, matching raises; where belief propagation claims to have converged, it does not."""
    problem = surface_problem(3, 0.01)
    import pymatching

    row = np.zeros(problem.num_detectors, dtype=np.uint8)
    row[[2, 5]] = 1
    adapter = _Adapter({})
    adapter._plain = pymatching.Matching.from_detector_error_model(problem.dem)
    ratios = np.full(len(problem.mechanisms), np.nan)

    def fails(syndrome):
        raise ValueError("weights are not finite")

    for decode in (fails, lambda syndrome: np.ones(1, dtype=np.uint8)):
        adapter._matching = SimpleNamespace(decode=decode, _bpd=SimpleNamespace(log_prob_ratios=ratios))
        assert (adapter._one(row) == adapter._plain.decode(row)).all()
    assert adapter.not_a_number == 2
    ratios[:] = 1.0
    adapter._matching = SimpleNamespace(decode=fails, _bpd=SimpleNamespace(log_prob_ratios=ratios))
    with pytest.raises(ValueError, match="not finite"):
        adapter._one(row)


def test_env_check_says_how_often():
    decoders = {"bp_lsd": SimpleNamespace(not_a_number=1234), "osd": SimpleNamespace()}
    found = _about_references(SimpleNamespace(measured={}, decoders=decoders), "bp_lsd", {})
    text = "bp_lsd: belief propagation of its library became NaN; shots decoded in another way: 1,234"
    assert found == [{"field": "decoder", "finding": text}]
