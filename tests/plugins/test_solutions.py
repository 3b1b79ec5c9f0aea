"""Solutions in each class: their weights are those of an enumeration, and equal ones have equal names."""

import itertools

import numpy as np
import pytest
from autoqec_plugins.mwpm.weighing import MOST_EXACT, makings, weigh

from autoqec.decoding.compile_decoder import compile_decoder
from autoqec.decoding.decoder_contract import SolvingDecoder
from autoqec.plugins import load_plugins
from autoqec.problem.environment import Choice
from autoqec.problem.sampling import sample_chunk
from autoqec.testing import surface_problem

REGISTRY = load_plugins()
PROBLEM = surface_problem(3, p=0.03)
MWPM = compile_decoder(Choice(kind="mwpm"), PROBLEM, REGISTRY)
OSD = compile_decoder(Choice(kind="osd"), PROBLEM, REGISTRY)
SYNDROMES = sample_chunk(PROBLEM, 9).syndromes[:300]


def beliefs_for(shots, seed=2):
    noise = np.random.default_rng(seed).normal(0, 2, (shots, len(PROBLEM.priors_llr)))
    return (np.rint((PROBLEM.priors_llr + noise) * 1024) / 1024).astype(np.float32)


def partitions(edges, mechanisms, alone):
    """The least weight of all ways to split a set of edges into mechanisms within it."""
    if not edges:
        return 0.0
    first = min(edges)
    ways = [alone[first] + partitions(edges - {first}, mechanisms, alone)]
    ways += [
        price + partitions(edges - made, mechanisms, alone)
        for made, price in mechanisms
        if first in made and made <= edges
    ]
    return min(ways)


def joined(problem):
    edges = problem.edges
    return [
        (frozenset(edges.of_mechanism[a:b].tolist()), float(weight))
        for a, b, weight in zip(edges.start, edges.start[1:], problem.priors_llr, strict=False)
        if b - a > 1
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_set_of_edges_costs_its_cheapest_partition_into_mechanisms(seed):
    rng, made, mechanisms = np.random.default_rng(seed), makings(PROBLEM.edges, PROBLEM.priors_llr), joined(PROBLEM)
    place = np.full(len(PROBLEM.edges), -1, dtype=np.int32)
    saved = 0
    for _ in range(60):
        chosen: set[int] = set()
        for pick in rng.integers(0, len(mechanisms), 3):  # edges that mechanisms join, and others
            chosen ^= mechanisms[pick][0]
        chosen |= set(rng.integers(0, len(PROBLEM.edges), 2).tolist())
        expected = partitions(frozenset(chosen), mechanisms, made.alone)
        assert weigh(np.array(sorted(chosen), dtype=np.int64), made, place) == pytest.approx(expected, abs=1e-3)
        saved += expected < made.alone[sorted(chosen)].sum() - 1e-3
    assert saved > 20
    assert (place == -1).all()


def test_many_joined_edges_are_never_weighed_above_their_sum_or_below_the_best():
    made, mechanisms = makings(PROBLEM.edges, PROBLEM.priors_llr), joined(PROBLEM)
    place, everything = np.full(len(PROBLEM.edges), -1, dtype=np.int32), np.arange(len(PROBLEM.edges))
    assert len(everything) > MOST_EXACT
    weight = weigh(everything, made, place)
    assert weight < made.alone.sum()
    assert weight > 0
    assert (place == -1).all()
    assert len(mechanisms) > 10


def test_solutions_of_matching_are_the_lightest_of_both_classes_and_explain_the_syndrome():
    beliefs = beliefs_for(len(SYNDROMES))
    found, plain = MWPM.solutions(SYNDROMES, beliefs), MWPM.decode(SYNDROMES, beliefs)
    assert isinstance(MWPM, SolvingDecoder)
    assert found.weights.shape == (300, 2)
    assert np.isfinite(found.weights).all()
    assert np.array_equal(found.observables[:, :, 0], np.tile([0, 1], (300, 1)))
    gap = found.believed[:, 1] - found.believed[:, 0]
    sure = np.abs(gap) > 0.01
    assert np.array_equal((gap < 0)[sure], plain.observables[sure, 0] == 1)
    assert (found.names[:, 0] != found.names[:, 1]).all()


def test_equal_solutions_have_equal_names_and_weights_whatever_the_beliefs():
    one, other = (MWPM.solutions(SYNDROMES, beliefs_for(300, seed)) for seed in (2, 3))
    same = one.names == other.names
    assert 0 < same.sum() < same.size
    assert np.array_equal(one.weights[same], other.weights[same])


@pytest.mark.parametrize("decoder", [MWPM, OSD], ids=["mwpm", "osd"])
def test_a_shot_does_not_depend_on_its_batch(decoder):
    beliefs = beliefs_for(300)
    whole = decoder.solutions(SYNDROMES, beliefs)
    for shot in range(0, 300, 50):
        alone = decoder.solutions(SYNDROMES[shot : shot + 1], beliefs[shot : shot + 1])
        for name in ("observables", "weights", "believed", "names"):
            assert np.array_equal(getattr(alone, name)[0], getattr(whole, name)[shot]), name


def test_the_only_class_of_osd_is_its_answer_weighed_by_the_priors():
    beliefs = beliefs_for(300)
    found, answer = OSD.solutions(SYNDROMES, beliefs), OSD.decode(SYNDROMES, beliefs)
    _, fired = OSD.order_and_solve(SYNDROMES, beliefs, corrections=True)
    assert np.array_equal(found.observables[:, 0], answer.observables)
    assert np.allclose(found.weights[:, 0], fired @ PROBLEM.priors_llr, atol=1e-3)
    for one, other in itertools.pairwise(range(300)):
        assert (found.names[one, 0] == found.names[other, 0]) == np.array_equal(fired[one], fired[other])
