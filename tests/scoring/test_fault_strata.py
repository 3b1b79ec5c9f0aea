"""Strata of the fault count: exact weights, exact draws, and shots that give the rate of plain shots."""

from collections import Counter
from itertools import combinations
from math import comb

import mpmath
import numpy as np
import pytest
import stim
from scipy.stats import chi2

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.errors import UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.problem import problem_from_circuit, problem_from_dem
from autoqec.problem.sampling import CHUNK_SHOTS, sample_chunk
from autoqec.results.statistics import candidate_rate_bounds, rate_interval
from autoqec.results.stratified_counts import DrawnStrata, shares_for
from autoqec.scoring.fault_strata import (
    BEYOND,
    LISTED_IN_CHUNK,
    refuse_near_ml,
    sets_to_list,
    strata_chunk,
    strata_of,
    weights_of,
    why_no_strata,
)
from autoqec.scoring.sampling_advice import sampling_advice
from autoqec.scoring.score_stream import StrataDraw
from autoqec.scoring.strata_tally import StrataTally, tally, together
from autoqec.testing import surface_problem


def dem(*priors):
    lines = [f"error({p}) D{i} D{i + 1}" + (" L0" if i == 0 else "") for i, p in enumerate(priors)]
    return problem_from_dem(stim.DetectorErrorModel("\n".join(lines)), name="small")


SMALL = dem(0.01, 0.2, 0.3, 0.4, 0.05, 0.02)
SURFACE = surface_problem(distance=3, rounds=3, p=0.002)


def exact(priors, most):
    """The distribution of the number of faults, to 60 digits; of all numbers, so that nothing is left out of the tail."""
    mpmath.mp.dps = 60
    row = [mpmath.mpf(1)]
    for p in map(mpmath.mpf, priors):
        row = [a * (1 - p) + b * p for a, b in zip([*row, 0], [0, *row], strict=True)][:60]
    return row[: most + 1], sum(row[most + 1 :])


@pytest.mark.parametrize(("problem", "most"), [(SMALL, 3), (SURFACE, 12)])
def test_the_weights_are_those_of_sixty_digits(problem, most):
    found, beyond = weights_of(problem.mechanisms.priors, most)
    wanted, more = exact(problem.mechanisms.priors.tolist(), most)
    assert found == pytest.approx([float(each) for each in wanted], rel=1e-12)
    assert float(more) <= beyond <= float(more) * (1 + 1e-8)


def test_shots_of_more_faults_are_as_unlikely_as_the_bound_says():
    strata = strata_of(SURFACE)
    _, more = exact(SURFACE.mechanisms.priors.tolist(), strata.most)
    assert float(more) <= strata.beyond <= BEYOND
    assert strata.probabilities.sum() + strata.beyond == pytest.approx(1, abs=1e-12)
    assert strata.probabilities[-2] > BEYOND / 100, "no stratum is drawn for nothing"


@pytest.mark.parametrize("faults", [1, 2, 3])
def test_sets_are_drawn_as_noise_draws_them(faults):
    strata, priors, shots = strata_of(SMALL), SMALL.mechanisms.priors, 40_000
    members = strata.draw(np.full(shots, faults), np.random.default_rng(faults))
    sets = np.stack([member for _, member in members], axis=1)
    assert (np.diff(sets, axis=1) > 0).all()
    drawn = Counter(map(tuple, sets.tolist()))
    odds = priors / (1 - priors)
    every = {each: odds[list(each)].prod() for each in combinations(range(len(priors)), faults)}
    wanted = {each: shots * product / sum(every.values()) for each, product in every.items()}
    statistic = sum((drawn[each] - count) ** 2 / count for each, count in wanted.items())
    assert chi2.sf(statistic, len(wanted) - 1) > 0.001


def test_a_mechanism_that_hardly_fires_is_never_drawn_in_place_of_another():
    strata = strata_of(dem(1e-300, 0.2, 1e-300, 0.3, 0.1))
    members = strata.draw(np.full(5000, 2), np.random.default_rng(1))
    assert {int(each) for _, member in members for each in member} == {1, 3, 4}


def chunks(problem, count, shares=None, most=10**6, seed=5):
    strata, sets = strata_of(problem), sets_to_list(problem, most)
    shares = shares or shares_for(strata.probabilities[len(sets) :].tolist(), ())
    draw = StrataDraw(shares, sets, 0)
    for place in range(count):
        (first,) = draw.fields([place])["first_listed"]
        yield strata_chunk(problem, strata, seed + place, shares, first, sets)


def test_every_set_of_few_faults_is_listed_once_among_drawn_ones():
    size = len(SURFACE.mechanisms)
    sets = sets_to_list(SURFACE, 10**6)
    assert sets == (1, size, comb(size, 2))
    many = StrataDraw((1.0,), sets, 0).chunks
    made = list(chunks(SURFACE, many + 1))
    listed = Counter(int(faults) for each in made for faults in each.faults[each.listed])
    assert listed == dict(enumerate(sets))
    strata = strata_of(SURFACE)
    for faults in range(3):
        products = sum(each.products[each.listed & (each.faults == faults)].sum() for each in made)
        assert strata.no_fault * products == pytest.approx(strata.probabilities[faults])
    first = made[0]
    assert len(first.shots) == CHUNK_SHOTS
    assert first.listed.sum() == LISTED_IN_CHUNK
    assert not made[-1].listed.any()
    assert 0.3 < first.listed[: CHUNK_SHOTS // 4].mean() < 0.7, "the order tells nothing"
    assert (first.faults[~first.listed] >= 3).all()


@pytest.mark.parametrize(("most", "weights"), [(10**6, 3), (1000, 2), (10, 1)])
def test_sets_are_listed_only_as_far_as_they_are_few(most, weights):
    assert len(sets_to_list(SURFACE, most)) == weights


def test_the_rate_by_strata_is_that_of_plain_shots():
    """Plain matching at p = 0.002: the exact strata and the drawn ones together, beside 40 plain chunks."""
    decoder = compile_decoder(Choice(kind="mwpm"), SURFACE, load_plugins())
    strata, sets = strata_of(SURFACE), sets_to_list(SURFACE, 10**6)
    shares = shares_for(strata.probabilities[len(sets) :].tolist(), ())
    found = []
    for chunk in chunks(SURFACE, StrataDraw(shares, sets, 0).chunks + 10, shares):
        fails = decoder.decode(chunk.shots.syndromes).failures(chunk.shots.observables)
        found.append(tally(chunk, len(sets), len(shares), np.zeros_like(fails), fails))
    drawn = DrawnStrata(tuple(range(3, strata.most + 1)), tuple(strata.probabilities[3:]), strata.beyond)
    counts = together([(shares, sum(found[1:], found[0]))], drawn, strata.probabilities[:3].tolist())
    assert counts.fault is None
    low, high = candidate_rate_bounds(counts, 0.005)
    plain = [sample_chunk(SURFACE, seed) for seed in range(40)]
    failed = sum(int(decoder.decode(each.syndromes).failures(each.observables).sum()) for each in plain)
    least, most = rate_interval(failed, len(plain) * CHUNK_SHOTS, 0.01)
    assert least <= low < counts.ler_candidate < high <= most, "the interval by strata lies within the plain one"
    assert counts.ler_baseline == 0.0


def test_a_tally_goes_through_json_and_adds():
    (chunk,) = chunks(SURFACE, 1)
    rng = np.random.default_rng(2)
    one, two = (rng.random(CHUNK_SHOTS) < 0.1 for _ in range(2))
    found = tally(chunk, 3, strata_of(SURFACE).most - 2, one, two)
    assert StrataTally.from_dict(found.to_dict()) == found
    assert sum(each.both for each in (found + found).listed + (found + found).drawn) == 2 * (one & two).sum()
    assert found.odds[0] in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))


def test_shots_of_dependent_errors_have_no_strata():
    circuit = stim.Circuit(
        "RX 0\nR 1\nPAULI_CHANNEL_2(0.01,0.01,0.01,0.01,0.01,0.2,0.01,0.01,0.01,0.01,0.01,0.01,0.01,0.01,0.01) 0 1\n"
        "MX 0\nM 1\nDETECTOR rec[-1]\nDETECTOR rec[-2]\nOBSERVABLE_INCLUDE(0) rec[-1]"
    )
    problem = problem_from_circuit(circuit, name="exclusive")
    assert "exclude each other" in why_no_strata(problem)
    with pytest.raises(UsageError, match="protocol.sampling: stratified does not fit") as refused:
        strata_of(problem)
    assert refused.value.code == "no_strata"
    assert "autoqec env check" in refused.value.hint


def test_an_error_that_no_detector_sees_has_no_place_in_the_strata():
    unseen = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0\nerror(0.1) L0"), name="unseen")
    assert "flips an observable and no detector" in why_no_strata(unseen)


def test_there_is_always_a_stratum_to_draw():
    rare = surface_problem(3, 1e-6)
    assert strata_of(rare).most == 3
    (chunk,) = chunks(rare, 1)
    assert set(chunk.faults[~chunk.listed]) == {3}
    with pytest.raises(UsageError, match="with 3 mechanisms no stratum is left"):
        strata_of(dem(0.1, 0.1, 0.1))


def test_a_stratum_without_probability_is_none():
    with pytest.raises(UsageError, match="3 mechanisms never fire at once") as refused:
        strata_of(dem(*[1e-160] * 6))
    assert refused.value.code == "no_strata"


def test_strata_of_many_faults_are_no_help():
    many = problem_from_dem(stim.DetectorErrorModel("\n".join(f"error(0.2) D{i} L0" for i in range(400))), name="many")
    with pytest.raises(UsageError, match="failures are not rare here"):
        strata_of(many)


def test_references_near_maximum_likelihood_are_refused():
    registry = load_plugins()
    refuse_near_ml([Choice(kind="mwpm_correlated")], registry)
    with pytest.raises(UsageError, match="tesseract is compared on plain shots alone"):
        refuse_near_ml([Choice(kind="tesseract")], registry)


def test_the_sampling_that_pays_is_measured():
    decoder = compile_decoder(Choice(kind="mwpm"), SURFACE, load_plugins())
    often = sampling_advice(SURFACE, decoder, bytes(32), 2, 0.01, 1e-6)
    assert often == {"pays": "plain", "why": "plain shots fail often enough, at a rate above 0.001"}
    # A second for a plain shot stands for slow decoding, and none at all for fast.
    for seconds, pays in ((1.0, "stratified"), (0.0, "plain")):
        found = sampling_advice(SURFACE, decoder, bytes(32), 4, 0.0, seconds)
        low, high = found["ler_ci"]
        assert low < found["ler"] < high
        assert (found["pays"], found["worth"] > 1) == (pays, True)
    small = problem_from_dem(stim.DetectorErrorModel("error(0.1) D0 L0"), name="small")
    assert "no stratum is left" in sampling_advice(small, decoder, bytes(32), 2, 0.0, 1.0)["why"]
